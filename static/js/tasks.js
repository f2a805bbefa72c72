// The tasks page: its table of work, and the steps that may come after a task that is done.

import { worklist } from "./worklist.js";

worklist({
  body: "#task-rows",
  page: "#tasks",
  changed: "/tasks/changed/",
  keys: { x: "finish", s: "day", a: "assign", e: "edit" },
  // What a form must say of the task as it was seen, and what stands in it at first.
  fills: {
    day: { seen: "due", due_on: "due" },
    edit: { seen: "title", title: "title", remind_on: "remind" },
    assign: { seen: "assignee", assignee: "assignee" },
  },
  others(key) {
    const step = /^[1-9]$/.test(key) && document.querySelectorAll("#next-tasks [data-step]")[key - 1];
    step?.click?.();
    return Boolean(step);
  },
});
