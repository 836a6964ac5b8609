// What can be done with a run or a provider. Each asks first, and is safe to send twice.

import { call, post, wish } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { go, link } from "../lib/route.js";
import { can } from "../lib/session.js";
import { field } from "./bits.js";
import { confirm, toast } from "./dialog.js";
import { isOver } from "./states.js";

const button = (label, onclick, style = "button") => h("button", { type: "button", class: style, onclick }, label);

/** The buttons of a run in its present state. `changed` is called with the run after each. */
export function jobActions(job, changed) {
  const buttons = [];
  if (isOver(job.state)) {
    if (can("jobs:create")) {
      if (job.progress?.filesFailed) buttons.push(button("Rerun failed files", () => rerun(job, "FailedFiles")));
      buttons.push(button("Rerun", () => rerun(job, "All")));
    }
  } else {
    if (can("jobs:update")) {
      const held = job.spec.suspend === true;
      if (held) buttons.push(button("Let it go on", () => hold(job, false, changed), "button primary"));
      else if (job.state === "Pending" || job.state === "Queued") buttons.push(button("Hold", () => hold(job, true, changed)));
    }
    if (can("jobs:cancel")) {
      const asked = job.state === "Cancelling";
      buttons.push(
        asked
          ? button("End by force", () => cancel(job, "Force", changed), "button danger")
          : button("Cancel", () => cancel(job, "Graceful", changed), "button danger"),
      );
    }
  }
  return buttons;
}

function cancel(job, mode, changed) {
  const force = mode === "Force";
  return confirm({
    title: force ? "End this run by force?" : "Cancel this run?",
    text: force
      ? `The pods of ${job.name} are ended at once, without their grace period.`
      : `${job.name} ends what it is doing and stops. Files that are stored stay stored.`,
    fields: force ? [] : [field("Reason (optional)", h("input", { name: "reason", maxlength: 1024, autocomplete: "off" }))],
    verb: force ? "End by force" : "Cancel the run",
    danger: true,
    act: async (form) => {
      const reason = form.get("reason")?.trim();
      changed(await post(`jobs/${job.id}:cancel`, { mode, ...(reason ? { reason } : {}) }));
      toast(`Cancel of ${job.name} asked for`);
    },
  });
}

function rerun(job, mode) {
  const failed = mode === "FailedFiles";
  const key = wish();
  return confirm({
    title: failed ? "Rerun the failed files?" : "Rerun?",
    text: failed
      ? `A new run of ${job.provider} takes the ${job.progress.filesFailed} failed files of ${job.name} once more.`
      : `A new run of ${job.provider} does what ${job.name} did. What is stored already is not stored again.`,
    verb: failed ? "Rerun failed files" : "Rerun",
    act: async () => {
      const made = await post(`jobs/${job.id}:rerun`, { mode }, { key });
      toast(`${made.name} is on its way`);
      go(link(["jobs", made.id]));
      return made;
    },
  });
}

/** Run a provider once. */
export function runProvider(provider) {
  const key = wish();
  return confirm({
    title: `Run ${provider.name} now?`,
    text: "Fetches what is new. A schedule goes on as it is.",
    verb: "Run now",
    act: async () => {
      const made = await post(`providers/${provider.name}/jobs`, { namespace: provider.namespace }, { key });
      toast(`${made.name} is on its way`);
      go(link(["jobs", made.id]));
      return made;
    },
  });
}

async function hold(job, suspend, changed) {
  return confirm({
    title: suspend ? "Hold this run?" : "Let this run go on?",
    text: suspend ? `${job.name} does not start until you let it go on.` : `${job.name} starts when its turn comes.`,
    verb: suspend ? "Hold" : "Let it go on",
    act: async () => {
      changed(
        await call("PATCH", `jobs/${job.id}`, {
          body: { suspend },
          headers: { "Content-Type": "application/merge-patch+json" },
        }),
      );
      toast(suspend ? `${job.name} is held` : `${job.name} goes on`);
    },
  });
}
