// One provider: what it is, when it runs, and how its last runs went.

import { get } from "../lib/api.js";
import { h, show, soon } from "../lib/dom.js";
import { moment } from "../lib/format.js";
import { link } from "../lib/route.js";
import { can } from "../lib/session.js";
import { follow } from "../lib/stream.js";
import { runProvider } from "../parts/actions.js";
import { facts, failureNote, heading, progressBar, refreshTimes, time } from "../parts/bits.js";
import { punctuality, verdictBadge } from "../parts/punctuality.js";
import { badge } from "../parts/states.js";
import { sourceOf } from "./providers.js";

const POLL = 15_000;
const RUNS = 10;
const TICKS = 5;

export function mount(root, { segments: [, name], query, live, signal }) {
  document.title = `${name} · Octo`;
  const namespace = query.get("namespace");
  let provider = null;
  const title = heading(name);
  const trouble = h("div");
  const summary = h("div", { class: "summary" });
  const about = h("section", { class: "card" });
  const schedule = h("section", { class: "card" });
  const runs = h("section", { class: "card" });
  const spec = h("section", { class: "card" });
  show(
    root,
    h("nav", { class: "crumbs", "aria-label": "Where this is" }, h("a", { href: link(["providers"], { namespace }) }, "Providers")),
    title,
    trouble,
    summary,
    h("div", { class: "stack" }, h("div", { class: "columns" }, about, schedule), runs, spec),
  );

  const again = soon(load, 400);
  follow("events", { query: { namespace, provider: name }, signal, onEvent: again, onState: (state) => (live(state), again()) });
  const ticking = setInterval(() => (refreshTimes(root), again()), POLL);
  signal.addEventListener("abort", () => (clearInterval(ticking), again.cancel()));
  load();

  async function load() {
    try {
      const path = `providers/${encodeURIComponent(name)}`;
      const [found, ticks, page] = await Promise.all([
        get(path, { namespace }, signal),
        get(`${path}/schedule`, { namespace, count: TICKS }, signal),
        can("jobs:read") ? get("jobs", { namespace, provider: name, limit: RUNS }, signal) : { items: [] },
      ]);
      show(trouble);
      draw(found, ticks, page.items);
    } catch (error) {
      if (error.name !== "AbortError") show(trouble, failureNote(error, load));
    }
  }

  function draw(found, ticks, jobs) {
    const verdict = punctuality(found);
    if (provider === null) {
      show(summary, h("span"), h("span", { class: "faint" }), h("span", { class: "actions" }, can("jobs:create") ? h("button", { type: "button", class: "button primary", onclick: () => runProvider(provider) }, "Run now") : null));
      show(spec, h("h2", {}, "Spec"), h("pre", { class: "code", tabindex: 0, "aria-label": "Spec", dataset: { key: "spec" } }, JSON.stringify(found.spec, null, 2)));
    }
    provider = found;
    show(summary.children[0], verdictBadge(verdict));
    show(summary.children[1], verdict.reason);
    const s3 = found.spec.destination?.s3;
    show(
      about,
      h("h2", {}, "Provider"),
      facts(
        ["Source", sourceOf(found)],
        ["Paths", found.spec.source?.sftp?.paths?.join(", ")],
        ["Destination", s3 && `s3://${s3.bucket}/${s3.prefix ?? ""}`],
        ["Namespace", found.namespace],
        ["Created", moment(found.createdAt)],
        ["Last success", found.lastSuccessAt ? [time(found.lastSuccessAt), ", ", moment(found.lastSuccessAt)] : "never"],
        ...found.conditions.map((each) => [each.type, [each.status === "True" ? "yes" : `no: ${each.reason}`, each.message ? `. ${each.message}` : ""]]),
      ),
    );
    const planned = ticks.schedule;
    const status = ticks.status;
    show(
      schedule,
      h("h2", {}, "Schedule"),
      planned
        ? facts(
            ["Cron", h("code", {}, planned.cron)],
            ["Time zone", planned.timeZone],
            ["While one runs", planned.concurrencyPolicy],
            ["Last tick", status?.lastScheduleTime && moment(status.lastScheduleTime)],
            ["Last skipped", status?.lastSkipped && `${moment(status.lastSkipped.scheduledTime)}: ${status.lastSkipped.reason}`],
            ["Next", planned.suspend ? "suspended" : h("ol", { class: "plain" }, ticks.nextTimes.map((each) => h("li", {}, moment(each), h("span", { class: "faint" }, " (", time(each), ")"))))],
          )
        : h("p", { class: "faint" }, "It runs only when asked."),
    );
    const focused = document.activeElement?.dataset?.key;
    show(
      runs,
      h("div", { class: "card-head" }, h("h2", {}, "Last runs"), h("a", { href: link(["jobs"], { provider: name, namespace }), dataset: { key: "all" } }, "All of them")),
      jobs.length
        ? h(
            "div",
            { class: "table-box" },
            h(
              "table",
              {},
              h("thead", {}, h("tr", {}, ["State", "Run", "Files", "Created", "Why"].map((each) => h("th", { scope: "col" }, each)))),
              h(
                "tbody",
                {},
                jobs.map((job) =>
                  h(
                    "tr",
                    {},
                    h("td", { dataset: { title: "State" } }, badge(job.state)),
                    h("td", { dataset: { title: "Run" } }, h("a", { class: "name", href: link(["jobs", job.id]), dataset: { key: job.id } }, job.name)),
                    h("td", { dataset: { title: "Files" } }, progressBar(job.progress)),
                    h("td", { dataset: { title: "Created" } }, time(job.createdAt)),
                    h("td", { dataset: { title: "Why" } }, job.failure ? [h("span", { class: "category" }, job.failure.category), " ", job.failure.reason] : ""),
                  ),
                ),
              ),
            ),
          )
        : h("p", { class: "faint" }, "It has not run yet."),
    );
    if (focused) [...runs.querySelectorAll("[data-key]")].find((each) => each.dataset.key === focused)?.focus();
  }

  return { rows: () => [...runs.querySelectorAll("a.name")] };
}
