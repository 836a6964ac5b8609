"""The chart gives what the code asks for, right by right, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
from deploy.chart.rights import page, rights

from tests.unit.charts.asked_rights import Asked, asked
from tests.unit.charts.rendering import EMBEDDED, REPO, Object, of_kind, render

# The garbage collector's admission asks it of whoever makes an object with blockOwnerDeletion, as a run's Job is.
BY_OWNERSHIP = {("octojobs.octo.dev/finalizers", "update")}
# `octo-api apply-crds` runs under an account of its own.
OF_THE_HOOK = {("customresourcedefinitions.apiextensions.k8s.io", verb) for verb in ("get", "patch")}


def everything() -> list[Object]:
    return render(*EMBEDDED, "auth.subjectAccessReview=true")


def needed(account: str) -> Asked:
    if account == "octo-controller":
        return asked(REPO / "controller" / "octo_controller") | BY_OWNERSHIP
    of_the_api = asked(REPO / "api" / "octo_api")
    return OF_THE_HOOK & of_the_api if account == "octo-crds" else of_the_api - OF_THE_HOOK


ACCOUNTS = ("octo-api", "octo-controller", "octo-crds")


def given(objects: list[Object], account: str) -> Asked:
    return {(right.resource, right.verb) for right in rights(objects) if right.account == account}


@pytest.mark.parametrize("account", ACCOUNTS)
def test_an_account_has_what_its_code_asks_for(account: str) -> None:
    assert given(everything(), account) == needed(account)


def test_nobody_else_has_any() -> None:
    assert {right.account for right in rights(everything())} == set(ACCOUNTS)


def without_one_verb(objects: list[Object]) -> Iterator[tuple[str, list[Object]]]:
    """The chart again and again, each time without one verb of one rule on one resource."""
    for index, role in enumerate(objects):
        for number, rule in enumerate(role.get("rules", ())):
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    poorer = copy.deepcopy(objects)
                    less = {**rule, "resources": [resource], "verbs": [v for v in rule["verbs"] if v != verb]}
                    rest = {**rule, "resources": [r for r in rule["resources"] if r != resource]}
                    rules = poorer[index]["rules"]
                    rules[number : number + 1] = [less, rest]
                    yield f"{role['metadata']['name']} {verb} {resource}", poorer


def test_none_of_them_can_be_left_out() -> None:
    objects = [
        found
        for kind in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
        for found in of_kind(everything(), kind).values()
    ]
    lacking = {
        what: [account for account in ACCOUNTS if not needed(account) <= given(poorer, account)]
        for what, poorer in without_one_verb(objects)
    }
    assert len(lacking) > 40
    assert [what for what, accounts in lacking.items() if len(accounts) != 1] == []


def test_the_page_is_what_the_chart_gives() -> None:
    assert (REPO / "docs" / "reference" / "rights.md").read_text() == page(everything()), "run `make rights`"
