"""Which files of a provider are to be fetched again: decisions on its ``spec.refetch``. Pure.

A reset is an entry of that list. It is done when the object carries the entry's id, which the worker sees for
itself; so an entry may be kept too long, be taken out late, or come again after a crash, and the file is fetched
once all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from octo_core.crd.resources import Raw
from octo_core.domain.errors import InvalidError
from octo_core.domain.provider import MAX_REFETCH


def reset_id(tenant: str, key: str, path: str) -> str:
    """The id of a reset: the same for the same request, so that one sent again asks for nothing more."""
    return hashlib.sha256(f"{tenant}\0{key}\0{path}".encode()).hexdigest()[:20]


def with_resets(provider: Raw, ids: Mapping[str, str], *, done: AbstractSet[str]) -> Raw:
    """The provider with these resets (id by path) and without those that are done.

    Raises InvalidError if too many would wait.
    """
    kept = {entry["path"]: entry["id"] for entry in provider["spec"].get("refetch", ()) if entry["id"] not in done}
    wanted = {**kept, **{path: id_ for path, id_ in ids.items() if id_ not in done}}
    if len(wanted) > MAX_REFETCH:
        raise InvalidError(
            f"At most {MAX_REFETCH} files can wait to be fetched again, and {len(kept)} do already; run the provider.",
            field="/paths",
        )
    return _with(provider, wanted)


def without(provider: Raw, done: AbstractSet[str]) -> Raw:
    """The provider without the resets that are done."""
    return _with(
        provider,
        {entry["path"]: entry["id"] for entry in provider["spec"].get("refetch", ()) if entry["id"] not in done},
    )


def _with(provider: Raw, ids: Mapping[str, str]) -> Raw:
    spec = {key: value for key, value in provider["spec"].items() if key != "refetch"}
    if ids:
        spec["refetch"] = [{"path": path, "id": ids[path]} for path in sorted(ids)]
    return {**provider, "spec": spec}
