"""The rights that an application's code asks the API server for, read from its calls of the Kubernetes client."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

from deploy.chart.rights import resource_name

from octo_core.kube import resources
from octo_core.kube.resources import Resource
from tests.unit.charts.rendering import REPO

VERBS = {
    "get": "get",
    "list_page": "list",
    "items": "list",
    "watch": "watch",
    "create": "create",
    "replace": "update",
    "patch": "patch",
    "delete": "delete",
    # The actor's own, around the client's.
    "_delete": "delete",
}
RESOURCES = {name: found for name, found in vars(resources).items() if isinstance(found, Resource)}

# Calls whose resource is an argument: the call, and what it is called with.
BY_ARGUMENT = {
    # What the controller follows: lists of all three, and a watch on each.
    "controller/octo_controller/intake.py list_page": ("OCTOPROVIDERS", "JOBS", "OCTOJOBS"),
    "controller/octo_controller/watch/streams.py watch": ("OCTOPROVIDERS", "JOBS", "OCTOJOBS"),
    # Whose pod reports, and of which run that is.
    "api/octo_api/reports/authorize.py get": ("PODS", "JOBS"),
    # What the cluster knows of a run, for its explanation.
    "api/octo_api/jobs/explainer.py list_page": ("PODS", "EVENTS"),
    # What a request that was cut off would have changed.
    "api/octo_api/audit/repair.py get": ("OCTOJOBS", "OCTOPROVIDERS"),
    # A command that an administrator runs, with rights of their own.
    "controller/octo_controller/restore.py create": (),
    # Inside of `_delete`, whose calls are read themselves.
    "controller/octo_controller/reconcile/act.py delete": (),
}

Asked = set[tuple[str, str]]
"""Resource and verb."""


@functools.cache
def asked(package: Path) -> Asked:
    """All rights of a package's calls. Fails on a call whose resource nobody can read."""
    return {right for file in sorted(package.rglob("*.py")) for right in _of_file(file)}


def _of_file(file: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(file.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        method = node.func.attr
        if method in ("pod_log", "pod_log_bytes"):
            yield "pods/log", "get"
        if method not in VERBS or not _is_client(node.func):
            continue
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Name) and first.id in RESOURCES:
            yield _right(RESOURCES[first.id], _subresource(node), VERBS[method])
            continue
        call = f"{file.relative_to(REPO)} {method}"
        assert call in BY_ARGUMENT, f"say in BY_ARGUMENT what {call} (line {node.lineno}) is called with"
        for name in BY_ARGUMENT[call]:
            yield _right(RESOURCES[name], None, VERBS[method])


def _is_client(called: ast.Attribute) -> bool:
    """Whether the method is one of a Kubernetes client, as all of this house name theirs, or wraps one."""
    owner = called.value
    name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
    return called.attr == "_delete" or name.lstrip("_") in ("kube", "client")


def _subresource(call: ast.Call) -> str | None:
    for keyword in call.keywords:
        if keyword.arg == "subresource" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return None


def _right(resource: Resource, subresource: str | None, verb: str) -> tuple[str, str]:
    plural = f"{resource.plural}/{subresource}" if subresource else resource.plural
    return resource_name(resource.group, plural), verb
