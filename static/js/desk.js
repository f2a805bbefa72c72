// Pages of lines with buttons, the calls and the contradictions: keys that walk and press, and the focus after a line
// is gone. A line is a <li> under data-slides; a button says in data-key which key presses it.

import { drawAnew } from "./live.js";

const lines = () => [...document.querySelectorAll("[data-slides] li[id]")];
const lineAt = (element) => element?.closest?.("[data-slides] li[id]");
const page = () => document.querySelector("[data-slides]");
const nameIn = (line) => line?.querySelector("a.name");
let at = -1;
let asker = "";
let held = false;

const remember = () => {
  const line = lineAt(document.activeElement) ?? document.getElementById(asker);
  if (line) at = lines().indexOf(line);
};

/** Put the focus back on the line, or on the one that took its place. */
function back() {
  if (at < 0 || (document.activeElement && document.activeElement !== document.body)) return;
  const all = lines();
  (nameIn(document.getElementById(asker)) ?? nameIn(all[Math.min(at, all.length - 1)]))?.focus({ preventScroll: true });
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input, textarea, select, dialog") || document.querySelector("dialog[open], .over")) return;
  const line = lineAt(document.activeElement);
  const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
  if (step && (line || event.key.length === 1)) {
    const all = lines();
    const to = line ? Math.min(Math.max(all.indexOf(line) + step, 0), all.length - 1) : 0;
    nameIn(all[to])?.focus();
    nameIn(all[to])?.scrollIntoView({ block: "nearest" });
  } else if (line?.querySelector(`[data-key="${CSS.escape(event.key)}"]`)) {
    line.querySelector(`[data-key="${CSS.escape(event.key)}"]`).click();
  } else return;
  event.preventDefault();
});

// The small form of a call: the address with 0 stands for the call's.
document.addEventListener("click", ({ target }) => {
  const button = target.closest?.("[data-asks]");
  if (!button) return;
  const line = lineAt(button);
  const place = document.getElementById("asks");
  asker = line.id;
  place.replaceChildren(document.getElementById(`form-${button.dataset.asks}`).content.cloneNode(true));
  place.querySelector(".called").textContent = line.dataset.name;
  const form = place.querySelector("form");
  form.action = form.getAttribute("action").replace("/0/", `/${line.dataset.call}/`);
  form.setAttribute("hx-post", form.getAttribute("action"));
  htmx.process(place);
  place.showModal();
  form.querySelector("select").focus();
});

document.addEventListener("close", ({ target }) => {
  if (target.id !== "asks") return;
  target.replaceChildren();
  remember();
  back();
}, true);

// A change is answered with the page as this address shows it, and so is its Undo.
document.addEventListener("htmx:config:request", ({ detail }) => {
  const { request, sourceElement } = detail.ctx;
  if (request.method === "POST" && sourceElement.closest?.("[data-slides], #asks, dialog#form")) {
    request.action += location.search;
  }
});

document.addEventListener("toast", ({ detail }) => {
  const { url, values } = detail.undo ?? {};
  if (!url || document.querySelector(".over")) return;
  detail.undo = () => htmx.ajax("POST", url + location.search, { values, swap: "none", target: "body" });
}, true);

// What others changed is drawn where it stands; nothing else moves.
document.addEventListener("changes", () => drawAnew(page().dataset.changed));

document.addEventListener("htmx:before:swap", () => {
  held = Boolean(lineAt(document.activeElement));
  if (page()) remember();
});

document.addEventListener("htmx:after:swap", ({ detail }) => {
  const { sourceElement: form, response, request } = detail.ctx;
  const asks = document.getElementById("asks");
  if (request.method === "POST" && asks?.contains(form) && (response.status < 300 || response.status === 409)) asks.close();
  // Hands that were not on a line are left where they are by what others do.
  if (request.method === "POST" || held) back();
});
