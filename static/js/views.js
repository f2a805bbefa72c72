// The menus of views and of columns, on list and board; drawn anew with the page they stand open, the focus where it was.

/** Keep the popovers of these ids open over a swap. */
function menus(...ids) {
  let open = [];
  let focus = null;

  /** What names a control through a swap: its name and value, or its label. */
  const nameOf = (element) => [element.name, element.type === "checkbox" && element.value, element.ariaLabel].join();

  document.addEventListener("htmx:before:swap", () => {
    open = ids.filter((id) => document.getElementById(id)?.matches(":popover-open"));
    const holder = open.find((id) => document.getElementById(id).contains(document.activeElement));
    focus = holder && { holder, name: nameOf(document.activeElement) };
  });

  document.addEventListener("htmx:after:swap", () => {
    for (const id of open) {
      const menu = document.getElementById(id);
      if (menu && !menu.matches(":popover-open")) menu.showPopover();
    }
    if (!focus) return;
    const stops = document.getElementById(focus.holder)?.querySelectorAll("button, input, a") ?? [];
    [...stops].find((stop) => nameOf(stop) === focus.name)?.focus();
    open = [];
    focus = null;
  });
}

menus("views", "columns");

// The lines of the columns' menu, drawn when it opens: what the page says is their names, and how many are shown.
document.addEventListener("beforetoggle", ({ target }) => {
  if (target.id !== "columns") return;
  const list = target.querySelector("ol");
  if (list.childElementCount) return;
  const { choices, shown } = target.dataset;
  list.append(...JSON.parse(choices).map(([value, name], place) => {
    const item = document.createElement("li");
    const label = document.createElement("label");
    label.append(Object.assign(document.createElement("input"), { type: "checkbox", name: "columns", value, checked: place < shown }), name);
    const steps = document.getElementById("column-steps").content.cloneNode(true);
    for (const step of steps.children) step.ariaLabel = `${name}: ${step.title}`;
    item.append(label, steps);
    return item;
  }));
}, true);

document.addEventListener("click", ({ target }) => {
  const step = target.closest?.("#columns [data-steps]");
  if (step) {
    const item = step.closest("li");
    if (step.dataset.steps < 0) item.previousElementSibling?.before(item);
    else item.nextElementSibling?.after(item);
    step.focus();
    if (item.querySelector("input").checked) step.closest("form").requestSubmit();
  }
  if (!target.closest?.("[data-saves-view]")) return;
  document.getElementById("views").showPopover();
  const first = document.querySelector("#views details");
  first.open = true;
  first.querySelector("input[name=name]").focus();
});

document.addEventListener("change", ({ target }) => {
  if (target.matches?.("#columns input[type=checkbox]")) target.form.requestSubmit();
});

// One parameter with all columns in their order, rather than one a column.
document.addEventListener("htmx:config:request", (event) => {
  const { request, sourceElement } = event.detail.ctx;
  if (sourceElement.id !== "columns") return;
  const columns = request.body.getAll("columns");
  request.body.delete("columns");
  request.body.set("columns", columns.join());
  request.action = "/";
});

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open], .over") || event.target.closest?.("input, textarea, select, .menu")) return;
  const menu = document.getElementById({ v: "views", h: "columns" }[event.key]);
  if (!menu) return;
  menu.showPopover();
  menu.querySelector("a, input:not([type=hidden])").focus();
  event.preventDefault();
});
