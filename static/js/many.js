// Many rows of the list at once: ticked one by one, up to one, or all that the filters show, loaded or not, but some.

import { say } from "./say.js";
import { askAs, token } from "./token.js";

const bar = () => document.getElementById("picked");
const page = () => document.getElementById("daily");
const rows = () => [...document.querySelectorAll("#rows > tr[id^=a]")];
const rowAt = (element) => element?.closest?.("#rows > tr[id^=a]");
const idOf = (row) => row.id.slice(1);

// The ids that are chosen; with `all` those that are not, of all that the filters show.
let picked = new Set();
let all = false;
const isOn = (row) => all !== picked.has(idOf(row));
let last = "";
let query = page()?.dataset.query;

/** A box in each row, ticked where the row is chosen, and a bar that says how many are. */
function draw() {
  if (!bar()) return;
  if (query !== page().dataset.query) choose([]);
  query = page().dataset.query;
  for (const row of rows()) {
    const head = row.cells[0];
    let box = head.querySelector("[data-picks]");
    if (!box) {
      box = Object.assign(document.createElement("input"), { type: "checkbox", tabIndex: -1 });
      box.dataset.picks = "";
      box.ariaLabel = `Choose ${head.querySelector("a").textContent}`;
      head.prepend(box);
    }
    box.checked = isOn(row);
  }
  const { shown } = page().dataset;
  bar().hidden = !all && !picked.size;
  page().classList.toggle("picking", !bar().hidden);
  bar().querySelector("b").textContent = `${all ? without(shown, picked.size) : picked.size} chosen`;
  bar().querySelector("[data-pick=all] .count").textContent = shown;
  bar().querySelector("[data-pick=all]").hidden = all && !picked.size;
}

/** How many are left of a count as it is shown, such as "1,204"; "10,000+" is not counted out. */
function without(shown, some) {
  const count = Number(shown.replaceAll(",", ""));
  if (!some) return shown;
  return Number.isNaN(count) ? `${shown} but ${some}` : (count - some).toLocaleString("en");
}

function choose(ids) {
  all = false;
  picked = new Set(ids);
}

/** Choose a row or not; with `through` all from the one chosen before to it. */
function toggle(row, through) {
  const every = rows();
  const on = !isOn(row);
  const to = every.indexOf(row);
  const from = through ? every.findIndex(({ id }) => id === last) : -1;
  for (const one of every.slice(from < 0 ? to : Math.min(from, to), Math.max(from, to) + 1)) picked[on === all ? "delete" : "add"](idOf(one));
  last = row.id;
  draw();
}

/** What the server is told of them: their ids, or that it is all that the filter shows, but some. */
const sends = () => (all ? { all: "1", but: [...picked].join() } : { ids: [...picked].join() });

const asks = () => (page().dataset.query ? `?${page().dataset.query}` : "");

const ask = (name) => show(`/daily/many/${name}/ask/${asks()}`, sends());

/** Fetch a form into the dialog, and put the focus where one goes on. */
async function show(url, values) {
  const place = document.getElementById("form");
  await htmx.ajax("POST", url, { values, source: place, target: place, swap: "innerHTML" });
  if (!place.querySelector("form, ul")) {
    place.replaceChildren();
    return place.close();
  }
  place.classList.remove("in-place");
  place.removeAttribute("style");
  if (!place.open) place.showModal();
  focusFirst(place);
}

// The first step of two: its answer is the second, in the same dialog.
document.addEventListener("submit", (event) => {
  if (!event.target.matches?.("#form form[data-asks]")) return;
  event.preventDefault();
  show(event.target.getAttribute("action"), Object.fromEntries(new FormData(event.target)));
});

const focusFirst = (place) =>
  place.querySelector("textarea, .moves button, form input:not([type=hidden]), select, .primary")?.focus();

/** A form that is sent as a page of its own, for the browser to keep what it answers. */
function download() {
  const form = Object.assign(document.createElement("form"), { method: "post", action: `/daily/many/export/${asks()}`, hidden: true });
  for (const [name, value] of Object.entries({ ...sends(), csrfmiddlewaretoken: token() })) {
    form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  }
  form.setAttribute("hx-boost", "false");
  document.body.append(form);
  form.submit();
  form.remove();
}

async function copyEmails() {
  const answer = await askAs(fetch, `/daily/many/emails/${asks()}`, {
    method: "POST", body: new URLSearchParams(sends()), headers: { "X-CSRFToken": token(), "HX-Request": "true" },
  }).catch(() => null);
  if (answer?.status === 401) return document.dispatchEvent(new CustomEvent("signed-out"));
  if (!answer?.ok) return say({ text: "The e-mails did not come. Nothing was copied; try again.", bad: true });
  const told = await answer.json();
  const left = told.left ? ` ${told.left} left out: they want no mail, or it does not reach them.` : "";
  copy(told.emails, told.count ? `${told.count} e-mails copied.${left}` : `There is no e-mail to copy.${left}`);
}

async function copy(text, says) {
  try {
    if (text) await navigator.clipboard.writeText(text);
    say({ text: says });
  } catch {
    say({ text: "The browser did not let us copy.", bad: true });
  }
}

document.addEventListener("click", (event) => {
  const { target, shiftKey } = event;
  const copies = target.closest?.("[data-copy]");
  if (copies) copy(copies.dataset.copy, "E-mails copied.");
  if (target.matches?.("#rows [data-picks]")) toggle(rowAt(target), shiftKey);
  const name = target.closest?.("[data-many]")?.dataset.many;
  if (name === "export") download();
  else if (name === "emails") copyEmails();
  else if (name) ask(name);
  const pick = target.closest?.("#picked [data-pick]")?.dataset.pick;
  if (!pick) return;
  choose([]);
  all = pick === "all";
  draw();
  if (!all) rows()[0]?.querySelector("a").focus();
});

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open], .over") || event.target.matches?.("textarea, select, input:not([type=checkbox])")) return;
  const row = rowAt(event.target);
  if (event.key.toLowerCase() === "x" && row) toggle(row, event.shiftKey);
  else if (event.key === "*") {
    choose([]);
    all = true;
    draw();
  } else if (event.key === "Escape" && bar() && !bar().hidden && !document.querySelector(":popover-open.menu")) {
    choose([]);
    draw();
  } else return;
  event.preventDefault();
});

// With some chosen, the keys of a row act on all of them.
const KEYS = { m: "move", a: "assign", l: "label", t: "task" };
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !bar() || bar().hidden) return;
  if (document.querySelector("dialog[open], .over") || event.target.matches?.("textarea, select, input:not([type=checkbox])")) return;
  if (!KEYS[event.key] || !bar().querySelector(`[data-many=${KEYS[event.key]}]`)) return;
  ask(KEYS[event.key]);
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);

document.addEventListener("htmx:after:swap", (event) => {
  draw();
  const { sourceElement: form, request, response } = event.detail.ctx;
  if (request.method === "POST" && request.action?.startsWith?.("/daily/many/") && response.status < 300 && form?.matches?.("#form form")) {
    choose([]);
    draw();
  }
});
draw();
