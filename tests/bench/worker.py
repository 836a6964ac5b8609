"""`make bench-worker`: Octo's worker beside a naive script and rclone, in turn, against the same servers.

Every run is a whole process from its start to its end, stores under a prefix of its own, is checked for having
stored what it should, and is removed. The peers take turns within a round, so that what else the machine
does meets all of them; the ratios are of medians. "others" in the table says how many cores the rest of the
machine used: above some tenths, repeat the bench in a quiet hour.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench import data, launch
from tests.bench.data import MIB, Data, Workload
from tests.bench.figures import Run, key_figures, summaries, table
from tests.bench.peers import octo, rclone
from tests.bench.peers.octo import Octo
from tests.bench.peers.rclone import Rclone
from tests.bench.servers import Servers, server_cpu, servers
from tests.support.s3 import ACCESS_KEY, SECRET_KEY
from tests.support.sftp import USER

REPO = Path(__file__).parents[2]
STATE = REPO / ".octo" / "bench"
RCLONE = REPO / ".octo" / "bin" / "rclone"
RCLONE_TUNED, RCLONE_STREAMS = "rclone", "rclone-streams"
PEERS = ("octo", RCLONE_TUNED, RCLONE_STREAMS, "naive")
PARTS = ("large", "small", "memory")
MEMORY = {"memory-64m": 64 * MIB, "memory-2g": 2048 * MIB}
RUN_SECONDS = 600
OCTO_GRACE = 3.0
"""Seconds for the agent that the worker has told to end."""


class BenchError(Exception):
    """A peer did not do what it is measured for."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One peer with one workload."""

    workload: Workload
    peer: str
    key: data.Key | None = None
    sample: bool = False

    @property
    def name(self) -> str:
        """The workload's name in the figures."""
        return self.workload.name.removesuffix(f"-{data.SMALL_FILES}")


