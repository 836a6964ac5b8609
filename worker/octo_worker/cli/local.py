"""Makes the run document of a run that no cluster asked for. Pure."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime

from pydantic import ValidationError

from octo_core.domain.failure import Category
from octo_core.domain.job import JobSelection, OctoJobSpec, ProviderRef, Transfer
from octo_core.domain.run import Run, RunIdentity, resolve_run
from octo_core.domain.selection import SelectionPolicy
from octo_worker.cli.document import ProviderDocument
from octo_worker.failure import Failed

NAMESPACE = "local"
_JOB = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def local_run(provider: ProviderDocument, args: argparse.Namespace, *, now: datetime, uid: str) -> Run:
    """What the controller would have told the worker, with the command line in place of the OctoJob."""
    if provider.spec.source is None:
        raise Failed(
            Category.CONFIG,
            f"OctoProvider {provider.name} is of type container: its main logic is that image; run it yourself",
        )
    name = getattr(args, "job", None) or f"{provider.name}-{now.astimezone(UTC):%Y%m%dt%H%M%Sz}"
    if not _JOB.fullmatch(name):
        raise Failed(Category.CONFIG, "--job: must be at most 253 lower-case letters, digits, `-` and `.`")
    identity = RunIdentity(namespace=NAMESPACE, name=name, uid=uid, attempt=1, provider=provider.name, created_at=now)
    spec = OctoJobSpec(
        provider_ref=ProviderRef(name=provider.name),
        selection=_selection(args),
        transfer=_transfer(args, provider.spec.job_defaults.transfer or Transfer()),
    )
    return resolve_run(identity, spec, provider.spec, report_url=None)


def _selection(args: argparse.Namespace) -> JobSelection:
    said = {
        "paths": getattr(args, "path", None),
        "include": getattr(args, "include", None),
        "exclude": getattr(args, "exclude", None),
        "policy": getattr(args, "policy", None),
        "maxFiles": getattr(args, "max_files", None),
    }
    files = getattr(args, "file", None)
    if files:
        if said["policy"]:
            raise Failed(Category.CONFIG, "--file and --policy exclude each other: files that are named are taken")
        said |= {"files": files, "policy": SelectionPolicy.EXPLICIT.value}
    chosen = {name: value for name, value in said.items() if value is not None}
    dry = args.command == "plan" or getattr(args, "dry_run", False)
    try:
        return JobSelection.model_validate({**chosen, "dryRun": dry})
    except ValidationError as error:
        raise _refused(error) from None


def _transfer(args: argparse.Namespace, given: Transfer) -> Transfer:
    """One process does all of the run, whatever the provider says for a cluster."""
    said = {
        "overwrite": getattr(args, "overwrite", None),
        "concurrentFiles": getattr(args, "concurrent_files", None),
        "onFileError": getattr(args, "on_file_error", None),
        "parallelism": 1,
    }
    base = given.model_dump(by_alias=True)
    try:
        return Transfer.model_validate(base | {name: value for name, value in said.items() if value is not None})
    except ValidationError as error:
        raise _refused(error) from None


_OPTIONS = {
    "paths": "--path",
    "include": "--include",
    "exclude": "--exclude",
    "files": "--file",
    "maxFiles": "--max-files",
    "concurrentFiles": "--concurrent-files",
}


def _refused(error: ValidationError) -> Failed:
    first = error.errors(include_url=False, include_input=False)[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    return Failed(Category.CONFIG, f"{_OPTIONS.get(field, field)}: {first['msg'].removeprefix('Value error, ')}")
