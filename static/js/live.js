// Asks every four seconds what others have changed, while somebody looks, and tells the page's own script by a
// `changes` event: {accounts: [{id, stage, version}], all}. What the page does with it is the page's business. A page
// whose data-since is empty, as one of the past, is not kept true.

const EVERY = 4000;
let since = document.querySelector("[data-since]")?.dataset.since ?? "";
let asking = false;

async function ask() {
  if (!since || asking || document.hidden || !navigator.onLine) return;
  asking = true;
  try {
    const answer = await fetch(`/changes/?since=${since}`, { headers: { "HX-Request": "true" } });
    if (answer.status === 401) document.dispatchEvent(new CustomEvent("signed-out"));
    if (answer.status === 401) clearInterval(clock);
    if (answer.status !== 200) return;
    const told = await answer.json();
    since = told.since;
    document.dispatchEvent(new CustomEvent("changes", { detail: told }));
  } catch {
    // No line: the next one is due in four seconds, and whoever acts meanwhile is told by their own request.
  } finally {
    asking = false;
  }
}

const clock = setInterval(ask, EVERY);
document.addEventListener("visibilitychange", ask);
addEventListener("online", ask);
