"""What a decision is made from, and what it says: plain values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from octo_core.crd.resources import OctoJob, OctoProvider
from octo_core.domain.failure import Category
from octo_core.domain.job import CancelMode
from octo_core.domain.status import OctoJobStatus

REPLACED_BY = "octo-controller/replace"
"""``spec.cancel.requestedBy`` of a run that gave way to a newer one."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The controller's own limits, from its settings."""

    cancel_force_after_seconds: int = 30
    archive_fail_open_seconds: int = 600
    leaving_fail_open_seconds: int = 5
    """The same in a namespace that is being deleted: its Lease goes too, and with it who could let the OctoJob go."""
    stalled_after_seconds: int = 600

    def patience(self, leaving: bool) -> int:
        """Seconds for which a deleted OctoJob waits for the archive; ``leaving`` says that its namespace goes too."""
        return self.leaving_fail_open_seconds if leaving else self.archive_fail_open_seconds


@dataclass(frozen=True, slots=True)
class JobView:
    """What counts of a batch/v1 Job."""

    name: str
    uid: str
    attempt: int
    owner_name: str
    owner_uid: str
    created: datetime
    started: datetime | None = None
    ready: int = 0
    active: int = 0
    grace: int | None = None
    """Seconds that its pods have to end, as was said when it was made."""
    workers: int = 1
    """How many pods share it: the completions of an Indexed Job."""
    succeeded: frozenset[int] = frozenset()
    """Of an Indexed Job: the indexes that ended well."""
    unsuccessful: frozenset[int] = frozenset()
    """Of an Indexed Job: the indexes that failed for good."""
    suspended: bool = False
    queue: str = ""
    """The queue of Kueue that it waits in; its ``suspended`` is then Kueue's to change."""
    complete: bool = False
    failed: bool = False
    failed_reason: str = ""
    failed_message: str = ""
    deletion: datetime | None = None

    @property
    def finished(self) -> bool:
        """Whether the Job says itself that it is over; its pods are then terminal."""
        return self.complete or self.failed

    @property
    def settled(self) -> bool:
        """Whether no pod of it is waited for any more, as far as the Job tells by itself."""
        if self.workers == 1:
            return not self.active
        return len(self.succeeded | self.unsuccessful) >= self.workers


@dataclass(frozen=True, slots=True)
class Ended:
    """How a pod's container ended."""

    exit_code: int
    reason: str = ""
    message: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PodView:
    """What counts of a pod of a run."""

    name: str
    uid: str
    phase: str
    index: int = 0
    """Which of the Job's workers it is."""
    running: bool = False
    ended: Ended | None = None
    reason: str = ""
    """Of the pod as a whole: Evicted, NodeLost."""
    message: str = ""
    """Of the pod as a whole."""
    disrupted: bool = False
    disruption: str = ""
    """What took it, where something did: PreemptionByScheduler, EvictionByEvictionAPI."""
    unschedulable: str = ""
    """The scheduler's words, where it found no node."""
    waiting: str = ""
    """Why the container waits: ImagePullBackOff, CreateContainerConfigError."""
    waiting_message: str = ""
    warnings: tuple[str, ...] = ()
    """Messages of its Warning events, newest last; looked up for pods that do not start."""
    deletion: datetime | None = None

    @property
    def over(self) -> bool:
        """Whether nothing of it can still run."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def waits(self) -> bool:
        """Whether its container has not begun."""
        return not (self.running or self.ended or self.over)


@dataclass(frozen=True, slots=True)
class Pods:
    """The pods of one child Job, those of one worker from the oldest on, and the warnings about the Job itself."""

    items: tuple[PodView, ...] = ()
    warnings: tuple[str, ...] = ()

    def of(self, index: int) -> tuple[PodView, ...]:
        """The pods of one worker: more than one if a disruption took the earlier ones."""
        return tuple(pod for pod in self.items if pod.index == index)

    @property
    def live(self) -> tuple[PodView, ...]:
        """Those that may still run."""
        return tuple(pod for pod in self.items if not pod.over)


@dataclass(frozen=True, slots=True)
class Peer:
    """Another run that is active with the same concurrency key."""

    name: str
    uid: str
    resource_version: str
    created: datetime
    cancelled: bool


@dataclass(frozen=True, slots=True)
class Line:
    """Where a run stands among those that are not over."""

    busy: int = 0
    """How many others are active with its concurrency key."""
    ahead: int = 0
    """How many with its key could go and have their turn before it."""
    holders: tuple[Peer, ...] = ()
    """Those that are active with its key; named for the policies Forbid and Replace only."""
    crowded: bool = False
    """The namespace has no place for it, or only places for those whose turn is before."""
    place: int = 1
    """Its place, from 1, among those that wait for the namespace alone."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The API server does not take the Job of an attempt, for a reason that will not pass within moments."""

    attempt: int
    category: Category
    reason: str
    message: str
    passing: bool = False
    """It may pass, so the pending deadline is waited for."""
    again_after: float = 30.0
    """Seconds until it is tried again then."""


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything a decision about one OctoJob may go by."""

    job: OctoJob
    provider: OctoProvider | None
    provider_problem: str = ""
    """Why the provider cannot be used although it is there."""
    children: tuple[JobView, ...] = ()
    line: Line = Line()
    admitted: bool = False
    """It was let go earlier, and this may not show in the cluster yet."""
    leaving: bool = False
    """The namespace is being deleted."""
    mirrored: bool = False
    """This very version is committed to Postgres."""
    pods: Pods | None = None
    """Of the current attempt; None while nobody looked."""
    newest: JobView | None = None
    """The Job of the latest attempt that was ever seen, even if it is gone by now."""
    since: datetime | None = None
    """When this process began to decide alone: what is older may have had Jobs that it never saw."""
    absent: bool = False
    """A live read just said that the current attempt's Job is not there."""
    refusal: Refusal | None = None
    look_in: float = 0.0
    """Seconds until a look that may wait has its turn."""


