// Dark or light: as the system says, until somebody says otherwise.

import { announce, h, show, svg } from "../lib/dom.js";

const SIGNS = {
  auto: ["M8 2.500a5.500 5.500 0 1 1 0 11a5.500 5.500 0 1 1 0-11", "M8 3.500v9a4.500 4.500 0 0 0 0-9z"],
  light: ["M8 5a3 3 0 1 0 0 6a3 3 0 1 0 0-6M8 1.500v1.500M8 13v1.500M1.500 8H3M13 8h1.500M3.400 3.400l1 1M11.600 11.600l1 1M3.400 12.600l1-1M11.600 4.400l1-1"],
  dark: ["M13 9.500A5.500 5.500 0 1 1 6.500 3a4.500 4.500 0 0 0 6.500 6.500z"],
};
const NEXT = { auto: "light", light: "dark", dark: "auto" };
const WORDS = { auto: "as the system", light: "light", dark: "dark" };

const chosen = () => document.documentElement.dataset.theme ?? "auto";

/** Switch to the next of the three. */
export function switchTheme() {
  const next = NEXT[chosen()];
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    if (next === "auto") localStorage.removeItem("octo.theme");
    else localStorage.setItem("octo.theme", next);
  } catch {
    // It holds for this page.
  }
  announce(`Colours: ${WORDS[next]}`);
  dispatchEvent(new Event("octo-theme"));
}

/** The button that does so. */
export function themeButton() {
  const button = h("button", { type: "button", class: "icon-button theme", onclick: switchTheme });
  const draw = () => {
    button.title = `Colours: ${WORDS[chosen()]}`;
    button.setAttribute("aria-label", `Colours: ${WORDS[chosen()]}. Change`);
    show(button, svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true", class: chosen() }, SIGNS[chosen()].map((d) => svg("path", { d }))));
  };
  addEventListener("octo-theme", draw);
  draw();
  return button;
}
