// What every page shares: toasts with Undo, keys, dialogs, and a word when an answer does not come.
// Other scripts speak to it by say.js.

import "./attending.js";
import { openPalette } from "./palette.js";
import { token } from "./token.js";

const UNDO_SECONDS = 10;

// Left to itself htmx starts a moment after the page: a quick key would post a form as a page of its own.
htmx.initialize();

const place = document.getElementById("toasts");
// A press in a toast leaves the hands where they are.
place.addEventListener("mousedown", (event) => event.preventDefault());

/** Put the toasts where they can be seen and reached: what is outside an open dialog is neither. */
function showToasts() {
  const home = [...document.querySelectorAll("dialog:modal")].at(-1) ?? document.body;
  if (place.parentElement !== home) home.append(place);
  if (place.matches(":popover-open")) place.hidePopover();
  if (place.childElementCount) place.showPopover();
}

document.addEventListener("close", ({ target }) => {
  if (target.contains(place)) showToasts();
}, true);

/** Show a sentence; `undo` is {url, values} to post, or a function, offered for ten seconds; `link` is {url, text}. */
function toast(text, { bad = false, undo = null, link = null, seconds = undo || link ? UNDO_SECONDS : 6 } = {}) {
  const box = document.createElement("div");
  box.className = bad ? "toast bad" : "toast";
  const words = document.createElement("span");
  words.textContent = text;
  box.append(words);
  if (link) box.append(Object.assign(document.createElement("a"), { href: link.url, textContent: link.text }));
  if (undo) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.undo = "";
    button.append("Undo ", Object.assign(document.createElement("kbd"), { textContent: "z" }));
    button.addEventListener("click", () => {
      box.remove();
      if (typeof undo === "function") undo();
      else htmx.ajax("POST", undo.url, { values: undo.values, swap: "none", target: "body" });
    });
    box.append(button);
  }
  place.append(box);
  showToasts();
  while (place.children.length > 3) place.firstElementChild.remove();
  setTimeout(() => {
    box.remove();
    if (!place.children.length && place.matches(":popover-open")) place.hidePopover();
  }, seconds * 1000);
}

document.addEventListener("toast", (event) => toast(event.detail.text, event.detail));

// What was said by the page before and can be taken back is a toast, too.
for (const said of document.querySelectorAll(".banner[data-undo-by]")) {
  const { url, values } = JSON.parse(said.dataset.undoBy);
  toast(said.textContent, { undo: () => send(url, values) });
  said.remove();
}

/** Send a form as the page's own are sent: what is answered is the next page. */
function send(action, values) {
  const form = Object.assign(document.createElement("form"), { method: "post", action, hidden: true });
  for (const [name, value] of Object.entries({ csrfmiddlewaretoken: token(), ...values })) {
    form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  }
  document.body.append(form);
  form.submit();
}

// Nothing fails silently, and what was typed stays where it is.
document.addEventListener("htmx:error", (event) => {
  const context = event.detail?.ctx;
  if (context && !context.response) {
    toast(
      navigator.onLine ? "No answer from the server. Nothing was changed; try again." : "You are offline. Nothing was changed.",
      { bad: true },
    );
  }
});

document.addEventListener("htmx:response:error", (event) => {
  const { response, hx } = event.detail.ctx;
  const status = response?.status;
  if (status >= 500) toast("Something went wrong on the server. Nothing was changed; try again.", { bad: true });
  if (status === 403 && !hx?.trigger) toast("You may not do that.", { bad: true });
  if (status === 404) toast("That is not here any more. Nothing was changed.", { bad: true });
});

// Said once, until somebody is signed in again.
document.addEventListener("signed-out", () => {
  if (document.querySelector("#toasts .signed-out")) return;
  toast("You were signed out. Sign in again in a new tab; what you typed stays here.", { bad: true, seconds: 60 });
  const link = Object.assign(document.createElement("a"), {
    href: "/accounts/login/", target: "_blank", textContent: "Sign in", className: "button",
  });
  const said = document.querySelector("#toasts .toast:last-child");
  said.classList.add("signed-out");
  said.append(link);
});

document.addEventListener("signed-in", () => {
  document.querySelector("#toasts .signed-out")?.remove();
  toast("You are signed in again. Go on where you were.");
});

// Dialogs and menus open by a button that names them.
document.addEventListener("click", (event) => {
  const opener = event.target.closest?.("[data-opens]");
  if (opener) document.getElementById(opener.dataset.opens)?.showModal();
  const closer = event.target.closest?.("[data-closes]");
  if (closer) closer.closest("dialog")?.close();
});

// A click on the backdrop is a click on the dialog itself, outside its box. What was typed is kept as a draft.
document.addEventListener("click", ({ target, clientX, clientY }) => {
  if (!target.matches?.("dialog[open]")) return;
  const { left, right, top, bottom } = target.getBoundingClientRect();
  if (clientX < left || clientX > right || clientY < top || clientY > bottom) target.close();
});

const typing = (target) =>
  target instanceof HTMLElement && (target.isContentEditable || target.matches("input, textarea, select"));

const GOES = JSON.parse(document.body.dataset.goes);
const keysDialog = document.getElementById("keys");
let going = false;

// Whoever turned shortcuts of a single key off keeps those of menus and dialogs, where they are asked for.
addEventListener("keydown", (event) => {
  if (!("fewKeys" in document.body.dataset) || event.key.length > 1 || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!typing(event.target) && !event.target.closest?.("dialog, [popover]")) event.stopImmediatePropagation();
}, true);

// What follows a g is no key of the page's, whatever it would do there.
addEventListener("keydown", (event) => {
  const goes = going && GOES[event.key];
  const free = !event.ctrlKey && !event.metaKey && !event.altKey && !typing(event.target);
  going = free && event.key === "g" && !document.querySelector("dialog[open]");
  if (!free || !goes) return;
  location.href = goes;
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key === "k") {
    openPalette();
    event.preventDefault();
  }
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "?") document.querySelector(".all-keys").click();
  if (event.key === "z") [...document.querySelectorAll("#toasts [data-undo]")].at(-1)?.click();
  if (event.key === "/") {
    openPalette();
    event.preventDefault();
  }
});

// All keys, fetched when they are asked for.
document.addEventListener("htmx:after:swap", () => {
  if (document.getElementById("keys-told").childElementCount && !keysDialog.open) keysDialog.showModal();
});
keysDialog.addEventListener("close", () => document.getElementById("keys-told").replaceChildren());
