// What the browser itself says of how quick a page is, collected from before its first byte.
window.felt = { painted: 0, shift: 0, events: [], drops: [] };

const watch = (type, take, options = {}) =>
  new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({ type, buffered: true, ...options });

watch("largest-contentful-paint", ({ startTime }) => { felt.painted = startTime; });
watch("layout-shift", ({ value, hadRecentInput }) => { if (!hadRecentInput) felt.shift += value; });
watch("event", ({ name, duration, interactionId, processingStart, processingEnd, startTime }) => {
  if (interactionId) felt.events.push({ name, duration, interactionId, startTime, work: processingEnd - processingStart });
}, { durationThreshold: 16 });

// A card that is let go: how long until it is seen where it was dropped, and until what the database says is drawn.
addEventListener("pointerup", (event) => {
  if (!document.querySelector(".in-hand")) return;
  const drop = { frame: 0, answer: 0 };
  felt.drops.push(drop);
  requestAnimationFrame(() => setTimeout(() => { drop.frame = performance.now() - event.timeStamp; }));
  document.addEventListener("htmx:after:swap", () => requestAnimationFrame(() => setTimeout(() => {
    drop.answer ||= performance.now() - event.timeStamp;
  })), { once: true });
}, true);
