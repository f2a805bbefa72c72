/** How many cards each lane of the board shows, or each row of it, for the server to draw as many; folded ones are left out. */
export const shown = () => [...document.querySelectorAll("#board .lane:not([data-folded]) .cards")]
  .map((list) => [list.closest(".lane").dataset.stage, list.dataset.row, list.querySelectorAll(".card").length || 1])
  .map(([stage, row, cards]) => `${row ? `${stage}/${row}` : stage}:${cards}`)
  .join();
