// Questions before something is done. The browser keeps the focus inside and gives it back, if that place is still there.

import { announce, h, show } from "../lib/dom.js";
import { refocus } from "../lib/focus.js";

/**
 * Ask whether to do it, and do it. `fields` go between the question and the buttons; `act` may throw an Error, which is
 * shown, and the question stays. Resolves to what `act` returns, or to null if it was not to be.
 */
export function confirm({ title, text, fields = [], verb, danger = false, act }) {
  return new Promise((resolve) => {
    let result = null;
    const trouble = h("p", { class: "trouble", role: "alert" });
    const yes = h("button", { type: "submit", class: danger ? "button danger" : "button primary" }, verb);
    const no = h("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Back");
    const form = h(
      "form",
      { onsubmit: submit },
      h("h2", { id: "dialog-title" }, title),
      text ? h("p", {}, text) : null,
      ...fields,
      trouble,
      h("div", { class: "buttons" }, no, yes),
    );
    const dialog = h("dialog", { class: "dialog", "aria-labelledby": "dialog-title", onclose: () => resolve(result) }, form);

    async function submit(event) {
      event.preventDefault();
      yes.disabled = true;
      show(trouble);
      try {
        result = await act(new FormData(form));
        dialog.close();
      } catch (error) {
        show(trouble, error.message);
        yes.disabled = false;
        yes.focus();
      }
    }

    put(dialog);
  });
}

/** Show something until it is closed. */
export function open(title, ...content) {
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-labelledby": "dialog-title" },
    h("h2", { id: "dialog-title" }, title),
    ...content,
    h("div", { class: "buttons" }, h("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Close")),
  );
  put(dialog);
  return dialog;
}

function put(dialog) {
  const opener = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    // The page may have been drawn anew behind the question.
    if (!opener.isConnected && document.activeElement === document.body) refocus(opener);
  });
  document.body.append(dialog);
  dialog.showModal();
}

let shelf;

/** Say for a moment what was done. */
export function toast(text) {
  shelf ??= document.body.appendChild(h("div", { class: "toasts", "aria-hidden": "true" }));
  const item = h("div", { class: "toast" }, text);
  shelf.append(item);
  announce(text);
  setTimeout(() => item.remove(), 5000);
}
