"""The CustomResourceDefinitions of Octo. ``python -m octo_core.crd.definitions DIR`` writes them as YAML."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from octo_core.crd.schema import structural
from octo_core.domain.job import OctoJobSpec
from octo_core.domain.names import GROUP, MAX_JOB_NAME_LENGTH, VERSION
from octo_core.domain.provider import OctoProviderSpec, OctoProviderStatus
from octo_core.domain.releases import ANNOTATION
from octo_core.domain.status import OctoJobStatus

Schema = dict[str, Any]

# What may change on an OctoJob after it was made; all else defines the run.
_MUTABLE = ("suspend", "priority", "cancel", "ttl")


def _rule(rule: str, message: str, **more: str) -> Schema:
    return {"rule": rule, "message": message, **more}


def _immutable(field: str) -> tuple[str, str]:
    same = f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
    return same, f"{field} is immutable: make a new OctoJob"


def job_changes() -> list[tuple[str, str]]:
    """What holds of every change of an OctoJob's spec, each with what is said where it does not."""
    fields = sorted(structural(OctoJobSpec, defaults=False)["properties"])
    return [
        *(_immutable(name) for name in fields if name not in _MUTABLE),
        (
            "!has(oldSelf.cancel) || (has(self.cancel) && self.cancel.requestedAt == oldSelf.cancel.requestedAt)",
            "a cancel cannot be withdrawn or moved",
        ),
        (
            "!has(oldSelf.cancel) || !has(oldSelf.cancel.mode) || oldSelf.cancel.mode != 'Force' || "
            "(has(self.cancel) && has(self.cancel.mode) && self.cancel.mode == 'Force')",
            "cancel.mode may go from Graceful to Force only",
        ),
    ]


def _unless_equal(changes: list[tuple[str, str]]) -> Schema:
    """One rule for all, which is soon done where nothing changed. The API server asks it of each write, those of
    the status included, and a rule costs about the same whatever it says."""
    holds = " && ".join(f"({rule})" for rule, _ in changes)
    first = "".join(f"!({rule}) ? '{message}' : " for rule, message in changes[:-1]) + f"'{changes[-1][1]}'"
    return _rule(f"self == oldSelf || ({holds})", "what defines a run is immutable", messageExpression=first)


def _job_spec() -> Schema:
    schema = structural(OctoJobSpec, defaults=False)
    schema["x-kubernetes-validations"] = [_unless_equal(job_changes())]
    schema["properties"]["selection"]["x-kubernetes-validations"] = [
        _rule(
            "(has(self.files) && size(self.files) > 0) == (has(self.policy) && self.policy == 'Explicit')",
            "files goes with policy Explicit, and only with it",
        )
    ]
    return schema


def _map_list(schema: Schema, *keys: str) -> None:
    schema["x-kubernetes-list-type"] = "map"
    schema["x-kubernetes-list-map-keys"] = list(keys)


def _job_status() -> Schema:
    schema = structural(OctoJobStatus, defaults=False)
    _map_list(schema["properties"]["conditions"], "type")
    _map_list(schema["properties"]["attempts"], "number")
    # Nobody applies a part of it. Without this word the API server keeps the owner of each field of each condition,
    # which is half of a small OctoJob, and a quarter of the cost of a write.
    schema["x-kubernetes-map-type"] = "atomic"
    return schema


def _provider_spec() -> Schema:
    schema = structural(OctoProviderSpec, defaults=True)
    # What an OctoJob may override must stay absent where nobody said it.
    schema["properties"]["jobDefaults"] = structural(
        OctoProviderSpec.model_fields["job_defaults"].annotation,  # type: ignore[arg-type]
        defaults=False,
    )
    schema["x-kubernetes-validations"] = [
        _rule("has(self.source) != has(self.container)", "exactly one of source and container must be set"),
        _rule("has(self.source) == has(self.destination)", "source and destination go together"),
        _rule(
            "!has(self.decrypt) || self.decrypt.openpgp.mode == 'Never' || has(self.decrypt.openpgp.keySecretRef) || "
            "has(self.decrypt.openpgp.passphraseSecretRef)",
            "decrypt.openpgp needs keySecretRef, or passphraseSecretRef for symmetric messages",
            fieldPath=".decrypt",
        ),
    ]
    schema["properties"]["decrypt"]["properties"]["openpgp"]["x-kubernetes-validations"] = [
        _rule("!self.requireSignature || has(self.signerKeysSecretRef)", "requireSignature needs signerKeysSecretRef")
    ]
    schema["properties"]["source"]["properties"]["sftp"]["properties"]["disposition"]["x-kubernetes-validations"] = [
        # The API server checks the default of the whole, {}, before it fills in those of the fields.
        _rule(
            "(has(self.action) && self.action == 'Move') == has(self.moveTo)",
            "moveTo goes with action Move, and only with it",
        )
    ]
    _map_list(schema["properties"]["refetch"], "path")
    s3 = schema["properties"]["destination"]["properties"]["s3"]["properties"]
    s3["serverSideEncryption"]["x-kubernetes-validations"] = [
        _rule(
            "self.algorithm == 'aws:kms' || (!has(self.kmsKeyId) && !self.bucketKeyEnabled)",
            "kmsKeyId and bucketKeyEnabled go with algorithm aws:kms",
        )
    ]
    prefix = schema["properties"]["destination"]["properties"]["s3"]["properties"]["prefix"]
    prefix["x-kubernetes-validations"] = [
        _rule("!self.startsWith('/') && !self.endsWith('/')", "must not begin or end with a slash")
    ]
    return schema


