"use strict";
// Sends without reloading the page. Without this script the same form works as it is.
const main = document.getElementById("main");
let sending = false;

function showLast() {
  const last = document.getElementById("last");
  if (last) last.scrollIntoView({ block: "nearest" });
  const text = document.getElementById("text");
  if (text) text.focus();
}

async function send(event) {
  const form = event.target;
  if (form.id !== "form") return;
  event.preventDefault();
  if (sending) return;
  const data = new URLSearchParams(new FormData(form));
  if (event.submitter && event.submitter.name) data.set(event.submitter.name, event.submitter.value);
  if (!data.get("number") && !data.get("text").trim()) return;
  sending = true;
  main.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.action, { method: "POST", body: data, headers: { "X-Part": "talk" } });
    const body = await answer.text();
    if (answer.ok) {
      main.innerHTML = body; // rendered and escaped by our own server
      showLast();
    } else {
      say(body);
    }
  } catch {
    form.submit(); // no connection: let the browser say so in its own words
  } finally {
    sending = false;
    main.removeAttribute("aria-busy");
  }
}

function say(text) {
  const note = document.createElement("p");
  note.className = "bubble bot";
  note.textContent = text;
  document.getElementById("talk").append(note);
  note.scrollIntoView({ block: "nearest" });
}

main.addEventListener("submit", send);
main.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && event.target.id === "text" && !event.isComposing) {
    event.preventDefault();
    event.target.form.requestSubmit();
  }
});

// Leave: the page empties at once, then the server forgets, and this page is not left in the history.
document.getElementById("leave").addEventListener("click", async (event) => {
  event.preventDefault();
  document.body.hidden = true;
  const answer = await fetch("/leave", { method: "POST", redirect: "manual" }).catch(() => null);
  void answer;
  window.location.replace(document.getElementById("leave").dataset.to);
});
