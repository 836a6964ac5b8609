"""``octo-worker verify`` on a bucket that does not let the account do all that a run does."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from octo_core.domain.failure import EXIT_CODES, RESOLUTIONS, Category
from tests.integration.worker.laptop import PREFIX, Laptop, laptop
from tests.integration.worker.verifying import BUCKET, states
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, Bucket, S3Server, s3_binary, serve_s3
from tests.support.sftp import Inbox

__all__ = ["laptop"]  # the fixture

USER, PASSWORD = "lander", "planted-lander-secret"
READ = ("s3:ListBucket", "s3:GetObject", "s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts")
WRITE = ("s3:PutObject", "s3:AbortMultipartUpload")
DELETE = ("s3:DeleteObject",)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server with an account that owns nothing."""
    with serve_s3("--iam-dir", str(tmp_path_factory.mktemp("accounts"))) as server:
        subprocess.run(
            [
                *(s3_binary(), "admin", "--endpoint-url", server.endpoint),
                *("create-user", "--access", USER, "--secret", PASSWORD, "--role", "user"),
            ],
            env={"ADMIN_ACCESS_KEY": ACCESS_KEY, "ADMIN_SECRET_KEY": SECRET_KEY},
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=240,
        )
        yield server


@dataclass(slots=True)
class Guarded:
    """A bucket of another's, and a provider that lands in it."""

    laptop: Laptop
    bucket: Bucket

    def allow(self, *actions: str) -> None:
        """Let the account do these, and nothing else."""
        everything = [f"arn:aws:s3:::{self.bucket.name}", f"arn:aws:s3:::{self.bucket.name}/*"]
        on_bucket = [action for action in actions if action in ("s3:ListBucket", "s3:ListBucketMultipartUploads")]
        on_objects = [action for action in actions if action not in on_bucket]
        statements = [
            {"Effect": "Allow", "Principal": {"AWS": [USER]}, "Action": some, "Resource": [where]}
            for some, where in ((on_bucket, everything[0]), (on_objects, everything[1]))
            if some
        ]
        policy = {"Version": "2012-10-17", "Statement": statements}
        self.bucket.server.client.set_bucket_policy(self.bucket.name, json.dumps(policy))

    def verify(self) -> tuple[int, dict[str, dict[str, str]]]:
        """The exit code, and the steps on the bucket by name."""
        done = self.laptop.run("verify", "--json")
        assert PASSWORD not in done.out + done.err
        steps = {event.pop("name"): event for event in done.events("step")}
        return done.code, {name: steps[name] for name in BUCKET}


@pytest.fixture
def guarded(laptop: Laptop, inbox: Inbox, store: S3Server) -> Guarded:
    """A provider whose bucket belongs to somebody else."""
    inbox.put("a.csv", b"1\n")
    made = Guarded(laptop, store.new_bucket())
    s3 = laptop.provider["spec"]["destination"]["s3"]
    s3["endpoint"], s3["bucket"] = store.endpoint, made.bucket.name
    laptop.secret("landing-s3/accessKeyId", USER)
    laptop.secret("landing-s3/secretAccessKey", PASSWORD)
    return made


def test_all_that_is_needed(guarded: Guarded) -> None:
    guarded.allow(*READ, *WRITE, *DELETE)
    code, steps = guarded.verify()
    assert (code, states(steps, "ok")) == (0, set(BUCKET)), steps
    assert guarded.bucket.objects() == {}
    assert guarded.bucket.open_uploads() == []


def test_nothing_is_allowed(guarded: Guarded) -> None:
    code, steps = guarded.verify()
    assert (states(steps, "failed"), states(steps, "skipped")) == ({"s3List"}, set(BUCKET[1:]))
    assert f"allow s3:ListBucket on the bucket {guarded.bucket.name}" in steps["s3List"]["message"]
    assert code == EXIT_CODES[Category.AUTH]


def test_writing_is_denied(guarded: Guarded) -> None:
    guarded.allow(*READ, *DELETE)
    code, steps = guarded.verify()
    assert states(steps, "failed") == {"s3Put", "s3Multipart"}, steps
    assert states(steps, "skipped") == {"s3Read", "s3Conditional", "s3Delete"}
    for name in ("s3Put", "s3Multipart"):
        assert steps[name]["category"] == Category.AUTH
        assert steps[name]["resolution"] == RESOLUTIONS[Category.AUTH]
        assert "allow s3:PutObject" in steps[name]["message"]
        assert f"on s3://{guarded.bucket.name}/{PREFIX}/*" in steps[name]["message"]
    assert code == EXIT_CODES[Category.AUTH]
    assert guarded.bucket.objects() == {}


def test_reading_is_denied(guarded: Guarded) -> None:
    guarded.allow("s3:ListBucket", *WRITE, *DELETE)
    _, steps = guarded.verify()
    assert "s3Read" in states(steps, "failed"), steps
    assert "allow s3:GetObject" in steps["s3Read"]["message"]
    assert steps["s3Delete"]["state"] == "ok"
    assert guarded.bucket.objects() == {}


def test_deleting_is_denied_and_the_object_that_stays_is_named(guarded: Guarded) -> None:
    guarded.allow(*READ, *WRITE)
    code, steps = guarded.verify()
    assert states(steps, "failed") == {"s3Delete"}, steps
    (left,) = guarded.bucket.objects()
    assert Path(left).name.startswith(".octo-verify-")
    assert steps["s3Delete"]["category"] == Category.AUTH
    assert f"allow s3:DeleteObject on s3://{guarded.bucket.name}/{PREFIX}/*" in steps["s3Delete"]["message"]
    assert f"s3://{guarded.bucket.name}/{left} is left: delete it" in steps["s3Delete"]["message"]
    assert code == EXIT_CODES[Category.AUTH]


@pytest.mark.parametrize(("name", "value"), [("accessKeyId", "nobody"), ("secretAccessKey", "planted-wrong-secret")])
def test_bad_credentials_are_not_taken_for_missing_rights(guarded: Guarded, name: str, value: str) -> None:
    guarded.allow(*READ, *WRITE, *DELETE)
    guarded.laptop.secret(f"landing-s3/{name}", value)
    code, steps = guarded.verify()
    assert (states(steps, "failed"), states(steps, "skipped")) == ({"s3List"}, set(BUCKET[1:]))
    assert "allow s3:" not in steps["s3List"]["message"]
    assert "planted" not in str(steps)
    assert code == EXIT_CODES[Category.AUTH]


def test_no_such_bucket(guarded: Guarded) -> None:
    guarded.laptop.provider["spec"]["destination"]["s3"]["bucket"] = "no-such-bucket"
    code, steps = guarded.verify()
    assert (states(steps, "failed"), states(steps, "skipped")) == ({"s3List"}, set(BUCKET[1:]))
    assert "no-such-bucket" in steps["s3List"]["message"]
    assert code in (EXIT_CODES[Category.CONFIG], EXIT_CODES[Category.AUTH])
