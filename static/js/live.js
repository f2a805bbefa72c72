// Asks every four seconds what others have changed, while somebody looks, and tells the page's own script by a
// `changes` event: {accounts: [{id, stage, version}], all}. What the page does with it is the page's business. A page
// whose data-since is empty, as one of the past, is not kept true. A login that ran out is told by `signed-out`, and that
// somebody signed in again, in another tab, by `signed-in`.

const EVERY = 4000;
let since = document.querySelector("[data-since]")?.dataset.since ?? "";
let asking = false;
let out = false;

async function ask() {
  if (!since || asking || document.hidden || !navigator.onLine) return;
  asking = true;
  try {
    const answer = await fetch(`/changes/?since=${since}`, { headers: { "HX-Request": "true" } });
    const is = answer.status === 401;
    if (is !== out && (is || answer.ok)) {
      out = is;
      document.dispatchEvent(new CustomEvent(out ? "signed-out" : "signed-in"));
    }
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

// Changes of our own, each counted as it is asked for and as it ends: what was drawn meanwhile may not know of it.
let deeds = 0;
for (const moment of ["htmx:before:request", "htmx:finally:request"]) {
  document.addEventListener(moment, ({ detail: { ctx } }) => {
    if (ctx.request.method === "POST") deeds += 1;
  });
}

/** Have parts of the page drawn as they are now; asked for anew where a change of our own has overtaken the answer. */
export async function drawAnew(path) {
  const before = deeds;
  const unlessOvertaken = async (...asked) => {
    const answer = await fetch(...asked);
    const text = await answer.text();
    return new Response(deeds === before && text ? text : null, deeds === before ? answer : { status: 204 });
  };
  await htmx.ajax("GET", path, { source: document.body, swap: "none", fetch: unlessOvertaken });
  if (deeds !== before) await drawAnew(path);
}

document.addEventListener("signed-out", () => { out = true; });

// A page that says of when it is wants to be told.
if (since) {
  setInterval(ask, EVERY);
  document.addEventListener("visibilitychange", ask);
  addEventListener("online", ask);
}
