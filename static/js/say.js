/** Show a toast, {text, bad, undo, link}, whichever script has something to say. */
export const say = (detail) => document.dispatchEvent(new CustomEvent("toast", { detail }));
