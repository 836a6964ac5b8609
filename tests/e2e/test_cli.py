"""The command line on a cluster, both ways: a run is followed, one that breaks is explained."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.cli import Cli, Done
from tests.support.kubectl import KUBECONFIG
from tests.support.release import Release, image_tag

Call = Callable[..., Done]


def provider(octo: Release, script: str) -> str:
    """One whose main logic is that script, tried once; its name."""
    name = f"cli-{secrets.token_hex(3)}"
    container = {"image": f"octo/demo:{image_tag()}", "command": ["sh", "-c", script]}
    octo.kubectl.apply(
        {
            "apiVersion": "octo.dev/v1alpha1",
            "kind": "OctoProvider",
            "metadata": {"name": name},
            "spec": {"container": container, "jobDefaults": {"retryPolicy": {"maxAttempts": 1}}},
        }
    )
    return name


@pytest.fixture(params=["octo", "kubectl octo"])
def cli(request: pytest.FixtureRequest, octo: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    if request.param == "kubectl octo":
        monkeypatch.setenv("KUBECONFIG", str(KUBECONFIG))
        return Cli(tmp_path, monkeypatch, "-n", octo.kubectl.namespace, plugin=True)
    key = tmp_path / "key"
    key.write_text(octo.api_key)

    def call(*arguments: str) -> Done:
        # Makes the tunnel anew if an earlier test had the api's pod replaced.
        octo.request("GET", "/healthz", key=None)
        server = f"http://127.0.0.1:{octo.forward.port()}"
        return Cli(tmp_path, monkeypatch, "--server", server, "--api-key-file", str(key))(*arguments)

    return call


def test_a_run_is_followed_and_one_that_breaks_is_explained(cli: Call, octo: Release) -> None:
    well = provider(octo, "echo one; sleep 1; echo two")
    followed = cli("run", well, "--follow")
    assert (followed.code, followed.out) == (0, "one\ntwo\n"), followed
    (name,) = cli("ls", "--provider", well, "-o", "name").out.split()
    assert cli("logs", name).out == "one\ntwo\n"
    assert cli("logs", name, "--tail", "1").out == "two\n"
    assert cli("get", name, "-o", "json").json["state"] == "Succeeded"
    assert cli("rerun", name, "--wait").code == 0

    broken = provider(octo, "echo first; echo no luck; exit 30")
    waited = cli("run", broken, "--wait", "-o", "json")
    assert waited.code == 1, waited
    assert "Check the user name" in waited.err
    name = waited.json["name"]
    why = cli("explain", name).out
    assert f"{name} of {broken}: Failed" in why
    assert "Check the user name" in why.partition("What to do:")[2]
    assert cli("logs", name).out == "first\nno luck\n"

    endless = provider(octo, "trap 'exit 50' TERM; sleep 600 & wait $!")
    name = cli("run", endless, "-o", "name").out.strip()
    assert cli("cancel", name, "--reason", "seen enough", "--wait").code == 0
    assert cli("get", name, "--wait").code == 6
