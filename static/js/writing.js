// The form that writes to a customer: templates, gaps to be filled in, and the writer's own mail program.

import { say } from "./say.js";

const GAP = /\[[^\]\n]*\?\]/;
const writer = (target) => target?.closest?.('form[data-draft^="write:"]');
const chosen = (form) => [...form.querySelectorAll("input[name=to]:checked")];

/** Put the cursor on the first gap of a text, or before its first word. */
export function toGap(text) {
  const gap = GAP.exec(text.value);
  text.focus();
  text.setSelectionRange(gap?.index ?? 0, gap ? gap.index + gap[0].length : 0);
}

/** A letter for somebody's own mail program. */
function mailto(form, bcc) {
  const to = chosen(form).map(({ dataset }) => encodeURIComponent(dataset.email).replaceAll("%40", "@")).join(",");
  const parts = { bcc, subject: form.elements.subject.value, body: form.elements.text.value.replaceAll("\n", "\r\n") };
  const query = Object.entries(parts).filter(([, value]) => value).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return `mailto:${to}?${query.join("&")}`;
}

document.addEventListener("click", (event) => {
  const form = writer(event.target);
  const link = form && event.target.closest("[data-mails]");
  if (link) {
    const gap = GAP.exec(form.elements.text.value) ?? GAP.exec(form.elements.subject.value);
    if (gap || !chosen(form).length) {
      event.preventDefault();
      say({ text: gap ? `Fill in or take out what is missing: ${gap[0]}.` : "Choose whom it goes to.", bad: true });
      return;
    }
    link.href = mailto(form, link.dataset.mails);
    form.querySelector("[data-sent]").hidden = false;
    form.querySelector("[data-sent] button").focus();
  }
  const back = form && event.target.closest("[data-puts-back]");
  if (back) {
    put(form, typedBefore.get(form));
    back.hidden = true;
    form.elements.text.focus();
  }
  if (form && event.target.closest("[data-restarts]")) {
    localStorage.removeItem(`draft:${form.dataset.draft}`);
    form.reset();
    toGap(form.elements.text);
  }
});

// What was typed before a template took its place, by form.
const typedBefore = new WeakMap();

/** Put words into a form as if somebody had typed them. */
function put(form, words) {
  for (const [name, value] of Object.entries(words)) form.elements[name].value = value;
  form.elements.text.dispatchEvent(new Event("input", { bubbles: true }));
}

// Another template, or somebody else to write to. What was typed is not lost: a button brings it back.
document.addEventListener("change", async ({ target }) => {
  const form = writer(target);
  if (!form || !["template", "to"].includes(target.name)) return;
  const { template, text, subject } = form.elements;
  const query = new URLSearchParams([["template", template.value], ...chosen(form).map(({ value }) => ["to", value])]);
  const answer = await fetch(`${template.dataset.text}?${query}`, { headers: { "HX-Request": "true" } }).catch(() => null);
  if (!answer?.ok) return say({ text: "The template did not come. What you typed is still there.", bad: true });
  const given = await answer.json();
  const to = form.querySelector(".to");
  const typed = text.value !== text.defaultValue || subject.value !== subject.defaultValue;
  if (target.name === "to" && typed) {
    for (const field of [subject, text]) field.value = field.value.replace(to.dataset.names || "[their first name?]", given.names || "[their first name?]");
  } else {
    if (typed) typedBefore.set(form, { text: text.value, subject: subject.value, template: template.dataset.before ?? "" });
    form.querySelector("[data-puts-back]").hidden = !typedBefore.has(form);
    text.defaultValue = text.value = given.text;
    subject.defaultValue = subject.value = given.subject;
  }
  to.dataset.names = given.names;
  template.dataset.before = template.value;
  put(form, {});
});

// What the server found missing is where the cursor goes.
document.addEventListener("htmx:after:request", ({ detail }) => {
  const form = writer(detail.ctx.sourceElement);
  if (form && detail.ctx.response?.status === 422 && GAP.test(form.elements.text.value)) toGap(form.elements.text);
});
