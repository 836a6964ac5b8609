"""The example of docs/worker.md works as it stands, but for names and addresses of servers."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import yaml

from tests.integration.worker.laptop import Laptop, laptop
from tests.support.pgp import PgpKey
from tests.support.s3 import ACCESS_KEY, SECRET_KEY
from tests.support.sftp import USER, Inbox

__all__ = ["laptop"]  # the fixture

PAGE = (Path(__file__).parents[3] / "docs" / "worker.md").read_text()


def blocks(language: str) -> list[str]:
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return found


def test_the_example_can_be_followed(laptop: Laptop, inbox: Inbox, pgp_key: PgpKey, tmp_path: Path) -> None:
    inbox.put("loans.csv.gz.gpg", pgp_key.encrypt(gzip.compress(b"1,2\n")))
    inbox.put("loans.csv.gz.gpg.sig", b"signature")
    (provider,) = blocks("yaml")
    for theirs, ours in (
        ("sftp.bank.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBqHbEXAMPLE", json.dumps(inbox.server.known_hosts[0])),
        ("sftp.bank.example", "127.0.0.1"),
        ("port: 22", f"port: {inbox.server.port}"),
        ("username: octo", f"username: {USER}"),
        ("[outgoing]", f"[{inbox.path}]"),
        ("https://s3.example.com", laptop.bucket.server.endpoint),
        ("bucket: landing", f"bucket: {laptop.bucket.name}"),
    ):
        assert theirs in provider
        provider = provider.replace(theirs, ours)
    work, home = tmp_path / "work", tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    work.mkdir()
    (home / ".ssh" / "bank").write_bytes(inbox.server.client_key)
    (home / "bank-openpgp.asc").write_bytes(pgp_key.private)
    (work / "provider.yaml").write_text(provider)

    script = "\n".join(blocks("bash"))
    assert script.count("octo-worker") == 4
    tools = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=work,
        env=laptop.environment() | {"HOME": str(home), "PATH": f"{tools}:{laptop.environment()['PATH']}"},
        input=f"{pgp_key.passphrase}\n{ACCESS_KEY}\n{SECRET_KEY}\n",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    laptop.said += [done.stdout, done.stderr]
    assert done.returncode == 0, done
    assert done.stderr == "", "no warning about the secrets' modes"
    assert laptop.bucket.read("bank/data/csv/loans.csv") == b"1,2\n"
    lines = done.stdout.splitlines()
    # Signatures are not required.
    assert [line.split()[0] for line in lines[:14]] == ["ok"] * 6 + ["skipped"] + ["ok"] * 7
    assert "would be fetched: 1 (" in done.stdout
    assert "a detached signature" in done.stdout
    assert "Completed" in done.stdout
    assert json.loads(lines[-1])["reason"] == "NoNewFiles"


def test_the_shown_outputs_are_like_the_real_ones(laptop: Laptop, inbox: Inbox) -> None:
    shown = "\n".join(blocks("text"))
    inbox.put("loans.csv", b"1\n")
    inbox.put("loans.csv.sig", b"signature")
    laptop.provider["spec"]["source"]["sftp"]["hostKeys"] = ["SHA256:" + "A" * 43]
    verified = [line[:26] for line in laptop.run("verify").out.splitlines() if not line.startswith(" ")]
    assert verified[0] in shown
    assert verified[:4] == [line[:26] for line in blocks("text")[0].splitlines() if not line.startswith(" ")]
    laptop.provider["spec"]["source"]["sftp"]["hostKeys"] = list(inbox.server.known_hosts)
    planned = laptop.run("plan").out
    for head in (
        r"PATH +SIZE +MODIFIED +KEY$",
        r"PATH +WHY$",
        r"^Left out: \d$",
        r"^\d files listed; would be fetched: 1",
    ):
        assert re.search(head, shown, re.MULTILINE)
        assert re.search(head, planned, re.MULTILINE)


def test_its_provider_is_the_readmes_and_an_endpoint() -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    (theirs,) = re.findall(r"^```yaml\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    provider = yaml.safe_load(blocks("yaml")[0])
    assert provider["spec"]["source"]["sftp"].pop("port") == 22
    del provider["spec"]["destination"]["s3"]["endpoint"], provider["spec"]["destination"]["s3"]["pathStyle"]
    assert provider == yaml.safe_load(theirs)
