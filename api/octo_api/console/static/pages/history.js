// What the days came to: a calendar of runs, and how much was moved. Drawn by hand, and told in a table too.

import { get } from "../lib/api.js";
import { h, show, svg } from "../lib/dom.js";
import { bytes, count, day, NONE } from "../lib/format.js";
import { go, link } from "../lib/route.js";
import { failureNote, field, heading, note, select } from "../parts/bits.js";
import { badge } from "../parts/states.js";

const DAYS = { 30: "30 days", 91: "13 weeks", 182: "26 weeks", 365: "A year" };
const CELL = 15;
const LEFT = 34;
const TOP = 18;
const WIDTH = 620;
const HEIGHT = 150;
const AXIS = 62;

export function mount(root, { query, signal }) {
  document.title = "History · Octo";
  let filters = query;
  const trouble = h("div");
  const content = h("div", { class: "stack" });
  const days = () => (DAYS[filters.get("days")] ? filters.get("days") : "91");
  const box = select("days", Object.entries(DAYS), days(), (event) => go(link(["history"], { days: event.target.value, namespace: filters.get("namespace") })));
  show(root, heading("History"), h("form", { class: "filters", onsubmit: (event) => event.preventDefault() }, field("Span", box)), trouble, content);
  load();

  async function load() {
    try {
      const found = await get("summary", { days: days(), namespace: filters.get("namespace") }, signal);
      show(trouble);
      draw(found);
    } catch (error) {
      if (error.name !== "AbortError") show(trouble, failureNote(error, load));
    }
  }

  function draw(found) {
    const all = byDay(found);
    const some = all.filter((each) => each.runs);
    show(
      content,
      h("section", { class: "card" }, h("h2", {}, "Now"), now(found.states, filters.get("namespace"))),
      h("section", { class: "card" }, h("h2", {}, "Runs that ended, by day (UTC)"), calendar(all, filters.get("namespace")), legend()),
      h(
        "div",
        { class: "columns" },
        h("section", { class: "card" }, h("h2", {}, "Files stored"), plot(all, "files", count)),
        h("section", { class: "card" }, h("h2", {}, "Bytes written"), plot(all, "bytesUploaded", bytes)),
      ),
      h(
        "section",
        { class: "card" },
        h("h2", {}, "In numbers"),
        some.length ? table(some.toReversed(), filters.get("namespace")) : note("quiet", "No run has ended in this time."),
      ),
    );
  }

  return {
    update(next) {
      filters = next;
      box.value = days();
      load();
      return true;
    },
    search: () => box,
  };
}

/** Every day of the span, also those without a run. Pure. */
export function byDay({ firstDay, lastDay, days }) {
  const found = new Map();
  for (let at = Date.parse(`${firstDay}T00:00:00Z`); at <= Date.parse(`${lastDay}T00:00:00Z`); at += 86_400_000) {
    const name = new Date(at).toISOString().slice(0, 10);
    found.set(name, { day: name, runs: 0, Succeeded: 0, Failed: 0, Cancelled: 0, files: 0, filesFailed: 0, bytesDownloaded: 0, bytesUploaded: 0 });
  }
  for (const each of days) {
    const entry = found.get(each.day);
    if (!entry) continue;
    entry[each.outcome] += each.runs;
    for (const name of ["runs", "files", "filesFailed", "bytesDownloaded", "bytesUploaded"]) entry[name] += each[name];
  }
  return [...found.values()];
}

function now(states, namespace) {
  const some = states.filter((each) => each.runs);
  if (!some.length) return h("p", { class: "faint" }, "There is no run yet.");
  return h("ul", { class: "counts" }, some.map(({ state, runs }) => h("li", {}, h("a", { href: link(["jobs"], { state, namespace }) }, badge(state), h("span", { class: "number" }, ` ${count(runs)}`)))));
}

