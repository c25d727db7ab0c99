"use strict";
// Sends without reloading the page. Without this script the same form works as it is.
const main = document.getElementById("main");
const leave = document.getElementById("leave");
const PHONE = /\+\d{1,3}(?: \d{1,4}){2,5}|\b11[135]\b/g;
let sending = false;

async function send(event) {
  const form = event.target;
  const pressed = event.submitter && event.submitter.name === "number" ? event.submitter : null;
  event.preventDefault();
  if (event.submitter?.closest(".news")) return news();
  const box = form.elements.text;
  if (sending || (!pressed && !box.value.trim())) return;
  const data = new URLSearchParams(new FormData(form));
  if (pressed) data.set("number", pressed.value);
  const draft = box.value;
  const mine = bubble("you", pressed ? pressed.innerText : draft);
  const note = bubble("bot waiting", main.dataset.waiting);
  if (!pressed) box.value = "";
  sending = true;
  main.setAttribute("aria-busy", "true");
  clearNotes();
  show(mine, note);
  note.scrollIntoView({ block: "nearest" });
  const problem = await ask(form, data);
  mine.remove();
  note.remove();
  sending = false;
  main.removeAttribute("aria-busy");
  if (problem) {
    if (!box.value) box.value = draft;
    const said = bubble("bot note", problem);
    show(said);
    said.scrollIntoView({ block: "nearest" });
    box.focus({ preventScroll: true });
  } else {
    showNewest(pressed);
  }
  fit(box);
}

// Puts the answer on the page; what went wrong, in words, or nothing.
async function ask(form, data) {
  try {
    const answer = await fetch(form.action, { method: "POST", body: data, headers: { "X-Part": "talk" } });
    const body = await answer.text();
    if (answer.ok) take(form, new DOMParser().parseFromString(body, "text/html"));
    else if (answer.status === 413) return main.dataset.tooLong;
    else return answer.status === 503 && body ? body : main.dataset.trouble;
  } catch {
    return main.dataset.offline;
  }
  return "";
}

// The new bubbles go below the old ones, so that a screen reader reads them alone and nothing jumps.
function take(form, fresh) {
  const bubbles = [...fresh.querySelectorAll(".bubble")];
  const old = document.getElementById("newest");
  if (old) old.removeAttribute("id");
  else document.getElementById("talk").replaceChildren(...document.querySelectorAll("#talk > .you"));
  const from = bubbles.map((one) => one.classList.contains("you")).lastIndexOf(true);
  show(...bubbles.slice(Math.max(from, 0)));
  document.getElementById("choices").replaceWith(fresh.getElementById("choices"));
  renew(form, fresh);
}

function renew(form, fresh) {
  for (const name of ["talk", "id"]) form.elements[name].value = fresh.querySelector(`input[name=${name}]`).value;
  linkPhones(document.getElementById("talk"));
  form.toggleAttribute("data-waits", fresh.getElementById("form").hasAttribute("data-waits"));
}

// What somebody on duty has written meanwhile. Asked only while the page is looked at and nothing is being sent.
async function news() {
  const form = document.getElementById("form");
  if (!form || !form.hasAttribute("data-waits") || sending || document.hidden) return;
  const data = new URLSearchParams({ talk: form.elements.talk.value });
  try {
    const answer = await fetch("/news" + location.search, { method: "POST", body: data, headers: { "X-Part": "talk" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const said = [...fresh.querySelectorAll("[data-new]")];
    if (!sending && form.elements.talk.value === data.get("talk")) renew(form, fresh); // else something was sent meanwhile
    if (!said.length) return;
    document.getElementById("newest")?.removeAttribute("id");
    show(...said);
    linkPhones(document.getElementById("talk"));
    said[0].scrollIntoView({ block: "nearest" });
  } catch {
    // no connection: the next look comes by itself
  }
}

// The newest reply from its first line; below one's own words where they are short.
function showNewest(pressed) {
  const newest = document.getElementById("newest");
  if (!newest) return;
  const mine = newest.previousElementSibling;
  const short = mine && mine.classList.contains("you") && mine.offsetHeight < 100;
  (short ? mine : newest).scrollIntoView({ block: "start" });
  // After a tap on a choice the keyboard stays down, and a screen reader goes on with the answer.
  (pressed ? newest : document.getElementById("text")).focus({ preventScroll: true });
}

function show(...bubbles) {
  document.getElementById("talk").append(...bubbles);
}

function bubble(kind, words) {
  const made = document.createElement("div");
  const who = document.createElement("span");
  const text = document.createElement("bdi");
  made.className = `bubble ${kind}`;
  who.className = "who";
  who.textContent = `${kind === "you" ? main.dataset.you : main.dataset.bot}: `;
  text.className = "words";
  text.textContent = words;
  made.append(who, text);
  return made;
}

function clearNotes() {
  for (const note of document.querySelectorAll(".note")) note.remove();
}

// A tap on a number calls it; words in quotes are the sender's own and stay as they are.
function linkPhones(place) {
  for (const words of place.querySelectorAll(".bot .words:not([data-linked])")) {
    words.dataset.linked = "";
    const parts = words.textContent.split('"');
    words.replaceChildren(...parts.flatMap((part, at) => [at ? '"' : "", ...(at % 2 ? [part] : linked(part))]));
  }
}

function linked(text) {
  const found = [];
  let from = 0;
  for (const match of text.matchAll(PHONE)) {
    const link = document.createElement("a");
    link.href = `tel:${match[0].replaceAll(" ", "")}`;
    link.textContent = match[0];
    found.push(text.slice(from, match.index), link);
    from = match.index + match[0].length;
  }
  return [...found, text.slice(from)];
}

// The box grows with the words, up to the height that the style sheet allows.
function fit(box) {
  box.rows = Math.min(6, Math.max(1, box.value.split("\n").length, Math.ceil(box.value.length / 28)));
}

main.addEventListener("submit", send);
main.addEventListener("input", (event) => fit(event.target));
main.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && event.target.id === "text" && !event.isComposing) {
    event.preventDefault();
    event.target.form.requestSubmit();
  }
});
linkPhones(document.getElementById("talk"));
window.setInterval(news, 4000);

// Leave: the page empties and goes at once, whatever the network does; the server forgets behind it.
leave.addEventListener("click", (event) => {
  event.preventDefault();
  fetch("/leave", { method: "POST", redirect: "manual", keepalive: true }).catch(() => null);
  const outside = leave.dataset.to;
  document.body.replaceChildren();
  window.location.replace(outside);
});
