// Signing in: by API key, or with the identity provider if there is one.

import { h, show } from "../lib/dom.js";
import { beginSignIn } from "../lib/oidc.js";
import { signInWithKey } from "../lib/session.js";
import { heading } from "../parts/bits.js";

/** Show the form; the session tells the shell when it worked. */
export function mount(root, { config, why }) {
  document.title = "Sign in · Octo";
  const trouble = h("p", { class: "trouble", role: "alert" }, why);
  const input = h("input", {
    type: "password", name: "key", autocomplete: "off", spellcheck: "false", required: true, placeholder: "octo_…",
  });
  const submit = h("button", { type: "submit", class: "button primary wide" }, "Sign in");
  const form = h(
    "form",
    { class: "signin-form", onsubmit: enter },
    h("label", { class: "field" }, h("span", {}, "API key"), input),
    submit,
    h("p", { class: "faint" }, "The key is exchanged for a token that lasts minutes, and is not kept."),
  );

  async function enter(event) {
    event.preventDefault();
    show(trouble);
    submit.disabled = true;
    const key = input.value.trim();
    input.value = "";
    try {
      await signInWithKey(key);
    } catch (error) {
      show(trouble, error.message);
      input.focus();
    } finally {
      submit.disabled = false;
    }
  }

  async function elsewhere() {
    show(trouble);
    try {
      await beginSignIn(config.oidc);
    } catch (error) {
      show(trouble, error.message);
    }
  }

  const sso = config.oidc
    ? [
        h("button", { type: "button", class: "button primary wide", onclick: elsewhere }, `Sign in with ${new URL(config.oidc.issuer).host}`),
        h("p", { class: "or" }, "or with an API key"),
      ]
    : [];
  show(root, h("section", { class: "signin card" }, heading("Sign in to Octo"), trouble, ...sso, form));
  return {};
}
