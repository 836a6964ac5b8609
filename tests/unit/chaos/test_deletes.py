"""What a round of chaos knows of an OctoJob that it deletes: whether it was held, so that a row of it is owed."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from octo_core.domain.errors import ClusterUnavailableError, ConflictError, NotFoundError
from octo_core.domain.names import ARCHIVE_FINALIZER, LABEL_ARCHIVED
from octo_core.kube.resources import Resource
from tests.chaos.rig import Rig
from tests.chaos.rounds import _delete
from tests.chaos.workload import Workload, make_workload

Raw = dict[str, Any]


class Kube:
    """One OctoJob, which a controller may put its finalizer on between a read and a delete."""

    def __init__(self, **meta: Any) -> None:
        self.raw: Raw | None = {"metadata": {"name": "r-0", "uid": "u", "resourceVersion": "1", **meta}}
        self.held_meanwhile = False
        self.answer_lost = False

    async def get(self, resource: Resource, namespace: str, name: str) -> Raw:
        if self.raw is None:
            raise NotFoundError(name)
        return {"metadata": dict(self.raw["metadata"])}

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str, resource_version: str) -> None:
        assert self.raw is not None
        if self.held_meanwhile:
            self.held_meanwhile = False
            self.raw["metadata"] |= {"finalizers": [ARCHIVE_FINALIZER], "resourceVersion": "2"}
        if resource_version != self.raw["metadata"]["resourceVersion"]:
            raise ConflictError(name)
        self.raw = None
        if self.answer_lost:
            raise ClusterUnavailableError(name)


async def deleted(kube: Kube) -> Workload:
    """The workload after its first run was deleted, as ``_insist`` does it."""
    workload = make_workload(random.Random(1), "r", span=10)
    workload.names["r-0"] = "r-0"
    rig = cast(Rig, SimpleNamespace(kube=kube))
    for _ in range(3):
        try:
            await _delete(rig, workload, workload.plans[0])
            break
        except NotFoundError:
            break
        except (ConflictError, ClusterUnavailableError):
            continue
    assert kube.raw is None
    return workload


@pytest.mark.parametrize("lost", [False, True])
async def test_one_that_nobody_held_owes_no_row(lost: bool) -> None:
    kube = Kube()
    kube.answer_lost = lost
    assert (await deleted(kube)).unheld == {"r-0"}


@pytest.mark.parametrize("meta", [{"finalizers": [ARCHIVE_FINALIZER]}, {"labels": {LABEL_ARCHIVED: "true"}}])
async def test_one_that_was_held_owes_one(meta: Raw) -> None:
    assert (await deleted(Kube(**meta))).unheld == set()


async def test_it_is_the_deleted_version_that_counts() -> None:
    kube = Kube()
    kube.held_meanwhile = True
    assert (await deleted(kube)).unheld == set()
