"""What the workers of one run say, put together."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octo_controller.reconcile.ending import classify
from octo_controller.reconcile.model import Pods, PodView
from octo_controller.reconcile.verdict import Verdict, merged
from octo_core.domain.failure import EXIT_CODES, Category
from octo_core.domain.report import Outcome
from octo_core.domain.status import ManifestRef, Progress
from tests.unit.octo_controller.builders import at, child, pod

COUNTS = ("files_listed", "files_selected", "files_skipped", "files_done", "files_failed", "file_retries")
BYTES = ("bytes_downloaded", "bytes_uploaded")
R, D, I, S = Category.REMOTE_UNAVAILABLE, Category.DECRYPT, Category.INTEGRITY, Category.SINK_UNAVAILABLE  # noqa: E741


def progress_of(done: int, selected: int) -> Progress:
    return Progress(files_done=done, files_selected=selected, summary=f"{done}/{selected}")


def worker(index: int, outcome: Outcome | None = None, *, exit_code: int | None = None, **more: Any) -> PodView:
    """The ended pod of a worker."""
    category = outcome.category if outcome else None
    code = exit_code if exit_code is not None else EXIT_CODES[category] if category else 0
    message = outcome.model_dump_json(by_alias=True, exclude_none=True) if outcome else ""
    return pod(exit_code=code, message=message, **{"name": f"run-1-{index}-x", "index": index, **more})


def verdict_on(*pods: PodView, workers: int, asked: bool = False, **more: Any) -> Verdict:
    """The verdict on a Job whose pods ended so."""
    last = {p.index: p for p in pods}
    good = frozenset(index for index, p in last.items() if p.ended and p.ended.exit_code == 0)
    bad = frozenset(range(workers)) - good
    over = child(workers=workers, complete=not bad, failed=bool(bad), succeeded=good, unsuccessful=bad, **more)
    return classify(over, Pods(pods), asked=asked)


progresses = st.builds(Progress, **dict.fromkeys((*COUNTS, *BYTES), st.integers(0, 10**12)))
manifests = st.none() | st.builds(ManifestRef, uri=st.just("s3://landing/m"), sha256=st.sampled_from(["a", "b"]))
outcomes = st.builds(
    Outcome,
    category=st.none() | st.sampled_from(Category),
    reason=st.sampled_from(["Completed", "NoNewFiles", "CompletedWithSkips", "Mine"]),
    message=st.sampled_from(["", "one", "two"]),
    progress=progresses.filter(lambda progress: progress != Progress()),
    manifest=manifests,
)


@st.composite
def ended_jobs(draw: st.DrawFn) -> tuple[PodView, ...]:
    """The pods of two to six workers, each with an outcome, without one, or gone."""
    pods = []
    for index in range(draw(st.integers(2, 6))):
        kind = draw(st.sampled_from(["said", "said", "said", "killed", "evicted", "replaced"]))
        if kind in ("said", "replaced"):
            if kind == "replaced":
                pods.append(pod(name=f"old-{index}", index=index, phase="Failed", disrupted=True))
            pods.append(worker(index, draw(outcomes)))
        elif kind == "killed":
            pods.append(worker(index, exit_code=137, why="OOMKilled"))
        else:
            pods.append(pod(name=f"run-1-{index}-x", index=index, phase="Failed", reason="Evicted"))
    return tuple(pods)


def count(pods: tuple[PodView, ...]) -> int:
    return 1 + max(p.index for p in pods)


@given(ended_jobs(), st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_the_pods_does_not_matter(pods: tuple[PodView, ...], order: Random, asked: bool) -> None:
    groups = [[p for p in pods if p.index == index] for index in range(count(pods))]
    order.shuffle(groups)
    shuffled = tuple(p for group in groups for p in group)
    assert verdict_on(*shuffled, workers=count(pods), asked=asked) == verdict_on(
        *pods, workers=count(pods), asked=asked
    )


@given(ended_jobs(), st.booleans())
def test_it_is_a_success_only_if_every_worker_succeeded(pods: tuple[PodView, ...], asked: bool) -> None:
    verdict = verdict_on(*pods, workers=count(pods), asked=asked)
    last = {p.index: p for p in pods}
    failed = [p for p in last.values() if p.ended is None or p.ended.exit_code]
    assert (verdict.category is None) == (not failed)
    if failed:
        speaker = next(p for p in failed if p.name == verdict.pod_name)
        assert verdict.message.startswith(f"worker {speaker.index + 1} of {count(pods)}: ")
        assert verdict.exit_code == (speaker.ended.exit_code if speaker.ended else None)


@given(ended_jobs())
def test_progress_is_the_sum_of_what_the_workers_say(pods: tuple[PodView, ...]) -> None:
    verdict = verdict_on(*pods, workers=count(pods))
    said = [Outcome.model_validate_json(p.ended.message).progress for p in pods if p.ended and p.ended.message]
    assert verdict.partial == (len(said) < count(pods))
    if not said:
        assert verdict.progress is None
        return
    assert verdict.progress is not None
    for name in (*COUNTS, *BYTES):
        assert getattr(verdict.progress, name) == sum(getattr(part, name) for part in said)
    assert verdict.progress.summary == f"{verdict.progress.files_done}/{verdict.progress.files_selected}"


@given(outcomes)
def test_one_worker_speaks_for_itself(outcome: Outcome) -> None:
    verdict = verdict_on(worker(0, outcome), workers=1, asked=True)
    assert merged([verdict]) is verdict
    assert not verdict.message.startswith("worker")


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (("Completed", "Completed"), "Completed"),
        (("Completed", "NoNewFiles"), "Completed"),
        (("NoNewFiles", "NoNewFiles"), "NoNewFiles"),
        (("NoNewFiles", "CompletedWithSkips"), "CompletedWithSkips"),
        (("Completed", "CompletedWithSkips", "NoNewFiles"), "CompletedWithSkips"),
    ],
)
def test_how_a_shared_run_succeeds(reasons: tuple[str, ...], expected: str) -> None:
    pods = [worker(index, Outcome(reason=reason)) for index, reason in enumerate(reasons)]
    assert verdict_on(*pods, workers=len(reasons)).reason == expected


def test_a_success_repeats_one_message_only_if_all_say_it() -> None:
    same = [worker(index, Outcome(reason="NoNewFiles", message="nothing new")) for index in range(2)]
    assert verdict_on(*same, workers=2).message == "nothing new"
    skips = Outcome(reason="CompletedWithSkips", message="1 of 2 files failed")
    mixed = verdict_on(worker(0, Outcome(reason="Completed")), worker(1, skips), workers=2)
    assert mixed.message == "worker 2 of 2: 1 of 2 files failed"
    quiet = verdict_on(worker(0, Outcome(reason="Completed")), same[1], workers=2)
    assert (quiet.reason, quiet.message) == ("Completed", "")


@pytest.mark.parametrize(
    ("categories", "speaker"),
    [
        ((None, D, None), 1),
        ((I, D, R), 2),
        ((D, I, I), 1),
        ((I, D, None), 1),
        ((S, R, D), 1),
    ],
)
def test_what_is_worth_a_retry_leads(categories: tuple[Category | None, ...], speaker: int) -> None:
    pods = [
        worker(index, Outcome(category=category, reason=category.value if category else "Completed", message="why"))
        for index, category in enumerate(categories)
    ]
    verdict = verdict_on(*pods, workers=3)
    assert verdict.category is categories[speaker]
    assert verdict.reason == categories[speaker]
    assert (verdict.pod_name, verdict.message) == (f"run-1-{speaker}-x", f"worker {speaker + 1} of 3: why")


def test_a_worker_without_words_is_judged_by_how_it_ended() -> None:
    done = Outcome(reason="Completed", progress=progress_of(2, 2))
    killed = verdict_on(worker(0, done), worker(1, exit_code=137, why="OOMKilled"), workers=2)
    assert (killed.category, killed.reason, killed.exit_code) == (Category.INFRA, "OOMKilled", 137)
    assert killed.progress == progress_of(2, 2)
    gone = verdict_on(worker(0, done), workers=2, failed_message="Job has failed indexes")
    assert (gone.category, gone.reason, gone.pod_name) == (Category.INFRA, "PodLost", "run-1-0-x")
    assert gone.message == "worker 2 of 2: the pod went before it said how it ended"


def test_a_worker_whose_pod_is_gone_succeeded_if_the_job_says_so() -> None:
    over = child(workers=2, failed=True, succeeded=frozenset({0}), unsuccessful=frozenset({1}))
    verdict = classify(over, Pods((worker(1, Outcome(category=D, reason="Decrypt")),)), asked=False)
    assert (verdict.category, verdict.message) == (D, "worker 2 of 2: Decrypt")


def test_a_deadline_is_the_runs_not_a_workers_failure() -> None:
    stopped = worker(1, Outcome(category=Category.CANCELLED, reason="Cancelled"))
    verdict = verdict_on(worker(0, Outcome(reason="Completed")), stopped, workers=2, failed_reason="DeadlineExceeded")
    assert (verdict.category, verdict.reason) == (Category.TIMEOUT, "DeadlineExceeded")


def test_of_a_run_whose_end_was_asked_for_one_that_obeyed_speaks() -> None:
    pods = (worker(0, Outcome(category=R, reason="R")), worker(1, Outcome(category=Category.CANCELLED, reason="C")))
    assert verdict_on(*pods, workers=2, asked=True).category is Category.CANCELLED
    unasked = verdict_on(*reversed(pods), workers=2)
    assert unasked.category in (R, Category.INFRA)
    alone = verdict_on(pods[1], worker(0, Outcome(category=I, reason="I")), workers=2)
    assert (alone.category, alone.reason) == (Category.INFRA, "PodDeleted"), "which is worth another attempt"


def test_the_manifest_is_the_one_written_last() -> None:
    def told(index: int, digest: str | None, second: float) -> Verdict:
        ref = ManifestRef(uri="s3://landing/m", sha256=digest) if digest else None
        return Verdict(None, "Completed", manifest=ref, at=at(second))

    found = merged([told(0, "old", 1), told(1, "new", 3), told(2, None, 4)]).manifest
    assert found is not None
    assert found.sha256 == "new"
    assert merged([replace(told(0, None, 1)), told(1, None, 2)]).manifest is None
