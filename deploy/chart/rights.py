"""The rights that the chart gives. ``python -m deploy.chart.rights MANIFESTS FILE`` writes the page about them.

MANIFESTS is what ``helm template`` prints of a release called octo.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Raw = dict[str, Any]

HEAD = """# Rights in the cluster

What each ServiceAccount of a release called `octo` may do, made from the chart by `make rights`. Tests hold it to be no
more and no less than is needed: each right is one that the code asks for, and the API server's own answer
(`kubectl auth can-i --list`) is this table. The account of the runs' pods, `octo-worker`, has none. What stands as
"cluster" comes by a ClusterRole, since what it is about has no namespace; the right of `octo-crds` lasts as long as an
install or upgrade (`crds.upgrade`).

| Account | Resource | Verbs | Only those called | Where |
| --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one resource."""

    account: str
    resource: str
    """With its group: ``octojobs.octo.dev/status``; ``pods/log`` in the core group."""
    verb: str
    names: tuple[str, ...] = ()
    everywhere: bool = False


def resource_name(group: str, resource: str) -> str:
    """As `kubectl auth can-i --list` writes it."""
    plural, slash, sub = resource.partition("/")
    return f"{plural}{'.' if group else ''}{group}{slash}{sub}"


def rights(objects: Iterable[Raw]) -> Iterator[Right]:
    """All that roles and their bindings give to ServiceAccounts."""
    found = list(objects)
    roles = {(one["kind"], one["metadata"]["name"]): one for one in found if one["kind"] in ("Role", "ClusterRole")}
    for binding in found:
        if binding["kind"] not in ("RoleBinding", "ClusterRoleBinding"):
            continue
        role = roles[binding["roleRef"]["kind"], binding["roleRef"]["name"]]
        for subject in binding["subjects"]:
            for rule in role["rules"]:
                for group in rule["apiGroups"]:
                    for resource in rule["resources"]:
                        for verb in rule["verbs"]:
                            yield Right(
                                subject["name"],
                                resource_name(group, resource),
                                verb,
                                tuple(rule.get("resourceNames", ())),
                                binding["kind"] == "ClusterRoleBinding",
                            )


def page(objects: Iterable[Raw]) -> str:
    """The whole page, as Markdown."""
    lines: dict[tuple[str, str, tuple[str, ...], bool], list[str]] = {}
    for right in sorted(rights(objects)):
        lines.setdefault((right.account, right.resource, right.names, right.everywhere), []).append(right.verb)
    rows = [
        f"| {account} | {resource} | {', '.join(verbs)} | {_told(names)} | {_SCOPES[everywhere]} |\n"
        for (account, resource, names, everywhere), verbs in lines.items()
    ]
    return HEAD + "".join(rows)


_SCOPES = {False: "namespace", True: "cluster"}


def _told(names: tuple[str, ...]) -> str:
    return ", ".join(names) if len(names) < 4 else f"{names[0]} to {names[-1]}"


if __name__ == "__main__":
    manifests = yaml.safe_load_all(Path(sys.argv[1]).read_text())
    Path(sys.argv[2]).write_text(page(found for found in manifests if found))
