"""Contexts, pages, patience, orders: what commands are put together from."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from octo_cli import config
from octo_cli.backend import Order, is_id
from octo_cli.config import Config, Context
from octo_cli.errors import CliError
from octo_cli.exits import Exit
from octo_cli.follow import Patience
from octo_cli.kube.documents import job_of
from octo_cli.kube.orders import octojob, repeated, same_order
from octo_cli.pages import everything
from octo_core.domain.names import MAX_JOB_NAME_LENGTH
from tests.unit.octo_cli.test_show import FAILED

NOW = datetime(2026, 1, 2, 3, tzinfo=UTC)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_contexts_are_kept_for_their_owner_only(home: Path) -> None:
    assert config.load() == Config()
    one = Context("one", "https://a", token="secret", token_expires_at=NOW, namespace="x", api_key_file="/k")
    config.save(Config().with_context(one).with_context(Context("two", "https://b")))
    assert stat.S_IMODE(config.path().stat().st_mode) == 0o600
    assert stat.S_IMODE(config.path().parent.stat().st_mode) == 0o700
    assert list(config.path().parent.iterdir()) == [config.path()]
    found = config.load()
    assert (found.current, found.get("one"), found.using("one").current) == ("two", one, "one")
    assert "secret" not in repr(found)
    assert found.without("two").current is None
    with pytest.raises(CliError) as caught:
        found.get("three")
    assert caught.value.code is Exit.NOT_FOUND


@pytest.mark.parametrize("text", ["- a list", "contexts: [{nam: x}]", "{", "contexts: [1]"])
def test_a_file_that_is_not_ours_is_said_to_be_so(text: str) -> None:
    config.path().parent.mkdir(parents=True)
    config.path().write_text(text)
    with pytest.raises(CliError) as caught:
        config.load()
    assert str(config.path()) in caught.value.message


def test_a_token_is_not_used_to_its_last_moment() -> None:
    context = Context("one", "https://a", token="t", token_expires_at=NOW)
    assert context.fresh(NOW - timedelta(minutes=1))
    assert not context.fresh(NOW - timedelta(seconds=5))
    assert not Context("one", "https://a").fresh(NOW)


@dataclass(frozen=True)
class Page:
    items: list[int]
    next_cursor: str | None


def test_pages_are_read_as_far_as_they_are_wanted() -> None:
    read: list[str | None] = []

    def page(cursor: str | None) -> Page:
        read.append(cursor)
        return {None: Page([1, 2], "b"), "b": Page([], "c"), "c": Page([3], None)}[cursor]

    items = everything(page)
    assert read == []
    assert [next(items), next(items)] == [1, 2]
    assert read == [None]
    assert list(items) == [3]
    assert read == [None, "b", "c"]


def virtual() -> tuple[Callable[[], float], Callable[[float], None], list[float]]:
    slept: list[float] = []
    return lambda: sum(slept), slept.append, slept


def test_patience_is_over_when_it_is() -> None:
    clock, sleep, slept = virtual()
    patience = Patience(3, clock=clock, sleep=sleep)
    for _ in range(3):
        patience.rest("night is still Running")
    with pytest.raises(CliError) as caught:
        patience.rest("night is still Running")
    assert (caught.value.code, sum(slept)) == (Exit.TIMEOUT, 3)
    assert caught.value.message == "night is still Running after 3 s; it goes on"


def test_endless_patience() -> None:
    clock, sleep, slept = virtual()
    patience = Patience(None, clock=clock, sleep=sleep)
    for _ in range(1000):
        patience.rest("")
    assert len(slept) == 1000


def test_an_order_with_a_key_has_one_name() -> None:
    order = Order("acme", {"parameters": {"a": "b"}}, {"team": "fx"}, "monday")
    made = octojob(order, namespace="octo")
    assert made == octojob(order, namespace="octo")
    assert made["metadata"]["labels"]["team"] == "fx"
    # Nothing that admission policies keep for Octo itself.
    assert made["spec"] == {"parameters": {"a": "b"}, "providerRef": {"name": "acme"}}
    other = octojob(Order("acme", idempotency_key="tuesday"), namespace="octo")
    assert other["metadata"]["name"] != made["metadata"]["name"]


@pytest.mark.parametrize("provider", ["a", "a" * 63, f"{'a' * 45}.-{'b' * 10}"])
def test_an_order_without_a_key_has_a_name_that_fits(provider: str) -> None:
    prefix = octojob(Order(provider), namespace="octo")["metadata"]["generateName"]
    # The API server puts five characters to it.
    assert len(prefix) + 5 <= MAX_JOB_NAME_LENGTH
    assert prefix[:-1] == provider[: len(prefix) - 1]
    assert prefix[-2:-1].isalnum()


def test_a_run_once_more_says_what_it_repeats() -> None:
    spec = {**FAILED["spec"], "cancel": {"requestedAt": "x"}, "parameters": {"a": "b"}}
    job = job_of(
        {**FAILED, "spec": spec, "metadata": {**FAILED["metadata"], "labels": {"team": "fx", "octo.dev/x": "y"}}}
    )
    again = repeated(job, idempotency_key=None)
    assert again["spec"] == {
        "providerRef": {"name": "acme"},
        "parameters": {"a": "b"},
        "rerunOf": {"name": job.name, "uid": job.id},
    }
    assert again["metadata"]["labels"]["team"] == "fx"
    assert "octo.dev/x" not in again["metadata"]["labels"]


def test_the_same_order_is_known_beside_defaults() -> None:
    asked = octojob(Order("acme", {"selection": {"dryRun": True}}, idempotency_key="monday"), namespace="octo")
    found = {**asked, "spec": {**asked["spec"], "mode": "Run", "selection": {"dryRun": True, "files": []}}}
    assert same_order(asked, found)
    for options in ({}, {"selection": {"dryRun": False}}, {"selection": {"dryRun": True}, "priority": 1}):
        other = octojob(Order("acme", options, idempotency_key="monday"), namespace="octo")
        assert other["metadata"]["name"] == asked["metadata"]["name"]
        assert not same_order(other, found)
    assert not same_order(asked, {"metadata": {"name": "x"}, "spec": {"providerRef": {"name": "acme"}}})


def test_ids_and_names() -> None:
    assert is_id("0b0e7a3c-0000-4000-8000-000000000001")
    assert not is_id("night-0b0e7a3c")
