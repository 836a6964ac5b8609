"""What becomes an Event: troubles and the end, each once."""

from __future__ import annotations

from typing import Any

from octo_controller.reconcile.announcements import Announcement, Type, announcements
from octo_controller.reconcile.model import Pods
from octo_core.domain.causes import CAUSES
from octo_core.domain.status import OctoJobStatus
from tests.unit.octo_controller.builders import CANCEL, child, job, observed, plan_of, pod, running, started


def ended(exit_code: int, **spec: Any) -> tuple[OctoJobStatus, OctoJobStatus]:
    before = running(**spec)
    over = child(complete=exit_code == 0, failed=exit_code != 0)
    seen = observed(job(status=before, **spec), children=(over,), pods=Pods((pod(exit_code=exit_code),)))
    return before, plan_of(seen, 60).status


def test_a_healthy_run_says_one_thing_at_its_end() -> None:
    assert announcements(OctoJobStatus(), started()) == ()
    assert announcements(started(), running()) == ()
    before, after = ended(0)
    assert announcements(before, after) == (Announcement(Type.NORMAL, "Succeeded", "Completed"),)
    assert announcements(after, after) == ()


def test_what_hinders_a_pod_is_said_once() -> None:
    said = 'MountVolume.SetUp failed for volume "sftp" : secret "bank" not found'
    late = Pods((pod(warnings=(said,)),))
    waits = plan_of(observed(job(status=started()), children=(child(active=1),), pods=late), 20).status
    assert announcements(started(), waits) == (Announcement(Type.WARNING, "SecretMissing", said),)
    later = plan_of(observed(job(status=waits), children=(child(active=1),), pods=late), 60).status
    assert announcements(waits, later) == ()


def test_a_failed_attempt_that_is_retried_is_a_warning() -> None:
    (said,) = announcements(*ended(20))
    assert said == Announcement(Type.WARNING, "AttemptFailed", "RemoteUnavailable: exit code 20")


def test_a_failed_run_says_why_and_what_to_do() -> None:
    (said,) = announcements(*ended(77, retryPolicy={"maxAttempts": 1}))
    assert said == Announcement(Type.WARNING, "Failed", f"Error: exit code 77. {CAUSES['Error'].resolution}")


def test_a_missing_provider_is_a_warning_and_a_cancel_is_none() -> None:
    waits = plan_of(observed(provider=None)).status
    (said,) = announcements(OctoJobStatus(), waits)
    assert (said.type, said.reason) == (Type.WARNING, "ProviderNotFound")
    over = plan_of(observed(job(cancel=CANCEL), absent=True, pods=Pods())).status
    assert announcements(OctoJobStatus(), over) == (Announcement(Type.NORMAL, "Cancelled", "Cancelled: wrong day"),)
