// The alerts page: its small forms in a dialog, keys that walk and act, drafts, and the focus after a row is gone.

// Asked for each time: going back puts another page, and another dialog, in the place of this one.
const dialog = () => document.getElementById("form");
const rows = () => [...document.querySelectorAll("#alert-rows > tr[data-name]")];
const rowAt = (element) => element?.closest?.("#alert-rows > tr[data-name]");
const KEYS = { y: "acknowledge", s: "snooze", r: "resolve", a: "assign" };
let asking = null;

// What a form must say of the alert as it was seen, and what stands in it at first.
const SEEN = { snooze: "snoozed", assign: "assignee" };

/** Open one of the page's forms for the alert of a row. */
function ask(name, row) {
  const place = dialog();
  asking = row.id;
  place.replaceChildren(document.getElementById(`form-${name}`).content.cloneNode(true));
  place.querySelector(".called").textContent = row.dataset.name;
  const form = place.querySelector("form");
  const { query } = document.getElementById("alerts").dataset;
  form.action = form.getAttribute("action").replace("/0/", `/${row.id.slice("alert-".length)}/`) + (query && `?${query}`);
  form.setAttribute("hx-post", form.getAttribute("action"));
  if (SEEN[name]) form.elements.seen.value = row.dataset[SEEN[name]];
  if (name === "assign") form.elements.assignee.value = row.dataset.assignee;
  if (name === "resolve") form.elements.resolution.value = localStorage.getItem(`draft:${asking}`) ?? "";
  htmx.process(place);
  place.showModal();
  form.querySelector("textarea, input[type=date], select").focus();
}

/** Put the focus on the row, or where it is gone on the one that took its place. */
function back(id) {
  const row = document.getElementById(id);
  const next = row?.hidden ? (below(row) ?? rows().at(-1)) : row;
  (next?.querySelector("th a") ?? document.getElementById("main")).focus();
}

const below = (row) => rows().find((other) => row.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING);

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-ask]");
  if (button) ask(button.dataset.ask, rowAt(button));
  const fill = event.target.closest?.("[data-fill]");
  if (fill) {
    const form = fill.closest("form");
    form.querySelector("textarea, input[type=date]").value = fill.dataset.fill;
    form.requestSubmit();
  }
  // A click on the backdrop is a click on the dialog itself, outside its box.
  if (event.target.matches?.("dialog#form[open]")) {
    const box = event.target.getBoundingClientRect();
    const inside = event.clientX >= box.left && event.clientX <= box.right
      && event.clientY >= box.top && event.clientY <= box.bottom;
    if (!inside) event.target.close();
  }
});

document.addEventListener("close", (event) => {
  if (event.target === dialog()) back(asking);
}, true);

document.addEventListener("input", (event) => {
  if (event.target.name === "resolution") localStorage.setItem(`draft:${asking}`, event.target.value);
});

// What a form answered: taken or overtaken, it closes; refused, it stays with what was typed.
document.addEventListener("htmx:after:swap", (event) => {
  const { sourceElement: form, response, request } = event.detail.ctx;
  if (request.method !== "POST" || !form?.matches?.("form") || (response.status >= 300 && response.status !== 409)) return;
  const id = rowAt(form)?.id ?? new URL(form.action).pathname.replace(/.*\/alerts\/(\d+)\/.*/, "alert-$1");
  if (response.status < 300) localStorage.removeItem(`draft:${id}`);
  if (dialog().open) dialog().close();
  else back(id);
});

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input, textarea, select, dialog") || document.querySelector("dialog[open]")) return;
  const row = rowAt(document.activeElement);
  const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
  const all = rows();
  if (step) {
    const at = row ? all.indexOf(row) + step : 0;
    all[Math.min(Math.max(at, 0), all.length - 1)]?.querySelector("th a").focus();
    event.preventDefault();
  } else if (row && KEYS[event.key]) {
    row.querySelector(`[data-action="${KEYS[event.key]}"]`)?.click();
    event.preventDefault();
  }
});
