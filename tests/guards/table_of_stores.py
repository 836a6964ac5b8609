"""The guards of invariants 5 to 7: the mirror, the archive, and who decides on retries."""

from __future__ import annotations

from tests.guards.guard import Guard

ACT, DECIDE, FINISH = "reconcile/act.py", "reconcile/decide.py", "reconcile/finish.py"
MANIFEST, PROJECTOR, ARCHIVIST = "reconcile/manifest.py", "mirror/projector.py", "archivist.py"
INVARIANTS, LOOP = "test_invariants.py::test_invariant", "reconcile/test_loop.py::test"
MIRROR = "mirror/test_projector.py::test"
KUBERNETES, BY_CATEGORY = (
    f"{INVARIANTS}_7_kubernetes_does_not_retry",
    f"{INVARIANTS}_7_retry_policy_decides_by_category",
)
HOLD = "raw = await self._client.patch(OCTOJOBS, self._namespace, seen.job.meta.name, body)\n"
FIRST_AND_LAST = f"{INVARIANTS}_6_the_finalizer_is_first_and_last"

STORES = (
    Guard(
        5,
        "an older version is not offered over a newer one",
        PROJECTOR,
        "(known is not None and version <= _version(known[0]))",
        "False",
        (f"{INVARIANTS}_5_an_older_version_is_never_written_after_a_newer_one",),
    ),
    Guard(
        5,
        "nor over what Postgres holds",
        PROJECTOR,
        "version <= self._held.get(uid, -1) or (known",
        "(known",
        (f"{INVARIANTS}_5_an_older_version_is_never_written_after_a_newer_one",),
    ),
    Guard(
        5,
        "what changes while a batch is written is written next",
        PROJECTOR,
        "        if known is not None and known[0] is raw:",
        "        if known is not None:",
        (f"{MIRROR}_a_change_that_comes_while_a_batch_is_written_is_written_next",),
    ),
    Guard(
        5,
        "a row is marked deleted after its last version",
        PROJECTOR,
        "sorted(uid for uid in self._deleted if uid not in self._pending or uid in uids)",
        "sorted(self._deleted)",
        (f"{MIRROR}_a_row_is_marked_deleted_after_its_last_version",),
    ),
    Guard(
        5,
        "what leaves a selector and nothing held may be there still",
        ARCHIVIST,
        'return Parting.LEFT if meta.get("finalizers") else Parting.UNSURE',
        'return Parting.LEFT if meta.get("finalizers") else Parting.GONE',
        (
            "test_app.py::test_one_without_a_finalizer_that_leaves_the_selector_is_looked_for_before_it_counts_as_gone",
            "test_archivist.py::test_a_delete_that_is_none_is_told_apart",
        ),
    ),
    Guard(
        5,
        "only what a look does not find is gone",
        ARCHIVIST,
        '        if raw["metadata"]["uid"] != uid:',
        "        if True:",
        (
            "test_archivist.py::test_one_that_nothing_held_is_gone_only_if_it_is_not_there",
            "test_archivist.py::test_the_row_of_one_that_is_deleted_is_marked",
        ),
    ),
    Guard(
        5,
        "and its last version is written first",
        ARCHIVIST,
        "            if last is not None:\n                self._projector.offer(last)\n",
        "",
        ("test_archivist.py::test_one_that_nothing_held_is_gone_only_if_it_is_not_there",),
    ),
    Guard(
        6,
        "the finalizer is put on before anything else is done",
        DECIDE,
        "    if meta.deletion_timestamp is None and ARCHIVE_FINALIZER not in meta.finalizers:",
        "    if False:",
        (FIRST_AND_LAST,),
    ),
    Guard(
        6,
        "nothing is done for one that was deleted before",
        ACT,
        f"        {HOLD}",
        f"        try:\n            {HOLD}        except NotFoundError:\n            return version\n",
        (f"{LOOP}_one_deleted_before_it_was_held_is_given_no_job_and_is_forgotten",),
    ),
    Guard(
        6,
        "the finalizer waits for the mirror",
        DECIDE,
        "        if seen.mirrored:\n            return Plan((ReleaseFinalizer(),), status)",
        "        if True:\n            return Plan((ReleaseFinalizer(),), status)",
        (FIRST_AND_LAST,),
    ),
    Guard(
        6,
        "and fails open",
        DECIDE,
        "        if now >= overdue:",
        "        if False:",
        (FIRST_AND_LAST,),
    ),
    Guard(
        6,
        "which is counted",
        ACT,
        "self.counters.unarchived += unarchived",
        "self.counters.unarchived += 0",
        (FIRST_AND_LAST,),
    ),
    Guard(7, "Kubernetes makes no second pod", MANIFEST, '"backoffLimit": 0}', '"backoffLimit": 3}', (KUBERNETES,)),
    Guard(
        7,
        "nor one for a worker of several",
        MANIFEST,
        '"backoffLimitPerIndex": 0,',
        '"backoffLimitPerIndex": 3,',
        (KUBERNETES,),
    ),
    Guard(
        7,
        "nor does the kubelet start a container again",
        MANIFEST,
        '"restartPolicy": "Never",',
        '"restartPolicy": "OnFailure",',
        (KUBERNETES,),
    ),
    Guard(
        7,
        "a disruption is no failure",
        MANIFEST,
        '{"action": "Ignore", "onPodConditions"',
        '{"action": "Count", "onPodConditions"',
        (KUBERNETES,),
    ),
    Guard(
        7,
        "the category decides",
        FINISH,
        "verdict.category in policy.retry_on and ",
        "",
        (f"{BY_CATEGORY}[Config]",),
    ),
    Guard(
        7,
        "and the number of attempts",
        FINISH,
        " and failures < policy.max_attempts:",
        ":",
        (f"{BY_CATEGORY}[Infra]",),
    ),
)