def _provider_status() -> Schema:
    schema = structural(OctoProviderStatus, defaults=False)
    _map_list(schema["properties"]["conditions"], "type")
    return schema


def _column(name: str, kind: str, path: str, *, wide: bool = False, description: str = "") -> Schema:
    column: Schema = {"name": name, "type": kind, "jsonPath": path}
    if wide:
        column["priority"] = 1
    if description:
        column["description"] = description
    return column


def _definition(
    *,
    kind: str,
    short: str,
    description: str,
    spec: Schema,
    status: Schema,
    columns: list[Schema],
    selectable: list[str],
    rules: list[Schema],
) -> Schema:
    singular = kind.lower()
    plural = f"{singular}s"
    schema: Schema = {
        "type": "object",
        "description": description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
    }
    if rules:
        schema["x-kubernetes-validations"] = rules
    served: Schema = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": schema},
    }
    if selectable:
        served["selectableFields"] = [{"jsonPath": path} for path in selectable]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}", "annotations": {ANNOTATION: version("octo-core")}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": singular,
                "shortNames": [short],
                "categories": ["all", "octo"],
            },
            "versions": [served],
        },
    }


def octojobs() -> Schema:
    """The OctoJob CRD."""
    succeeded = '.status.conditions[?(@.type=="Succeeded")]'
    return _definition(
        kind="OctoJob",
        short="oj",
        description="One run of an OctoProvider. Terminal is terminal: a rerun is a new OctoJob.",
        spec=_job_spec(),
        status=_job_status(),
        columns=[
            _column("State", "string", ".status.state"),
            _column("Reason", "string", f"{succeeded}.reason"),
            _column("Provider", "string", ".spec.providerRef.name"),
            _column("Attempt", "integer", ".status.attempt"),
            _column("Files", "string", ".status.progress.summary", description="Files done of files selected."),
            _column("Age", "date", ".metadata.creationTimestamp"),
            _column("Started", "date", ".status.startTime", wide=True),
            _column("Finished", "date", ".status.completionTime", wide=True),
            _column(
                "Queue",
                "integer",
                ".status.queuePosition",
                wide=True,
                description="Place among those waiting.",
            ),
            _column("Job", "string", ".status.jobRef.name", wide=True),
            _column("Message", "string", f"{succeeded}.message", wide=True),
        ],
        selectable=[".spec.providerRef.name", ".status.state", ".status.failure.category"],
        rules=[
            _rule(
                f"self.metadata.name.size() <= {MAX_JOB_NAME_LENGTH}",
                f"the name may have at most {MAX_JOB_NAME_LENGTH} characters, since its Jobs add -<attempt>",
            )
        ],
    )


def octoproviders() -> Schema:
    """The OctoProvider CRD."""
    ready = '.status.conditions[?(@.type=="Ready")]'
    return _definition(
        kind="OctoProvider",
        short="op",
        description="Where files come from, how they are opened, and where they go.",
        spec=_provider_spec(),
        status=_provider_status(),
        columns=[
            _column("Ready", "string", f"{ready}.status"),
            _column("Reason", "string", f"{ready}.reason"),
            _column("Last Success", "date", ".status.lastSuccessTime"),
            _column("Age", "date", ".metadata.creationTimestamp"),
            _column("Host", "string", ".spec.source.sftp.host", wide=True),
            _column("Bucket", "string", ".spec.destination.s3.bucket", wide=True),
            _column("Last Job", "string", ".status.lastJob", wide=True),
            _column("Schedule", "string", ".spec.schedule.cron", wide=True),
            _column("Time Zone", "string", ".spec.schedule.timeZone", wide=True),
            _column("Next Run", "string", ".status.schedule.nextScheduleTime", wide=True),
        ],
        selectable=[],
        rules=[
            _rule("self.metadata.name.size() <= 63", "the name may have at most 63 characters, to fit a label"),
        ],
    )


def write(folder: Path) -> list[Path]:
    """Write both CRDs into ``folder``; returns the files."""
    files = []
    for name, definition in (("octojobs", octojobs()), ("octoproviders", octoproviders())):
        path = folder / f"{name}.yaml"
        head = "# Made from the models in octo_core.domain by `make crds`; change those.\n"
        path.write_text(head + yaml.safe_dump(definition, sort_keys=False, width=110))
        files.append(path)
    return files


if __name__ == "__main__":
    write(Path(sys.argv[1]))