class Bench:
    """Runs peers against two servers."""

    def __init__(self, on: Servers, pod: Octo, mover: Rclone, naive_home: Path, folder: Path) -> None:
        self._servers = on
        self._octo = pod
        self._rclone = mover
        self._naive_home = naive_home
        self._folder = folder
        self._count = 0
        self._digests: dict[Path, str] = {}
        self.runs: list[Run] = []

    def run(self, entry: Entry, number: int) -> Run:
        """Run it once, check what it stored, remove that."""
        self._count += 1
        prefix = f"run-{self._count:03}"
        data.warm(entry.workload)
        command, environment = self._command(entry, prefix)
        before = server_cpu()
        measured = self._launched(entry, command, environment)
        after = server_cpu()
        self._check(entry, prefix)
        self._servers.remove(prefix)
        cpu = measured.pop("user_s") + measured.pop("sys_s")
        by_server = {name: round(used - before.get(name, 0.0), 2) for name, used in after.items()}
        others = measured.pop("machine_busy_s") - cpu - sum(by_server.values())
        run = Run(
            workload=entry.name,
            peer=entry.peer,
            round=number,
            files=entry.workload.files,
            source_bytes=entry.workload.source_bytes,
            plain_bytes=entry.workload.plain_bytes,
            wall_s=round(measured.pop("wall_s"), 3),
            cpu_s=round(cpu, 3),
            server_cpu_s=by_server,
            others_cpu_s=round(max(others, 0.0), 2),
            stolen_s=round(measured.pop("machine_stolen_s"), 2),
            load_1m=round(measured.pop("load_1m"), 2),
            left_running=tuple(measured.pop("left_running")),
            detail={name: value for name, value in measured.items() if name != "exit_code"},
        )
        say(
            f"{entry.name} {entry.peer} #{number}: {run.wall_s:.2f} s, CPU {run.cpu_s:.2f} s, "
            f"servers {sum(by_server.values()):.2f} s, others {run.others_cpu_s:.2f} s"
            + (f", left running: {', '.join(run.left_running)}" if run.left_running and entry.peer == "octo" else "")
        )
        return run

    def keep(self, entry: Entry, number: int) -> None:
        """Run it once, and count it."""
        self.runs.append(self.run(entry, number))

    def _command(self, entry: Entry, prefix: str) -> tuple[list[str], dict[str, str]]:
        if entry.peer == "octo":
            assert entry.key is not None
            return self._octo.command(entry.workload, entry.key, prefix), self._octo.environment
        if entry.peer in (RCLONE_TUNED, RCLONE_STREAMS):
            command = self._rclone.command(entry.workload, prefix, default_streams=entry.peer == RCLONE_STREAMS)
            return command, self._rclone.environment
        return self._naive(entry.workload, prefix), {"PATH": os.environ["PATH"], "HOME": str(self._folder)}

    def _naive(self, workload: Workload, prefix: str) -> list[str]:
        sftp, bucket = self._servers.sftp, self._servers.bucket
        private, known = self._folder / "client", self._folder / "known_hosts"
        private.write_bytes(sftp.client_key)
        private.chmod(0o600)
        known.write_text("".join(f"{line}\n" for line in sftp.known_hosts))
        settings = self._folder / "naive.json"
        settings.write_text(
            json.dumps(
                {
                    "workdir": str(self._folder),
                    "known_hosts": str(known),
                    "host": "127.0.0.1",
                    "port": sftp.port,
                    "username": USER,
                    "private_key": str(private),
                    "path": str(next(workload.folder.iterdir())),
                    "gnupg_home": str(self._naive_home),
                    "passphrase": data.PASSPHRASE,
                    "endpoint": bucket.server.endpoint,
                    "access_key": ACCESS_KEY,
                    "secret_key": SECRET_KEY,
                    "bucket": bucket.name,
                    "key": f"{prefix}/data/statement.csv",
                }
            )
        )
        return [
            str(STATE / "venv" / "bin" / "python"),
            str(Path(__file__).with_name("peers") / "naive.py"),
            str(settings),
        ]

    def _launched(self, entry: Entry, command: list[str], environment: dict[str, str]) -> dict[str, Any]:
        result, log = self._folder / "result.json", self._folder / "log"
        result.unlink(missing_ok=True)
        options = ["--out", str(result), "--grace", str(OCTO_GRACE if entry.peer == "octo" else 0)]
        if entry.sample:
            options.append("--sample")
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, launch.__file__, *options, "--", *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        try:
            process.wait(RUN_SECONDS)
        finally:
            # It ends what it started by itself.
            process.terminate()
            process.wait(30)
        measured: dict[str, Any] = json.loads(result.read_text()) if result.exists() else {"exit_code": None}
        if measured["exit_code"] != 0:
            raise BenchError(
                f"{entry.peer} ended with {measured['exit_code']}: {log.read_text(errors='replace')[-3000:]}"
            )
        return measured

    def _check(self, entry: Entry, prefix: str) -> None:
        """A peer that stored something else is not measured."""
        stored = self._servers.stored(prefix)
        workload = entry.workload
        opened = entry.peer in ("octo", "naive")
        expected = workload.plain_bytes if opened else workload.source_bytes
        if (len(stored), sum(stored.values())) != (workload.files, expected):
            raise BenchError(
                f"{entry.peer} stored {len(stored)} objects of {sum(stored.values())} bytes instead of "
                f"{workload.files} of {expected}"
            )
        if workload.files == 1 and self._servers.sha256(next(iter(stored))) != self._digest(workload, opened=opened):
            raise BenchError(f"{entry.peer} stored other bytes than those delivered")

    def _digest(self, workload: Workload, *, opened: bool) -> str:
        digest = hashlib.sha256()
        if opened:
            path, chunks = Path("plain", str(workload.plain_bytes)), data.table(workload.plain_bytes)
        else:
            path = next(workload.folder.iterdir())
            chunks = _chunks(path)
        if path not in self._digests:
            for chunk in chunks:
                digest.update(chunk)
            self._digests[path] = digest.hexdigest()
        return self._digests[path]


