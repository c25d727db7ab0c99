"use strict";
// Smooths the console: news as they come, the bell, shortcuts. Every page works without it.
const POLL = 15_000; // ms between looks at the queue while the live line is lost
const RING = 20_000; // ms between two rings for the same P0
const LONGEST_WAIT = 60_000; // ms before the live line is tried again
const IDLE = 25 * 60_000; // ms without a request by the person; the server ends the session after 30 minutes
const TITLE = document.title;

const byId = (id) => document.getElementById(id);
const live = byId("live");
const silent = () => Number(sessionStorage.getItem("silenced") || 0);

// -- saying things -----------------------------------------------------------------------------------------------------

function say(place, words) {
  const box = byId(place);
  if (!box) return;
  box.textContent = "";
  window.setTimeout(() => { box.textContent = words; }, 60); // an emptied box is read anew even where the words are the same
}

function notice(words) {
  const box = byId("notice");
  if (!box) return;
  box.textContent = words;
  box.hidden = !words;
}

// -- what changed is fetched again -------------------------------------------------------------------------------------

const due = new Set();

// At most once a second, and not all consoles in the same moment.
function refresh(id) {
  if (due.has(id) || !byId(id)) return;
  due.add(id);
  window.setTimeout(() => {
    due.delete(id);
    if (byId(id)) htmx.trigger(byId(id), "refresh");
  }, 1000 + Math.random() * 500);
}

// A part in which somebody is typing, choosing or moving stays as it is; talk and head are always renewed, and keep the focus by its id.
function inUse(part) {
  const at = document.activeElement;
  const busy = part.contains(at) && !at.matches("summary") && !["talk", "case-head"].includes(part.id);
  const begun = part.id === "composer" && byId("text")?.value.trim();
  return busy || begun || [...part.querySelectorAll("textarea, input:not([type=hidden]), select")].some(changed);
}

function changed(field) {
  if (field.matches("select")) return [...field.options].some((one) => one.selected !== one.defaultSelected && one.index > 0);
  if (field.matches("[type=radio], [type=checkbox]")) return field.checked !== field.defaultChecked;
  return field.value !== field.defaultValue;
}

const opened = new Set();
const stale = new Set(); // parts that stayed as they were
let closed = false; // nothing can be sent now
let unfolding = ""; // the part on whose heading the focus is
let atEnd = true;

document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const part = event.detail.target;
  stale.delete(part.id);
  if (part.id === "composer") mayWrite(event.detail.fragment.querySelector("#send"));
  if (!inUse(part)) return;
  event.detail.shouldSwap = false;
  stale.add(part.id);
});

// The person has left, or is back: a draft stays, and cannot be sent meanwhile; an empty box goes.
function mayWrite(allowed) {
  const box = byId("text");
  closed = !allowed;
  if (!box) return;
  byId("send").disabled = closed;
  if (allowed || box.value.trim()) return;
  box.defaultValue = box.value;
  box.blur();
}

// Whoever leaves a part that stayed as it was finds it renewed.
document.addEventListener("focusout", (event) => {
  const part = event.target.closest("section[id]");
  if (part && stale.has(part.id) && !part.contains(event.relatedTarget)) refresh("case");
});

document.addEventListener("htmx:beforeSwap", (event) => {
  const looking = event.detail.target.id === "preview"; // and the person may have left since
  if (looking && !event.detail.serverResponse.includes('id="preview"')) event.detail.shouldSwap = false;
  unfolding = document.activeElement.matches("summary") ? document.activeElement.parentElement.id : "";
  opened.clear();
  for (const one of document.querySelectorAll("details[id][open]")) opened.add(one.id);
  const log = document.querySelector(".log");
  atEnd = !log || log.scrollHeight - log.scrollTop - log.clientHeight < 40;
});

document.addEventListener("htmx:afterSettle", (event) => {
  for (const id of opened) if (byId(id)) byId(id).open = true;
  if (unfolding && document.activeElement === document.body) byId(unfolding)?.querySelector("summary").focus({ preventScroll: true });
  if (closed && byId("send")) byId("send").disabled = true;
  if (atEnd) toEnd();
  count(Number(byId("queue")?.dataset.p0 ?? p0));
  if (event.detail.requestConfig?.path.endsWith("/send") && !document.querySelector("#composer [role=alert]")) byId("text")?.focus();
});

function toEnd() {
  const log = document.querySelector(".log");
  if (log) log.scrollTop = log.scrollHeight;
}

let failing = ""; // the path of what could not be done, until it is done

