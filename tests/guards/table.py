"""The guards, by invariant: 1 to 4 are those of decisions and attempts, the others are beside this file."""

from __future__ import annotations

from tests.guards.guard import Guard
from tests.guards.table_of_stores import STORES
from tests.guards.table_of_turns import TURNS

ACT, ATTEMPT = "reconcile/act.py", "reconcile/attempt.py"
DECIDE, FINISH = "reconcile/decide.py", "reconcile/finish.py"
MANIFEST, WORLD = "reconcile/manifest.py", "reconcile/world.py"
INVARIANTS, LOOP = "test_invariants.py::test_invariant", "reconcile/test_loop.py::test"
DECISIONS = "reconcile/test_decide.py"

ATTEMPTS = (
    Guard(
        1,
        "the Job is named after the run and the attempt",
        MANIFEST,
        '"name": names.child_name(job.meta.name, attempt),',
        '"name": names.child_name(job.meta.name, attempt) + "-x",',
        ("reconcile/test_manifest.py::test_name_owner_and_labels",),
    ),
    Guard(
        1,
        "the run is the Job's controller",
        MANIFEST,
        '"controller": True,',
        '"controller": False,',
        ("reconcile/test_manifest.py::test_name_owner_and_labels",),
    ),
    Guard(
        1,
        "a Job that is there already is looked at, not an error",
        ACT,
        "        except AlreadyExistsError:\n            raw = await self._client.get(JOBS",
        "        except AlreadyExistsError:\n            raise\n            raw = await self._client.get(JOBS",
        (f"{INVARIANTS}_1_a_job_that_is_there_and_ours_is_adopted",),
    ),
    Guard(
        1,
        "one of another owner is not adopted",
        ACT,
        "            if job_view(raw).owner_uid != job.meta.uid:",
        "            if False:",
        (f"{INVARIANTS}_1_a_job_of_someone_else_fails_the_run_with_a_clear_word",),
    ),
    Guard(
        1,
        "one of an earlier OctoJob of the name is waited for",
        ACT,
        '    if any(o.get("controller") and o.get("kind")',
        '    if False and any(o.get("controller") and o.get("kind")',
        (f"{INVARIANTS}_1_a_job_of_an_earlier_run_of_the_name_is_waited_for",),
    ),
    Guard(
        2,
        "an attempt that is open is followed, whether its Job is there or not",
        ATTEMPT,
        "        return _vanished(draft, attempt, options, policy)",
        "        draft.actions.append(CreateJob(attempt.number))\n        return None",
        (f"{INVARIANTS}_2_a_job_that_was_written_down_and_vanished_is_lost_and_not_made_again",),
    ),
    Guard(
        2,
        "the newest Job of a run is kept in mind when it goes",
        WORLD,
        "            self._newest[child.owner_uid] = child",
        "            pass",
        (f"{INVARIANTS}_2_a_job_that_went_before_it_was_written_down_is_lost_and_not_made_again",),
    ),
    Guard(
        2,
        "after a restart pods of a Job that nobody wrote down are looked for",
        DECIDE,
        "    if _may_have_begun(draft.seen):",
        "    if False:",
        (f"{INVARIANTS}_2_after_a_restart_no_attempt_begins_beside_pods_of_a_job_that_nobody_wrote_down",),
    ),
    Guard(
        2,
        "a Job counts as lost only after a live read",
        ATTEMPT,
        "    if not draft.seen.absent:\n        return Look(job=name, uid=attempt.job_uid)\n",
        "",
        (f"{LOOP}_a_job_that_vanished_is_judged_only_after_a_live_read",),
    ),
    Guard(
        2,
        "a live read brings back what a watch lost",
        ACT,
        "self._world.children.put(raw, revive=True)",
        "self._world.children.put(raw)",
        (f"{LOOP}_a_job_that_vanished_is_judged_only_after_a_live_read",),
    ),
    Guard(
        2,
        "an older version of a Job or run is ignored",
        "engine/cache.py",
        "(known is not None and known.version >= version)",
        "False",
        ("engine/test_cache.py::test_a_newer_version_replaces_and_an_older_or_equal_one_is_ignored",),
    ),
    Guard(
        2,
        "an event that comes late does not bring back what is gone",
        "engine/cache.py",
        "if uid in self._gone or (known",
        "if (known",
        ("engine/test_cache.py::test_an_event_that_comes_late_does_not_bring_back_the_dead",),
    ),
    Guard(
        3,
        "a cancelled run is over once its pods are gone",
        ATTEMPT,
        "        if not clear_pods(draft, policy, force=force):\n            cancelled(draft, attempt)",
        "        cancelled(draft, attempt)",
        (f"{INVARIANTS}_3_a_cancelled_run_is_not_over_before_its_pods_are",),
    ),
    Guard(
        3,
        "before a run is called off, a Job that nobody wrote down is looked for",
        DECIDE,
        "    if not seen.absent:\n        return Look(job=name, owner=seen.job.meta.uid)\n",
        "",
        (
            f"{INVARIANTS}_3_a_cancelled_run_is_not_over_before_a_job_that_nobody_wrote_down_is_found_and_gone",
            f"{DECISIONS}::TestCancel::test_between_attempts_it_is_over_once_nothing_of_a_next_one_is_found",
        ),
    ),
    Guard(
        3,
        "and so are its pods",
        DECIDE,
        "    if not clear_pods(draft, policy, force=force):\n        cancelled(draft)",
        "    cancelled(draft)",
        (f"{DECISIONS}::TestCancel::test_before_the_start_it_is_not_over_while_pods_of_a_job_that_went_run",),
    ),
    Guard(
        3,
        "a Job of an attempt that was given up is waited for",
        DECIDE,
        "        if not job.finished:\n            if job.deletion is None:",
        "        if False:\n            if job.deletion is None:",
        (f"{DECISIONS}::TestCancel::test_a_job_of_an_attempt_that_was_given_up_is_waited_for_too",),
    ),
    Guard(
        3,
        "pods of a Job that does not go are deleted by force",
        ATTEMPT,
        "    if not force and draft.now < due:",
        "    if True:",
        (f"{INVARIANTS}_3_what_does_not_obey_is_deleted_by_force_in_bounded_time",),
    ),
    Guard(
        3,
        "pods that outlive their Job are deleted by force",
        ATTEMPT,
        "        if force or (pod.deletion is not None and draft.now >= pod.deletion + margin)",
        "        if False",
        (f"{INVARIANTS}_3_what_does_not_obey_is_deleted_by_force_in_bounded_time",),
    ),
    Guard(
        3,
        "a lost attempt is over once its pods are gone",
        ATTEMPT,
        "    if clear_pods(draft, policy, force=False):\n        return None\n    if attempt.reason == HELD:",
        "    if attempt.reason == HELD:",
        (
            f"{DECISIONS}::TestInvariant1AndTwo::test_a_vanished_job_is_lost_only_after_a_live_read_and_when_its_pods_are_gone",
        ),
    ),
    Guard(
        4,
        "a provider is not waited for without end",
        DECIDE,
        "        fail(draft, Verdict(Category.CONFIG, reason, message))\n        return\n",
        "        pass\n",
        (f"{INVARIANTS}_4_what_does_not_get_on_is_ended_at_its_deadline_and_visited_then[its provider does not come]",),
    ),
    Guard(
        4,
        "nor is a pod that does not start",
        ATTEMPT,
        "    _give_up(draft, attempt, child, replace(why, reason=PENDING_DEADLINE, message=message))",
        "    del message",
        (f"{INVARIANTS}_4_what_does_not_get_on_is_ended_at_its_deadline_and_visited_then[its pod does not start]",),
    ),
    Guard(
        4,
        "a run has its active deadline",
        ATTEMPT,
        "        if draft.now >= deadline:\n            verdict = Verdict(Category.TIMEOUT",
        "        if False:\n            verdict = Verdict(Category.TIMEOUT",
        (f"{INVARIANTS}_4_what_does_not_get_on_is_ended_at_its_deadline_and_visited_then[it goes on]",),
    ),
    Guard(
        4,
        "and is visited then",
        ATTEMPT,
        "            return None\n        draft.look_again((deadline - draft.now).total_seconds())",
        "            return None",
        (f"{INVARIANTS}_4_what_does_not_get_on_is_ended_at_its_deadline_and_visited_then[it goes on]",),
    ),
    Guard(
        4,
        "a lost heartbeat shows",
        ATTEMPT,
        "    if now >= silent_at:",
        "    if False:",
        (f"{INVARIANTS}_4_a_lost_heartbeat_shows_as_stalled",),
    ),
    Guard(
        4,
        "a retry is visited when it is due",
        FINISH,
        "    draft.look_again((due - draft.now).total_seconds())",
        "",
        (f"{INVARIANTS}_4_a_retry_comes_back_by_itself",),
    ),
    Guard(
        4,
        "what refuses a Job is not waited for without end",
        DECIDE,
        "    if draft.now >= deadline and known is not None and known.reason == refusal.reason:",
        "    if False:",
        (
            f"{LOOP}_a_webhook_that_is_broken_is_waited_for_as_long_as_a_pod",
            f"{DECISIONS}::TestStart::test_a_name_that_an_earlier_run_still_has_is_waited_for_until_the_pending_deadline",
        ),
    ),
)

GUARDS: tuple[Guard, ...] = (*ATTEMPTS, *STORES, *TURNS)
"""All of them."""
