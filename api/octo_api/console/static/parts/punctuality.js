// Whether a provider is as fresh as its schedule promises, judged from the ticks that were and the one to come.

import { h } from "../lib/dom.js";
import { duration } from "../lib/format.js";
import { icon } from "./states.js";

/** A tick that is not much older is not late: the controller looks every few seconds. */
const GRACE = 120_000;

/** A tone, a word and the reason for it. Pure. */
export function punctuality(provider, now = Date.now()) {
  const { schedule } = provider.spec;
  if (!schedule) return verdict("quiet", "On demand", "It runs only when asked.");
  if (schedule.suspend) return verdict("wait", "Suspended", "Its schedule is suspended.");
  const status = provider.schedule;
  if (!status) return verdict("wait", "Not seen yet", "The controller has not looked at its schedule yet.");
  const at = (text) => (text ? new Date(text).getTime() : null);
  const next = at(status.nextScheduleTime);
  const last = at(status.lastScheduleTime);
  const skipped = at(status.lastSkipped?.scheduledTime);
  const success = at(provider.lastSuccessAt);
  if (next !== null && now - next > GRACE) return verdict("bad", "Overdue", `It should have run ${duration((now - next) / 1000)} ago.`);
  if (skipped !== null && skipped > (last ?? 0)) return verdict("warn", "Skipped", `The last tick made no run: ${status.lastSkipped.reason}.`);
  if (last !== null && (success === null || success < last)) {
    return verdict("warn", "Behind", `The run of its last tick, ${duration((now - last) / 1000)} ago, has not succeeded.`);
  }
  if (last === null && success === null) return verdict("wait", "No run yet", "Its first tick is still to come.");
  return verdict("good", "On time", "The run of its last tick has succeeded.");
}

const verdict = (tone, word, reason) => ({ tone, word, reason });

/** How a verdict looks. */
export const verdictBadge = ({ tone, word, reason }) => h("span", { class: `badge tone-${tone}`, title: reason }, icon(tone), word);