document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status === 401) window.location.assign("/console/login");
  else failed(event, whyNot(event.detail.xhr) || byId("notice").dataset.failed);
});
document.addEventListener("htmx:sendError", (event) => failed(event, byId("notice").dataset.offline));
document.addEventListener("htmx:afterRequest", (event) => {
  leaving = false;
  if (event.detail.successful && event.detail.requestConfig.path === failing) notice("");
  if (!fromScript(event)) seen();
});

// What the server's page says about it.
function whyNot(answer) {
  return new DOMParser().parseFromString(answer.responseText, "text/html").getElementById("why")?.textContent;
}

function failed(event, words) {
  if (fromScript(event)) return;
  failing = event.detail.requestConfig.path;
  notice(words);
}

function fromScript(event) {
  return Boolean(event.detail.requestConfig?.headers?.["X-Live"]);
}

// -- the live line -----------------------------------------------------------------------------------------------------

let source = null;
let tries = 0;
let polling = 0;

function connect() {
  source = new EventSource("/console/live");
  source.addEventListener("open", found);
  source.addEventListener("queue", (event) => news(JSON.parse(event.data)));
  source.addEventListener("case", (event) => caseNews(JSON.parse(event.data)));
  source.addEventListener("error", lost);
}

function found() {
  for (const id of ["queue", "case"]) refresh(id); // whatever happened meanwhile, or between the page and its line
  tries = 0;
  window.clearInterval(polling);
  polling = 0;
  live.classList.remove("lost");
  showLine();
}

function showLine() {
  const state = live.classList.contains("lost") ? "lost" : p0 ? "newP0" : "on";
  byId("line").textContent = live.dataset[state];
}

function lost() {
  source.close();
  tries += 1;
  if (tries > 1 && !polling) {
    live.classList.add("lost");
    showLine();
    say("polite", live.dataset.lost);
    look();
    polling = window.setInterval(look, POLL);
  }
  const wait = Math.min(LONGEST_WAIT, 1000 * 2 ** Math.min(tries, 6));
  window.setTimeout(connect, wait * (0.5 + Math.random() / 2));
}

// Without the live line. An answer 401 sends to the log-in page.
async function look() {
  try {
    const answer = await fetch("/console/queue?show=unclaimed", { headers: { "HX-Request": "true", "X-Live": "1" }, redirect: "manual" });
    if (answer.status === 401 || answer.type === "opaqueredirect") window.location.assign("/console/login");
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("queue");
    if (fresh) news({ p0: Number(fresh.dataset.p0) });
  } catch {
    // no connection yet: the next look comes by itself
  }
}

function news(what) {
  if (what.new === "P0" && what.p0 <= silent()) sessionStorage.setItem("silenced", String(what.p0 - 1));
  const more = what.new === "P0" || what.p0 > p0;
  count(what.p0);
  if (more && what.p0) say("assertive", live.dataset.newP0);
  else if (byId("queue")) say("polite", live.dataset.changed);
  refresh("queue");
}

function caseNews(what) {
  if (byId("case")?.dataset.reference === what.reference) {
    say("polite", live.dataset.caseChanged);
    refresh("case");
  } else refresh("queue");
}

// -- the bell ----------------------------------------------------------------------------------------------------------

let p0 = 0;
let ringing = 0;
let sound = null;

// How many P0 nobody has claimed: in the title, and as a bell until they are claimed or the bell is silenced for them.
function count(number) {
  p0 = number;
  if (!live) return;
  if (silent() > p0) sessionStorage.setItem("silenced", String(p0));
  document.title = p0 ? `(${p0} P0) ${TITLE}` : TITLE;
  const loud = p0 > silent();
  byId("silence").hidden = !loud;
  showLine();
  live.classList.toggle("ringing", loud);
  if (loud && !ringing) {
    ring();
    ringing = window.setInterval(ring, RING);
  } else if (!loud) {
    window.clearInterval(ringing);
    ringing = 0;
  }
}

function bellIsOn() {
  return sessionStorage.getItem("bell") === "on" && sound?.state === "running";
}

function showBell() {
  byId("bell").setAttribute("aria-pressed", String(bellIsOn()));
  byId("bell").textContent = bellIsOn() ? live.dataset.bellOn : live.dataset.bellOff;
}

// A browser lets a page sound only after a tap or a key on it.
async function tune() {
  if (sessionStorage.getItem("bell") !== "on") return;
  sound ??= new AudioContext();
  await Promise.race([sound.resume(), new Promise((done) => { window.setTimeout(done, 300); })]);
  showBell();
}

function ring() {
  if (bellIsOn()) strike();
}

