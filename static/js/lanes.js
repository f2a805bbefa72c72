// The lanes and cards of the board as they stand, and where a card may go.

export const board = document.getElementById("board");

export const laneOf = (stage) => document.getElementById(`lane-${stage}`);
export const rowOf = (card) => card.closest(".cards")?.dataset.row ?? card.dataset.row;
/** The list of a stage that takes this card: the one of its row, where the board has rows and the lane is not folded. */
export const listOf = (stage, card) =>
  [...laneOf(stage).querySelectorAll(".cards[data-row]")].find((list) => list.dataset.row === rowOf(card))
  ?? laneOf(stage).querySelector(".cards");
export const stageOf = (card) => card.closest(".lane").dataset.stage;
export const nameOf = (card) => card.firstElementChild.textContent;
/** What a card says of itself; of its two days those that it has. */
export function factsOf(card) {
  const [version, standing, renews, engaged] = card.dataset.is.split(" ");
  return { version: Number(version), standing, renews, engaged };
}
export const folded = (lane) => "folded" in lane.dataset;
export const cardsIn = (within) => [...within.querySelectorAll(".card")];

// Where a card may go. What is not known yet, or not any more, the server decides.

let rules = {};
export const mayMove = "rules" in board.dataset;
export const known = mayMove
  && fetch(board.dataset.rules).then((answer) => answer.json()).then((read) => { rules = read; }).catch(() => {});

/** What each other stage answers this card: {label, needs} or {refusal}, by stage, the likeliest first. */
export function answersFor(card) {
  const { standing, engaged } = factsOf(card);
  const answers = Object.entries(rules[standing] ?? {});
  return new Map(answers.map(([stage, answer]) => [
    stage,
    answer.refusal ? { refusal: answer.refusal.replace("{engaged_on}", engaged ?? "") } : answer,
  ]));
}

// Cards by renewal, those without one last, then by id: the order of the server.

const rank = (card) => [factsOf(card).renews || "9999-99-99", Number(card.id.slice(1))];

function before(one, other) {
  const [day, number] = rank(one);
  const [otherDay, otherNumber] = rank(other);
  return day === otherDay ? number < otherNumber : day < otherDay;
}

/** What the card stands before in a list: the next card, the link to more, or nothing. */
export function placeOf(card, list) {
  return cardsIn(list).find((other) => other !== card && before(card, other)) ?? list.querySelector(".more");
}
