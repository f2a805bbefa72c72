// Who is on an account: claims and their minutes, and what is done to an account without a form.

import { DEEDS, openForm } from "./forms.js";
import { say } from "./say.js";
import { shown } from "./shown.js";

let asked = null;

function claim(account, page, row) {
  asked = { account, page, row: row.id };
  const values = { from: page, shown: shown() };
  return htmx.ajax("POST", `/accounts/${account}/claim/${location.search}`, { values, swap: "none", target: "body" });
}

async function copy(account) {
  const answer = await fetch(`/accounts/${account}/emails/`, { headers: { "HX-Request": "true" } });
  const emails = answer.ok ? await answer.text() : "";
  if (!emails) return say({ text: "There is nobody to write to at this account.", bad: true });
  navigator.clipboard.writeText(emails).then(
    () => say({ text: `Copied: ${emails.slice(0, 120)}` }),
    () => say({ text: `The browser does not let it be copied here: ${emails}`, bad: true }),
  );
}

Object.assign(DEEDS, { claim, copy });

// Somebody else is on it: whoever wants to be asks for it by a second step.
document.addEventListener("toast", ({ detail }) => {
  if (detail.code !== "held" || !asked) return;
  const { account, page, row } = asked;
  asked = null;
  const here = document.getElementById(row) ?? document.getElementById("account");
  document.dispatchEvent(new CustomEvent("asks-form", { detail: ["take-over", account, page, here] }));
});

// A claim grows older by itself, and ends: nobody writes that into the database.
const seen = new WeakMap();

setInterval(() => {
  for (const chip of document.querySelectorAll(".chip.claim")) {
    const words = /^(.*), (\d+) min$/.exec(chip.textContent);
    if (!words) continue;
    let first = seen.get(chip);
    if (first?.shows !== chip.textContent) first = { at: Date.now(), minutes: Number(words[2]) };
    const minutes = first.minutes + Math.floor((Date.now() - first.at) / 60000);
    chip.textContent = `${words[1]}, ${minutes} min`;
    seen.set(chip, { ...first, shows: chip.textContent });
  }
}, 15000);
