// What a run went through: its attempts drawn over time, and its events in words.

import { h, svg } from "../lib/dom.js";
import { duration, moment, secondsBetween } from "../lib/format.js";
import { badge, toneOf } from "./states.js";

const WIDTH = 720;
const LINE = 26;
const LEFT = 78;
const RIGHT = 90;

/** Attempts as bars, events as a list. */
export function timeline(job, events) {
  return [attempts(job), eventList(events)];
}

function attempts(job) {
  const items = job.attempts.filter((each) => each.startTime);
  if (!items.length) return null;
  const start = new Date(job.createdAt).getTime();
  const end = Math.max(job.finishedAt ? new Date(job.finishedAt).getTime() : Date.now(), start + 1000);
  const x = (text) => LEFT + ((WIDTH - LEFT - RIGHT) * (new Date(text).getTime() - start)) / (end - start);
  const height = LINE * items.length + 22;
  const bars = items.map((each, place) => {
    const y = place * LINE + 6;
    const from = x(each.startTime);
    const last = each === items.at(-1);
    const to = each.completionTime ? x(each.completionTime) : last ? x(job.finishedAt ?? new Date()) : from;
    const tone = each.completionTime || (last && job.finishedAt) ? (each.category ? "bad" : last ? toneOf(job.state) : "bad") : "go";
    const took = secondsBetween(each.startTime, each.completionTime ?? (last ? job.finishedAt : each.startTime));
    const label = `Attempt ${each.number}${each.category ? `: ${each.category}, ${each.reason}` : ""}`;
    return svg(
      "g",
      {},
      svg("title", {}, `${label}, from ${moment(each.startTime)}, ${duration(took)}`),
      svg("text", { x: 0, y: y + 12, class: "axis" }, `Attempt ${each.number}`),
      svg("rect", { x: from, y, width: Math.max(3, to - from), height: 16, rx: 3, class: `shape-${tone}` }),
      svg("text", { x: Math.max(3, to - from) + from + 6, y: y + 12, class: "axis" }, duration(took)),
    );
  });
  const base = items.length * LINE + 4;
  return h(
    "div",
    { class: "scroll-x", tabindex: 0, role: "region", "aria-label": "Attempts over time", dataset: { key: "attempts" } },
    svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${height}`, class: "chart attempts", role: "img", "aria-label": `${items.length} attempts between ${moment(job.createdAt)} and ${moment(new Date(end))}` },
      svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: base, y2: base, class: "grid" }),
      svg("text", { x: LEFT, y: base + 14, class: "axis" }, "made"),
      svg("text", { x: WIDTH - RIGHT, y: base + 14, class: "axis end" }, `${job.finishedAt ? "" : "now, "}${duration((end - start) / 1000)} later`),
      bars,
    ),
  );
}

function eventList(events) {
  if (!events.length) return h("p", { class: "faint" }, "No events yet.");
  return h(
    "ol",
    { class: "events" },
    events.map((event, place) => {
      const since = place ? secondsBetween(events[place - 1].timestamp, event.timestamp) : null;
      return h(
        "li",
        {},
        h("time", { datetime: event.timestamp, class: "number" }, moment(event.timestamp)),
        h("span", { class: "faint number" }, since === null ? "" : `+${duration(since)}`),
        event.type === "job.created" ? h("span", { class: "badge" }, "Created") : event.type === "job.deleted" ? h("span", { class: "badge" }, "Gone from the cluster") : badge(event.data.state),
        h(
          "span",
          {},
          event.data.failure ? `${event.data.failure.category}: ${event.data.failure.message || event.data.failure.reason}` : (event.type !== "job.created" && event.data.reason) || "",
          event.data.attempt > 1 ? h("span", { class: "faint" }, ` attempt ${event.data.attempt}`) : "",
        ),
      );
    }),
  );
}
