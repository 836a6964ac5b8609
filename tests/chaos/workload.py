"""The runs of one round: what each is told to do, what is done to it, and how it may end."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Raw = dict[str, Any]

PROVIDERS: dict[str, Raw] = {
    "one": {"policy": "Enqueue", "max": 1},
    "two": {"policy": "Enqueue", "max": 2},
    "all": {"policy": "Allow", "max": 1},
}
"""By name, with the concurrency of their runs."""

# A worker of one file each step: it takes a lock that only one of a run can have, writes what is not there yet as an
# object store does that is told If-None-Match, and ends with the code that its attempt is to end with.
WORKER = r"""
exec 9>>"$LOCKS/$RUN_UID" && flock -n 9 || echo "overlap $RUN_NAME $RUN_ATTEMPT" >>"$LEDGER"
echo "begin $RUN_NAME $RUN_ATTEMPT" >>"$LEDGER"
for file in $P_files; do
  sleep "$P_seconds"
  if (set -C; echo "$OCTO_TEST_POD" >"$BUCKET/$RUN_NAME.$file") 2>/dev/null; then
    echo "put $RUN_NAME $file" >>"$LEDGER"
  fi
done
set -- $P_codes
while [ "$RUN_ATTEMPT" -gt 1 ] && [ $# -gt 1 ]; do shift; RUN_ATTEMPT=$((RUN_ATTEMPT - 1)); done
echo "end $RUN_NAME $1" >>"$LEDGER"
exit "$1"
"""


@dataclass(frozen=True, slots=True)
class Deed:
    """Something done to a run by its owner, so many seconds after the round began."""

    at: float
    verb: str
    """submit, cancel, force, suspend, resume or delete."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run."""

    name: str
    provider: str
    files: tuple[str, ...]
    seconds: float
    """That each file takes."""
    codes: tuple[int, ...]
    """With which its attempts end; the last one counts for all that follow."""
    deeds: tuple[Deed, ...]
    over_rest: bool = False
    """Asked for by an Idempotency-Key rather than with kubectl."""

    @property
    def natural(self) -> tuple[str, str | None]:
        """State and category if nobody stops it."""
        return ("Succeeded", None) if self.codes[-1] == 0 else ("Failed", "Auth")

    @property
    def stoppable(self) -> bool:
        """Whether its owner asks for its end."""
        return any(deed.verb in ("cancel", "force", "delete") for deed in self.deeds)

    @property
    def deleted(self) -> bool:
        """Whether its owner deletes it while it may run."""
        return any(deed.verb == "delete" for deed in self.deeds)

    def manifest(self) -> Raw:
        """The OctoJob."""
        return {
            "apiVersion": "octo.dev/v1alpha1",
            "kind": "OctoJob",
            "metadata": {"name": self.name},
            "spec": self.spec(),
        }

    def spec(self) -> Raw:
        """What the run is told, as the api takes it too."""
        return {
            "providerRef": {"name": self.provider},
            "parameters": {
                "files": " ".join(self.files),
                "seconds": str(self.seconds),
                "codes": " ".join(map(str, self.codes)),
            },
            "retryPolicy": {"maxAttempts": 20, "backoffSeconds": 1, "backoffFactor": 1},
            "terminationGracePeriodSeconds": 2,
        }


@dataclass(slots=True)
class Workload:
    """The runs of a round, and what became known of each on the way."""

    plans: tuple[Plan, ...]
    uids: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Of the OctoJobs; the api chooses those of its own."""
    unheld: set[str] = field(default_factory=set)
    """Plans whose OctoJob was deleted before any controller put the archive's finalizer on it: it rightly leaves no
    row, or one that does not have its end."""


def provider(name: str, environment: Raw) -> Raw:
    """An OctoProvider whose main logic is the worker above."""
    return {
        "apiVersion": "octo.dev/v1alpha1",
        "kind": "OctoProvider",
        "metadata": {"name": name},
        "spec": {
            "container": {
                "image": "none",
                "command": ["sh", "-c", WORKER],
                "env": [{"name": key, "value": value} for key, value in environment.items()],
            },
            "jobDefaults": {"concurrency": PROVIDERS[name]},
        },
    }


def make_workload(rng: random.Random, prefix: str, *, span: float) -> Workload:
    """Some runs, begun within ``span`` seconds."""
    return Workload(tuple(_plan(rng, f"{prefix}-{number}", span) for number in range(rng.randint(6, 10))))


def _plan(rng: random.Random, name: str, span: float) -> Plan:
    begin = rng.uniform(0, span * 0.7)
    fates: Sequence[tuple[str, ...]] = ((), (), (), (), ("cancel",), ("force",), ("delete",), ("suspend", "resume"))
    at, deeds = begin, [Deed(begin, "submit")]
    for verb in rng.choice(fates):
        at += rng.uniform(0.5, 4)
        deeds.append(Deed(at, verb))
    return Plan(
        name=name,
        provider=rng.choice(list(PROVIDERS)),
        files=tuple(f"f{number}" for number in range(rng.randint(1, 4))),
        seconds=round(rng.uniform(0.1, 1.0), 2),
        codes=rng.choice(((0,), (0,), (20, 0), (30,), (22, 21, 0))),
        deeds=tuple(deeds),
        over_rest=rng.random() < 0.4,
    )
