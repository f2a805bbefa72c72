// Lets cards be carried: by a mouse that has moved a little, by a finger that has rested. Where a card may go, and what
// comes of it, is the page's business.

const MOVED = 4;
const SLIPPED = 8;
const RESTED = 250;
const EDGE = 64;
const STEP = 12;

/** A copy of a card in a place of the screen, above everything and out of the way. */
export function copyOf(card, { left, top, width, height }, as) {
  const copy = card.cloneNode(true);
  copy.removeAttribute("id");
  copy.ariaHidden = "true";
  copy.inert = true;
  copy.classList.add(as);
  Object.assign(copy.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
  document.body.append(copy);
  return copy;
}

/** Whether a hand may be so near an edge, the heads of the lanes included, that something has to scroll. */
const nearEdge = ({ at: { x, y }, edges: { left, right, top, bottom } }) =>
  x < left + EDGE || x > right - EDGE || y < top + 2 * EDGE || y > bottom - EDGE;

/** How far to scroll for a hand at a place between two edges. */
const pull = (at, from, to) => (at < from + EDGE ? -STEP : at > to - EDGE ? STEP : 0);

/** No click ends a carrying, nor opens the card that was carried. */
function swallow(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}

/**
 * Let the cards of a board be carried. `took` is told the card and its box, `over` the point the hand is at and where the
 * card hangs, `dropped` whether it was called off.
 */
export function carrying(board, { took, over, dropped }) {
  // The card that is pressed, and where; with `copy` it is in hand.
  let press = null;
  let scrolling = 0;

  function take() {
    const { card, pointer, x, y } = press;
    // Its lane was drawn anew while it was pressed.
    if (!card.isConnected) return letGo();
    const { left, top, width, height } = card.getBoundingClientRect();
    press.grip = { x: x - left, y: y - top };
    press.edges = board.getBoundingClientRect();
    press.copy = copyOf(card, { left, top, width, height }, "in-hand");
    card.classList.add("taken");
    // The hand stays closed over whatever it passes, and what it passes does not light up.
    card.setPointerCapture(pointer);
    addEventListener("click", swallow, true);
    took(card, { left, top, width, height });
  }

  function carry(x, y) {
    const { copy, grip } = press;
    press.at = { x, y };
    // First asked what is there, then drawn: the other way round all would be laid out in between.
    over({ x, y }, { left: x - grip.x, top: y - grip.y });
    copy.style.transform = `translate(${x - press.x}px, ${y - press.y}px)`;
    if (nearEdge(press)) scrolling ||= requestAnimationFrame(scroll);
  }

  /** Near an edge the board and the lane scroll on under the hand. */
  function scroll() {
    scrolling = 0;
    if (!press?.at) return;
    const { x, y } = press.at;
    const list = document.elementFromPoint(x, y)?.closest(".lane")?.querySelector(".cards");
    let went = false;
    for (const box of [board, list ?? board]) {
      const { left, right, top, bottom } = box.getBoundingClientRect();
      const { scrollLeft, scrollTop } = box;
      box.scrollBy({ left: pull(x, left, right), top: pull(y, top, bottom), behavior: "instant" });
      went ||= box.scrollLeft !== scrollLeft || box.scrollTop !== scrollTop;
    }
    if (went) carry(x, y);
  }

  function letGo(calledOff) {
    if (!press) return;
    const { card, copy, resting } = press;
    clearTimeout(resting);
    press = null;
    if (!copy) return;
    dropped(calledOff);
    copy.remove();
    card.classList.remove("taken");
  }

  board.addEventListener("pointerdown", ({ target, button, isPrimary, pointerId, pointerType, clientX, clientY }) => {
    const card = target.closest(".card:not([aria-busy])");
    if (press || !card || button || !isPrimary || target.closest(".moves")) return;
    press = { card, pointer: pointerId, x: clientX, y: clientY, touch: pointerType === "touch" };
    if (press.touch) press.resting = setTimeout(take, RESTED);
  });

  document.addEventListener("pointermove", ({ pointerId, clientX, clientY }) => {
    if (press?.pointer !== pointerId) return;
    const moved = Math.hypot(clientX - press.x, clientY - press.y);
    // A finger that does not rest scrolls.
    if (!press.copy && moved > (press.touch ? SLIPPED : MOVED)) (press.touch ? letGo : take)();
    if (press?.copy) carry(clientX, clientY);
  }, { passive: true });

  for (const kind of ["pointerup", "pointercancel"]) {
    document.addEventListener(kind, () => {
      letGo(kind === "pointercancel");
      setTimeout(() => removeEventListener("click", swallow, true));
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !press?.copy) return;
    letGo(true);
    event.preventDefault();
  }, true);

  // A finger that carries does not scroll, and a link is not carried away as such.
  board.addEventListener("touchmove", (event) => { if (press?.copy) event.preventDefault(); }, { passive: false });
  for (const kind of ["contextmenu", "dragstart"]) {
    board.addEventListener(kind, (event) => { if (press) event.preventDefault(); });
  }
}
