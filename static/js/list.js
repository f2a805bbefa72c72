// The daily list under the hands: keys, the actions of the row in hand, and a search field that keeps its focus.

import { focusCell, openForm } from "./forms.js";
import { drawAnew } from "./live.js";

const FORMS = {
  w: "write", m: "move", o: "note", t: "task", a: "assign", l: "labels", r: "risk", c: "claim", s: "snooze", e: "copy",
};
const rows = () => [...document.querySelectorAll("#rows > tr[id^=a]")];
const here = () => document.activeElement?.closest?.("#rows > tr[id^=a]");
let last = "";

// One set of buttons for all rows: it stands in the row under the pointer or the keyboard.
const actions = document.getElementById("row-actions")?.content.firstElementChild.cloneNode(true);

function showActions(row) {
  if (!actions?.childElementCount || !row || row.lastElementChild.contains(actions)) return;
  row.lastElementChild.append(actions);
}

document.addEventListener("mouseover", (event) => {
  if (actions?.contains(document.activeElement) || actions?.querySelector(":popover-open")) return;
  showActions(event.target.closest?.("#rows > tr[id^=a]"));
});

document.addEventListener("focusin", (event) => {
  const row = event.target.closest?.("#rows > tr[id^=a]");
  if (!row) return;
  last = row.id;
  showActions(row);
});

/** Which cell of its row has the focus; 0 for the account's name. */
const column = () => document.activeElement?.closest?.("#rows td")?.cellIndex ?? 0;

function go(step) {
  const all = rows();
  const at = all.findIndex((row) => row.id === last);
  const to = at < 0 ? all[0] : all[Math.min(Math.max(at + (here() ? step : 0), 0), all.length - 1)];
  if (!to) return;
  const cell = column();
  // Before the focus, which lays the table out: else that would be done twice.
  showActions(to);
  focusCell(to, editOf(to.cells[cell]) ? cell : 0);
  to.scrollIntoView({ block: "nearest" });
}

/** The form that edits a cell in its place, where this person may. */
const editOf = (cell) => cell && document.querySelector("#scroller thead tr").cells[cell.cellIndex].dataset.edits;

/** Along a row, over what can be changed there. */
function along(row, step) {
  const stops = [...row.cells].filter((cell) => !cell.cellIndex || (editOf(cell) && cell.offsetWidth));
  const at = stops.findIndex((cell) => cell.cellIndex === column());
  const to = stops[at + step];
  if (to) focusCell(row, to.cellIndex);
  to?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

document.addEventListener("dblclick", ({ target }) => {
  const cell = target.closest?.("#rows td");
  if (!editOf(cell)) return;
  getSelection().empty();
  focusCell(cell.parentElement, cell.cellIndex);
  edit(editOf(cell), cell.parentElement);
});

const edit = (name, row) => openForm(name, row.id.slice(1), "list", row);

/** On to the next account that entered, or got another renewal, since this person looked; round and round. */
function goToNew() {
  const all = rows();
  const at = all.findIndex((row) => row.id === last);
  const next = [...all.slice(at + 1), ...all.slice(0, at + 1)].find((row) => "fresh" in row.dataset);
  focusCell(next);
  next?.scrollIntoView({ block: "nearest" });
}

// What others changed is drawn in the rows that are here, and in the counts above; nothing else moves.
document.addEventListener("changes", ({ detail }) => {
  const ids = rows().map((row) => row.id.slice(1));
  const changed = detail.all ? ids : ids.filter((id) => detail.accounts.some((account) => String(account.id) === id));
  drawAnew(`/daily/changed/?ids=${changed.slice(0, 200)}`);
});

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open], .over") || event.target.matches?.("textarea, select")) return;
  if (event.target.matches?.("input")) {
    if (event.target.id === "q" && ["ArrowDown", "Escape"].includes(event.key)) {
      event.target.blur();
      go(0);
      event.preventDefault();
    }
    return;
  }
  const arrows = event.target === document.body || here();
  if (event.key === "j" || (event.key === "ArrowDown" && arrows)) go(1);
  else if (event.key === "k" || (event.key === "ArrowUp" && arrows)) go(-1);
  else if (event.key === "ArrowRight" && here()) along(here(), 1);
  else if (event.key === "ArrowLeft" && here()) along(here(), -1);
  else if (event.key === "Enter" && editOf(event.target.closest("#rows td"))) edit(editOf(event.target), here());
  else if (event.key === "n") goToNew();
  else if (event.key === "f") document.getElementById("filters")?.showPopover();
  else if (FORMS[event.key] && here() && actions?.querySelector(`[data-form=${FORMS[event.key]}]`)) {
    edit(FORMS[event.key], here());
  } else return;
  event.preventDefault();
});

// Rows that are drawn anew have the columns of the list, also while an account is slid over it.
document.addEventListener("htmx:config:request", ({ detail }) => {
  const { columns } = document.getElementById("daily")?.dataset ?? {};
  if (columns) detail.ctx.request.headers.Columns = columns;
});

// Addresses say only what was chosen.
document.addEventListener("htmx:config:request", (event) => {
  const { request, sourceElement } = event.detail.ctx;
  if (!sourceElement.matches?.("form.filter")) return;
  // What the view beneath says is overruled by saying nothing instead.
  const laid = sourceElement.dataset.laid?.split(" ") ?? [];
  for (const [name, value] of [...request.body]) if (!value && !laid.includes(name)) request.body.delete(name);
  request.action = "/";
});

// The filters stay open while several are chosen, and the search field, which is kept over a swap, follows the address.
// A row that is drawn anew under the keyboard keeps it.
let filtersOpen = false;
let held = null;
document.addEventListener("htmx:before:swap", () => {
  held = here() && { row: here().id, cell: column() };
  filtersOpen = document.getElementById("filters")?.matches(":popover-open") ?? false;
});
document.addEventListener("htmx:after:swap", (event) => {
  const filters = document.getElementById("filters");
  if (filtersOpen && filters?.isConnected && !filters.matches(":popover-open")) filters.showPopover();
  if (held && document.activeElement === document.body) {
    focusCell(document.getElementById(held.row), held.cell);
  }
  const q = document.getElementById("q");
  const asked = new URLSearchParams(q?.form.dataset.asked).get("q") ?? "";
  if (q && document.activeElement !== q) q.value = asked;
  // Letters typed while this answer was on its way are asked for now: the form that waited for them is gone.
  else if (q && q.value.trim() !== asked.trim()) q.dispatchEvent(new Event("input", { bubbles: true }));
});
