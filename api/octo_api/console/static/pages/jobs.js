// The list of runs. Its filters are its address.

import { get } from "../lib/api.js";
import { announce, h, show, soon } from "../lib/dom.js";
import { count, duration, NONE, secondsBetween } from "../lib/format.js";
import { go, link, parse } from "../lib/route.js";
import { follow } from "../lib/stream.js";
import { failureNote, field, heading, note, progressBar, refreshTimes, select, time } from "../parts/bits.js";
import { badge, CATEGORIES, isOver, STATES, toneOf } from "../parts/states.js";

const FIELDS = [
  "id", "name", "namespace", "provider", "state", "reason", "attempt", "requestedBy", "schedule", "createdAt", "startedAt",
  "finishedAt", "progress", "failure", "queuePosition",
];
const SPANS = [["", "Any time"], ["1h", "Last hour"], ["24h", "Last 24 hours"], ["7d", "Last 7 days"], ["30d", "Last 30 days"]];
const HOURS = { "1h": 1, "24h": 24, "7d": 168, "30d": 720 };
const PAGE = 50;
const POLL = 5000;
const GROUPS = [
  ["Active", ["Pending", "Queued", "Suspended", "Starting", "Running", "Retrying", "Cancelling"]],
  ["Succeeded", ["Succeeded"]],
  ["Failed", ["Failed"]],
  ["Cancelled", ["Cancelled"]],
];

export function mount(root, { query, live, signal }) {
  document.title = "Jobs · Octo";
  let filters = query;
  let shown = [];
  let request = new AbortController();
  const rows = new Map();
  const list = h("tbody");
  const table = h(
    "table",
    { class: "jobs" },
    h("caption", { class: "unseen" }, "Runs, the newest first"),
    h("thead", {}, h("tr", {}, ["State", "Run", "Provider", "Files", "Attempt", "Asked for by", "Created", "Took", "Why"].map((title) => h("th", { scope: "col" }, title)))),
    list,
  );
  const below = h("div", { class: "pager" });
  const trouble = h("div");
  const form = h("form", { class: "filters", role: "search", "aria-label": "Filter runs", onsubmit: (event) => event.preventDefault() });
  show(root, heading("Jobs"), form, trouble, h("div", { class: "card table-box" }, table), below);
  drawFilters();

  const again = soon(load, 400);
  const wanted = { namespace: filters.get("namespace") };
  follow("events", {
    query: wanted,
    signal,
    onEvent: again,
    onState: (state) => {
      live(state);
      again();
    },
  });
  // What events do not tell: how far the files of a run are. And all of it, while the stream is away.
  const ticking = setInterval(() => {
    refreshTimes(root);
    for (const job of shown) if (!isOver(job.state)) rows.get(job.id)?.took();
    if (live() !== "live" || shown.some((job) => !isOver(job.state))) again();
  }, POLL);
  signal.addEventListener("abort", () => {
    clearInterval(ticking);
    again.cancel();
    request.abort();
  });
  load();

  async function load() {
    request.abort();
    request = new AbortController();
    const own = request.signal;
    try {
      const page = await get("jobs", asked(filters), own);
      show(trouble);
      draw(page);
    } catch (error) {
      if (own.aborted) return;
      // The cursor was of another filter or sign-in.
      if (error.code === "invalid-cursor") change({ cursor: null });
      else show(trouble, failureNote(error, load));
    }
  }

  function draw(page) {
    shown = page.items;
    const seen = new Set();
    let before = null;
    for (const job of shown) {
      const row = rows.get(job.id) ?? newRow();
      rows.set(job.id, row);
      row.update(job);
      seen.add(job.id);
      const place = before ? before.nextSibling : list.firstChild;
      // Moved only if it has to be, so that a link in it keeps the focus.
      if (place !== row.element) list.insertBefore(row.element, place);
      before = row.element;
    }
    for (const [id, row] of rows) {
      if (seen.has(id)) continue;
      row.element.remove();
      rows.delete(id);
    }
    list.querySelector(".none")?.remove();
    if (shown.length === 0) list.append(h("tr", { class: "none" }, h("td", { colspan: 9 }, nothing())));
    const back = filters.get("cursor");
    show(
      below,
      h("span", { class: "faint" }, shown.length === 1 ? "1 run" : `${count(shown.length)} runs`),
      back ? h("a", { class: "button", href: link(["jobs"], without(filters, "cursor")) }, "Newest") : null,
      page.nextCursor ? h("a", { class: "button", href: link(["jobs"], changed({ cursor: page.nextCursor })) }, "Older") : null,
    );
  }

  function nothing() {
    const any = [...filters.keys()].some((name) => name !== "cursor");
    return any
      ? note("quiet", "No run matches.", h("a", { href: link(["jobs"]) }, "Show all"))
      : note("quiet", "There is no run yet.", h("a", { href: link(["providers"]) }, "Run a provider"));
  }

  function drawFilters() {
    const states = new Set(filters.getAll("state"));
    const change_ = (name) => (event) => change({ [name]: event.target.value.trim() });
    const text = (name, label, placeholder) =>
      field(label, h("input", { name, value: filters.get(name) ?? "", placeholder, autocomplete: "off", spellcheck: "false", onchange: change_(name) }), { grow: true });
    show(
      form,
      h(
        "div",
        { class: "chips", role: "group", "aria-label": "State" },
        GROUPS.map(([name, members]) => {
          const on = members.every((state) => states.has(state));
          return h(
            "button",
            { type: "button", class: "chip", "aria-pressed": String(on), onclick: () => toggle(members, on) },
            name,
          );
        }),
        select("state", [["", "Any state"], ...STATES], states.size === 1 ? [...states][0] : "", change_("state")),
      ),
      text("namePrefix", "Name begins with", ""),
      text("provider", "Provider", ""),
      text("requestedBy", "Asked for by", ""),
      field("Failed for", select("failureCategory", [["", "Anything"], ...CATEGORIES], filters.get("failureCategory"), change_("failureCategory"))),
      filters.get("day")
        ? field("Day", h("input", { type: "date", name: "day", value: filters.get("day"), onchange: change_("day") }))
        : field("Created", select("since", SPANS, filters.get("since"), change_("since"))),
      [...filters.keys()].length ? h("a", { class: "button", href: link(["jobs"]) }, "Clear") : null,
    );
    for (const name of ["state", "since", "failureCategory"]) form.elements[name]?.setAttribute("aria-label", { state: "State", since: "Created", failureCategory: "Failed for" }[name]);
  }

  // What was chosen a moment ago stands in the address before the page hears of it.
  const asWritten = () => new URLSearchParams(parse(location.hash).query);

  function toggle(members, on) {
    const states = new Set(asWritten().getAll("state"));
    for (const state of members) on ? states.delete(state) : states.add(state);
    change({ state: [...states] });
  }

  function changed(pairs) {
    const next = asWritten();
    next.delete("cursor");
    for (const [name, value] of Object.entries(pairs)) {
      next.delete(name);
      for (const each of [value].flat()) if (each) next.append(name, each);
    }
    return next;
  }

  const change = (pairs) => go(link(["jobs"], changed(pairs)));

  return {
    /** Go on with other filters; what has the focus keeps it. */
    update(next) {
      if (next.get("namespace") !== filters.get("namespace")) return false;
      filters = next;
      const focused = document.activeElement;
      if (below.contains(focused)) {
        // Another page of the list is read from its top.
        root.querySelector("h1").focus({ preventScroll: true });
        scrollTo(0, 0);
      }
      const name = form.contains(focused) ? focused.name || focused.textContent : null;
      drawFilters();
      if (name) [...form.querySelectorAll("input, select, button, a")].find((each) => (each.name || each.textContent) === name)?.focus();
      load().then(() => announce(`${shown.length} runs`));
      return true;
    },
    search: () => form.elements.namePrefix,
    rows: () => [...list.querySelectorAll("a.name")],
  };
}

