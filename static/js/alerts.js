// The alerts page: one alert at a time, or all that are chosen.

import { worklist } from "./worklist.js";

const KEYS = { y: "acknowledge", s: "snooze", r: "resolve", a: "assign" };
const bar = () => document.getElementById("picked");
const boxes = () => [...document.querySelectorAll("#alert-rows [data-picks]")];
const picked = () => boxes().filter((box) => box.checked);
let all = false;
// Of all that the filter shows those that were taken out again.
const out = new Set();
let chosen = [];

const list = worklist({
  body: "#alert-rows",
  page: "#alerts",
  changed: "/alerts/changed/",
  keys: KEYS,
  // What a form must say of the alert as it was seen, and what stands in it at first.
  fills: { snooze: { seen: "snoozed" }, assign: { seen: "assignee", assignee: "assignee" } },
  others(key, row) {
    const box = row?.querySelector("[data-picks]");
    if (key === "v" && box) box.click();
    else if (KEYS[key] && bar()?.hidden === false) act(KEYS[key]);
    else return false;
    return true;
  },
});

const shown = () => document.getElementById("alerts").dataset.shown;
const most = () => Number(bar().dataset.most);

/** Say how many are chosen, and offer what can be done to them. */
function count() {
  if (!bar()) return;
  if (all) for (const box of boxes()) box.checked = !out.has(list.rowAt(box).dataset.pk);
  const many = picked().length;
  bar().hidden = !many && !all;
  bar().querySelector("b").textContent = `${all ? `${shown()}${out.size ? ` but ${out.size}` : ""}` : many} chosen`;
  bar().querySelector("[data-pick=all] .count").textContent = shown();
}

/** What the server is told of them: their ids, or that it is all that the filter shows, but some. */
function sends() {
  if (all) return { all: "1", but: [...out].join() };
  return { ids: picked().slice(0, most()).map((box) => list.rowAt(box).dataset.pk).join() };
}

function act(name) {
  const button = bar().querySelector(`[data-of-picked="${name}"]`);
  if (!button) return;
  if (document.getElementById(`form-${name}`)) return list.askMany(name, bar().querySelector("b").textContent, sends());
  const { query } = document.getElementById("alerts").dataset;
  const row = list.rowAt(document.activeElement) ?? list.rows()[0];
  list.hold(row);
  htmx.ajax("POST", `/alerts/many/${name}/${query && `?${query}`}`, { values: sends(), swap: "none", target: "body" });
}

function choose(every) {
  all = every;
  out.clear();
}

document.addEventListener("change", ({ target }) => {
  if (!target.matches?.("[data-picks]")) return;
  if (all) out[target.checked ? "delete" : "add"](list.rowAt(target).dataset.pk);
  count();
});

document.addEventListener("click", ({ target }) => {
  const name = target.closest?.("[data-of-picked]")?.dataset.ofPicked;
  if (name) act(name);
  const pick = target.closest?.("[data-pick]")?.dataset.pick;
  if (!pick) return;
  choose(pick === "all");
  for (const box of boxes()) box.checked = all;
  count();
});

// Rows that are drawn anew stay chosen; but what was done to all is done, and another filter's are nobody's choice yet.
let { query } = document.getElementById("alerts").dataset;
document.addEventListener("htmx:before:swap", () => {
  chosen = picked().map((box) => list.rowAt(box).id);
});
document.addEventListener("htmx:after:swap", ({ detail: { ctx: { request, response } } }) => {
  const now = document.getElementById("alerts")?.dataset.query;
  const done = request.method === "POST" && request.action?.startsWith?.("/alerts/many/") && response.status < 300;
  if (all && (query !== now || done)) {
    choose(false);
    chosen = [];
    for (const box of boxes()) box.checked = false;
  }
  query = now;
  for (const box of boxes()) box.checked ||= chosen.includes(list.rowAt(box).id);
  count();
});
