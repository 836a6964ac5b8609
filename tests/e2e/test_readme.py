"""The commands of README and docs do what they say, on the installation of the tests instead of the demo's."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.support.kubectl import ROOT, environment
from tests.support.ports import free_port
from tests.support.release import Release
from tests.support.remote import Remote

README = (ROOT / "README.md").read_text()


DOCS = [path.read_text() for path in sorted((ROOT / "docs").rglob("*.md"))]


def blocks(text: str, language: str) -> list[str]:
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return found


def test_every_shell_command_runs(octo: Release, remote: Remote, tmp_path: Path) -> None:
    remote.upload("demo", {"one.csv.gz.gpg": b"a,b\n1,2\n"})
    remote.provider(octo, "demo")
    two_commands, *others = blocks(README, "sh")
    assert [line.split()[:2] for line in two_commands.splitlines()] == [["make", "demo"], ["make", "test"]]
    script = "\n".join([*others, *(block for text in DOCS for block in blocks(text, "sh"))])
    assert script.count("kubectl") > 8
    assert script.count("curl") >= 4
    for theirs, ours in (
        ("-n octo ", f"-n {octo.kubectl.namespace} "),
        ("--namespace octo ", f"--namespace {octo.kubectl.namespace} "),
        ("8080:8080", f"{(port := free_port())}:8080"),
        (":8080/", f":{port}/"),
    ):
        assert theirs in script
        script = script.replace(theirs, ours)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"trap 'kill $(jobs -p)' EXIT\n{script}"],
        cwd=ROOT,
        env={**environment(), "XDG_CONFIG_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert octo.octojob("tuesday")["status"]["state"] == "Succeeded"
    explained = done.stdout.partition(" of demo: Failed")[2]
    assert "no-such-folder" in explained
    assert "What to do:" in explained
    assert not octo.kubectl.exists("octojob", "not-today")


def test_its_octoprovider_is_valid(octo: Release) -> None:
    (provider,) = blocks(README, "yaml")
    octo.kubectl("apply", "--dry-run=server", "-f", "-", stdin=provider)


def test_its_api_table_is_the_api(octo: Release) -> None:
    paths = octo.request("GET", "/openapi.json").json()["paths"]
    for method, path in re.findall(r"`(GET|POST|DELETE) (/[^` ]+)`", README):
        known = {re.sub(r"\{\w+\}", "{}", name): verbs for name, verbs in paths.items()}
        if path != "/openapi.json":
            assert method.lower() in known[re.sub(r"\{\w+\}", "{}", path)], path
