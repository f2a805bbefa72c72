// A card's menu, and its keys.

import { openForm } from "./forms.js";
import { answersFor, board, cardsIn, known, laneOf, listOf, mayMove, nameOf } from "./lanes.js";
import { say } from "./say.js";

const FORMS = { w: "write", c: "claim", s: "snooze", e: "copy" };
const menu = document.getElementById("moves");

const opener = Object.assign(document.createElement("button"), { type: "button", className: "moves" });
opener.setAttribute("aria-haspopup", "menu");

let move = () => {};

/** Say what takes a card to a stage. */
export const movedBy = (mover) => { move = mover; };

/** Give each card its button: put in here, it need not be sent with every card. */
export function addMenus(within) {
  for (const card of cardsIn(within)) {
    if (card.querySelector(".moves")) continue;
    const button = opener.cloneNode();
    button.ariaLabel = `Move ${nameOf(card)}`;
    card.firstElementChild.after(button);
  }
}

let wanted = "";
document.addEventListener("focusin", () => { wanted = ""; });

/** Open a card's menu; right after the page came, once it is known what stands in it and if nothing else was done. */
async function openMenu({ id }) {
  if (!mayMove) return;
  wanted = id;
  await known;
  const card = document.getElementById(id);
  if (wanted !== id || !card || card.ariaBusy === "true") return;
  menu.replaceChildren(...[...answersFor(card)].map(([stage, answer]) => entry(card, stage, answer)));
  menu.showPopover();
  const box = card.querySelector(".moves").getBoundingClientRect();
  const left = Math.max(8, Math.min(box.left, innerWidth - menu.offsetWidth - 8));
  const room = innerHeight - menu.offsetHeight - 8;
  Object.assign(menu.style, { left: `${left}px`, top: `${Math.max(8, Math.min(box.bottom + 4, room))}px` });
  menu.querySelector("button")?.focus();
}

function entry(card, stage, answer) {
  const [number, label] = laneOf(stage).querySelector("h2").textContent.split(". ");
  const button = Object.assign(document.createElement("button"), { type: "button", role: "menuitem" });
  const words = document.createElement("span");
  const aside = answer.refusal || (answer.needs && `asks for a ${answer.needs}`);
  words.append(answer.label ?? label);
  if (aside) words.append(Object.assign(document.createElement("small"), { textContent: aside }));
  button.append(Object.assign(document.createElement("b"), { textContent: number }), words);
  button.dataset.number = number;
  if (answer.refusal) {
    button.ariaDisabled = "true";
    button.addEventListener("click", () => say({ text: answer.refusal, bad: true }));
  } else {
    button.addEventListener("click", () => {
      menu.hidePopover();
      card.firstElementChild.focus({ preventScroll: true });
      move(card, stage);
    });
  }
  return button;
}

board.addEventListener("click", (event) => {
  const button = event.target.closest(".moves");
  if (button) openMenu(button.closest(".card"));
});

let letters = "";
let forgotten = 0;

menu?.addEventListener("keydown", (event) => {
  const entries = [...menu.children];
  const at = entries.indexOf(document.activeElement);
  const steps = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 };
  let next = event.key in steps ? entries.at(steps[event.key] % entries.length) : null;
  if (event.key === "Tab") menu.hidePopover();
  if (/^[0-9a-d]$/.test(event.key)) {
    clearTimeout(forgotten);
    forgotten = setTimeout(() => { letters = ""; }, 900);
    const begins = (number) => entries.find(({ dataset }) => dataset.number.startsWith(number));
    letters = begins(letters + event.key) ? letters + event.key : event.key;
    next = begins(letters);
  }
  if (!next) return;
  event.preventDefault();
  next.focus();
});

board.addEventListener("keydown", (event) => {
  const card = event.target.closest(".card");
  if (!card || event.ctrlKey || event.metaKey || event.altKey) return;
  const ways = { ArrowUp: [beside, -1], ArrowDown: [beside, 1], ArrowLeft: [across, -1], ArrowRight: [across, 1] };
  const [way, step] = ways[event.key] ?? [];
  if (event.key === "m") openMenu(card);
  else if (FORMS[event.key] && mayMove) openForm(FORMS[event.key], card.id.slice(1), "board", card);
  else if (way) way(card, step)?.firstElementChild.focus();
  else return;
  event.preventDefault();
});

function beside(card, step) {
  const cards = cardsIn(card.closest(".lane"));
  return cards[cards.indexOf(card) + step];
}

function across(card, step) {
  const lanes = [...board.querySelectorAll(".lane:not([data-folded])")].filter((lane) => cardsIn(lane).length);
  const lane = lanes[lanes.indexOf(card.closest(".lane")) + step];
  if (!lane) return null;
  const at = cardsIn(card.parentElement).indexOf(card);
  const beside = cardsIn(listOf(lane.dataset.stage, card));
  return beside[at] ?? beside.at(-1) ?? cardsIn(lane)[0];
}
