// The board. Drag, keyboard and menu post the same form, one after the other, and the lanes a move touched come back
// drawn from the database. A card under way waits where it was dropped; if no answer comes, it goes back.

import { addMenus, movedBy } from "./cardmenu.js";
import { carrying, copyOf } from "./carry.js";
import { answersFor, board, cardsIn, factsOf, folded, laneOf, listOf, mayMove, nameOf, placeOf, rowOf, stageOf } from "./lanes.js";
import { say } from "./say.js";
import { shown } from "./shown.js";

const calm = matchMedia("(prefers-reduced-motion: reduce)");

function put(card, stage) {
  // Kept on the card as well, for a card that a redrawn lane has dropped stands in no row.
  if ("rows" in board.dataset) card.dataset.row = rowOf(card);
  const list = listOf(stage, card);
  const next = placeOf(card, list);
  // moveBefore keeps the focus; a card that a redrawn lane has dropped cannot be moved, only put in.
  if (card.isConnected && list.moveBefore) list.moveBefore(card, next);
  else list.insertBefore(card, next);
}

// One request at a time, so that each answer is drawn after the one before it and none is ever older than the screen.

let turn = Promise.resolve();
const inTurn = (work) => (turn = turn.then(work).catch((error) => console.error(error)));

/** Cards under way, by id: {card, to}. */
const underWay = new Map();

/** Ask the server and let the answer be drawn; `arrived` runs just before. Returns {status, drawn}, 0 for no answer. */
async function ask(method, url, options = {}, arrived = () => {}) {
  const outcome = { status: 0, drawn: false };
  const swapping = ({ detail: { ctx, tasks } }) => {
    if (ctx.sourceElement !== board) return;
    outcome.drawn = tasks.some((task) => task.swapSpec.style !== "none");
    if (outcome.drawn) arrived();
  };
  document.addEventListener("htmx:before:swap", swapping);
  try {
    await htmx.ajax(method, url + location.search, {
      source: board,
      swap: "none",
      ...options,
      fetch: async (...asked) => {
        const answer = await fetch(...asked);
        const text = await answer.text();
        await emptyHanded();
        outcome.status = answer.status;
        return new Response(text || null, answer);
      },
    });
  } finally {
    document.removeEventListener("htmx:before:swap", swapping);
  }
  return outcome;
}

/** Post a change of one card, which waits in `to` meanwhile. */
function send(card, url, values, to) {
  const from = stageOf(card);
  underWay.set(card.id, { card, to });
  hold();
  inTurn(async () => {
    const sent = { ...values, from: "board", seen: from, shown: shown() };
    const { status, drawn } = await ask("POST", url, { values: sent }, () => underWay.delete(card.id));
    if (status === 200) localStorage.removeItem(draftOf(card, to));
    if (drawn) return;
    underWay.delete(card.id);
    release(card, from);
    if (status !== 401) catchUp(from, to);
  });
}

/** Keep every card under way where it was dropped, whatever was drawn around it. */
function hold() {
  for (const { card, to } of underWay.values()) {
    const drawn = board.querySelector(`#${card.id}`);
    if (drawn && drawn !== card) drawn.remove();
    card.setAttribute("aria-busy", "true");
    put(card, to);
  }
}

function release(card, stage) {
  card.removeAttribute("aria-busy");
  const from = card.isConnected ? card.getBoundingClientRect() : null;
  put(card, stage);
  fly(card, from);
}

// What could not be asked is asked again until it is known: a lost answer may have been a done move.

const unsure = new Set();
let again = 0;

function catchUp(...stages) {
  for (const stage of stages) unsure.add(stage);
  clearTimeout(again);
  if (!navigator.onLine) return;
  inTurn(async () => {
    for (const stage of [...unsure]) {
      const { status } = await draw(stage);
      if (status && status < 500) unsure.delete(stage);
    }
    if (unsure.size) again = setTimeout(catchUp, 4000);
  });
}

// What others changed: the lanes their cards stand in here, and those they stand in by now.
document.addEventListener("changes", ({ detail: { accounts, all } }) => {
  const lanes = [...board.querySelectorAll(".lane")].map((lane) => lane.dataset.stage);
  const touched = new Set();
  for (const { id, stage } of accounts) {
    touched.add(stage);
    const card = board.querySelector(`#a${id}`);
    if (card) touched.add(stageOf(card));
  }
  catchUp(...lanes.filter((stage) => all || touched.has(stage)));
});

