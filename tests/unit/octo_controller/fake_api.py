"""The few calls of ``KubeClient`` that the controller makes, on dicts, with the API server's own refusals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from octo_core.domain.errors import AlreadyExistsError, ClusterUnavailableError, ConflictError, NotFoundError, OctoError
from octo_core.domain.model import rfc3339
from octo_core.kube.errors import GoneError
from octo_core.kube.resources import JOBS, Resource
from tests.unit.octo_controller.builders import at
from tests.unit.octo_controller.reconcile.merging import merged

Raw = dict[str, Any]


class FakeApi:
    """Objects by plural and name, and every write in ``writes``."""

    def __init__(self) -> None:
        self.version = 10
        self.objects: dict[tuple[str, str], Raw] = {}
        self.writes: list[str] = []
        self.lists: list[str] = []
        self.created: list[str] = []
        """The runs for which a Job was made, in that order."""
        self.refuse: dict[str, OctoError] = {}
        self.refuse_lists = False
        self.gaps = 0
        self.watches = 0
        """How many were opened."""
        self.logs: dict[str, str] = {}

    def put(self, resource: Resource, raw: Raw) -> Raw:
        self.version += 1
        raw["metadata"]["resourceVersion"] = str(self.version)
        self.objects[(resource.plural, raw["metadata"]["name"])] = raw
        return raw

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Raw:
        try:
            return self.objects[(resource.plural, name)]
        except KeyError:
            raise NotFoundError(name) from None

    async def list_page(self, resource: Resource, namespace: str | None, **query: Any) -> Raw:
        if self.refuse_lists:
            raise ClusterUnavailableError("away")
        items = [raw for (plural, _), raw in sorted(self.objects.items()) if plural == resource.plural]
        selector = query.get("label_selector", "")
        self.lists.append(" ".join(filter(None, (resource.plural, selector, query.get("field_selector")))))
        if "=" in selector or " in (" in selector:
            key, _, values = selector.replace(" in (", "=").rstrip(")").partition("=")
            items = [raw for raw in items if raw["metadata"].get("labels", {}).get(key) in values.split(",")]
        return {"items": items, "metadata": {"resourceVersion": str(self.version)}}

    async def watch(self, resource: Resource, namespace: str | None, **query: Any) -> AsyncIterator[tuple[str, Raw]]:
        """Open, and silent for ever; at first, as often as ``gaps`` says, it begins too long ago."""
        if self.gaps:
            self.gaps -= 1
            raise GoneError("too old")
        self.watches += 1
        await asyncio.Event().wait()
        yield "", {}

    async def pod_log(self, namespace: str, name: str, **options: Any) -> str:
        if name not in self.logs:
            raise NotFoundError(name)
        return self.logs[name]

    async def create(self, resource: Resource, namespace: str | None, body: Raw) -> Raw:
        await self._write("create", resource)
        name = body["metadata"]["name"]
        if (resource.plural, name) in self.objects:
            raise AlreadyExistsError(name)
        meta = {**body["metadata"], "uid": f"uid-{name}", "creationTimestamp": rfc3339(at(0))}
        self.created += [owner["name"] for owner in meta.get("ownerReferences", ())]
        return self.put(resource, {**body, "metadata": meta})

    async def patch(
        self, resource: Resource, namespace: str | None, name: str, body: Raw, *, subresource: str | None = None
    ) -> Raw:
        await self._write("patch", resource, subresource)
        known = await self.get(resource, namespace, name)
        wanted = body.get("metadata", {}).get("resourceVersion")
        if wanted is not None and wanted != known["metadata"]["resourceVersion"]:
            raise ConflictError(name)
        return self.put(resource, merged(known, body))

    async def delete(self, resource: Resource, namespace: str | None, name: str, **options: Any) -> None:
        await self._write("delete", resource)
        known = await self.get(resource, namespace, name)
        if options.get("uid") not in (None, known["metadata"]["uid"]):
            raise ConflictError(name)
        if resource is JOBS:
            known["metadata"]["deletionTimestamp"] = rfc3339(at(0))
            self.put(resource, known)
        else:
            del self.objects[(resource.plural, name)]

    async def _write(self, verb: str, resource: Resource, subresource: str | None = None) -> None:
        what = f"{verb} {resource.plural}" + (f"/{subresource}" if subresource else "")
        self.writes.append(what)
        # An answer takes a moment, in which others get on with theirs.
        await asyncio.sleep(0)
        if what in self.refuse:
            raise self.refuse[what]
