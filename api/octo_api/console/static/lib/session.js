// Who is signed in. What is kept, for this tab alone, is a short-lived token; the API key that it came from never is.

import { base } from "./base.js";

const KEPT = "octo.session";
const RENEW_AT = 0.5;

let session = read();
let renewing = null;
let timer = null;
const listeners = new Set();

/** The session, or null. */
export const current = () => session;

/** Call `listener` whenever somebody signs in or out. */
export function onChange(listener) {
  listeners.add(listener);
}

/** Whether the session may do what a scope stands for. */
export const can = (scope) => session !== null && (session.scopes.includes("*") || session.scopes.includes(scope));

/** Exchange an API key for a session. Throws an Error whose message is for the reader. */
export async function signInWithKey(key) {
  const answer = await ask("POST", "auth/login", { "X-API-Key": key });
  if (answer.status === 401) throw new Error("This key is unknown, expired or revoked.");
  if (answer.status === 429) throw new Error("Too many failed attempts from your address. Wait a minute.");
  if (!answer.ok) throw new Error(`The server answers ${answer.status}. Try again.`);
  await start(await answer.json(), "key");
}

/** Begin a session with the id token of an issuer. */
export async function signInWithToken(token, expiresAt) {
  await start({ accessToken: token, expiresAt }, "oidc");
}

/** End the session. `why` is shown on the page for signing in. */
export function signOut(why = "") {
  keep(null);
  tell(why);
}

/** The Authorization header, with a token that will last for the request; null without a session. */
export async function authorization() {
  if (session === null) return null;
  if (remaining() < 30_000 && session.kind === "key") await renew();
  return session === null ? null : `Bearer ${session.token}`;
}

async function start(token, kind) {
  const answer = await ask("GET", "auth/verify", { Authorization: `Bearer ${token.accessToken}` });
  if (!answer.ok) throw new Error("The server does not take this sign-in.");
  const who = await answer.json();
  keep({
    token: token.accessToken,
    expiresAt: token.expiresAt,
    startedAt: Date.now(),
    kind,
    subject: who.subject,
    scopes: who.scopes,
    namespaces: who.namespaces,
  });
  tell("");
}

/** A new token for the one there is; many callers at once share one request. */
function renew() {
  renewing ??= (async () => {
    try {
      const answer = await ask("POST", "auth/renew", { Authorization: `Bearer ${session.token}` });
      if (session === null) return;
      if (answer.ok) {
        const token = await answer.json();
        keep({ ...session, token: token.accessToken, expiresAt: token.expiresAt, startedAt: Date.now() });
      } else if (answer.status === 401) {
        signOut("Your session is over.");
      }
    } catch {
      // The network is away; the old token holds for a while, and the next request tries again.
    } finally {
      renewing = null;
    }
  })();
  return renewing;
}

const ask = (method, path, headers) => fetch(base(path), { method, headers, cache: "no-store", credentials: "omit" });

const remaining = () => new Date(session.expiresAt).getTime() - Date.now();

function keep(next) {
  session = next;
  try {
    if (next === null) sessionStorage.removeItem(KEPT);
    else sessionStorage.setItem(KEPT, JSON.stringify(next));
  } catch {
    // Without storage the session lasts as long as the page.
  }
  schedule();
}

function schedule() {
  clearTimeout(timer);
  if (session === null) return;
  const life = new Date(session.expiresAt).getTime() - session.startedAt;
  const renews = session.kind === "key";
  // A token that has been renewed as often as the session allows is not worth a storm of requests at its end.
  const wait = Math.max(renews ? session.startedAt + life * RENEW_AT - Date.now() : remaining(), renews ? 5000 : 0);
  timer = setTimeout(() => {
    if (!renews) signOut("Your sign-in has expired.");
    else renew().then(schedule);
  }, Math.min(wait, 2 ** 31 - 1));
}

function tell(why) {
  for (const listener of listeners) listener(why);
}

function read() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
    return kept !== null && new Date(kept.expiresAt).getTime() > Date.now() ? kept : null;
  } catch {
    return null;
  }
}

schedule();
