// The events page: one event at a time by keys, and the rows kept true while somebody looks.

import { worklist } from "./worklist.js";

const EVERY = 4000;
const MOST = 200;

const list = worklist({
  body: "#event-rows",
  page: "#events",
  keys: { r: "retry", i: "ignore", l: "link" },
  fills: {},
});

/** Ask which of the shown events are not as they are drawn, and how many are newer. */
function look() {
  const page = document.getElementById("events");
  if (!page || document.hidden || !navigator.onLine || document.querySelector("dialog[open]")) return;
  const asks = new URLSearchParams(page.dataset.query);
  asks.set("shown", list.rows().slice(0, MOST).map(({ dataset }) => `${dataset.pk}.${dataset.stamp}`).join());
  asks.set("newest", page.dataset.newest);
  asks.set("told", document.getElementById("newer").dataset.told);
  htmx.ajax("GET", `/events/changed/?${asks}`, { source: document.body, swap: "none" });
}

setInterval(look, EVERY);
document.addEventListener("visibilitychange", look);
