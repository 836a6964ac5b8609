// The shell: who is signed in, which page is shown, and the keys that work everywhere.

import { announce, h, liveRegion, show } from "./lib/dom.js";
import { keepFocus } from "./lib/focus.js";
import { endSignIn } from "./lib/oidc.js";
import { go, link, parse } from "./lib/route.js";
import { current, onChange, signOut } from "./lib/session.js";
import { failureNote, heading, note } from "./parts/bits.js";
import { shortcuts } from "./parts/shortcuts.js";
import { themeButton } from "./parts/theme.js";
import * as past from "./pages/history.js";
import * as job from "./pages/job.js";
import * as jobs from "./pages/jobs.js";
import * as provider from "./pages/provider.js";
import * as providers from "./pages/providers.js";
import * as signin from "./pages/signin.js";

const PAGES = [
  { name: "jobs", words: "Jobs", list: jobs, one: job },
  { name: "providers", words: "Providers", list: providers, one: provider },
  { name: "history", words: "History", list: past },
];
const STREAM_WORDS = { live: "Live", waiting: "Looking every few seconds", ended: "Ended" };

const root = h("main", { id: "main" });
const links = h("nav", { class: "nav", "aria-label": "Pages" });
const who = h("div", { class: "who" });
const stream = h("span", { class: "stream", hidden: true });
const header = h(
  "header",
  { class: "top" },
  h("a", { class: "skip", href: "#main", onclick: (event) => (event.preventDefault(), root.querySelector("h1")?.focus()) }, "To the page"),
  h("a", { class: "brand", href: link(["jobs"]) }, "octo"),
  links,
  h("span", { class: "space" }),
  stream,
  themeButton(),
  who,
);

let config = { oidc: null };
let why = "";
let page = null;
let stopping = null;
let shownPath = null;
let streamState = "waiting";

/** How the stream of the page is: said by the page, or asked for. */
function live(state) {
  if (state !== undefined) {
    streamState = state;
    stream.hidden = state === "ended";
    stream.className = `stream ${state}`;
    show(stream, h("span", { class: "dot", "aria-hidden": "true" }), h("span", {}, STREAM_WORDS[state]));
  }
  return streamState;
}

function draw() {
  const route = parse(location.hash);
  const session = current();
  drawHeader(session, route);
  if (session === null) {
    leave();
    page = signin.mount(root, { config, why });
    shownPath = null;
    focusPage();
    return;
  }
  const [name = "jobs", one] = route.segments;
  const path = `${name}/${one ?? ""}`;
  if (path === shownPath && page?.update?.(route.query)) return;
  leave();
  stopping = new AbortController();
  live("waiting");
  stream.hidden = true;
  const entry = PAGES.find((each) => each.name === name);
  const module = entry && (one ? entry.one : entry.list);
  if (!module) {
    document.title = "Octo";
    show(root, heading("There is no such page"), note("quiet", "The address leads nowhere.", h("a", { href: link(["jobs"]) }, "To the jobs")));
    page = null;
  } else {
    show(root);
    try {
      page = module.mount(root, { ...route, config, live, signal: stopping.signal });
    } catch (error) {
      show(root, heading("Something went wrong"), failureNote(error, () => location.reload()));
    }
  }
  const first = shownPath === null;
  shownPath = path;
  scrollTo(0, 0);
  if (!first || document.activeElement === document.body) focusPage();
}

function leave() {
  stopping?.abort();
  page = null;
  stream.hidden = true;
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
}

function focusPage() {
  const title = root.querySelector("h1");
  title?.focus({ preventScroll: true });
  announce(document.title);
}

function drawHeader(session, route) {
  links.hidden = session === null;
  show(
    links,
    PAGES.map(({ name, words }) => {
      const here = (route.segments[0] ?? "jobs") === name;
      return h("a", { href: link([name]), "aria-current": here ? "page" : null }, words);
    }),
  );
  show(
    who,
    session === null
      ? null
      : [
          h("span", { class: "subject", title: `Signed in as ${session.subject}` }, session.subject),
          h("button", { type: "button", class: "button small", onclick: () => signOut("") }, "Sign out"),
        ],
  );
}

document.body.replaceChildren(header, root, liveRegion());
keepFocus(root);
shortcuts({ page: () => page, pages: PAGES.map((each) => each.name) });
addEventListener("hashchange", draw);
onChange((reason) => {
  why = reason;
  shownPath = null;
  draw();
});

try {
  config = await (await fetch("config.json")).json();
} catch {
  // Signing in by key works without it.
}
if (config.oidc) why = await endSignIn(config.oidc);
if (parse(location.hash).segments.length === 0) go(link(["jobs"]), { replace: true });
else draw();
