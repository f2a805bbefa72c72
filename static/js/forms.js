// The small forms of an account: opened in a dialog, kept as drafts while half typed, closed when they were taken.
// A page needs <dialog id="form" hx-sync="this:replace">, data-from="PAGE" around what opens a form, and for each button
// data-form="NAME". A form that serves any account stands in the page as <template id="form-NAME">; others are fetched.
// Those templates may come after the page, from the address in data-keeps of the dialog; what is wanted before is fetched.
// In a table a form opens over the cell it edits: the one whose head says data-edits="NAME".

import "./mentions.js";
import { say } from "./say.js";
import { toGap } from "./writing.js";

/** What is done to an account at once, by its name, for it needs no form; whoever does it enters it here. */
export const DEEDS = {};

const DRAFT = "draft:";
const dialog = () => document.getElementById("form");
let from = null;
let opening = null;

/** Open the form `name` of an account ("move", "note", …) for a page; `row` is the line or table row it is asked for in.
 * What needs no form is done at once. */
export async function openForm(name, account, page, row) {
  if (DEEDS[name]) return DEEDS[name](account, page, row);
  const place = dialog();
  // What slides over a page leaves that inert, and a dialog within it too.
  if (place.closest("main") && document.querySelector(".over")) document.body.append(place);
  const { activeElement } = document;
  const standing = activeElement.closest("tr");
  from = standing && { row: standing.id, cell: activeElement.closest("td")?.cellIndex };
  giveUp();
  const ready = document.getElementById(`form-${name}`);
  if (ready) fill(place, ready, account, row.querySelector("a").textContent);
  else if (!(await fetchInto(place, `/accounts/${account}/forms/${name}/?from=${page}`))) return;
  stand(place, cellOf(name, row));
  const text = place.querySelector("textarea[data-first]");
  if (text) toGap(text);
  else place.querySelector("textarea, input:not([type=hidden]), select, .moves button, .moves summary")?.focus();
}

// Asked by an event where an import would go round in a circle: names by content are not found for such scripts.
document.addEventListener("asks-form", ({ detail }) => openForm(...detail));

let keeping = false;

/** Fetch the forms that serve any account, unless they are here: from then on they open at once, offline too. */
async function keepForms() {
  const address = dialog()?.dataset.keeps;
  if (!address || keeping || document.querySelector("template[id^=form-]")) return;
  keeping = true;
  try {
    const answer = await fetch(address);
    if (answer.ok && !answer.redirected) document.body.insertAdjacentHTML("beforeend", await answer.text());
  } catch {
    // No line: they are asked for once there is one.
  } finally {
    keeping = false;
  }
}

addEventListener("load", keepForms);
addEventListener("online", keepForms);

/** Fetch a form into the dialog; gives whether it came and is still wanted. */
async function fetchInto(place, path) {
  const mine = (opening = {});
  await htmx.ajax("GET", path, { source: place, target: place, swap: "innerHTML" });
  if (opening !== mine) return false;
  opening = null;
  if (place.querySelector("form, ul")) return true;
  place.replaceChildren();
  return false;
}

/** Want no longer the form that is on its way. */
function giveUp() {
  if (!opening) return;
  opening = null;
  htmx.trigger(dialog(), "htmx:abort");
  dialog().replaceChildren();
}

/** Make a form that serves any account the form of this one. */
function fill(place, template, account, called) {
  place.replaceChildren(template.content.cloneNode(true));
  place.querySelector(".called").textContent = called;
  const form = place.querySelector("form");
  for (const name of ["action", "hx-post"]) {
    form.setAttribute(name, form.getAttribute(name).replace("/0/", `/${account}/`));
  }
  form.dataset.draft = form.dataset.draft.replace(":0", `:${account}`);
  // The page may be older than the day.
  if (form.elements.due_on) form.elements.due_on.value = dayIn(template.dataset.zone);
  htmx.process(place);
  restore(place);
}