/** What the API is asked for by these filters. */
function asked(filters) {
  const query = new URLSearchParams(filters);
  for (const name of ["since", "day"]) query.delete(name);
  if (filters.get("day")) {
    const start = new Date(`${filters.get("day")}T00:00:00Z`);
    query.set("sort", "-finishedAt");
    query.set("finishedAfter", start.toISOString());
    query.set("finishedBefore", new Date(start.getTime() + 86_400_000).toISOString());
  } else if (HOURS[filters.get("since")]) {
    // On the hour, so that the cursor of the next page is of the same question.
    const now = Math.floor(Date.now() / 3_600_000) * 3_600_000;
    query.set("createdAfter", new Date(now - HOURS[filters.get("since")] * 3_600_000).toISOString());
  }
  query.set("limit", PAGE);
  for (const name of FIELDS) query.append("fields", name);
  return query;
}

function without(query, name) {
  const rest = new URLSearchParams(query);
  rest.delete(name);
  return rest;
}

/** A row that changes in place. */
function newRow() {
  const cells = ["State", "Run", "Provider", "Files", "Attempt", "Asked for by", "Created", "Took", "Why"].map((title, place) =>
    h("td", { dataset: { title }, class: place === 4 || place === 7 ? "number" : null }),
  );
  const element = h("tr", {}, cells);
  const written = [];
  let job = null;
  const put = (place, key, make) => {
    if (written[place] === key) return;
    written[place] = key;
    show(cells[place], make());
  };
  const took = () => {
    const seconds = secondsBetween(job.startedAt, job.finishedAt);
    const words = seconds === null ? NONE : duration(seconds);
    put(7, words, () => words);
  };
  return {
    element,
    took,
    update(next) {
      job = next;
      element.className = `tone-${toneOf(job.state)}`;
      put(0, job.state, () => badge(job.state));
      put(1, job.name, () => h("a", { class: "name", href: link(["jobs", job.id]) }, job.name));
      put(2, job.provider, () => h("a", { href: link(["providers", job.provider], { namespace: job.namespace }) }, job.provider));
      put(3, JSON.stringify([job.progress]), () => progressBar(job.progress));
      put(4, job.attempt, () => (job.attempt ? String(job.attempt) : NONE));
      put(5, `${job.requestedBy}/${job.schedule}`, () => (job.schedule ? "Schedule" : (job.requestedBy ?? NONE)));
      put(6, job.createdAt, () => time(job.createdAt));
      put(8, `${job.reason}/${job.failure?.category}/${job.queuePosition}`, () => why(job));
      took();
    },
  };
}

function why(job) {
  if (job.failure) return [h("span", { class: "category" }, job.failure.category), " ", h("span", { title: job.failure.message }, job.failure.reason)];
  if (job.state === "Queued" && job.queuePosition) return `Place ${job.queuePosition} in its queue`;
  return job.reason && job.state !== "Running" ? h("span", { class: "faint" }, job.reason) : "";
}
