"""From an earlier release to this one and back, with runs under way and requests going on.

It brings an older release, and so its custom resource definitions, into the cluster: a verb of its own, ``make
test-upgrade``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from tests.support.installation import remove
from tests.support.kubectl import ROOT, Kubectl
from tests.support.pgp import PgpKey
from tests.support.release import RELEASE, Release, helm, image_tag, installed, installing
from tests.support.remote import remote_servers
from tests.upgrade.releases import FIRST, RETURNABLE, forget_definitions, tree
from tests.upgrade.story import BROKEN, FILES, GATED, NEVER, QUICK, Story
from tests.upgrade.traffic import SILENCE_SECONDS

NAMESPACE = "octo-upgrade"


def test_from_the_first_release_under_load(cluster: None, pgp_key: PgpKey) -> None:
    with of_release(FIRST, pgp_key) as story:
        live_through_an_upgrade(story)


def test_back_to_the_release_before_and_forward_again(cluster: None, pgp_key: PgpKey) -> None:
    with of_release(RETURNABLE, pgp_key) as story:
        octo = story.octo
        old_tag = running_tag(octo)
        live_through_an_upgrade(story)
        schema, definitions = schema_of(octo), definitions_of()

        with story.under_load():
            helm("rollback", RELEASE, "1", "--namespace", NAMESPACE, "--wait", "--timeout", "5m", timeout=330)
        assert running_tag(octo) == old_tag
        assert (schema_of(octo), definitions_of()) == (schema, definitions), "a rollback leaves both as they are"
        works(story, "back")

        with story.under_load():
            to_this_release()
        assert running_tag(octo) == image_tag()
        works(story, "forward")


@contextmanager
def of_release(commit: str, pgp: PgpKey) -> Iterator[Story]:
    """An earlier release with its own images and definitions, and both servers that its providers name."""
    old = tree(commit)
    remove(NAMESPACE)
    forget_definitions()
    try:
        with (
            installed(NAMESPACE, chart=old / "charts" / "octo", tag=image_tag(old)) as octo,
            remote_servers(octo, pgp) as remote,
        ):
            octo.http.timeout = SILENCE_SECONDS
            story = Story(octo, remote)
            story.describe_sources()
            yield story
    finally:
        remove(NAMESPACE)


def live_through_an_upgrade(story: Story) -> None:
    """Runs of every kind before it and over it; nothing of them is lost or doubled."""
    octo, remote = story.octo, story.remote
    reader, revoked = new_key(octo), new_key(octo)
    octo.kubectl("exec", "deploy/octo-api", "--", "octo-api", "revoke-key", revoked.split("_")[1])
    old_tag = running_tag(octo)
    assert old_tag != image_tag()

    done = story.complete(FILES, "done")
    story.complete(BROKEN, "broken", "Failed")
    rows, objects = octo.files(done["id"]), remote.versions(f"{FILES}/data/")
    # Under way when the controller changes: in a pod, in the line behind it, held, and not yet due.
    gated = [story.ask(GATED, f"gated-{number}") for number in range(3)]
    octo.wait_state(gated[0]["name"], "Running")
    (pod,) = octo.pods_of(gated[0]["name"])
    for job in gated[1:]:
        octo.wait_state(job["name"], "Queued")
    held = story.ask(QUICK, "held", suspend=True)
    later = story.ask(QUICK, "later", "Cancelled", startAfter=NEVER)

    with story.under_load():
        to_this_release()

    assert running_tag(octo) == image_tag()
    assert definitions_of() == {raw["metadata"]["name"]: versions(raw) for raw in our_definitions()}
    assert octo.request("GET", "/console/", key=None).status_code == 200
    assert octo.request("GET", "/v1/jobs", key=reader).status_code == 200
    assert octo.request("GET", "/v1/jobs", key=revoked).status_code == 401
    told = octo.files(done["id"])
    assert [{name: now[name] for name in then} for then, now in zip(rows, told, strict=True)] == rows
    # The new controller takes up what the old one left, where it was.
    assert story.open_gates(gated)[0] == pod["metadata"]["uid"]
    octo.kubectl("patch", "octojob", held["name"], "--type=merge", "-p", '{"spec":{"suspend":false}}')
    assert octo.request("POST", f"/v1/jobs/{later['id']}:cancel", json={}).status_code == 202
    works(story, "new")
    assert objects.items() <= remote.versions(f"{FILES}/data/").items(), "what was stored is not written again"


def works(story: Story, name: str) -> None:
    """The release that is there fetches a new file, and all that came before is as it has to be."""
    story.upload_more(name)
    story.complete(FILES, f"files-{name}")
    story.complete(BROKEN, f"broken-{name}", "Failed")
    story.check_keys()
    story.check_runs()
    story.check_objects()


def to_this_release() -> None:
    """What docs/operations.md says: nothing but this."""
    helm("upgrade", *installing(NAMESPACE, image_tag()), "--wait", "--timeout", "5m", timeout=330)


def new_key(octo: Release) -> str:
    """An API key that may read runs."""
    made = octo.kubectl(
        *("exec", "deploy/octo-api", "--", "octo-api", "create-key", "--subject", "upgrade", "--scope", "jobs:read")
    )
    return made.strip()


def running_tag(octo: Release) -> str:
    """The tag of the images of api and controller; both have no pod but ready ones of it."""
    tags = set()
    for name in ("octo-api", "octo-controller"):
        octo.kubectl("rollout", "status", f"deployment/{name}", "--timeout=240s")
        (container,) = octo.kubectl.json("get", "deployment", name)["spec"]["template"]["spec"]["containers"]
        tags.add(container["image"].rpartition(":")[2])
    (tag,) = tags
    return str(tag)


def schema_of(octo: Release) -> str:
    """The version of the schema in Postgres."""
    (row,) = octo.sql("SELECT version_num FROM alembic_version")
    return str(row["version_num"])


def definitions_of() -> dict[str, Any]:
    """What the custom resource definitions of the cluster say of each version of a kind."""
    names = ("octojobs.octo.dev", "octoproviders.octo.dev")
    return {raw["metadata"]["name"]: versions(raw) for raw in Kubectl("default").json("get", "crd", *names)["items"]}


def our_definitions() -> list[dict[str, Any]]:
    """Those of this tree."""
    return [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]


def versions(definition: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What a custom resource definition says that an upgrade may change."""
    return [(item["name"], item["schema"], item["additionalPrinterColumns"]) for item in definition["spec"]["versions"]]