/** Today in a time zone, as a date field wants it, which is how Swedish writes it. */
const dayIn = (timeZone) => new Intl.DateTimeFormat("sv", { timeZone }).format();

/** The cell of a row that a form edits, if its table has one. */
function cellOf(name, row) {
  const heads = [...(row.closest("table")?.tHead.rows[0].cells ?? [])];
  return row.cells?.[heads.findIndex((head) => head.dataset.edits === name)];
}

/** A place in the window that leaves room for a size. */
const within = (at, size, most) => `${Math.max(8, Math.min(at, most - size - 8))}px`;

/** Show the dialog over a cell; where that is not shown, as on a phone, it stands in the middle like any other. */
function stand(place, cell) {
  const box = cell?.getBoundingClientRect();
  const over = Boolean(box?.width);
  place.classList.toggle("in-place", over);
  place.removeAttribute("style");
  const at = (size) => within(box.top - 4, size, innerHeight);
  // Where it stands is said before it is shown, so that it is nowhere else first, not for a frame.
  if (over) {
    place.style.left = within(box.left - 12, parseFloat(getComputedStyle(place).width), innerWidth);
    place.style.top = at(0);
  }
  if (!place.open) place.showModal();
  if (over) place.style.top = at(place.offsetHeight);
}

/** Say why what is refused is, as it stands beside it. */
const refuse = (choice) => say({ text: choice.querySelector("small").textContent, bad: true });

/** Give a cell of a row the focus, or the row's first link. */
export function focusCell(row, index = 0) {
  const cell = index ? row?.cells[index] : row?.querySelector("a");
  if (index && cell) cell.tabIndex = -1;
  cell?.focus({ preventScroll: true });
}

// Keys pressed while a form is on its way are not for the page behind; Escape gives it up.
document.addEventListener("keydown", (event) => {
  if (!opening) return;
  if (event.key === "Escape") giveUp();
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-form]");
  if (button) {
    const row = button.closest("tr, [data-account]");
    const account = row.dataset.account ?? row.id.slice(1);
    openForm(button.dataset.form, account, button.closest("[data-from]").dataset.from, row);
  }
});

// The browser gives focus back to where it came from; where that row was drawn anew meanwhile, we do.
document.addEventListener("close", (event) => {
  if (event.target !== dialog() || event.target.open) return;
  event.target.replaceChildren();
  if (from && document.activeElement === document.body) focusCell(document.getElementById(from.row), from.cell);
}, true);

// In a list to choose from, Enter takes what is chosen.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches?.("dialog.in-place :is(select, [type=checkbox])")) return;
  event.preventDefault();
  event.target.form.requestSubmit();
});

// Control and Enter send what is written.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  const form = event.target.closest?.("dialog#form form");
  if (!form) return;
  event.preventDefault();
  form.requestSubmit(form.querySelector("button[type=submit].primary"));
});

// Up and down walk through the moves, and through what can be ticked.
document.addEventListener("keydown", (event) => {
  const list = event.target.closest?.("dialog :is(.moves, .checks)");
  if (!list || !["ArrowDown", "ArrowUp"].includes(event.key) || event.target.matches("textarea")) return;
  const stops = [...dialog().querySelectorAll(".moves > li > form > button, .moves summary, .checks input")];
  const at = stops.indexOf(event.target);
  stops[(at + (event.key === "ArrowDown" ? 1 : stops.length - 1)) % stops.length]?.focus();
  event.preventDefault();
});

// A stage's number leads to its move, as on the board; one that is not possible is shown with its reason, and says it.
let digits = "";
let forgotten = 0;

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || !target.closest?.("dialog#form") || target.matches("input, textarea, select")) return;
  if (key === "Enter" && target.matches(".refused")) return refuse(target);
  const items = [...dialog().querySelectorAll(".moves > [data-number]")];
  if (!items.length || !/^[0-9a-d]$/.test(key)) return;
  clearTimeout(forgotten);
  forgotten = setTimeout(() => { digits = ""; }, 900);
  const begins = (number) => items.find(({ dataset }) => dataset.number.startsWith(number));
  digits = begins(digits + key) ? digits + key : key;
  const found = begins(digits);
  if (!found) return;
  found.closest("details")?.setAttribute("open", "");
  (found.querySelector("form > button, summary") ?? found).focus();
  event.preventDefault();
});

