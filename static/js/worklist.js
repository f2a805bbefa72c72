// A table of work: keys that walk and act, small forms in a dialog, drafts, and the focus after a row is gone.
// Its forms stand in <template id="form-NAME">, with 0 in the address for the row's; a row says itself in data-….

import { drawAnew } from "./live.js";
import { say } from "./say.js";

const DRAFT = "draft:";

/**
 * Bring a table to life. `body` holds the rows, each with data-pk and data-name; `page` has data-query; `keys` says which
 * of a row's buttons with data-action a key presses; `fills` says by form what of the row stands in its fields at first;
 * `changed` is the address that draws its rows anew; `others` may take a key or an action for what is chosen beside the row, and returns whether it did.
 */
export function worklist({ body, page, keys, fills, changed = "", others = () => false }) {
  // Asked for each time: going back puts another page, and another dialog, in the place of this one.
  const dialog = () => document.getElementById("form");
  const rows = () => [...document.querySelectorAll(`${body} > tr[data-name]`)];
  const rowAt = (element) => element?.closest?.(`${body} > tr[data-name]`);
  let asking = "";
  let place = 0;
  let held = false;

  /** Remember where the hands are, in case the row goes away. */
  function hold(row) {
    asking = row.id;
    place = rows().indexOf(row);
  }

  /** Fill the dialog with a form of the page: whom it is called, the row's part of its address, its draft's name. */
  function fill(name, called, address, draft = "") {
    const box = dialog();
    box.replaceChildren(document.getElementById(`form-${name}`).content.cloneNode(true));
    box.querySelector(".called").textContent = called;
    const form = box.querySelector("form");
    const { query } = document.querySelector(page).dataset;
    form.action = form.getAttribute("action").replace("/0/", `/${address}/`) + (query && `?${query}`);
    form.setAttribute("hx-post", form.getAttribute("action"));
    const words = form.querySelector("textarea");
    if (words) {
      form.dataset.keptAs = draft;
      words.value = localStorage.getItem(DRAFT + draft) ?? "";
    }
    return form;
  }

  function show(form) {
    htmx.process(dialog());
    dialog().showModal();
    form.querySelector("textarea, input:not([type=hidden]), select").focus();
  }

  function ask(name, row) {
    hold(row);
    const form = fill(name, row.dataset.name, row.dataset.pk, row.id);
    for (const [field, fact] of Object.entries(fills[name] ?? {})) form.elements[field].value = row.dataset[fact];
    show(form);
  }

  /** Open a form that is about many rows. */
  function askMany(name, called, sends) {
    asking = rowAt(document.activeElement)?.id ?? asking;
    const form = fill(name, called, "many", "many");
    for (const [field, value] of Object.entries(sends)) {
      form.append(Object.assign(document.createElement("input"), { type: "hidden", name: field, value }));
    }
    show(form);
  }

  /** Do to a row what one of its buttons does, or say that it has none. */
  function press(row, action) {
    const button = row.querySelector(`[data-action="${action}"]`);
    if (button) return button.click();
    say({ text: `That cannot be done to “${row.dataset.name}” as it stands, or not by you.`, bad: true });
  }

  /** Put the focus on the row, or where it is gone on the one that took its place. */
  function back(id) {
    const all = rows();
    const row = document.getElementById(id);
    const next = row?.hidden ? (below(row) ?? all.at(-1)) : (row ?? all[Math.min(Math.max(place, 0), all.length - 1)]);
    (next?.querySelector("th a") ?? document.getElementById("main")).focus();
  }

  const below = (row) => rows().find((other) => row.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING);

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-ask]");
    if (button && rowAt(button)) ask(button.dataset.ask, rowAt(button));
    const fill = event.target.closest?.("[data-fill]");
    if (fill) {
      const form = fill.closest("form");
      form.querySelector("textarea, input[type=date]").value = fill.dataset.fill;
      form.requestSubmit();
    }
  });

  document.addEventListener("submit", ({ target }) => {
    const row = rowAt(target);
    if (row) hold(row);
  }, true);

  document.addEventListener("close", (event) => {
    if (event.target === dialog()) back(asking);
  }, true);

  document.addEventListener("input", ({ target }) => {
    const kept = target.form?.dataset.keptAs;
    if (kept && target.matches("textarea")) localStorage.setItem(DRAFT + kept, target.value);
  });

  // Rows that are drawn anew, by Undo for one, leave the focus where it was.
  document.addEventListener("htmx:before:swap", () => {
    const row = rowAt(document.activeElement);
    held = Boolean(row);
    if (row) hold(row);
  });

  // What a form answered: taken or overtaken, it closes; refused, it stays with what was typed.
  document.addEventListener("htmx:after:swap", (event) => {
    const { sourceElement: form, response, request } = event.detail.ctx;
    if (held && document.activeElement === document.body) back(asking);
    if (request.method !== "POST" || !form?.matches?.("form") || (response.status >= 300 && response.status !== 409)) return;
    if (form.closest("#account")) return;
    if (response.status < 300 && form.dataset.keptAs) localStorage.removeItem(DRAFT + form.dataset.keptAs);
    if (dialog()?.contains(form)) dialog().close();
    else if (!dialog()?.open) back(asking);
  });

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("input:not([type=checkbox]), textarea, select, dialog") || document.querySelector("dialog[open]")) return;
    if (document.querySelector(".over")) return;
    const row = rowAt(document.activeElement);
    const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
    const all = rows();
    if (step) {
      const at = row ? all.indexOf(row) + step : 0;
      all[Math.min(Math.max(at, 0), all.length - 1)]?.querySelector("th a").focus();
    } else if (others(event.key, row)) {
      // It is done.
    } else if (row && keys[event.key]) press(row, keys[event.key]);
    else return;
    event.preventDefault();
  });

  // What others changed is drawn in as many rows as are here; nothing else moves.
  document.addEventListener("changes", () => {
    const { query } = document.querySelector(page).dataset;
    if (changed) drawAnew(`${changed}${query && `?${query}`}`);
  });

  // As many rows are drawn anew as are here.
  document.addEventListener("htmx:config:request", ({ detail }) => {
    detail.ctx.request.headers.Rows = String(rows().length);
  });

  return { rows, rowAt, askMany, hold };
}
