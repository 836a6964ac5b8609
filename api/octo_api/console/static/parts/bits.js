// Small parts that several pages are made of.

import { announce, h, svg } from "../lib/dom.js";
import { count, moment, NONE, relative } from "../lib/format.js";

/** A moment, said from now, with the whole of it for who asks. */
export function time(text, { past = true } = {}) {
  if (!text) return h("span", { class: "faint" }, NONE);
  return h("time", { datetime: text, title: moment(text), dataset: past ? { ago: "" } : {} }, relative(text));
}

/** Say all moments below an element anew. */
export function refreshTimes(root) {
  for (const each of root.querySelectorAll("time[data-ago]")) each.textContent = relative(each.getAttribute("datetime"));
}

/** How far the files of a run are. */
export function progressBar(progress, { large = false } = {}) {
  if (!progress || !progress.filesSelected) {
    return h("span", { class: "faint" }, progress?.summary || NONE);
  }
  const { filesDone: done = 0, filesFailed: failed = 0, filesSelected: all } = progress;
  const words = `${count(done)} of ${count(all)} files${failed ? `, ${count(failed)} failed` : ""}`;
  const part = (value, tone) =>
    value ? h("span", { class: `part fill-${tone}`, css: { width: `${Math.min(100, (100 * value) / all)}%` } }) : null;
  return h(
    "span",
    { class: large ? "progress large" : "progress" },
    h(
      "span",
      {
        class: "bar", role: "progressbar", "aria-label": "Files",
        "aria-valuemin": 0, "aria-valuemax": all, "aria-valuenow": done, "aria-valuetext": words,
      },
      part(done, "good"),
      part(failed, "bad"),
    ),
    h("span", { class: "number" }, progress.summary || `${done}/${all}`),
  );
}

/** A button that copies a text. */
export function copyButton(text, what) {
  const button = h(
    "button",
    { type: "button", class: "icon-button", title: `Copy ${what}`, "aria-label": `Copy ${what}`, dataset: { key: `copy ${what} ${text}` }, onclick: copy },
    svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: "M5.500 5.500v-3h8v8h-3M2.500 5.500h8v8h-8z" })),
  );
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      button.classList.add("done");
      announce(`Copied ${what}`);
      setTimeout(() => button.classList.remove("done"), 1200);
    } catch {
      announce(`The browser does not let this page copy ${what}`);
    }
  }
  return button;
}

/** A long value in few letters, with a way to have all of it. */
export function shortValue(text, what, { head = 10 } = {}) {
  if (!text) return h("span", { class: "faint" }, NONE);
  const shown = text.length > head + 3 ? `${text.slice(0, head)}…` : text;
  return h("span", { class: "short" }, h("code", { title: text }, shown), copyButton(text, what));
}

/** Rows of a name and its value; those without a value are left out. */
export function facts(...pairs) {
  return h(
    "dl",
    { class: "facts" },
    pairs
      .filter((pair) => pair && pair[1] !== null && pair[1] !== undefined && pair[1] !== "")
      .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );
}

/** What is shown when there is nothing, or when something went wrong. */
export function note(tone, title, ...more) {
  return h("div", { class: `note note-${tone}` }, h("p", { class: "note-title" }, title), more.length ? h("div", {}, ...more) : null);
}

/** What went wrong with a request, and a way to try again. */
export function failureNote(error, again) {
  return h(
    "div",
    { class: "note note-bad", role: "alert" },
    h("p", { class: "note-title" }, error.message),
    error.requestId ? h("p", { class: "faint" }, "Request ", h("code", {}, error.requestId)) : null,
    again ? h("button", { type: "button", class: "button", onclick: again }, "Try again") : null,
  );
}

/** A labelled field. */
export function field(label, control, { grow = false } = {}) {
  return h("label", { class: grow ? "field grow" : "field" }, h("span", {}, label), control);
}

/** A choice. `options` are values, or pairs of a value and its words. */
export function select(name, options, chosen, onchange) {
  const box = h("select", { name, onchange });
  for (const option of options) {
    const [value, words] = Array.isArray(option) ? option : [option, option];
    box.append(h("option", { value }, words));
  }
  box.value = chosen ?? "";
  return box;
}

/** The heading of a page; it takes the focus when the page is come to. */
export function heading(text, ...more) {
  return h("div", { class: "heading" }, h("h1", { tabindex: -1 }, text), ...more);
}
