// Keys that work on every page. They can be turned off, for those whose tools press keys for them (WCAG 2.1.4).

import { h } from "../lib/dom.js";
import { go, link } from "../lib/route.js";
import { current } from "../lib/session.js";
import { open } from "./dialog.js";
import { switchTheme } from "./theme.js";

const KEPT = "octo.shortcuts";
const LIST = [
  ["g j", "Jobs"],
  ["g p", "Providers"],
  ["g h", "History"],
  ["/", "Into the first filter"],
  ["j, k", "Next, previous row"],
  ["Enter", "Open the row"],
  ["t", "Colours"],
  ["?", "This list"],
  ["Esc", "Out of a field or a question"],
];

/** Listen. `page` tells the page that is shown. */
export function shortcuts({ page, pages }) {
  let before = "";
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const typing = event.target.closest?.("input:not([type=checkbox]), select, textarea");
    if (event.key === "Escape" && typing) typing.blur();
    if (typing || (localStorage.getItem(KEPT) === "off" && event.key !== "?")) return;
    const after = before;
    before = event.key;
    if (event.key === "?") help();
    else if (event.key === "t" && after !== "g") switchTheme();
    else if (current() === null) return;
    else if (after === "g") {
      const name = pages.find((each) => each[0] === event.key);
      if (name) go(link([name]));
      before = "";
    } else if (event.key === "/") {
      const search = page()?.search?.();
      if (search) event.preventDefault();
      search?.focus();
    } else if (event.key === "j" || event.key === "k") step(page()?.rows?.() ?? [], event.key === "j" ? 1 : -1);
  });
}

function step(rows, by) {
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement);
  const next = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + by))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

function help() {
  open(
    "Keys",
    h("dl", { class: "keys" }, LIST.map(([keys, words]) => h("div", {}, h("dt", {}, keys.split(" ").map((key) => h("kbd", {}, key))), h("dd", {}, words)))),
    h(
      "label",
      { class: "check" },
      h("input", {
        type: "checkbox",
        checked: localStorage.getItem(KEPT) !== "off",
        onchange: (event) => localStorage.setItem(KEPT, event.target.checked ? "on" : "off"),
      }),
      "Single keys work",
    ),
  );
}