@dataclass(frozen=True, slots=True)
class Look:
    """A decision needs more facts first: a live read of a Job, or the pods of one."""

    job: str | None = None
    uid: str | None = None
    """Of the Job that is looked for: one of that name with another uid does not count."""
    owner: str | None = None
    """Uid of its owner, where its own is not known."""
    pods: str | None = None
    warnings: bool = False
    may_wait: bool = False
    """For its turn: thousands may want a look at the same moment, and go on well without one."""


@dataclass(frozen=True, slots=True)
class AddFinalizer:
    """Hold the OctoJob until it is archived."""


@dataclass(frozen=True, slots=True)
class CreateJob:
    """Make the child Job of an attempt; adopt it if it is there and ours."""

    attempt: int


@dataclass(frozen=True, slots=True)
class SuspendJob:
    """Hold a child Job, or let it go on."""

    name: str
    suspend: bool


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """Delete a child Job, which goes once its pods have gone."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class DeletePods:
    """Delete pods; by force without waiting for their node's word."""

    names: tuple[tuple[str, str], ...]
    """Name and uid of each."""
    force: bool


@dataclass(frozen=True, slots=True)
class CancelPeer:
    """Ask for the end of another run, which this one replaces."""

    name: str
    resource_version: str
    mode: CancelMode = CancelMode.GRACEFUL


@dataclass(frozen=True, slots=True)
class DeleteOctoJob:
    """Its time to live is over."""


@dataclass(frozen=True, slots=True)
class ReleaseFinalizer:
    """Let a deleted OctoJob go; ``unarchived`` if Postgres was away for too long."""

    unarchived: bool = False


Action = AddFinalizer | CreateJob | SuspendJob | DeleteJob | DeletePods | CancelPeer | DeleteOctoJob | ReleaseFinalizer


class Writing(Enum):
    """How urgent it is to write a status down. Each write costs the API server several times what it costs Octo.

    Needed for correctness are: that an attempt has ended, which decides whether there is another one; a verdict
    before the Job that it is about is deleted; a wait for a time, a turn or a retry, since nothing else holds it. An
    attempt's beginning is not: its Job says the same, by its name, its label and its owner, and is adopted by whoever
    finds it. Nor is ``Archived``: the mirror knows what it holds, and learns it again after a restart.
    """

    NOW = "Now"
    COURTESY = "Courtesy"
    """It tells people something. With much to do it may come late, or be overtaken by the next change."""
    SOON = "Soon"
    """It tells people something that they wait for: that a pod runs. With very much to do it comes some seconds
    late, and not at all if the pod has ended by then."""
    LATER = "Later"
    """Not now: it is likely to be overtaken within moments."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, in order, then what to write down, then when to look again at the latest."""

    actions: tuple[Action, ...]
    status: OctoJobStatus
    requeue_after: float | None = None
    writing: Writing = Writing.NOW
