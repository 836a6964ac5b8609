// How states look: a word, a colour and a shape, so that none of them is needed alone.

import { h, svg } from "../lib/dom.js";

export const STATES = [
  "Pending", "Queued", "Suspended", "Starting", "Running", "Retrying", "Cancelling", "Succeeded", "Failed", "Cancelled",
];
export const CATEGORIES = [
  "Infra", "RemoteUnavailable", "SinkUnavailable", "Auth", "HostKey", "Decrypt", "Integrity", "UnpackLimit", "Config",
  "Timeout", "Cancelled", "Unknown",
];

const TONES = {
  Pending: "wait", Queued: "wait", Suspended: "wait", Starting: "go", Running: "go", Retrying: "warn",
  Cancelling: "warn", Succeeded: "good", Failed: "bad", Cancelled: "quiet",
};
const SHAPES = {
  wait: "M8 4v4l2.500 2",
  go: "M6.500 5v6l4.500-3z",
  warn: "M8 4.500v4M8 11v.2",
  good: "M5 8.200l2.200 2.200L11.200 6",
  bad: "M5.500 5.500l5 5M10.500 5.500l-5 5",
  quiet: "M5 8h6",
};

/** Whether a run in this state has ended for good. */
export const isOver = (state) => state === "Succeeded" || state === "Failed" || state === "Cancelled";

export const toneOf = (state) => TONES[state] ?? "wait";

/** Shape and word of a state. */
export function badge(state) {
  const tone = toneOf(state);
  return h("span", { class: `badge tone-${tone}` }, icon(tone), state);
}

/** A sign in one of the tones. */
export function icon(tone) {
  return svg(
    "svg",
    { viewBox: "0 0 16 16", class: "sign", "aria-hidden": "true" },
    svg("circle", { cx: 8, cy: 8, r: 7 }),
    svg("path", { d: SHAPES[tone] }),
  );
}