document.addEventListener("click", ({ target }) => {
  const refused = target.closest?.("dialog#form .refused");
  if (refused) refuse(refused);
});

// A move that asks for words takes them at once.
document.addEventListener("click", ({ target }) => {
  const fold = target.closest?.("dialog .moves summary")?.parentElement;
  // The click that opens it comes before it is open.
  if (fold && !fold.open) fold.addEventListener("toggle", () => fold.querySelector("textarea").focus(), { once: true });
});

// A note as it will be shown stands in the place of its text until that is asked for again.
document.addEventListener("click", ({ target }) => {
  const button = target.closest?.("[data-previews]");
  if (button) preview(button, button.form.elements.text);
});
document.addEventListener("reset", ({ target }) => write(target));

async function preview(button, text) {
  const shown = button.form.querySelector("[data-preview]");
  if (text.hidden || !text.value.trim()) return write(button.form)?.focus();
  await htmx.ajax("POST", button.dataset.previews, { values: { text: text.value }, source: button, target: shown, swap: "innerHTML" });
  if (!shown.childElementCount) return;
  shown.hidden = false;
  text.hidden = true;
  button.textContent = "Write on";
}

/** Show the text of a form's note again. */
function write(form) {
  const shown = form.querySelector("[data-preview]");
  if (!shown) return;
  shown.replaceChildren();
  shown.hidden = true;
  form.querySelector("[data-previews]").textContent = "Preview";
  form.elements.text.hidden = false;
  return form.elements.text;
}

// Drafts

const fields = (form) => [...form.querySelectorAll("textarea, input:not([type=hidden], [type=checkbox]), select")];

function restore(root) {
  for (const form of root.querySelectorAll?.("form[data-draft]") ?? []) {
    const kept = JSON.parse(localStorage.getItem(DRAFT + form.dataset.draft) ?? "null");
    if (!kept) continue;
    for (const field of fields(form)) if (field.name in kept) field.value = kept[field.name];
    for (let fold = form.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    const fold = form.querySelector("details");
    if (fold) fold.open = true;
  }
}

document.addEventListener("input", (event) => {
  const form = event.target.closest?.("form[data-draft]");
  if (!form) return;
  const values = Object.fromEntries(fields(form).map((field) => [field.name, field.value]));
  // Only words are worth keeping: a form with nothing written in it is no draft.
  const words = form.querySelector("textarea, input[name=title]") ?? form.querySelector("input:not([type=hidden])");
  const written = words.value.trim();
  if (written) localStorage.setItem(DRAFT + form.dataset.draft, JSON.stringify(values));
  else localStorage.removeItem(DRAFT + form.dataset.draft);
});

// Words that were taken back are a draft again.
document.addEventListener("draft", ({ detail: { name, values } }) => {
  localStorage.setItem(DRAFT + name, JSON.stringify(values));
});

function taken({ sourceElement: form, response, request }) {
  if (!form?.matches?.("form") || request.method !== "POST" || response.status === 422) return;
  if (response.status < 300) {
    if (form.dataset.draft) localStorage.removeItem(DRAFT + form.dataset.draft);
    form.reset();
    form.closest("details.add, details.ask")?.removeAttribute("open");
  }
  // A refusal means that the choices shown are no longer the true ones; a draft stays for the next try.
  if ((response.status < 300 || response.status === 409) && dialog()?.contains(form)) dialog().close();
}

document.addEventListener("htmx:after:swap", (event) => {
  // Going back puts another page in, without them.
  keepForms();
  taken(event.detail.ctx);
  restore(document);
});
restore(document);