def main() -> int:
    """Run the bench."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.worker", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each peer takes its turn (default 3)")
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"some of {','.join(PEERS)}")
    parser.add_argument("--out", type=Path, default=STATE / "worker.json")
    given = parser.parse_args()
    parts, peers = given.only.split(","), given.peers.split(",")
    if not set(parts) <= set(PARTS) or not set(peers) <= set(PEERS) or given.rounds < 1:
        parser.error("unknown part or peer, or no rounds; see --help")
    # By default SIGTERM would leave the servers behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    STATE.mkdir(parents=True, exist_ok=True)
    load_before = os.getloadavg()
    samples = Data(STATE, say)
    rsa = samples.key("rsa3072")
    with ExitStack() as stack:
        on = stack.enter_context(servers())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="octo-bench-")))
        bench = Bench(
            on,
            stack.enter_context(octo.pod(on)),
            stack.enter_context(rclone.configured(RCLONE, on)),
            stack.enter_context(data.naive_ring(rsa)),
            folder,
        )
        try:
            # Once each without counting: programs and byte code are read, and what is broken shows now.
            tiny = samples.small("rsa3072", files=1)
            for peer in peers:
                bench.run(Entry(tiny, peer, rsa), 0)
            for part in parts:
                _measure(bench, samples, part, peers, given.rounds)
        except BenchError as error:
            say(f"error: {error}")
            return 1
        except KeyboardInterrupt:
            return 130
    report = {
        **key_figures(bench.runs),
        "summary": summaries(bench.runs),
        "setup": {
            "rounds": given.rounds,
            "machine": {
                "cpus": os.cpu_count(),
                "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MIB,
                "kernel": platform.release(),
                "load_before": load_before,
                "load_after": os.getloadavg(),
            },
            "versions": _versions(),
            "keys": data.KEYS,
            "ratios": "of median wall times; above 1, Octo is faster",
            "memory": "RSS (headline) and PSS summed over the worker's process tree, highest of 20 samples a second",
            "cpu": "user and system time of the worker's whole process tree, gpg-agent included, per GiB of ciphertext",
        },
        "runs": [asdict(run) for run in bench.runs],
    }
    given.out.write_text(json.dumps(report, indent=1) + "\n")
    sys.stdout.write(f"{table(bench.runs)}\n")
    say(f"all figures: {given.out.relative_to(REPO) if given.out.is_relative_to(REPO) else given.out}")
    return 0


def _measure(bench: Bench, samples: Data, part: str, peers: Sequence[str], rounds: int) -> None:
    rsa = samples.key("rsa3072")
    if part == "memory":
        for name, size in MEMORY.items():
            with samples.memory(name, size) as workload:
                bench.keep(Entry(workload, "octo", rsa, sample=True), 1)
        return
    if part == "large":
        large, plain = samples.large(), samples.large_plain()
        entries = [
            Entry(large, "octo", rsa),
            Entry(large, RCLONE_TUNED),
            Entry(plain, RCLONE_TUNED),
            Entry(plain, RCLONE_STREAMS),
            Entry(large, "naive"),
        ]
    else:
        small, curve = samples.small("rsa3072"), samples.small("cv25519")
        entries = [
            Entry(small, "octo", rsa),
            Entry(small, RCLONE_TUNED),
            Entry(curve, "octo", samples.key("cv25519")),
        ]
    entries = [entry for entry in entries if entry.peer in peers]
    for number in range(1, rounds + 1):
        # Another one goes first each time.
        shift = (number - 1) % len(entries)
        for entry in entries[shift:] + entries[:shift]:
            bench.keep(entry, number)


def _versions() -> dict[str, str]:
    tools = dict(re.findall(r"^export (\w+)=(.+)$", (REPO / "deploy" / "versions.env").read_text(), re.MULTILINE))
    peers = dict(
        re.findall(r"^([a-z0-9-]+)==([^ \\]+)", (REPO / "requirements" / "bench.lock").read_text(), re.MULTILINE)
    )
    worker = subprocess.run(
        [sys.executable, "-c", "import octo_worker; print(octo_worker.__path__[0])"], capture_output=True, text=True
    ).stdout.strip()
    return {
        "octo": _first_line("git", "-C", worker or str(REPO), "describe", "--always", "--dirty"),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("asyncssh", "isal", "urllib3")},
        **{name: peers[name] for name in ("boto3", "paramiko", "python-gnupg")},
        "gpg": _first_line("gpg", "--version"),
        "openssh": _first_line("ssh", "-V"),
        "rclone": _first_line(str(RCLONE), "version"),
        # It does not know its own version when it is built from a module.
        "versitygw": tools["VERSITYGW_VERSION"],
    }


def _first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    except OSError:
        return "unknown"
    return (done.stdout.splitlines() or ["unknown"])[0]


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(MIB):
            yield chunk


def say(text: str) -> None:
    """Progress, apart from the table."""
    sys.stderr.write(f"[bench] {text}\n")


if __name__ == "__main__":
    sys.exit(main())
