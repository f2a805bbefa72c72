// The palette: finds accounts and runs commands, by keys alone. Without script the link to it opens a page that does the same.

import { openForm } from "./forms.js";

const RECENT = "accounts.recent";
const MOST_RECENT = 8;
const palette = document.getElementById("palette");
const field = palette.querySelector("input");
const found = document.getElementById("found");
let opened = null;
let asked = 0;
let answered = 0;
let enter = false;

const stops = () => [...found.querySelectorAll("a, button")];

// The accounts looked at lately are remembered here by their ids alone; their names are asked for.

const recent = () => {
  try {
    return JSON.parse(localStorage.getItem(RECENT)) ?? [];
  } catch {
    return [];
  }
};

function remember() {
  const id = document.getElementById("account")?.dataset.account;
  if (!id || recent()[0] === id) return;
  localStorage.setItem(RECENT, JSON.stringify([id, ...recent().filter((other) => other !== id)].slice(0, MOST_RECENT)));
}

document.addEventListener("htmx:after:swap", remember);
remember();

/** The account at hand: the one that is open, or whose row has the focus. */
function atHand() {
  const account = document.getElementById("account");
  if (account) return { id: account.dataset.account, page: "account", named: account.querySelector("#account-name") };
  const row = document.activeElement?.closest?.("#rows > tr[id^=a]");
  return row && { id: row.id.slice(1), page: "list", row, named: row.querySelector("th a") };
}

/** Open it, unless a dialog is open already. */
export function openPalette() {
  if (document.querySelector("dialog[open]")) return;
  opened = atHand();
  enter = false;
  field.value = "";
  found.replaceChildren();
  palette.showModal();
  field.focus();
  ask();
}

async function ask() {
  const mine = (asked += 1);
  const values = { q: field.value, ...(field.value.trim() ? {} : { recent: recent().join() }), ...(opened ? { account: "" } : {}) };
  const path = `/find/list/?${new URLSearchParams(values)}`;
  await htmx.ajax("GET", path, { source: palette, target: found, swap: "innerHTML" }).catch(() => {});
  if (mine !== asked) return;
  answered = mine;
  stops()[0]?.setAttribute("data-first", "");
  if (enter) choose();
}

/** Take the first of what was found; what is still asked for is waited for. */
function choose() {
  enter = answered !== asked;
  if (!enter) stops()[0]?.click();
}

let waiting = 0;
field.addEventListener("input", () => {
  clearTimeout(waiting);
  asked += 1;
  enter = false;
  waiting = setTimeout(ask, 60);
});

field.form.addEventListener("submit", (event) => {
  event.preventDefault();
  choose();
});

palette.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const all = stops();
  const at = all.indexOf(document.activeElement);
  // Enter takes the first one anyway: from the field, down leads past it.
  const to = { ArrowDown: at < 0 && all.length > 1 ? 1 : at + 1, ArrowUp: at < 0 ? all.length - 1 : at - 1 }[event.key];
  if (to !== undefined) {
    (to < 0 ? field : all[to % all.length])?.focus();
    event.preventDefault();
  } else if (at >= 0 && event.key.length === 1 && event.key !== " ") field.focus();
  else if (at >= 0 && event.key === "Backspace") field.focus();
});

palette.addEventListener("focusin", ({ target }) => {
  const first = stops()[0];
  if (target === field) first?.setAttribute("data-first", "");
  else first?.removeAttribute("data-first");
});

palette.addEventListener("click", ({ target }) => {
  const does = target.closest("[data-does]")?.dataset.does;
  if (does) run(does);
});

/** Open a form of the account at hand, as its key does. */
function run(form) {
  const { id, page, row, named } = opened;
  palette.close();
  if (!document.getElementById("form")) {
    const place = Object.assign(document.createElement("dialog"), { id: "form" });
    place.setAttribute("aria-labelledby", "form-title");
    place.setAttribute("hx-sync", "this:replace");
    document.body.append(place);
  }
  const called = document.createElement("p");
  called.append(Object.assign(document.createElement("a"), { textContent: named.textContent }));
  openForm(form, id, page, row ?? called);
}

document.getElementById("find").addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  openPalette();
});
