"""The way through a Docker engine: cluster.sh and images.sh call docker and kind as they should.

The fakes on the PATH write down how they are called; the real scripts run on a copy of deploy/.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

REPO = Path(__file__).resolve().parents[3]

FAKE = """#!/usr/bin/env python3
import json, os, sys
name, args = os.path.basename(sys.argv[0]), sys.argv[1:]
state = os.environ["FAKE_STATE"]
with open(os.path.join(state, "calls"), "a") as log:
    log.write(json.dumps([name, *args]) + "\\n")
clusters = os.path.join(state, "clusters")
have = open(clusters).read().split() if os.path.exists(clusters) else []
built = os.path.join(state, "built")
images = open(built).read().split() if os.path.exists(built) else []
match [name, *args]:
    case ["docker", "info"]:
        sys.exit(int(os.environ.get("FAKE_DOCKER_INFO", "0")))
    case ["docker", "image", "inspect", image]:
        sys.exit(0 if image in images else 1)
    case ["docker", "exec", *_]:
        sys.exit(1)
    case ["docker", "build", *_]:
        images.append(args[args.index("--tag") + 1])
        open(built, "w").write(" ".join(images))
    case ["kind", "get", "clusters"]:
        print("\\n".join(have))
    case ["kind", "create", "cluster", "--name", cluster, *_]:
        open(clusters, "w").write(cluster)
    case ["kind", "delete", "cluster", *_]:
        open(clusters, "w").write("")
"""


class Sandbox:
    """A copy of what the scripts read, with recorded fakes before everything on the PATH."""

    def __init__(self, root: Path) -> None:
        self.repo, self.state, fakes = root / "repo", root / "state", root / "fakes"
        shutil.copytree(REPO / "deploy", self.repo / "deploy")
        for name in ("core", "api", "controller", "worker", "requirements"):
            (self.repo / name).mkdir()
        for name in ("api", "controller", "worker"):
            (self.repo / "requirements" / f"{name}.lock").write_text("")
        self.state.mkdir()
        fakes.mkdir()
        for name in ("docker", "kind"):
            (fakes / name).write_text(FAKE)
            (fakes / name).chmod(0o755)
        keep = {k: v for k, v in os.environ.items() if k not in {"KUBECONFIG", "OCTO_KUBECONFIG"}}
        self.env = {
            **keep,
            "PATH": f"{fakes}:{os.environ['PATH']}",
            "FAKE_STATE": str(self.state),
            "XDG_CACHE_HOME": str(root / "cache"),
        }

    def run(self, script: str, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(self.repo / "deploy" / script), *args],
            env={**self.env, **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def calls(self, name: str) -> list[list[str]]:
        """The calls of one command that change something, without its own name."""
        path = self.state / "calls"
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        asking = (["info"], ["get", "clusters"], ["image", "inspect"], ["exec"])
        return [row[1:] for row in rows if row[0] == name and not any(row[1 : len(a) + 1] == a for a in asking)]


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path)


def test_up_creates_the_cluster_once(sandbox: Sandbox) -> None:
    kubeconfig = str(sandbox.repo / ".octo" / "kubeconfig")
    assert sandbox.run("cluster.sh", "up").returncode == 0
    assert sandbox.run("cluster.sh", "up").returncode == 0
    create, export = sandbox.calls("kind")
    config = str(sandbox.repo / "deploy" / "kind" / "config.yaml")
    assert create[:6] == ["create", "cluster", "--name", "octo", "--config", config]
    assert create[6:8] == ["--kubeconfig", kubeconfig]
    assert export == ["export", "kubeconfig", "--name", "octo", "--kubeconfig", kubeconfig]


def test_down_deletes_only_what_is_there(sandbox: Sandbox) -> None:
    assert sandbox.run("cluster.sh", "down").returncode == 0
    assert sandbox.calls("kind") == []
    sandbox.run("cluster.sh", "up")
    assert sandbox.run("cluster.sh", "down").returncode == 0
    assert sandbox.calls("kind")[-1][:4] == ["delete", "cluster", "--name", "octo"]


def test_load_builds_the_target_and_loads_its_archive(sandbox: Sandbox) -> None:
    tag = sandbox.run("images.sh", "tag").stdout.strip()
    result = sandbox.run("images.sh", "load", "postgres")
    assert result.returncode == 0, result.stderr
    build, retag, save = sandbox.calls("docker")
    assert build[0] == "build"
    assert build[build.index("--target") + 1] == "postgres"
    built = build[build.index("--tag") + 1]
    assert built.startswith("docker.io/octo/postgres:built-")
    assert retag == ["tag", built, f"octo/postgres:{tag}"]
    archive = str(sandbox.repo / ".octo" / "images" / "postgres.tar")
    assert save == ["save", "--output", archive, f"octo/postgres:{tag}"]
    assert sandbox.calls("kind") == [["load", "image-archive", "--name", "octo", archive]]


def test_an_unchanged_image_is_not_built_again(sandbox: Sandbox) -> None:
    for _ in range(2):
        assert sandbox.run("images.sh", "build", "api", "worker").returncode == 0
    assert [row[row.index("--target") + 1] for row in sandbox.calls("docker")] == ["api", "worker"]


def test_a_source_change_gives_a_new_tag_and_builds_its_image_alone(sandbox: Sandbox) -> None:
    sandbox.run("images.sh", "build", "api", "worker")
    before = sandbox.run("images.sh", "tag").stdout
    (sandbox.repo / "worker" / "new.py").write_text("x = 1\n")
    assert sandbox.run("images.sh", "tag").stdout != before
    sandbox.run("images.sh", "build", "api", "worker")
    assert [row[row.index("--target") + 1] for row in sandbox.calls("docker")] == ["api", "worker", "worker"]


def test_a_named_kubeconfig_wins_and_is_left_alone(sandbox: Sandbox, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("apiVersion: v1\nkind: Config\n")
    assert sandbox.run("cluster.sh", "up", KUBECONFIG=str(mine)).returncode == 0
    assert (sandbox.repo / ".octo" / "kubeconfig").resolve() == mine
    assert sandbox.run("cluster.sh", "down", KUBECONFIG=str(mine)).returncode == 0
    assert mine.read_text() == "apiVersion: v1\nkind: Config\n"
    assert sandbox.calls("kind") == []


def test_a_cluster_of_the_users_needs_a_registry(sandbox: Sandbox, tmp_path: Path) -> None:
    result = sandbox.run("images.sh", "load", "postgres", OCTO_KUBECONFIG=str(tmp_path / "any"))
    assert result.returncode == 1
    assert "OCTO_IMAGE_REGISTRY" in result.stderr
    pushed = {"OCTO_KUBECONFIG": str(tmp_path / "any"), "OCTO_IMAGE_REGISTRY": "registry.test/team"}
    assert sandbox.run("images.sh", "load", "postgres", **pushed).returncode == 0
    tag = sandbox.run("images.sh", "tag").stdout.strip()
    assert sandbox.calls("docker")[-1] == ["push", f"registry.test/team/octo/postgres:{tag}"]


def test_our_own_kubeconfig_in_the_environment_is_not_a_users_cluster(sandbox: Sandbox) -> None:
    own = str(sandbox.repo / ".octo" / "kubeconfig")
    assert sandbox.run("cluster.sh", "kind-of", KUBECONFIG=own).stdout.strip() == "kind"
    assert sandbox.run("cluster.sh", "kind-of", FAKE_DOCKER_INFO="1").stdout.strip() == "local"
