// Slides an account over the list or the board. It has its own address: back closes it, a reload shows its page.

import "./account.js";
import { shown } from "./shown.js";

const LINKS = "#rows > tr th a, #task-rows > tr th a, #board .card > a, [data-slides] a.name";
const links = () => [...document.querySelectorAll(LINKS)];
const idOf = (path) => /^\/accounts\/(\d+)\/$/.exec(path)?.[1];
const PAGES = { board: "board", scroller: "list", calls: "calls", hygiene: "hygiene", tasks: "tasks" };
const behind = PAGES[Object.keys(PAGES).find((id) => document.getElementById(id))] ?? "";
const main = document.getElementById("main");
const started = location.pathname;
let over = null;
let coming = null;
let asked = "";
let turn = 0;
let leaving = false;
let searched = "";

const linkTo = (id) => links().find((link) => idOf(link.pathname) === id);

/** Want no longer the account that is on its way. */
function giveUp() {
  asked = "";
  turn += 1;
  coming?.remove();
  coming = null;
}

/** Fetch an account and slide it in; `remember` writes its address into the history. */
async function show(id, remember) {
  giveUp();
  asked = id;
  const mine = turn;
  const box = over ?? document.createElement("div");
  if (!over) {
    box.className = "over";
    box.setAttribute("role", "dialog");
    box.setAttribute("aria-labelledby", "account-name");
    box.setAttribute("hx-sync", "this:replace");
    box.tabIndex = -1;
    box.innerHTML = '<button type="button" class="icon-button shut" aria-label="Close">✕</button><div class="over-body" role="main"></div>';
    box.hidden = true;
    document.body.append(box);
    coming = box;
  }
  const place = box.querySelector(".over-body");
  await htmx.ajax("GET", `/accounts/${id}/over/`, { source: box, target: place, swap: "innerHTML" }).catch(() => {});
  if (mine !== turn) return;
  if (place.querySelector("#account")?.dataset.account !== id) {
    giveUp();
    asked = over?.querySelector("#account")?.dataset.account ?? "";
    return;
  }
  coming = null;
  if (!over || remember === "replace") box.scrollTop = 0;
  const address = `/accounts/${id}/`;
  if (remember === "push") searched = location.search;
  if (remember === "push") history.pushState(null, "", address);
  if (remember === "replace") history.replaceState(null, "", address);
  over = box;
  box.hidden = false;
  box.focus({ preventScroll: true });
  oncePainted(shield);
}

// What nobody waits for, and what works out the style of all of the page, is done after the next frame; before the next
// key in any case.
let left = () => {};
function oncePainted(work) {
  left = work;
  requestAnimationFrame(() => setTimeout(settle));
}
function settle() {
  left();
  left = () => {};
}
addEventListener("keydown", settle, true);

/** While an account lies over it, the page's own main part is inert. */
const shield = () => { main.inert = Boolean(over); };

function hide() {
  const id = over.querySelector("#account")?.dataset.account;
  giveUp();
  over.remove();
  over = null;
  oncePainted(() => {
    shield();
    if (!over && document.activeElement === document.body) linkTo(id)?.focus({ preventScroll: true });
  });
}

function shut() {
  // The history goes back a moment later: a second press meanwhile would leave the page.
  if (!leaving) history.back();
  leaving = true;
}

function step(by) {
  const all = links();
  const at = all.findIndex((link) => idOf(link.pathname) === asked);
  const next = all[at + by];
  if (at < 0 || !next) return;
  next.scrollIntoView({ block: "nearest" });
  show(idOf(next.pathname), "replace");
}

document.addEventListener("click", (event) => {
  const { target } = event;
  if (over && (target.closest?.(".shut") || target === document.body || target === document.documentElement)) return shut();
  const link = target.closest?.(LINKS);
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  event.stopPropagation();
  show(idOf(link.pathname), "push");
}, true);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  // Keys pressed while an account is on its way are not for the page behind; Escape gives it up.
  if (asked && !over) {
    if (event.key === "Escape") giveUp();
    event.preventDefault();
    event.stopImmediatePropagation();
  }
  if (!over) return;
  if (event.target.matches?.("input, textarea, select")) {
    // The first Esc leaves the field, the next one the account; what was typed stays as a draft.
    if (event.key === "Escape" && !document.querySelector("#account :popover-open")) {
      over.focus();
      event.preventDefault();
    }
    return;
  }
  if (event.key === "Escape" && !document.querySelector("#account :popover-open")) shut();
  else if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else return;
  event.preventDefault();
}, true);

// The list is still there behind: htmx need not fetch it again.
let ours = false;
document.addEventListener("htmx:before:history:restore", (event) => {
  if (ours) event.preventDefault();
});

addEventListener("popstate", (event) => {
  leaving = false;
  const id = idOf(location.pathname);
  ours = Boolean(behind && (id || over));
  if (!behind) {
    if (location.pathname !== started) location.reload();
    return;
  }
  if (!ours) return giveUp();
  event.stopImmediatePropagation();
  if (id) show(id, "");
  else hide();
}, true);

// The list or the board behind is drawn anew with what is changed here, and with what is undone here.

const also = () => (over ? { behind, shown: shown() } : behind === "board" ? { shown: shown() } : {});
const query = () => [over ? searched : "", location.search].map((part) => part.slice(1)).filter(Boolean).join("&");

document.addEventListener("htmx:config:request", ({ detail }) => {
  const { request, sourceElement } = detail.ctx;
  const dialog = over || behind === "board" ? ", dialog#form" : "";
  if (request.method !== "POST" || !sourceElement.closest?.(`#account${dialog}`)) return;
  for (const [name, value] of Object.entries(also())) request.body.set(name, value);
  if (query()) request.action += `?${query()}`;
});

document.addEventListener("toast", ({ detail }) => {
  const { url, values } = detail.undo ?? {};
  if (!over || !url) return;
  detail.undo = () => htmx.ajax("POST", `${url}?${query()}`, { values: { ...values, ...also() }, swap: "none", target: "body" });
}, true);
