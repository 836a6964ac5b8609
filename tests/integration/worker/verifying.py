"""What ``octo-worker verify`` says, step by step."""

from __future__ import annotations

from octo_core.domain.failure import EXIT_CODES, RESOLUTIONS, Category
from tests.integration.worker.laptop import Done, Laptop

SERVER = ("connect", "hostKey", "login", "listing")
BUCKET = ("s3List", "s3Put", "s3Read", "s3Conditional", "s3Multipart", "s3Delete")
STEPS = ("secrets", *SERVER, "openpgp", "signature", "decrypt", *BUCKET)


def verify(laptop: Laptop) -> tuple[Done, dict[str, dict[str, str]]]:
    """The steps by name. The bucket is as it was before."""
    laptop.provider["spec"]["source"]["sftp"]["include"] = ["*.csv*"]
    before = laptop.bucket.objects()
    done = laptop.run("verify", "--json")
    assert done.err == ""
    assert laptop.bucket.objects() == before
    steps = {event.pop("name"): event for event in done.events("step")}
    assert tuple(steps) == STEPS
    return done, steps


def states(steps: dict[str, dict[str, str]], state: str) -> set[str]:
    return {name for name, step in steps.items() if step["state"] == state}


def fails(laptop: Laptop, step: str, category: Category, *, skipped: tuple[str, ...]) -> str:
    """Verify with just that step failing; its message. The step ``signature`` may be skipped or not."""
    done, steps = verify(laptop)
    assert states(steps, "failed") == {step}, steps
    assert states(steps, "skipped") - {"signature"} == set(skipped) - {"signature"}
    assert (done.code, steps[step]["category"]) == (EXIT_CODES[category], category)
    assert steps[step]["resolution"] == RESOLUTIONS[category]
    return steps[step]["message"]