addEventListener("online", () => { if (unsure.size) catchUp(); });

const draw = (stage) => ask("GET", `/board/column/${stage}/`, { target: `#lane-${stage}`, swap: "outerMorph" });

board.addEventListener("htmx:error", (event) => {
  if (event.detail.ctx?.sourceElement !== board) return;
  // Said here in the board's words: after a lost answer nobody knows yet that nothing was changed.
  event.stopPropagation();
  if (event.detail.ctx.request.method !== "POST") return;
  const text = navigator.onLine
    ? "No answer from the server. The card is back where it was, until the board can be asked again."
    : "You are offline. The card is back where it was; nothing was changed.";
  say({ text, bad: true });
});

// After anything was drawn: an account has one card, a card under way stays where it was dropped, the focus stays.

let focused = "";
document.addEventListener("focusin", ({ target }) => {
  focused = board.contains(target) ? target.closest(".card")?.id ?? "" : "";
});

function tidy() {
  const seen = new Map();
  for (const card of cardsIn(board)) {
    const other = seen.get(card.id);
    const newer = !other || factsOf(card).version > factsOf(other).version;
    if (other) (newer ? other : card).remove();
    if (newer) seen.set(card.id, card);
  }
  hold();
  // Somebody owns their first account, or it is Monday: lanes with other rows do not stand beside the old ones.
  const strange = board.querySelector(`.lane[data-rows]:not([data-rows="${board.dataset.rows}"])`);
  if (strange && !underWay.size && !hand) location.reload();
  if (focused && document.activeElement === document.body) {
    document.getElementById(focused)?.firstElementChild.focus({ preventScroll: true });
  }
}

// On the document: what a link to more was replaced by is announced there.
document.addEventListener("htmx:after:swap", tidy);

// Folding

const FOLDS = "board.folded";

function folds(change) {
  try {
    const kept = JSON.parse(localStorage.getItem(FOLDS)) ?? {};
    if (change) localStorage.setItem(FOLDS, JSON.stringify({ ...kept, ...change }));
    return kept;
  } catch {
    return {};
  }
}

function fold(lane, away) {
  if (!away) return void inTurn(() => draw(lane.dataset.stage));
  lane.dataset.folded = "";
  lane.querySelector(".fold").setAttribute("aria-expanded", "false");
}

board.addEventListener("click", (event) => {
  const lane = event.target.closest(".fold")?.closest(".lane");
  if (!lane) return;
  folds({ [lane.dataset.stage]: !folded(lane) });
  fold(lane, !folded(lane));
});

for (const [stage, away] of Object.entries(folds())) {
  const lane = laneOf(stage);
  if (lane && folded(lane) !== away) fold(lane, away);
}

// Moving

/** Where the words of a move are kept until they are taken: the list's form of the same move finds them, too. */
const draftOf = (card, stage) => `draft:move-${stage}:${card.id.slice(1)}`;

/** Ask for the words a move needs; null when it was called off. What is typed is kept as it is typed. */
function wordsFor(card, answer, stage) {
  const dialog = document.getElementById("reason");
  const text = dialog.querySelector("textarea");
  const key = draftOf(card, stage);
  const keep = () => localStorage.setItem(key, JSON.stringify({ reason: text.value }));
  const title = laneOf(stage).querySelector("h2").textContent;
  dialog.querySelector("h2").textContent = `${nameOf(card)} to “${title}”`;
  dialog.querySelector("label").textContent = answer.needs[0].toUpperCase() + answer.needs.slice(1);
  text.value = JSON.parse(localStorage.getItem(key) ?? "{}").reason ?? "";
  text.addEventListener("input", keep);
  const begins = dialog.querySelector("[data-begins]");
  begins.dataset.begins = `/accounts/${card.id.slice(1)}/brief/`;
  begins.hidden = stage !== "sales_handoff";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      text.removeEventListener("input", keep);
      resolve(dialog.returnValue === "move" ? text.value : null);
    }, { once: true });
  });
}