// Two tones that carry and do not startle.
function strike() {
  [660, 880].forEach((pitch, number) => {
    const at = sound.currentTime + number * 0.35;
    const tone = new OscillatorNode(sound, { frequency: pitch });
    const loudness = new GainNode(sound, { gain: 0 });
    loudness.gain.linearRampToValueAtTime(0.35, at + 0.03);
    loudness.gain.setValueAtTime(0.35, at + 0.2);
    loudness.gain.linearRampToValueAtTime(0, at + 0.5);
    tone.connect(loudness).connect(sound.destination);
    tone.start(at);
    tone.stop(at + 0.55);
  });
}

async function switchBell() {
  sessionStorage.setItem("bell", bellIsOn() ? "off" : "on");
  await tune();
  showBell();
}

async function testBell() {
  sound ??= new AudioContext();
  await sound.resume();
  strike();
}

function silence() {
  sessionStorage.setItem("silenced", String(p0));
  count(p0);
  byId("bell").focus();
}

// -- writing -----------------------------------------------------------------------------------------------------------

let leaving = false;

document.addEventListener("click", (event) => {
  const reply = event.target.closest("[data-text]");
  const box = byId("text");
  if (!reply || !box) return;
  event.preventDefault();
  box.setRangeText(reply.dataset.text, box.selectionStart, box.selectionEnd, "end");
  box.focus();
  box.dispatchEvent(new Event("input", { bubbles: true }));
  byId("replies").open = false;
});

document.addEventListener("submit", (event) => {
  leaving = Boolean(byId("composer")?.contains(event.target));
  if (event.target.matches("[data-claim]") && event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "1";
});

window.addEventListener("beforeunload", (event) => {
  const box = byId("text");
  if (box && box.value.trim() && !leaving) event.preventDefault();
});

// After logging out, Back shows nothing that was on the screen.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) window.location.reload();
});

// -- shortcuts ---------------------------------------------------------------------------------------------------------

const KEYS = { j: () => step(1), k: () => step(-1), c: claim, "/": search, "?": help };

document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.ctrlKey && event.target.id === "text") byId("send")?.click();
  const typing = event.target.matches("input, textarea, select, [contenteditable]");
  if (typing || event.ctrlKey || event.altKey || event.metaKey || event.isComposing || byId("shortcuts")?.open) return;
  if (localStorage.getItem("shortcuts") === "off" || !KEYS[event.key] || !byId("shortcuts")) return;
  event.preventDefault();
  KEYS[event.key]();
});

function step(by) {
  const rows = [...document.querySelectorAll(".rows .ref")];
  const at = rows.findIndex((one) => one.closest(".row").contains(document.activeElement));
  rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + by))]?.focus();
}

function claim() {
  const place = document.activeElement.closest(".row") ?? byId("case-head");
  place?.querySelector("form[data-claim]")?.requestSubmit();
}

function search() {
  if (byId("q")) byId("q").focus();
  else window.location.assign("/console/queue#q");
}

function help() {
  byId("use-shortcuts").checked = localStorage.getItem("shortcuts") !== "off";
  byId("shortcuts").showModal();
}

// -- a session that is about to end ------------------------------------------------------------------------------------

let idle = 0;

function seen() {
  window.clearTimeout(idle);
  if (!byId("idle")) return;
  byId("idle").hidden = true;
  idle = window.setTimeout(() => { byId("idle").hidden = false; }, IDLE);
}

async function stay() {
  const answer = await fetch("/console/account", { redirect: "manual" }).catch(() => null);
  if (answer?.ok) seen();
  else if (answer) window.location.assign("/console/login");
  else notice(byId("notice").dataset.offline);
}

// -- the beginning -----------------------------------------------------------------------------------------------------

const room = document.querySelector(".rooms [aria-current]");
if (room) room.parentElement.scrollLeft = room.offsetLeft - (room.parentElement.clientWidth - room.offsetWidth) / 2; // on a phone the bar is wider than the screen

if (document.body.hasAttribute("data-signed-in")) {
  seen();
  toEnd();
  byId("stay").addEventListener("click", stay);
  byId("show-shortcuts").hidden = false;
  byId("show-shortcuts").addEventListener("click", help);
  byId("use-shortcuts").addEventListener("change", (event) => localStorage.setItem("shortcuts", event.target.checked ? "on" : "off"));
}
if (live) {
  live.hidden = false;
  byId("bell").addEventListener("click", switchBell);
  byId("bell-test").addEventListener("click", testBell);
  byId("silence").addEventListener("click", silence);
  for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, tune, { once: true });
  tune().then(() => count(Number(live.dataset.p0)));
  connect();
}
if (window.location.hash === "#q") byId("q")?.focus();
