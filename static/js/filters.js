// The filter menu of list and board: its fields come when it first opens, and always say what is asked for, by the address or a view.

const menu = () => document.getElementById("filters");

document.addEventListener("toggle", async ({ target, newState }) => {
  if (target !== menu() || newState !== "open" || target.childElementCount) return;
  await htmx.ajax("GET", "/filters/", { target, swap: "innerHTML" });
  follow();
}, true);

/** Choose in the menu what is asked for; from then on it stands for what was carried along. */
function follow() {
  const fields = menu()?.querySelectorAll("input, select");
  if (!fields?.length) return;
  menu().closest("form").querySelector(".carried").replaceChildren();
  const asked = new URLSearchParams(menu().closest("form").dataset.asked);
  for (const field of fields) {
    const values = asked.getAll(field.name);
    if (field.type === "checkbox") field.checked = values.includes(field.value);
    else field.selectedIndex = Math.max(0, [...field.options].findIndex(({ value }) => value && value === values.at(-1)));
  }
}

document.addEventListener("htmx:after:swap", follow);
