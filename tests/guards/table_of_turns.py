"""The guards of invariants 8 to 10: whose turn it is, what a restart and a watch may lose, and who acts."""

from __future__ import annotations

from tests.guards.guard import Guard

ADMISSION, LEDGER, WORLD = "reconcile/admission.py", "reconcile/ledger.py", "reconcile/world.py"
ACT, DECIDE, LEASE = "reconcile/act.py", "reconcile/decide.py", "engine/lease.py"
INVARIANTS, LOOP = "test_invariants.py::test_invariant", "reconcile/test_loop.py::test"
COUNTS = "line.busy + line.ahead >= concurrency.max"
IN_ORDER = f"{INVARIANTS}_8_a_run_ends_and_the_next_by_priority_then_age_is_visited_and_goes"
RESTART = f"{INVARIANTS}_9_a_restart_with_many_runs_makes_each_job_once_and_touches_none_that_is_over"
LEASES, APP = "engine/test_lease.py::test", "test_app.py::test"
OWES_NOTHING = f"{APP}_a_watch_owes_nothing_that_was_listed_before_it_began"
FOLLOWS_BOTH = f"{APP}_the_watch_of_what_is_put_aside_fails_the_liveness_probe_like_the_other"

TURNS = (
    Guard(
        8,
        "those that wait ahead count",
        ADMISSION,
        COUNTS,
        "line.busy >= concurrency.max",
        (f"{INVARIANTS}_8_two_of_one_key_visited_at_the_same_time_do_not_both_go",),
    ),
    Guard(
        8,
        "those that are active count",
        ADMISSION,
        COUNTS,
        "line.ahead >= concurrency.max",
        (f"{INVARIANTS}_8_a_busy_key_lets_nobody_in",),
    ),
    Guard(
        8,
        "a decision counts before its writes are answered",
        WORLD,
        "            self._admitted.add(uid)",
        "            pass",
        (f"{INVARIANTS}_8_one_that_comes_while_anothers_job_is_being_made_does_not_pass_it",),
    ),
    Guard(
        8,
        "who has more priority goes first",
        LEDGER,
        "return (-self.priority, self.created, self.uid)",
        "return (0, self.created, self.uid)",
        (IN_ORDER,),
    ),
    Guard(
        8,
        "the end of one is news for the next",
        WORLD,
        "        self._ledger.remove(uid)\n        if before is not None:\n            self._wake(before.key)",
        "        self._ledger.remove(uid)",
        (IN_ORDER,),
    ),
    Guard(
        8,
        "a turn is kept while the Job is refused, which is no news",
        WORLD,
        "        and admitted.status is ConditionStatus.TRUE\n",
        "        and False\n",
        (f"{LOOP}_a_refusal_that_may_pass_is_no_news_for_the_run_itself_or_for_those_that_wait",),
    ),
    Guard(
        8,
        "the namespace has no more places than it has",
        LEDGER,
        "        if free <= 0:\n            return True\n",
        "",
        (f"{LOOP}_the_namespace_has_one_line_of_all_keys",),
    ),
    Guard(
        9,
        "what is over stays as it is",
        DECIDE,
        "    if status.state is not None and status.state.terminal:",
        "    if False:",
        (RESTART,),
    ),
    Guard(
        9,
        "a Job that nobody wrote down is taken up",
        DECIDE,
        "        if unrecorded is not None:",
        "        if False:",
        (f"{LOOP}_a_run_that_is_over_before_anybody_looked_costs_one_status",),
    ),
    Guard(
        9,
        "a list makes the deletes that no watch tells of",
        "engine/resync.py",
        "            self._gone(entry.name, entry.uid)",
        "            pass",
        (f"{APP}_a_resync_finds_what_came_and_what_went_without_a_word",),
    ),
    Guard(
        9,
        "what is younger than a list is not missing from it",
        "engine/cache.py",
        "if entry.version <= version and (entry",
        "if (entry",
        ("engine/test_cache.py::test_resync_puts_what_was_missed_and_removes_what_is_gone",),
    ),
    Guard(
        9,
        "what a write does not find is looked for, and forgotten if it is gone",
        ACT,
        "        self._world.gone(Kind.JOB, name, known.meta.uid)",
        "",
        (f"{LOOP}_one_that_no_watch_told_of_the_end_is_looked_for_once_a_write_does_not_find_it",),
    ),
    Guard(
        9,
        "a server that does not know the kind proves nothing",
        ACT,
        "if known is None or name not in error.detail:",
        "if known is None:",
        (f"{LOOP}_a_server_that_does_not_know_the_kind_proves_nothing",),
    ),
    Guard(
        9,
        "silence fails the probe",
        "app.py",
        "            if intake.silence() > settings.watch_silence_seconds:",
        "            if False:",
        (f"{INVARIANTS}_9_a_silent_watch_fails_the_liveness_probe",),
    ),
    Guard(
        9,
        "so does a change that a watch keeps to itself",
        "app.py",
        "            if intake.behind() > settings.watch_behind_seconds:",
        "            if False:",
        (f"{APP}_a_watch_that_keeps_a_change_to_itself_fails_the_liveness_probe", FOLLOWS_BOTH),
    ),
    Guard(
        9,
        "but not a quiet watch: it has told of all up to where it began",
        "engine/watcher.py",
        "        self._reached(version)",
        "        pass",
        (OWES_NOTHING, "engine/test_watcher.py::test_the_next_stream_begins_where_the_last_one_ended"),
    ),
    Guard(
        9,
        "the watch of what is put aside owes what is listed",
        "intake.py",
        "            self._newest[ASIDE] = max(self._newest[ASIDE], version_of(raw))\n",
        "",
        (FOLLOWS_BOTH,),
    ),
    Guard(
        10,
        "a Lease is held by its holder's own clock",
        LEASE,
        " and not self._lost and self._clock() < self._until",
        " and not self._lost",
        (f"{LEASES}_a_holder_that_slept_may_not_act_when_it_wakes",),
    ),
    Guard(
        10,
        "whose time counts from before the renewal was sent",
        LEASE,
        "self._until = started + self._times.renew_within",
        "self._until = self._clock() + self._times.renew_within",
        (f"{LEASES}_a_renewal_that_is_answered_too_late_does_not_count",),
    ),
    Guard(
        10,
        "a candidate waits out the holder's time",
        LEASE,
        " and self._expires_in() > 0:",
        " and False:",
        (f"{INVARIANTS}_10_a_standby_takes_over_within_20_seconds_and_the_first_acts_no_more",),
    ),
    Guard(
        10,
        "one that was replaced ends",
        LEASE,
        '        if any(spec.get(field) != tenure.get(field) for field in ("holderIdentity", "acquireTime")):',
        "        if False:",
        (f"{LEASES}_one_that_was_replaced_notices_at_its_next_renewal",),
    ),
    Guard(
        10,
        "no write goes out without the Lease",
        "leadership.py",
        '            raise LeaseLostError("this controller does not hold the lease")',
        "            pass",
        (f"{APP}_a_standby_is_ready_and_writes_nothing",),
    ),
    Guard(
        10,
        "one of another number of shards is waited for",
        "rivals.py",
        "        if not self._share.meets(_share_of(raw)):\n            return False\n",
        "        return False\n",
        ("test_rivals.py::test_a_lease_that_says_nothing_of_its_shard_stands_for_everything",),
    ),
)
