// The small forms of an account: opened in a dialog, kept as drafts while half typed, closed when they were taken.
// A page needs <dialog id="form">, data-from="PAGE" around what opens a form, and for each button data-form="NAME".
// <template id="form-NAME"> opens a form at once, without asking the server; the others are fetched.

const DRAFT = "draft:";
const dialog = () => document.getElementById("form");
let opener = null;
let fetching = false;

/** Open the form `name` ("move", "note", "task" or "assign") of an account, given by its id and its name. */
export async function openForm(name, account, from, called = "") {
  const place = dialog();
  const ready = document.getElementById(`form-${name}`);
  opener = document.activeElement;
  if (ready) fill(place, ready, account, called);
  else {
    fetching = true;
    await htmx
      .ajax("GET", `/accounts/${account}/forms/${name}/?from=${from}`, { target: place, swap: "innerHTML" })
      .finally(() => (fetching = false));
  }
  if (!place.querySelector("form, ul")) return;
  if (!place.open) place.showModal();
  place.querySelector("textarea, input:not([type=hidden]), select, .moves button, .moves summary")?.focus();
}

function fill(place, ready, account, called) {
  place.replaceChildren(ready.content.cloneNode(true));
  place.querySelector(".called").textContent = called;
  const form = place.querySelector("form");
  for (const name of ["action", "hx-post"]) {
    form.setAttribute(name, form.getAttribute(name).replace("/0/", `/${account}/`));
  }
  form.dataset.draft = form.dataset.draft.replace(":0", `:${account}`);
  htmx.process(place);
  restore(place);
}

// What is typed while a form is on its way is not meant for the page behind it.
document.addEventListener("keydown", (event) => {
  if (!fetching) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-form]");
  if (button) {
    const row = button.closest("tr");
    const account = row ? row.id.slice(1) : button.closest("[data-account]").dataset.account;
    openForm(button.dataset.form, account, button.closest("[data-from]").dataset.from, row?.querySelector("a").textContent);
  }
  // A click on the backdrop is a click on the dialog itself, outside its box. What was typed is kept as a draft.
  if (event.target === dialog() && event.target.open) {
    const box = event.target.getBoundingClientRect();
    const inside = event.clientX >= box.left && event.clientX <= box.right
      && event.clientY >= box.top && event.clientY <= box.bottom;
    if (!inside) event.target.close();
  }
});

// The browser gives focus back to where it came from; where that row was drawn anew meanwhile, we do.
document.addEventListener("close", (event) => {
  if (event.target !== dialog() || event.target.open) return;
  event.target.replaceChildren();
  if (document.activeElement !== document.body) return;
  const row = opener?.closest?.("tr");
  if (row) document.getElementById(row.id)?.querySelector("a")?.focus();
}, true);

// Up and down walk through the moves.
document.addEventListener("keydown", (event) => {
  const list = event.target.closest?.("dialog .moves");
  if (!list || !["ArrowDown", "ArrowUp"].includes(event.key) || event.target.matches("textarea")) return;
  const stops = [...dialog().querySelectorAll(".moves > li > form > button, .moves summary")];
  const at = stops.indexOf(event.target);
  stops[(at + (event.key === "ArrowDown" ? 1 : stops.length - 1)) % stops.length]?.focus();
  event.preventDefault();
});

// Drafts

const fields = (form) => [...form.querySelectorAll("textarea, input:not([type=hidden]), select")];

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
  const written = form.querySelector("textarea, input[name=title]").value.trim();
  if (written) localStorage.setItem(DRAFT + form.dataset.draft, JSON.stringify(values));
  else localStorage.removeItem(DRAFT + form.dataset.draft);
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
  taken(event.detail.ctx);
  restore(document);
});
restore(document);
