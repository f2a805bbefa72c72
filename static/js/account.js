// An account's page under the hands, alone or slid over the list: outlines, copying, keys, and what changed meanwhile.

import { openForm } from "./forms.js";

const DRAFT = "draft:";
const shown = () => document.getElementById("account");
const typing = (target) => target instanceof HTMLElement && target.matches("input, textarea, select");

// A kind of note brings its outline into a text that is empty, or that is another kind's outline still.
document.addEventListener("change", ({ target }) => {
  const text = target.matches?.("select[name=kind]") && target.form.elements.text;
  if (!text) return;
  const outlines = [...target.options].map((option) => option.dataset.outline ?? "");
  if (text.value.trim() && !outlines.includes(text.value)) return;
  text.value = target.selectedOptions[0].dataset.outline ?? "";
  text.focus();
  text.setSelectionRange(0, 0);
  text.dispatchEvent(new Event("input", { bubbles: true }));
});

const say = (detail) => document.dispatchEvent(new CustomEvent("toast", { detail }));

document.addEventListener("click", ({ target }) => {
  const copied = target.closest?.("[data-copies]")?.dataset.copies;
  if (copied) {
    navigator.clipboard.writeText(copied).then(
      () => say({ text: `${copied} is copied.` }),
      () => say({ text: `The browser does not let ${copied} be copied here.`, bad: true }),
    );
  }
  const from = target.closest?.("[data-copies-from]");
  if (from) copyFrom(from.dataset);
  const begins = target.closest?.("[data-begins]");
  if (begins) beginWith(begins.dataset.begins, begins.closest("form").querySelector("textarea"));
  const forgets = target.closest?.("[data-forgets]");
  if (forgets) {
    forget(forgets.dataset.forgets);
    forgets.closest("#clash").remove();
  }
});

/** Fetch a text of ours; null, and it is said, where it cannot be had. */
async function textOf(address) {
  const answer = await fetch(address).catch(() => null);
  if (answer?.ok && !answer.redirected) return answer.text();
  say({ text: "The brief did not come. Nothing was changed; try again.", bad: true });
  return null;
}

async function copyFrom({ copiesFrom, called }) {
  const text = await textOf(copiesFrom);
  if (text === null) return;
  navigator.clipboard.writeText(text).then(
    () => say({ text: `${called} is copied.` }),
    () => say({ text: `The browser does not let ${called.toLowerCase()} be copied here.`, bad: true }),
  );
}

/** Put a text of ours before what is typed, which stays. */
async function beginWith(address, field) {
  const text = await textOf(address);
  if (text === null || !field.isConnected) return;
  field.value = `${text}\n${field.value}`;
  field.focus();
  field.setSelectionRange(text.length, text.length);
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

/** Drop a draft, and show what is true in its form. */
function forget(draft) {
  localStorage.removeItem(DRAFT + draft);
  for (const form of document.querySelectorAll("form[data-draft]")) if (form.dataset.draft === draft) form.reset();
}

document.addEventListener("htmx:after:request", ({ detail }) => {
  const { sourceElement: form, response } = detail.ctx;
  if (!form?.matches?.("#account form, [data-keeps]") || !(response?.status < 300)) return;
  if (form.dataset.keeps) forget(form.dataset.keeps);
  const popover = form.closest("[popover]");
  if (popover?.matches(":popover-open")) popover.hidePopover();
});

const OPENS = { o: "#add-note", t: "#add-task" };
const PRESSES = { w: "write", c: "claim", s: "snooze", e: "copy" };
const FORMS = { m: "move", a: "assign", l: "labels", r: "risk" };

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  const button = PRESSES[event.key] && shown()?.querySelector(`[data-form=${PRESSES[event.key]}]`);
  if (button && !document.querySelector("dialog[open]")) {
    button.click();
    return event.preventDefault();
  }
  const form = FORMS[event.key];
  if (form && shown()?.dataset.forms.split(" ").includes(form) && !document.querySelector("dialog[open]")) {
    openForm(form, shown().dataset.account, "account", shown());
    return event.preventDefault();
  }
  const fold = OPENS[event.key] && shown()?.querySelector(OPENS[event.key]);
  if (!fold || document.querySelector("dialog[open]")) return;
  fold.open = true;
  fold.querySelector("textarea, input:not([type=hidden])").focus();
  event.preventDefault();
});

// What colleagues changed comes in by itself; what is open or half typed stays as it is.
document.addEventListener("changes", ({ detail }) => {
  const account = shown()?.dataset.account;
  if (account && (detail.all || detail.accounts.some(({ id }) => String(id) === account))) refresh(account);
});

// Whom a change came for while the hands were in a form: it is drawn once they are out of it.
let stale = null;

function catchUp() {
  if (!stale || busy()) return;
  if (stale === shown()?.dataset.account) refresh(stale);
  stale = null;
}

for (const left of ["focusout", "toggle"]) document.addEventListener(left, () => setTimeout(catchUp), true);

const busy = () =>
  shown()?.querySelector("[popover]:popover-open, #clash") || document.activeElement?.closest?.("#account form");

function refresh(account) {
  if (busy()) {
    stale = account;
    return;
  }
  let open = [];
  // Looked at again when the answer is there: what was opened or typed meanwhile stays too.
  const unlessBusy = async (...asked) => {
    const answer = await fetch(...asked);
    const text = await answer.text();
    open = [...(shown()?.querySelectorAll("details[open][id]") ?? [])].map(({ id }) => id);
    if (busy()) stale = account;
    return busy() ? new Response(null, { status: 204 }) : new Response(text || null, answer);
  };
  const path = `/accounts/${account}/over/${location.search}`;
  htmx
    .ajax("GET", path, { source: shown(), target: "#account", swap: "outerMorph", fetch: unlessBusy })
    .then(() => open.forEach((id) => document.getElementById(id)?.setAttribute("open", "")));
}
