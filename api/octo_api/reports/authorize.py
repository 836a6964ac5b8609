"""Which run, and which of its workers, a token speaks for: the one whose pod it was projected into, and no other.

From the token to the pod (TokenReview), from the pod to its Job, from the Job to its OctoJob: each step by
uid, as the API server has it, so that neither a label nor a name is enough.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from octo_api.auth.throttle import FailedLogins
from octo_api.auth.token_review import review_token
from octo_api.errors import acting_on_cluster
from octo_core.crd.resources import Raw
from octo_core.domain import names
from octo_core.domain.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from octo_core.domain.shard import INDEX_ANNOTATION
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import JOBS, OCTOJOBS, PODS, Resource

_POD_NAME = "authentication.kubernetes.io/pod-name"
_POD_UID = "authentication.kubernetes.io/pod-uid"
_TRUSTED_FOR = timedelta(minutes=1)
_CAPACITY = 1024

_UNKNOWN = "The token is not one of a run's pod for this server."
_NOT_ITS_OWN = "A run may report of its own job, attempt and shard only."


@dataclass(frozen=True, slots=True)
class Reporter:
    """The attempt of a run, and the worker among those that share it, that a token speaks for."""

    namespace: str
    job_name: str
    job_uid: str
    child_name: str
    provider: str
    shard: int = 0
    shards: int = 1


class ReportAuthorizer:
    """Remembers a good token for a minute, so that reports cost the API server little."""

    def __init__(self, kube: KubeClient, *, failed: FailedLogins, clock: Callable[[], datetime]) -> None:
        self._kube = kube
        self._failed = failed
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[datetime, Reporter]] = OrderedDict()

    async def authorize(self, token: str, *, job_uid: str, attempt: int, shard: int, client: str | None) -> Reporter:
        """The reporter, if the token is that of this attempt's pod, and of this one of its pods.

        Raises UnauthenticatedError, RateLimitedError after too many failures from the client's address,
        ForbiddenError, or ClusterUnavailableError.
        """
        digest = hashlib.sha256(token.encode()).digest()
        reporter = self._remembered(digest)
        if reporter is None:
            if digest not in self._known:
                # One that was good before is no guess; it is looked at again all the same.
                self._failed.check(client)
            try:
                namespace, pod_name, pod_uid = await self._review(token)
                reporter = await self._reporter(namespace, pod_name, pod_uid)
            except UnauthenticatedError:
                self._known.pop(digest, None)
                self._failed.note(client)
                raise
            self._remember(digest, reporter)
        wanted = (job_uid, names.child_name(reporter.job_name, attempt), shard)
        if (reporter.job_uid, reporter.child_name, reporter.shard) != wanted:
            raise ForbiddenError(_NOT_ITS_OWN)
        return reporter

    def _remembered(self, digest: bytes) -> Reporter | None:
        until, reporter = self._known.get(digest, (None, None))
        return reporter if until is not None and self._clock() < until else None

    def _remember(self, digest: bytes, reporter: Reporter) -> None:
        self._known[digest] = (self._clock() + _TRUSTED_FOR, reporter)
        self._known.move_to_end(digest)
        if len(self._known) > _CAPACITY:
            self._known.popitem(last=False)

    async def _review(self, token: str) -> tuple[str, str, str]:
        user = await review_token(self._kube, token, audience=names.REPORT_AUDIENCE)
        if user is None:
            raise UnauthenticatedError(_UNKNOWN)
        extra = user.get("extra", {})
        # system:serviceaccount:<namespace>:<name>
        parts = str(user.get("username", "")).split(":")
        if len(parts) != 4 or parts[:2] != ["system", "serviceaccount"] or not extra.get(_POD_NAME):
            raise UnauthenticatedError(_UNKNOWN)
        return parts[2], extra[_POD_NAME][0], next(iter(extra.get(_POD_UID, ())), "")

    async def _reporter(self, namespace: str, pod_name: str, pod_uid: str) -> Reporter:
        pod = await self._get(PODS, namespace, pod_name, pod_uid)
        owner = _controller(pod, JOBS)
        child = await self._get(JOBS, namespace, owner["name"], owner["uid"])
        octojob = _controller(child, OCTOJOBS)
        shards = child.get("spec", {}).get("completions") or 1
        return Reporter(
            namespace,
            job_name=octojob["name"],
            job_uid=octojob["uid"],
            child_name=child["metadata"]["name"],
            provider=child["metadata"].get("labels", {}).get(names.LABEL_PROVIDER, ""),
            shard=_shard(pod) if shards > 1 else 0,
            shards=shards,
        )

    async def _get(self, resource: Resource, namespace: str, name: str, uid: str) -> Raw:
        try:
            with acting_on_cluster():
                found = await self._kube.get(resource, namespace, name)
        except NotFoundError as error:
            raise UnauthenticatedError(_UNKNOWN) from error
        if found["metadata"]["uid"] != uid:
            raise UnauthenticatedError(_UNKNOWN)
        return found


def _controller(raw: Raw, kind: Resource) -> Raw:
    version = f"{kind.group}/{kind.version}"
    for owner in raw["metadata"].get("ownerReferences", ()):
        if owner.get("controller") and owner["kind"] == kind.kind and owner["apiVersion"] == version:
            found: Raw = owner
            return found
    raise ForbiddenError(_NOT_ITS_OWN)


def _shard(pod: Raw) -> int:
    index = pod["metadata"].get("annotations", {}).get(INDEX_ANNOTATION, "")
    if not index.isdigit():
        raise ForbiddenError(_NOT_ITS_OWN)
    return int(index)