/** Move a card to a stage, from where it was dropped if it was; a refused one goes home and the lane says why. */
async function move(card, stage, dropped = null) {
  const answer = answersFor(card).get(stage) ?? {};
  if (answer.refusal) {
    fly(card, dropped);
    return refuse(laneOf(stage), answer.refusal);
  }
  let reason = "";
  if (answer.needs) {
    fly(card, dropped);
    reason = await wordsFor(card, answer, stage);
    dropped = null;
    // A lane may have been drawn anew while the words were typed.
    card = document.getElementById(card.id) ?? card;
    if (reason === null || !card.isConnected) return;
  }
  const start = dropped ?? card.getBoundingClientRect();
  const url = `${new URL(card.firstElementChild.href).pathname}move/`;
  send(card, url, { to: stage, version: factsOf(card).version, reason }, stage);
  fly(card, start);
}

/** Let a lane say for a while why it does not take a card. */
function refuse(lane, why) {
  lane.dataset.drop = "no";
  lane.querySelector(".lane-why").textContent = why;
  lane.dataset.said = "";
  lane.scrollIntoView({ block: "nearest", inline: "nearest" });
  setTimeout(() => {
    delete lane.dataset.said;
    if (!hand) delete lane.dataset.drop;
  }, 4000);
}

/** Show a card coming from a place on the screen to where it stands now. */
function fly(card, from) {
  if (!from || calm.matches) return;
  const to = card.getBoundingClientRect();
  if (!to.width) return;
  const copy = copyOf(card, to, "flying");
  card.classList.add("arriving");
  const way = `translate(${from.left - to.left}px, ${from.top - to.top}px)`;
  copy.animate([{ transform: way }, { transform: "none" }], { duration: 160, easing: "ease-out" }).finished.finally(() => {
    copy.remove();
    card.classList.remove("arriving");
  });
}

// Dragging: where the card may go and where it lands.

let hand = null;
let letGo = () => {};
const emptyHanded = () => hand?.empty;

function pickUp(card, box) {
  const place = document.createElement("li");
  place.className = "place";
  place.ariaHidden = "true";
  place.style.height = `${box.height}px`;
  hand = { card, place, box, lane: null, home: card.closest(".lane"), point: null };
  hand.empty = new Promise((resolve) => { letGo = resolve; });
  board.dataset.carrying = "";
  const answers = answersFor(card);
  for (const lane of board.querySelectorAll(".lane")) {
    const answer = answers.get(lane.dataset.stage) ?? {};
    lane.dataset.drop = lane === hand.home ? "home" : answer.refusal ? "no" : "yes";
    lane.querySelector(".lane-why").textContent = answer.refusal ?? "";
  }
}

const laneUnder = ({ x, y }) => document.elementFromPoint(x, y)?.closest(".lane") ?? null;

function carry(point, box) {
  Object.assign(hand, { point, box });
  const lane = laneUnder(point);
  if (lane === hand.lane) return;
  delete hand.lane?.dataset.over;
  hand.place.remove();
  hand.lane = lane;
  if (!lane || lane === hand.home) return;
  lane.dataset.over = "";
  if (lane.dataset.drop !== "yes" || folded(lane)) return;
  const list = listOf(lane.dataset.stage, hand.card);
  list.insertBefore(hand.place, placeOf(hand.card, list));
  hand.place.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function drop(calledOff) {
  const { card, place, point, box, home } = hand;
  // Asked anew: the lanes may have been scrolled under a hand that kept still.
  const lane = point && laneUnder(point);
  place.remove();
  delete board.dataset.carrying;
  for (const other of board.querySelectorAll(".lane")) {
    delete other.dataset.over;
    delete other.dataset.drop;
  }
  hand = null;
  if (lane && lane !== home && !calledOff) move(card, lane.dataset.stage, box);
  else fly(card, box);
  letGo();
}

// Undo waits its turn like every other change, and its lanes come back the same way.

document.addEventListener("toast", ({ detail }) => {
  const { url, values } = detail.undo ?? {};
  if (!url) return;
  detail.undo = () => {
    const card = board.querySelector(`#a${url.split("/")[2]}`);
    if (card) send(card, url, values, stageOf(card));
    else inTurn(() => ask("POST", url, { values: { ...values, from: "board", shown: shown() } }));
  };
}, { capture: true });

if (mayMove) {
  movedBy(move);
  addMenus(board);
  // Before they are compared with those that stand here: a card that did not change is then left alone.
  document.addEventListener("htmx:before:swap", ({ detail }) => {
    for (const { fragment } of detail.tasks) addMenus(fragment);
  });
  carrying(board, { took: pickUp, over: carry, dropped: drop });
}
