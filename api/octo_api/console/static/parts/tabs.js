// Tabs whose choice is in the address (WAI-ARIA pattern: arrows move, the chosen one alone is in the tab order).

import { h, show } from "../lib/dom.js";
import { go } from "../lib/route.js";

/** `parts` are [key, words, make(signal)]; a part is made when it is first chosen, and ended when another one is. */
export function tabs({ label, chosen, address, parts }) {
  let current = null;
  let stopping = null;
  let made = null;
  const buttons = new Map(
    parts.map(([key, words]) => [
      key,
      h("button", { type: "button", role: "tab", id: `tab-${key}`, "aria-controls": "tab-panel", onclick: () => go(address(key)), onkeydown: move }, words),
    ]),
  );
  const panel = h("div", { role: "tabpanel", id: "tab-panel", class: "panel" });
  const element = h("div", {}, h("div", { role: "tablist", class: "tabs", "aria-label": label }, ...buttons.values()), panel);

  function move(event) {
    const keys = [...buttons.keys()];
    // From the one that has the focus: keys can be quicker than the address.
    const at = [...buttons.values()].indexOf(event.currentTarget);
    const place = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
    if (place === undefined) return;
    const next = keys.at(place % keys.length);
    event.preventDefault();
    go(address(next));
    buttons.get(next).focus();
  }

  function choose(key) {
    const part = parts.find(([name]) => name === key) ?? parts[0];
    if (part[0] === current) return;
    stopping?.abort();
    stopping = new AbortController();
    current = part[0];
    for (const [name, button] of buttons) {
      button.setAttribute("aria-selected", String(name === current));
      button.tabIndex = name === current ? 0 : -1;
    }
    panel.setAttribute("aria-labelledby", `tab-${current}`);
    made = part[2](stopping.signal);
    show(panel, made.element ?? made);
  }

  choose(chosen);
  return { element, choose, stop: () => stopping.abort(), changed: () => made?.changed?.() };
}
