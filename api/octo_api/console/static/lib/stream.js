// Follows a stream of events, and resumes it where it was. An EventSource cannot send a credential, so this reads by fetch.

import { request } from "./api.js";
import { signOut } from "./session.js";

const SILENCE = 45_000;
const LONGEST_WAIT = 15_000;

/** Events in the bytes of a stream; a piece may end anywhere. Returns the rest that is no whole line yet. */
export function parseLines(text, state, emit) {
  const lines = text.split("\n");
  const rest = lines.pop();
  for (const line of lines) {
    if (line === "") {
      if (state.id !== null) state.lastId = state.id;
      if (state.data !== "") emit({ type: state.event, data: JSON.parse(state.data) });
      Object.assign(state, { id: null, event: "message", data: "" });
    } else if (line.startsWith("id: ")) state.id = line.slice(4);
    else if (line.startsWith("event: ")) state.event = line.slice(7);
    else if (line.startsWith("data: ")) state.data += line.slice(6);
    else if (line.startsWith("retry: ")) state.retry = Number(line.slice(7));
  }
  return rest;
}

/**
 * Follow `path` until `signal` says stop.
 *
 * `onState` hears "live" when the stream is open, "waiting" when it is not (look for yourself meanwhile), and "ended"
 * when it has nothing more to say.
 */
export async function follow(path, { query, signal, onEvent, onState }) {
  const state = { lastId: null, id: null, event: "message", data: "", retry: 2000 };
  let failures = 0;
  while (!signal.aborted) {
    const attempt = new AbortController();
    const stop = () => attempt.abort();
    signal.addEventListener("abort", stop);
    let silence = setTimeout(stop, SILENCE);
    try {
      const headers = { Accept: "text/event-stream" };
      if (state.lastId !== null) headers["Last-Event-ID"] = state.lastId;
      const answer = await request("GET", path, { query, headers, signal: attempt.signal });
      if (answer.status === 204) {
        onState("ended");
        return;
      }
      if (answer.status === 401) signOut("Your session is over. Sign in again.");
      // Nobody kept what was missed: begin with now, and look at everything once.
      if (answer.status === 410) state.lastId = null;
      if (answer.status === 403 || answer.status === 404) {
        onState("waiting");
        return;
      }
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      failures = 0;
      onState("live");
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        clearTimeout(silence);
        silence = setTimeout(stop, SILENCE);
        rest = parseLines(rest + value, state, onEvent);
      }
    } catch {
      failures += 1;
      if (!signal.aborted) onState("waiting");
    } finally {
      clearTimeout(silence);
      signal.removeEventListener("abort", stop);
    }
    Object.assign(state, { id: null, event: "message", data: "" });
    if (!signal.aborted) await pause(failures ? Math.min(state.retry * 2 ** (failures - 1), LONGEST_WAIT) : state.retry, signal);
  }
}

const pause = (milliseconds, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
