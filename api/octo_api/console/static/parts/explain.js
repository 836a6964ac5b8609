// Why a run is as it is, for a person. What can be done about it are the buttons above; here stand the reasons.

import { h } from "../lib/dom.js";
import { count, moment } from "../lib/format.js";
import { time } from "./bits.js";
import { icon, toneOf } from "./states.js";

const CALM = new Set(["Succeeded", "Running"]);

/** A card; nothing if all is well and there is nothing to say. `open` holds the titles of the parts that are unfolded. */
export function explanation(found, job, open) {
  const stalled = found.conditions.some((each) => each.type === "Stalled" && each.status === "True");
  const troubled = found.events.filter((event) => event.type !== "Normal");
  if (CALM.has(found.state) && !stalled && !troubled.length) return [];
  const log = job.attempts.at(-1)?.logTail;
  return h(
    "section",
    { class: `card why tone-${toneOf(found.state)}`, "aria-label": "Why" },
    h("h2", { class: "unseen" }, "Why"),
    h("div", { class: "why-head" }, icon(toneOf(found.state)), h("p", { class: "why-text" }, found.summary)),
    h("p", { class: "faint" }, "Since ", moment(found.since), " (", time(found.since), ")", found.nextAttemptAt ? [", next attempt ", time(found.nextAttemptAt, { past: false })] : ""),
    found.actions.length ? h("ul", { class: "advice" }, found.actions.map((text) => h("li", {}, text))) : null,
    log ? [h("h3", {}, "Last lines of its log"), h("pre", { class: "code", tabindex: 0, "aria-label": "Last lines of its log", dataset: { key: "tail" } }, log)] : null,
    found.cluster === "Unavailable" ? h("p", { class: "faint" }, "The cluster does not answer; this is from the last that was seen.") : null,
    found.pods.length
      ? details(
          open,
          "Pods",
          ["Pod", "Attempt", "Phase", "Node", "Why"],
          found.pods.map((pod) => [pod.name, pod.attempt ?? "", pod.phase, pod.node ?? "", [pod.reason, pod.message].filter(Boolean).join(": ")]),
        )
      : null,
    found.events.length
      ? details(
          open,
          "What the cluster noted",
          ["When", "About", "Reason", "Message", "Times"],
          found.events.map((event) => [time(event.lastSeenAt), event.about, event.reason, event.message, count(event.count)]),
        )
      : null,
  );
}

function details(open, title, heads, rows) {
  return h(
    "details",
    { open: open.has(title), dataset: { of: title } },
    h("summary", { dataset: { key: `summary ${title}` } }, `${title} (${rows.length})`),
    h(
      "div",
      { class: "table-box", tabindex: 0, role: "region", "aria-label": title, dataset: { key: `table ${title}` } },
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell) => h("td", { class: "wrap" }, cell))))),
      ),
    ),
  );
}
