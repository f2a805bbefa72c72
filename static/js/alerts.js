// The alerts page: one alert at a time, or all that are chosen.

import { worklist } from "./worklist.js";

const KEYS = { y: "acknowledge", s: "snooze", r: "resolve", a: "assign" };
const bar = () => document.getElementById("picked");
const boxes = () => [...document.querySelectorAll("#alert-rows [data-picks]")];
const picked = () => boxes().filter((box) => box.checked);
let all = false;
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
    else if (KEYS[key] && picked().length) act(KEYS[key]);
    else return false;
    return true;
  },
});

const shown = () => document.getElementById("alerts").dataset.shown;
const most = () => Number(bar().dataset.most);

/** Say how many are chosen, and offer what can be done to them. */
function count() {
  if (!bar()) return;
  const many = picked().length;
  if (many < boxes().length) all = false;
  bar().hidden = !many;
  bar().querySelector("b").textContent = `${all ? shown() : many} chosen`;
  bar().querySelector("[data-pick=all] .count").textContent = shown();
}

/** What the server is told of them: their ids, or that it is all that the filter shows. */
function sends() {
  if (all) return { all: "1" };
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

document.addEventListener("change", ({ target }) => {
  if (target.matches?.("[data-picks]")) count();
});

document.addEventListener("click", ({ target }) => {
  const name = target.closest?.("[data-of-picked]")?.dataset.ofPicked;
  if (name) act(name);
  const pick = target.closest?.("[data-pick]")?.dataset.pick;
  if (!pick) return;
  all = pick === "all";
  for (const box of boxes()) box.checked = all;
  count();
});

// Rows that are drawn anew stay chosen.
document.addEventListener("htmx:before:swap", () => {
  chosen = picked().map((box) => list.rowAt(box).id);
});
document.addEventListener("htmx:after:swap", () => {
  for (const box of boxes()) box.checked ||= all || chosen.includes(list.rowAt(box).id);
  count();
});
