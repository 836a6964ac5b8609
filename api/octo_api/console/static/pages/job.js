// One run: what happened, why, and what can be done about it.

import { get, request, refuse } from "../lib/api.js";
import { announce, h, show, soon } from "../lib/dom.js";
import { bytes, count, duration, moment, secondsBetween } from "../lib/format.js";
import { link } from "../lib/route.js";
import { can } from "../lib/session.js";
import { follow } from "../lib/stream.js";
import { jobActions } from "../parts/actions.js";
import { copyButton, facts, failureNote, heading, progressBar, refreshTimes, shortValue, time } from "../parts/bits.js";
import { explanation } from "../parts/explain.js";
import { badge, isOver } from "../parts/states.js";
import { tabs } from "../parts/tabs.js";
import { timeline } from "../parts/timeline.js";
import * as files from "./job_files.js";
import * as logs from "./job_logs.js";

const POLL = 3000;

export function mount(root, { segments: [, id], query, live, signal }) {
  document.title = "Run · Octo";
  let job = null;
  let etag = null;
  let events = [];
  const title = heading("Run");
  const trouble = h("div");
  const summary = h("div", { class: "summary" });
  const explained = h("div");
  const progressCard = h("section", { class: "card" });
  const runCard = h("section", { class: "card" });
  const timelineCard = h("section", { class: "card" });
  // These stay where they are, so that what is open or has the focus in them goes on so.
  const overview = h("div", { class: "stack" }, explained, h("div", { class: "columns" }, progressCard, runCard), timelineCard);
  const asWritten = h("div", { class: "stack" });
  show(root, h("nav", { class: "crumbs", "aria-label": "Where this is" }, h("a", { href: link(["jobs"]) }, "Jobs")), title, trouble, summary);

  const bar = tabs({
    label: "Parts of the run",
    chosen: query.get("tab") ?? "overview",
    address: (tab) => link(["jobs", id], tab === "overview" ? {} : { tab }),
    parts: [
      ["overview", "Overview", () => overview],
      ["files", "Files", (stop) => files.make(id, () => job, stop)],
      ...(can("logs:read") ? [["logs", "Log", (stop) => logs.make(id, () => job, stop)]] : []),
      ["spec", "As asked for", () => asWritten],
    ],
  });
  root.append(bar.element);
  signal.addEventListener("abort", bar.stop);

  const again = soon(load, 150);
  const explainAgain = soon(explain, 150);
  follow(`jobs/${encodeURIComponent(id)}/events`, {
    signal,
    onEvent: ({ data }) => {
      if (!events.some((event) => event.id === data.id)) events = [...events, data];
      again();
    },
    onState: (state) => {
      live(state);
      if (state !== "ended") again();
    },
  });
  const ticking = setInterval(() => {
    refreshTimes(root);
    if (job && !isOver(job.state)) again();
  }, POLL);
  signal.addEventListener("abort", () => {
    clearInterval(ticking);
    again.cancel();
    explainAgain.cancel();
  });
  load();

  async function load() {
    try {
      const answer = await request("GET", `jobs/${encodeURIComponent(id)}`, { headers: etag ? { "If-None-Match": etag } : {}, signal });
      if (answer.status === 304) {
        drawSummary();
        drawTimeline();
        bar.changed();
        return;
      }
      if (!answer.ok) await refuse(answer);
      etag = answer.headers.get("ETag");
      const before = job?.state;
      job = await answer.json();
      show(trouble);
      draw();
      explainAgain();
      bar.changed();
      if (before && before !== job.state) announce(`The run is ${job.state}`);
    } catch (error) {
      if (error.name === "AbortError") return;
      show(trouble, failureNote(error, load));
      if (error.status === 404) bar.element.remove();
    }
  }

  function draw() {
    document.title = `${job.name} · Octo`;
    title.querySelector("h1").textContent = job.name;
    drawSummary();
    const seconds = secondsBetween(job.startedAt, job.finishedAt);
    const { progress } = job;
    drawTimeline();
    show(
      progressCard,
      h("h2", {}, "Progress"),
      progress?.filesSelected ? progressBar(progress, { large: true }) : null,
      progress ? null : h("p", { class: "faint" }, "Nothing was reported yet."),
      facts(
        ["Listed", progress && count(progress.filesListed)],
        ["To fetch", progress && count(progress.filesSelected)],
        ["Stored", progress && count(progress.filesDone)],
        ["Failed", progress?.filesFailed ? h("span", { class: "bad-text" }, count(progress.filesFailed)) : progress && "0"],
        ["Passed over", progress && count(progress.filesSkipped)],
        ["Tried again", progress?.fileRetries ? count(progress.fileRetries) : null],
        ["Fetched", progress && bytes(progress.bytesDownloaded)],
        ["Written", progress && bytes(progress.bytesUploaded)],
        ["Rate", progress?.bytesDownloaded && seconds > 0 ? `${bytes(progress.bytesDownloaded / seconds)}/s` : null],
      ),
    );
    show(
      runCard,
      h("h2", {}, "Run"),
      facts(
        ["Provider", h("a", { href: link(["providers", job.provider], { namespace: job.namespace }) }, job.provider)],
        ["Namespace", job.namespace],
        ["Asked for by", job.schedule ? `Schedule of ${job.schedule}` : job.requestedBy],
        ["Repeats", job.rerunOf && h("a", { href: link(["jobs", job.rerunOf]) }, "an earlier run")],
        ["Created", moment(job.createdAt)],
        ["Started", job.startedAt && moment(job.startedAt)],
        ["Ended", job.finishedAt && moment(job.finishedAt)],
        ["Priority", job.priority ? String(job.priority) : null],
        ["Manifest", job.manifest && h("span", { class: "short" }, h("code", { title: job.manifest.uri }, job.manifest.uri.split("/").pop()), copyButton(job.manifest.uri, "the manifest's address"))],
        ["Its SHA-256", job.manifest && shortValue(job.manifest.sha256, "the manifest's SHA-256")],
        ["Id", shortValue(job.id, "the run's id")],
        ["In the cluster", job.deletedAt ? `gone since ${moment(job.deletedAt)}` : null],
      ),
    );
    show(
      asWritten,
      h("section", { class: "card" }, h("h2", {}, "Conditions"), conditions(job.conditions)),
      h("section", { class: "card" }, h("h2", {}, "Spec"), h("pre", { class: "code", tabindex: 0, "aria-label": "Spec", dataset: { key: "spec" } }, JSON.stringify(job.spec, null, 2))),
    );
  }

  function drawTimeline() {
    show(timelineCard, h("h2", {}, "Timeline"), timeline(job, events));
  }

  function drawSummary() {
    const seconds = secondsBetween(job.startedAt, job.finishedAt);
    const words = JSON.stringify([job.state, job.spec.suspend, job.progress?.filesFailed > 0]);
    if (summary.dataset.of !== words) {
      summary.dataset.of = words;
      const focused = summary.contains(document.activeElement);
      show(
        summary,
        badge(job.state),
        h("span", { class: "faint", dataset: { part: "when" } }),
        h("span", { class: "actions" }, jobActions(job, () => again())),
      );
      // The button that was used is gone: the page, not the top of the document, goes on having the focus.
      if (focused) title.querySelector("h1").focus();
    }
    show(
      summary.querySelector("[data-part=when]"),
      job.finishedAt ? ["ended ", time(job.finishedAt)] : job.startedAt ? ["began ", time(job.startedAt)] : ["made ", time(job.createdAt)],
      seconds !== null ? `, ${job.finishedAt ? "took" : "for"} ${duration(seconds)}` : "",
      job.attempt > 1 ? `, attempt ${job.attempt}` : "",
    );
  }

  async function explain() {
    try {
      const found = await get(`jobs/${encodeURIComponent(id)}/explain`, {}, signal);
      const open = new Set([...explained.querySelectorAll("details[open]")].map((each) => each.dataset.of));
      show(explained, explanation(found, job, open));
    } catch (error) {
      if (error.name !== "AbortError") show(explained);
    }
  }

  return {
    update(next) {
      bar.choose(next.get("tab") ?? "overview");
      return true;
    },
    search: () => root.querySelector("[role=tabpanel] input"),
  };
}

function conditions(items) {
  return h(
    "div",
    { class: "table-box", tabindex: 0, role: "region", "aria-label": "Conditions", dataset: { key: "conditions" } },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ["Condition", "Is", "Reason", "Since", "Message"].map((name) => h("th", { scope: "col" }, name)))),
      h(
        "tbody",
        {},
        items.map((each) =>
          h("tr", {}, h("td", {}, each.type), h("td", {}, each.status), h("td", {}, each.reason), h("td", {}, time(each.lastTransitionTime)), h("td", { class: "wrap" }, each.message)),
        ),
      ),
    ),
  );
}
