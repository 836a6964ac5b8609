// What became of each file of a run.

import { get } from "../lib/api.js";
import { announce, h, show } from "../lib/dom.js";
import { bytes, count } from "../lib/format.js";
import { copyButton, failureNote, field, note, select, shortValue, time } from "../parts/bits.js";
import { icon, isOver } from "../parts/states.js";

const TONES = { Stored: "good", AlreadyStored: "quiet", Failed: "bad" };
const WORDS = { Stored: "Stored", AlreadyStored: "Stored before", Failed: "Failed" };
const PAGE = 100;

export function make(id, job, signal) {
  const filters = { outcome: "", pathPrefix: "" };
  let cursor = null;
  let number = 0;
  let reported = null;
  const body = h("tbody");
  const below = h("div", { class: "pager" });
  const element = h(
    "div",
    { class: "stack" },
    h(
      "form",
      { class: "filters", "aria-label": "Filter files", onsubmit: (event) => event.preventDefault() },
      field("Outcome", select("outcome", [["", "Any"], ...Object.entries(WORDS)], "", set)),
      field("Path begins with", h("input", { name: "pathPrefix", autocomplete: "off", spellcheck: "false", onchange: set }), { grow: true }),
    ),
    h(
      "div",
      { class: "card table-box" },
      h(
        "table",
        { class: "files" },
        h("caption", { class: "unseen" }, "Files of the run"),
        h("thead", {}, h("tr", {}, ["Outcome", "File", "Size", "Stored", "SHA-256 of the object", "Object", "Tries", "When"].map((name) => h("th", { scope: "col" }, name)))),
        body,
      ),
    ),
    below,
  );
  restart();

  function set(event) {
    filters[event.target.name] = event.target.value.trim();
    restart().then(() => announce(`${number} files`));
  }

  async function restart() {
    reported = heard();
    await load(null);
  }

  async function load(after) {
    try {
      const page = await get(`jobs/${encodeURIComponent(id)}/files`, { ...filters, limit: PAGE, cursor: after }, signal);
      if (after === null) {
        number = 0;
        body.replaceChildren();
      }
      const more = below.contains(document.activeElement);
      number += page.items.length;
      body.append(...page.items.map(row));
      cursor = page.nextCursor;
      if (number === 0) body.append(h("tr", { class: "none" }, h("td", { colspan: 8 }, nothing())));
      show(
        below,
        h("span", { class: "faint", tabindex: -1 }, number === 1 ? "1 file" : `${count(number)} files`),
        cursor ? h("button", { type: "button", class: "button", onclick: () => load(cursor) }, "More") : null,
      );
      if (more) (below.querySelector("button") ?? below.querySelector("span")).focus();
    } catch (error) {
      if (error.name !== "AbortError") show(below, failureNote(error, () => load(after)));
    }
  }

  function nothing() {
    if (filters.outcome || filters.pathPrefix) return note("quiet", "No file matches.");
    return job() && isOver(job().state) ? note("quiet", "The run reported no files.") : note("quiet", "No file was reported yet.");
  }

  /** What changes when there are more rows to be had. */
  function heard() {
    const progress = job()?.progress;
    return progress ? `${progress.filesDone}/${progress.filesFailed}` : null;
  }

  return {
    element,
    changed() {
      // Only the first page is kept fresh: rows that somebody has asked for stay where they are.
      if (heard() !== reported && number <= PAGE) restart();
    },
  };
}

function row(file) {
  const name = file.member ? [h("span", { class: "faint" }, `${file.sourcePath} › `), file.member] : file.sourcePath;
  return h(
    "tr",
    {},
    h("td", { dataset: { title: "Outcome" } }, h("span", { class: `badge tone-${TONES[file.outcome]}` }, icon(TONES[file.outcome]), WORDS[file.outcome])),
    h(
      "td",
      { dataset: { title: "File" }, class: "wrap" },
      h("span", { class: "path" }, name),
      file.message ? h("p", { class: "bad-text" }, file.category ? h("span", { class: "category" }, file.category) : null, " ", file.message) : null,
    ),
    h("td", { dataset: { title: "Size" }, class: "number" }, bytes(file.sourceSize)),
    h("td", { dataset: { title: "Stored" }, class: "number" }, bytes(file.size)),
    h("td", { dataset: { title: "SHA-256" } }, shortValue(file.sha256, "the SHA-256 of the object", { head: 12 })),
    h("td", { dataset: { title: "Object" } }, file.key ? h("span", { class: "short" }, h("code", { class: "clip", title: file.key }, file.key), copyButton(file.key, "the object's key")) : h("span", { class: "faint" }, "–")),
    h("td", { dataset: { title: "Tries" }, class: "number" }, String(file.tries)),
    h("td", { dataset: { title: "When" } }, time(file.finishedAt)),
  );
}
