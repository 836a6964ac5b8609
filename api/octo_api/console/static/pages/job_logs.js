// The log of a run: what there is, and what comes.

import { request, refuse } from "../lib/api.js";
import { h, show } from "../lib/dom.js";
import { copyButton, failureNote, field, select } from "../parts/bits.js";

const TAIL = 2000;
const KEPT = 400_000;
const SOURCES = { pod: "from its pod", archive: "from the archive", none: "there is none yet" };

export function make(id, job, signal) {
  const wish = { attempt: "", follow: true, timestamps: false };
  let reading = new AbortController();
  let text = "";
  const pre = h("pre", { class: "log", tabindex: 0, role: "region", "aria-label": "Log" });
  const state = h("span", { class: "faint", role: "status" });
  const trouble = h("div");
  const attempts = h("span");
  const check = (name, words) =>
    h("label", { class: "check" }, h("input", { type: "checkbox", name, checked: wish[name], onchange: (event) => ((wish[name] = event.target.checked), read()) }), words);
  const copy = h("span");
  const element = h(
    "div",
    { class: "stack" },
    h("div", { class: "filters" }, attempts, check("follow", "Follow"), check("timestamps", "Times"), state, copy),
    trouble,
    pre,
  );
  drawAttempts();
  read();
  signal.addEventListener("abort", () => reading.abort());

  function drawAttempts() {
    const numbers = (job()?.attempts ?? []).map((each) => String(each.number));
    if (attempts.dataset.of === numbers.join()) return;
    attempts.dataset.of = numbers.join();
    show(
      attempts,
      field("Attempt", select("attempt", [["", "Latest"], ...numbers.toReversed()], wish.attempt, (event) => ((wish.attempt = event.target.value), read()))),
    );
  }

  async function read() {
    reading.abort();
    reading = new AbortController();
    const own = reading.signal;
    text = "";
    show(trouble);
    show(state, "reading …");
    let quiet = true;
    try {
      const answer = await request("GET", `jobs/${encodeURIComponent(id)}/logs`, {
        query: { attempt: wish.attempt, follow: wish.follow ? "true" : "", timestamps: wish.timestamps ? "true" : "", tailLines: TAIL },
        headers: { Accept: "text/plain" },
        signal: own,
      });
      if (!answer.ok) await refuse(answer);
      const source = answer.headers.get("Octo-Log-Source");
      const complete = answer.headers.get("Octo-Log-Complete") === "true";
      show(state, `${SOURCES[source] ?? source}${complete ? "" : wish.follow ? ", live" : ", not all of it"}`);
      pre.replaceChildren();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (own.aborted) return;
        if (done) break;
        quiet = false;
        append(value);
      }
      show(state, `${SOURCES[source] ?? source}${source === "none" ? "" : ", to its end"}`);
      if (quiet) show(pre, h("span", { class: "faint" }, source === "none" ? "No log yet." : "The log is empty."));
      show(copy, text ? copyButton(text, "the log") : null);
    } catch (error) {
      if (own.aborted) return;
      show(state);
      show(trouble, failureNote(error, read));
    }
  }

  function append(piece) {
    const atEnd = pre.scrollTop + pre.clientHeight >= pre.scrollHeight - 24;
    text += piece;
    if (text.length > KEPT) {
      // A browser that draws a million lines is of no use to anybody; the whole is in the API.
      text = text.slice(text.indexOf("\n", text.length - KEPT / 2) + 1);
      pre.textContent = text;
    } else {
      pre.append(piece);
    }
    if (atEnd) pre.scrollTop = pre.scrollHeight;
  }

  return { element, changed: drawAttempts };
}
