// A page left open while its person signed in again in another tab holds the token of the login before. The refusal tells
// the one of today, and what was asked is asked again; not where somebody else has signed in.

const HEADERS = "hx-headers:inherited";
const NAME = "X-CSRFToken";
const FIELD = "csrfmiddlewaretoken";

/** The token that this page's forms are sent with. */
export const token = () => JSON.parse(document.body.getAttribute(HEADERS))[NAME];

/** Take the token that an answer tells, for this request and all to come; gives whether there was one for us. */
function renewed(answer, request) {
  const told = answer.headers.get(NAME);
  if (answer.status !== 403 || !told || answer.headers.get("X-Signed-In") !== document.body.dataset.user) return false;
  document.body.setAttribute(HEADERS, JSON.stringify({ [NAME]: told }));
  for (const field of document.querySelectorAll(`input[name=${FIELD}]`)) field.value = told;
  request.headers = { ...request.headers, [NAME]: told };
  if (request.body?.has?.(FIELD)) request.body.set(FIELD, told);
  return true;
}

/** Ask by `ask` as fetch does, and once more with the token of today where ours is older. */
export async function askAs(ask, address, request) {
  const answer = await ask(address, request);
  return renewed(answer, request) ? ask(address, request) : answer;
}

document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
  const ask = ctx.fetch;
  ctx.fetch = (address, request) => askAs(ask, address, request);
});
