// The providers of a namespace: how fresh each is, and when it runs next.

import { get } from "../lib/api.js";
import { h, show, soon } from "../lib/dom.js";
import { count } from "../lib/format.js";
import { go, link } from "../lib/route.js";
import { can } from "../lib/session.js";
import { follow } from "../lib/stream.js";
import { runProvider } from "../parts/actions.js";
import { failureNote, field, heading, note, refreshTimes, time } from "../parts/bits.js";
import { punctuality, verdictBadge } from "../parts/punctuality.js";
import { icon } from "../parts/states.js";

const PAGE = 100;
const POLL = 15_000;

export function mount(root, { query, config, live, signal }) {
  document.title = "Providers · Octo";
  let filters = query;
  const body = h("tbody");
  const trouble = h("div");
  const below = h("div", { class: "pager" });
  const namespace = h("input", { name: "namespace", value: query.get("namespace") ?? "", placeholder: config.namespace, autocomplete: "off", spellcheck: "false" });
  namespace.addEventListener("change", () => go(link(["providers"], { namespace: namespace.value.trim() })));
  show(
    root,
    heading("Providers"),
    h("form", { class: "filters", role: "search", "aria-label": "Filter providers", onsubmit: (event) => event.preventDefault() }, field("Namespace", namespace)),
    trouble,
    h(
      "div",
      { class: "card table-box" },
      h(
        "table",
        { class: "providers" },
        h("caption", { class: "unseen" }, "Providers by name"),
        h("thead", {}, h("tr", {}, ["Punctual", "Provider", "Source", "Schedule", "Last success", "Next run", "Ready", ""].map((title) => h("th", { scope: "col" }, title || h("span", { class: "unseen" }, "Actions"))))),
        body,
      ),
    ),
    below,
  );

  const again = soon(load, 500);
  follow("events", { query: { namespace: filters.get("namespace") }, signal, onEvent: again, onState: (state) => (live(state), again()) });
  const ticking = setInterval(() => (refreshTimes(root), again()), POLL);
  signal.addEventListener("abort", () => (clearInterval(ticking), again.cancel()));
  load();

  async function load() {
    try {
      const page = await get("providers", { namespace: filters.get("namespace"), cursor: filters.get("cursor"), limit: PAGE }, signal);
      show(trouble);
      const focused = document.activeElement?.dataset?.key;
      show(body, page.items.map(row));
      if (focused) [...body.querySelectorAll("[data-key]")].find((each) => each.dataset.key === focused)?.focus();
      if (!page.items.length) show(body, h("tr", { class: "none" }, h("td", { colspan: 8 }, note("quiet", "There is no provider in this namespace."))));
      show(
        below,
        h("span", { class: "faint" }, page.items.length === 1 ? "1 provider" : `${count(page.items.length)} providers`),
        page.nextCursor ? h("a", { class: "button", href: link(["providers"], { namespace: filters.get("namespace"), cursor: page.nextCursor }) }, "More") : null,
      );
    } catch (error) {
      if (error.name !== "AbortError") show(trouble, failureNote(error, load));
    }
  }

  return {
    update(next) {
      if (next.get("namespace") !== filters.get("namespace")) return false;
      filters = next;
      load();
      return true;
    },
    search: () => namespace,
    rows: () => [...body.querySelectorAll("a.name")],
  };
}

function row(provider) {
  const ready = provider.conditions.find((each) => each.type === "Ready");
  const { schedule } = provider.spec;
  const cell = (title, ...content) => h("td", { dataset: { title } }, ...content);
  const next = provider.schedule?.nextScheduleTime;
  return h(
    "tr",
    {},
    cell("Punctual", verdictBadge(punctuality(provider))),
    cell("Provider", h("a", { class: "name", href: link(["providers", provider.name], { namespace: provider.namespace }), dataset: { key: `name-${provider.name}` } }, provider.name)),
    cell("Source", sourceOf(provider)),
    cell("Schedule", schedule ? [h("code", {}, schedule.cron), schedule.timeZone && schedule.timeZone !== "UTC" ? ` ${schedule.timeZone}` : ""] : h("span", { class: "faint" }, "only when asked")),
    cell("Last success", time(provider.lastSuccessAt)),
    cell("Next run", next ? time(next) : h("span", { class: "faint" }, schedule?.suspend ? "suspended" : "–")),
    cell("Ready", ready ? h("span", { class: `badge tone-${ready.status === "True" ? "good" : "bad"}`, title: ready.message }, icon(ready.status === "True" ? "good" : "bad"), ready.status === "True" ? "Ready" : ready.reason) : h("span", { class: "faint" }, "–")),
    h("td", { class: "right" }, can("jobs:create") ? h("button", { type: "button", class: "button small", "aria-label": `Run ${provider.name} now`, dataset: { key: `run-${provider.name}` }, onclick: () => runProvider(provider) }, "Run now") : null),
  );
}

/** Where the files of a provider come from, in a few letters. */
export function sourceOf(provider) {
  const sftp = provider.spec.source?.sftp;
  if (sftp) return `sftp ${sftp.host}${sftp.port && sftp.port !== 22 ? `:${sftp.port}` : ""}`;
  return provider.type === "container" ? `container ${provider.spec.container?.image ?? ""}` : provider.type;
}