/** One column a week, Monday on top; a day leads to its runs. */
function calendar(all, namespace) {
  const weekday = (name) => (new Date(`${name}T00:00:00Z`).getUTCDay() + 6) % 7;
  const first = weekday(all[0].day);
  const most = Math.max(...all.map((each) => each.runs), 1);
  const columns = Math.ceil((first + all.length) / 7);
  const width = LEFT + columns * CELL + 24;
  const months = [];
  const cells = all.map((each, place) => {
    const [column, row] = [Math.floor((first + place) / 7), (first + place) % 7];
    const month = new Date(`${each.day}T00:00:00Z`).toLocaleString("en-GB", { month: "short", timeZone: "UTC" });
    const last = months.at(-1);
    if (last?.month !== month && (!last || column - last.column > 2)) months.push({ month, column });
    const words = `${day(each.day)}: ${each.runs ? `${count(each.runs)} runs, ${count(each.Failed)} failed, ${count(each.Cancelled)} cancelled` : "no runs"}`;
    const x = LEFT + column * CELL;
    const y = TOP + row * CELL;
    const size = CELL - 3;
    // How full a day is by its strength, how much of it failed by a bar: neither by colour alone.
    const strength = each.runs ? 0.25 + 0.75 * Math.sqrt((each.runs - each.Failed) / most) : 0;
    const bad = each.runs ? (size * each.Failed) / each.runs : 0;
    const drawn = [
      svg("title", {}, words),
      svg("rect", { x, y, width: size, height: size, rx: 2, class: "day-empty" }),
      each.runs > each.Failed ? svg("rect", { x, y, width: size, height: size, rx: 2, class: "shape-good", opacity: strength.toFixed(2) }) : null,
      bad ? svg("rect", { x, y: y + size - Math.max(3, bad), width: size, height: Math.max(3, bad), rx: 1, class: "shape-bad" }) : null,
    ];
    return each.runs ? svg("a", { href: link(["jobs"], { day: each.day, namespace }), "aria-label": words }, drawn) : svg("g", {}, drawn);
  });
  return h(
    "div",
    { class: "scroll-x", tabindex: 0, role: "region", "aria-label": "Calendar" },
    svg(
      "svg",
      { viewBox: `0 0 ${width} ${TOP + 7 * CELL}`, width, height: TOP + 7 * CELL, class: "chart calendar" },
      months.map(({ month, column }) => svg("text", { x: LEFT + column * CELL, y: 11 }, month)),
      ["Mon", "Wed", "Fri"].map((name, place) => svg("text", { x: 0, y: TOP + 2 * place * CELL + 10 }, name)),
      cells,
    ),
  );
}

const legend = () => h("p", { class: "faint" }, "The stronger, the more runs; red is the part that failed. A day leads to its runs.");

/** Bars, one a day, from nothing to the most. */
function plot(all, name, words) {
  const most = Math.max(...all.map((each) => each[name]), 0);
  if (!most) return h("p", { class: "faint" }, "Nothing in this time.");
  const step = (WIDTH - AXIS) / all.length;
  const base = HEIGHT - 20;
  const y = (value) => base - ((base - 10) * value) / most;
  const total = all.reduce((sum, each) => sum + each[name], 0);
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img", "aria-label": `${words(total)} in ${all.length} days, ${words(most)} on the busiest` },
    [1, 0.5, 0].map((part) => [
      svg("line", { x1: AXIS, x2: WIDTH, y1: y(most * part), y2: y(most * part), class: "grid" }),
      svg("text", { x: AXIS - 6, y: y(most * part) + 4, class: "end" }, part ? words(Math.round(most * part)) : "0"),
    ]),
    all.map((each, place) =>
      each[name]
        ? svg(
            "rect",
            { x: AXIS + place * step + step * 0.12, y: y(each[name]), width: step * 0.76, height: Math.max(1, base - y(each[name])), class: "shape-go" },
            svg("title", {}, `${day(each.day)}: ${words(each[name])}`),
          )
        : null,
    ),
    svg("text", { x: AXIS, y: HEIGHT - 5 }, day(all[0].day)),
    svg("text", { x: WIDTH, y: HEIGHT - 5, class: "end" }, day(all.at(-1).day)),
  );
}

function table(days, namespace) {
  const heads = ["Day", "Runs", "Succeeded", "Failed", "Cancelled", "Files", "Fetched", "Written"];
  return h(
    "div",
    { class: "table-box tall", tabindex: 0, role: "region", "aria-label": "In numbers" },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col" }, name)))),
      h(
        "tbody",
        {},
        days.map((each) =>
          h(
            "tr",
            {},
            h("td", {}, h("a", { href: link(["jobs"], { day: each.day, namespace }) }, day(each.day))),
            [each.runs, each.Succeeded, each.Failed, each.Cancelled, each.files].map((value) => h("td", { class: "number" }, value ? count(value) : NONE)),
            [each.bytesDownloaded, each.bytesUploaded].map((value) => h("td", { class: "number" }, value ? bytes(value) : NONE)),
          ),
        ),
      ),
    ),
  );
}
