// Requests to the REST API, and its one form of error.

import { base } from "./base.js";
import { authorization, signOut } from "./session.js";

/** What the API says when it refuses (RFC 9457). */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? `The server answers ${status}.`);
    this.status = status;
    this.code = body.code ?? "";
    this.retryable = body.retryable ?? status >= 500;
    this.requestId = body.requestId ?? "";
  }
}

/** Ask, and return the answer, whatever its status. Throws Problem if there is none at all. */
export async function request(method, path, { query, body, headers, signal } = {}) {
  const address = new URL(base(path));
  for (const [name, value] of query instanceof URLSearchParams ? query : Object.entries(query ?? {})) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== null && each !== undefined && each !== "") address.searchParams.append(name, each);
    }
  }
  const credential = await authorization();
  const all = { Accept: "application/json", ...headers };
  if (credential !== null) all.Authorization = credential;
  if (body !== undefined) all["Content-Type"] ??= "application/json";
  // A network that changes ends what is under way. To ask once more harms nobody where it is one wish still.
  let again = method === "GET" || all["Idempotency-Key"] !== undefined;
  for (;;) {
    try {
      return await fetch(address, {
        method,
        headers: all,
        body: body === undefined ? undefined : JSON.stringify(body),
        signal,
        cache: "no-store",
        credentials: "omit",
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      if (!again) {
        throw new Problem(0, { detail: "The server cannot be reached.", code: "unreachable", retryable: true });
      }
      again = false;
    }
  }
}

/** Throw what an answer says went wrong; a session that is over is left. */
export async function refuse(answer) {
  if (answer.status === 401) signOut("Your session is over. Sign in again.");
  const text = await answer.text();
  let body = {};
  try {
    body = JSON.parse(text);
  } catch {
    // A proxy's page: its status has to do.
  }
  throw new Problem(answer.status, body);
}

/** Ask for JSON. Throws Problem for anything but success. */
export async function call(method, path, options) {
  const answer = await request(method, path, options);
  if (!answer.ok) await refuse(answer);
  return answer.status === 204 ? null : answer.json();
}

export const get = (path, query, signal) => call("GET", path, { query, signal });

/** A POST that is safe to send again: the key stands for this one wish. */
export const post = (path, body, { key } = {}) =>
  call("POST", path, { body: body ?? {}, headers: key ? { "Idempotency-Key": key } : {} });

/** A name for one wish. */
export const wish = () => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`;
