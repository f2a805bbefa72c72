// Colleagues to choose from behind an @ in a note: by keys, by mouse and by ear. The cursor stays in the text.

const MOST = 6;
const AT = /(?<![\p{L}\p{N}_.+/@-])@([\p{L}\p{N}_.+-]*)$/u;
// What of a text decides where its letters stand.
const LOOKS = ["font", "letterSpacing", "lineHeight", "padding", "border", "boxSizing", "tabSize"];

let people = null;
let text = null;
let found = [];
let at = 0;

const plain = (words) => words.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

/** Fetch whom a note may name, once somebody is about to write one; the browser keeps it, so that later it is there without a line, too. */
async function load() {
  const answer = await fetch("/colleagues/", { headers: { "HX-Request": "true" } }).catch(() => null);
  if (!answer?.ok || people) return;
  people = (await answer.json()).colleagues.map((one) => ({ ...one, by: plain(`${one.login} ${one.name}`).split(/[\s.+-]+/) }));
  if (document.activeElement?.matches?.("[data-mentions]")) offer(document.activeElement);
}

const box = document.createElement("div");
box.className = "menu mentions";
box.popover = "manual";
box.innerHTML = '<ul role="listbox" id="mentions" aria-label="Colleagues"></ul><p class="unseen" role="status"></p>';
const [list, status] = box.children;
const isOpen = () => box.isConnected && box.matches(":popover-open");

/** What is typed behind an @ right before the cursor; null where there is none. */
const typed = (field) =>
  field.selectionStart === field.selectionEnd ? AT.exec(field.value.slice(0, field.selectionStart))?.[1] ?? null : null;

/** Offer those whose login or one of whose names begins like what is typed. */
function offer(field) {
  const word = typed(field);
  const begins = word === null ? "" : plain(word);
  found = word === null || !people ? [] : people.filter(({ login, by }) =>
    by.some((part) => part.startsWith(begins)) || plain(login).startsWith(begins)).slice(0, MOST);
  if (!found.length) return close();
  text = field;
  at = 0;
  list.replaceChildren(...found.map(({ login, name }, number) => {
    const option = Object.assign(document.createElement("li"), { id: `mention-${number}`, role: "option" });
    option.append(name, Object.assign(document.createElement("small"), { textContent: ` @${login}` }));
    return option;
  }));
  status.textContent = `${found.length === 1 ? "1 colleague" : `${found.length} colleagues`}. Up and down choose, Enter takes.`;
  show();
  point();
}

/** Show the list beneath the @, or above it where the window ends; in what is open, for the rest is out of reach then. */
function show() {
  const place = text.closest("dialog, .over, main");
  if (box.parentElement !== place) place.append(box);
  if (!isOpen()) box.showPopover();
  const { left, top, line } = caret();
  const below = top + line + box.offsetHeight < innerHeight;
  box.style.left = `${Math.max(8, Math.min(left, innerWidth - box.offsetWidth - 8))}px`;
  box.style.top = `${below ? top + line : top - box.offsetHeight}px`;
  text.setAttribute("aria-autocomplete", "list");
  text.setAttribute("aria-controls", "mentions");
}

/** Where in the window the @ stands: a copy of the text up to there is laid out alike and measured. */
function caret() {
  const copy = document.createElement("div");
  const style = getComputedStyle(text);
  for (const look of LOOKS) copy.style[look] = style[look];
  Object.assign(copy.style, { position: "fixed", visibility: "hidden", whiteSpace: "pre-wrap", overflowWrap: "break-word", width: `${text.offsetWidth}px` });
  const mark = document.createElement("span");
  copy.append(text.value.slice(0, text.selectionStart - typed(text).length - 1), mark);
  mark.textContent = "@";
  document.body.append(copy);
  const { left, top } = text.getBoundingClientRect();
  const where = { left: left + mark.offsetLeft, top: top + mark.offsetTop - text.scrollTop, line: mark.offsetHeight + 4 };
  copy.remove();
  return where;
}

/** Say which one is in hand. */
function point() {
  for (const [number, option] of [...list.children].entries()) option.ariaSelected = String(number === at);
  text.setAttribute("aria-activedescendant", `mention-${at}`);
}

function close() {
  if (isOpen()) box.hidePopover();
  for (const name of ["aria-autocomplete", "aria-controls", "aria-activedescendant"]) text?.removeAttribute(name);
  text = null;
}

/** Put a colleague's login in the place of what is typed. */
function take({ login }) {
  const field = text;
  const end = field.selectionStart;
  field.setRangeText(`${login} `, end - typed(field).length, end, "end");
  close();
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

document.addEventListener("input", ({ target }) => {
  if (target.matches?.("[data-mentions]")) offer(target);
});

const KEYS = {
  ArrowDown: () => { at = (at + 1) % found.length; point(); },
  ArrowUp: () => { at = (at + found.length - 1) % found.length; point(); },
  Enter: () => take(found[at]),
  Tab: () => take(found[at]),
  Escape: close,
};

// Before everybody else: while there is a choice these keys are for it, and Escape closes nothing but the list.
addEventListener("keydown", (event) => {
  if (!isOpen() || event.target !== text || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  if (!KEYS[event.key]) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  KEYS[event.key]();
}, true);

// The cursor was put somewhere else, or is gone.
document.addEventListener("selectionchange", () => {
  if (isOpen() && (document.activeElement !== text || typed(text) === null)) close();
});
document.addEventListener("focusout", ({ target }) => {
  if (target === text) close();
});

box.addEventListener("mousedown", (event) => event.preventDefault());
box.addEventListener("click", ({ target }) => {
  const option = target.closest("li");
  if (option) take(found[[...list.children].indexOf(option)]);
});

// Whom a note may name is fetched once somebody is about to write one.
document.addEventListener("focusin", ({ target }) => {
  if (target.matches?.("[data-mentions]") && !people) load();
});
