"""Which files a run takes."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octo_core.domain.failure import Category
from octo_core.domain.job import Transfer
from octo_core.domain.provider import (
    Decrypt,
    Destination,
    OpenPgp,
    OpenPgpMode,
    S3Destination,
    SecretRef,
    SftpSource,
    Source,
    Unpack,
)
from octo_core.domain.run import Run, RunIdentity, RunSelection
from octo_core.domain.selection import SelectionPolicy
from octo_core.domain.shard import shard_of
from octo_worker.selection import OwnKeys, Plan, Planner, SkipReason
from octo_worker.sources import RemoteFile, Unreadable

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def remote(path: str, *, root: str = "in", age: int = 3600, size: int = 1, unusable: str | None = None) -> RemoteFile:
    folder = path.rpartition("/")[0]
    return RemoteFile(f"{root}/{path}", folder, size, int(NOW.timestamp()) - age, unusable)


def run_of(*, pgp: OpenPgpMode, **selection: object) -> Run:
    return Run(
        job=RunIdentity(namespace="n", name="j", uid="u", attempt=1, provider="p", created_at=NOW),
        parameters={},
        source=Source(
            sftp=SftpSource(
                host="h",
                username="u",
                credentials_secret_ref=SecretRef(name="s"),
                host_keys=("k",),
            )
        ),
        decrypt=Decrypt(openpgp=OpenPgp(mode=pgp)),
        unpack=Unpack(),
        destination=Destination(s3=S3Destination(bucket="bucket", prefix="p")),
        selection=RunSelection.model_validate(
            {"paths": (".",), "include": (), "exclude": (), "policy": "NewOnly", "min_age_seconds": 0, "dry_run": False}
            | selection
        ),
        transfer=Transfer(),
    )


def planner(
    *,
    stored: tuple[str, ...] = (),
    keep_stored: bool = True,
    pgp: OpenPgpMode = OpenPgpMode.AUTO,
    shard: tuple[int, int] = (0, 1),
    skipped: list[tuple[str, SkipReason]] | None = None,
    **selection: object,
) -> Planner:
    run = run_of(pgp=pgp, **selection)
    heard = skipped if skipped is not None else []
    return Planner(
        run,
        set(stored),
        now=NOW,
        shard=shard,
        keep_stored=keep_stored,
        skipped=lambda file, reason: heard.append((file.path, reason)),
    )


def plan(*files: RemoteFile | Unreadable, **how: object) -> Plan:
    made = planner(**how)  # type: ignore[arg-type]
    for file in files:
        made.add(file)
    return made.plan()


def test_signatures_globs_times_and_young_files_are_left_out() -> None:
    heard: list[tuple[str, SkipReason]] = []
    made = plan(
        remote("a.csv"),
        remote("a.csv.sig"),
        remote("b.xml"),
        remote("d.csv", age=10),
        remote("e.csv", age=90_000),
        remote("f.csv", age=100),
        remote("old/c.csv"),
        include=("*.csv", "*.sig"),
        exclude=("old/**",),
        min_age_seconds=60,
        modified_after=NOW - timedelta(seconds=86_400),
        modified_before=NOW - timedelta(seconds=100),
        skipped=heard,
    )
    assert [target.file.name for target in made.pending] == ["a.csv"]
    assert made.listed == 7
    assert dict(heard) == {
        "in/a.csv.sig": SkipReason.SIGNATURE,
        "in/b.xml": SkipReason.NOT_INCLUDED,
        "in/d.csv": SkipReason.TOO_YOUNG,
        "in/e.csv": SkipReason.OUT_OF_RANGE,
        "in/f.csv": SkipReason.OUT_OF_RANGE,
        "in/old/c.csv": SkipReason.EXCLUDED,
    }
    assert made.skipped == Counter(reason for _, reason in heard)


def test_an_armored_file_is_a_signature_only_beside_what_it_signs() -> None:
    files = (remote("a.csv.gpg.asc"), remote("b.csv.asc"), remote("a.csv.gpg"), remote("deep/c.csv"))
    made = plan(*files, remote("deep/b.csv"))
    assert sorted(target.file.path for target in made.pending) == [
        "in/a.csv.gpg",
        "in/b.csv.asc",
        "in/deep/b.csv",
        "in/deep/c.csv",
    ]
    assert made.skipped == {SkipReason.SIGNATURE: 1}
    never = plan(remote("a.csv"), remote("a.csv.asc"), pgp=OpenPgpMode.NEVER)
    assert len(never.pending) == 2


@pytest.mark.parametrize("kept", [False, True])
def test_what_is_stored_is_not_new(kept: bool) -> None:
    files = (remote("a.csv.gpg"), remote("c.csv"), remote("d/b.tar.gz"))
    stored = ("p/data/csv/a.csv", "p/archives/d/b.tar.gz.json")
    made = plan(*files, stored=stored, keep_stored=kept)
    assert [target.key for target in made.pending] == ["p/data/csv/c.csv"]
    assert [target.key for target in made.stored] == (list(stored) if kept else [])
    assert made.skipped == ({} if kept else {SkipReason.ALREADY_STORED: 2})
    everything = plan(*files, stored=stored, policy=SelectionPolicy.ALL)
    assert (len(everything.pending), everything.stored) == (3, [])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (remote("a.csv"), remote("a.csv.gpg")),
        (remote("a.csv.gz"), remote("a.csv.gpg")),
        (remote("a.csv", root="in"), remote("a.csv", root="out")),
        (remote("a.tar"), remote("a.tgz")),
        (remote("a.zip"), remote("a.tar.xz")),
    ],
)
def test_two_files_for_one_place_are_both_refused(one: RemoteFile, other: RemoteFile) -> None:
    made = plan(one, other, stored=("p/data/csv/a.csv",), policy=SelectionPolicy.ALL)
    assert (made.pending, made.stored) == ([], [])
    assert [refusal.what for refusal in made.refused] == [one, other]
    assert all(one.path in refusal.why and other.path in refusal.why for refusal in made.refused)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("names", "stored"),
    [(("a.csv", "a.csv.gz"), "p/data/csv/a.csv"), (("a.tar", "a.tgz"), "p/archives/a.tar.json")],
)
def test_one_that_is_stored_stays_so_and_the_other_is_refused(names: tuple[str, str], stored: str, order: int) -> None:
    made = plan(*(remote(name) for name in names[::order]), stored=(stored,), keep_stored=False)
    assert (made.pending, made.skipped) == ([], {SkipReason.ALREADY_STORED: 1})
    assert [refusal.category for refusal in made.refused] == [Category.CONFIG]


def test_a_file_listed_twice_counts_once() -> None:
    made = plan(remote("a.csv"), remote("a.csv"), paths=("in", "in/deep"))
    assert (made.listed, len(made.pending), made.refused) == (1, 1, [])


def test_unusable_names_are_refused() -> None:
    made = plan(remote("a.csv", unusable="the name is not UTF-8"), remote("b\\c.csv"))
    assert [refusal.why for refusal in made.refused] == ["the name is not UTF-8", "the path has a backslash"]


def test_an_unreadable_folder_fails_unless_it_is_excluded() -> None:
    made = plan(
        *(Unreadable(f"in/{path}", path, Category.AUTH, "permission denied") for path in ("a", "tmp", "b.d")),
        exclude=("tmp/**", "*.d"),
    )
    assert [(refusal.what.path, refusal.category) for refusal in made.refused] == [("in/a", Category.AUTH)]
    assert made.listed == 1


@pytest.mark.parametrize(
    ("limits", "names"),
    [
        ({}, ["old", "mid", "new"]),
        ({"max_files": 2}, ["old", "mid"]),
        ({"max_bytes": 10}, ["old"]),
        ({"max_bytes": 15}, ["old", "mid"]),
        ({"max_files": 1, "max_bytes": 100}, ["old"]),
    ],
)
def test_the_oldest_go_first_and_at_least_one(limits: dict[str, int], names: list[str]) -> None:
    made = planner(**limits)  # type: ignore[arg-type]
    for name, age, size in (("new", 10, 5), ("old", 30, 12), ("mid", 20, 3)):
        made.add(remote(name, age=age, size=size))
    taken = made.plan()
    assert [target.file.name for target in made.choose(taken.pending)] == names
    assert taken.skipped[SkipReason.OVER_LIMIT] == 3 - len(names)


@given(st.sets(st.text("abc/", min_size=1, max_size=6), max_size=40), st.integers(1, 5), st.booleans())
def test_shards_share_what_one_would_take(names: set[str], shards: int, keeping: bool) -> None:
    files = sorted((remote(f"{name.strip('/') or 'x'}.csv", root=str(n)) for n, name in enumerate(names)), key=str)
    how = {"keep_stored": keeping, "stored": ("p/data/csv/a.csv", "p/data/csv/b.csv")}
    whole = plan(*files, **how)
    parts = [plan(*files, shard=(number, shards), **how) for number in range(shards)]
    for field in ("pending", "stored", "refused"):
        together = [item for part in parts for item in getattr(part, field)]
        assert sorted(map(str, together)) == sorted(map(str, getattr(whole, field)))
    assert sum(part.listed for part in parts) == whole.listed == len(files)
    assert sum((part.skipped for part in parts), Counter()) == whole.skipped
    for number, part in enumerate(parts):
        assert all(shard_of(target.file.path, shards) == number for target in part.pending)


def test_workers_share_the_limits() -> None:
    files = [remote(f"{number}.csv", age=number + 1) for number in range(60)]
    taken = []
    for number in range(4):
        made = planner(shard=(number, 4), max_files=6)
        for file in files:
            made.add(file)
        taken.append(len(made.choose(made.plan().pending)))
    assert taken == [2, 2, 1, 1]


def test_own_keys() -> None:
    made = plan(remote("a.csv.gpg"), remote("deep/pack.tar.gz"))
    assert "p/data/xml/deep/pack/x/y.xml" not in OwnKeys(made.pending, "p", members=False)
    own = OwnKeys(made.pending, "p", members=True)
    for key in ("p/data/csv/a.csv", "p/archives/deep/pack.tar.gz.json", "p/data/xml/deep/pack/x/y.xml"):
        assert key in own
    for key in ("p/data/csv/b.csv", "p/data/csv/deep/pack.csv", "q/data/xml/deep/pack/y.xml", "p/deep/pack/y"):
        assert key not in own
