"""From rounds to figures. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Round:
    """So many runs of one kind, from the first request until the last was over everywhere."""

    kind: str
    """``jobs`` for plain Jobs, ``same`` for plain Jobs with the pods of runs, ``octo`` for OctoJobs."""
    number: int
    runs: int
    wall_s: float
    others_cores: float
    """What the rest of the machine used meanwhile; on a quiet one near zero."""
    cpu_s: float = 0.0
    """Of the controller."""
    shares_s: dict[str, float] = field(default_factory=dict)
    """CPU seconds of each program that took part, the greatest first."""
    rss_mib: float = 0.0
    requests: dict[str, int] = field(default_factory=dict)
    """Well answered by the API server, whoever sent them, by verb and resource."""
    writes: dict[str, int] = field(default_factory=dict)
    """Of the controller to the API server, by resource and verb."""
    status_lags_s: tuple[float, ...] = ()
    mirror_lags_s: tuple[float, ...] = ()
    stuck: int = 0
    doubled: int = 0

    @property
    def rate(self) -> float:
        """Runs per second."""
        return self.runs / self.wall_s


@dataclass(frozen=True, slots=True)
class Start:
    """One start of the controller among many OctoJobs."""

    octojobs: int
    live: int
    seconds: float
    rss_mib: float
    peak_rss_mib: float
    cpu_s: float
    others_cores: float


@dataclass(frozen=True, slots=True)
class Target:
    """What is promised."""

    text: str
    met: Callable[[float], bool]


TARGETS = {
    "ratio_to_plain_jobs": Target(">= 0.90", lambda value: value >= 0.90),
    "cpu_ms_per_job": Target("<= 10", lambda value: value <= 10),
    "writes_per_job": Target("<= 6", lambda value: value <= 6),
    "status_lag_p99_s": Target("<= 2", lambda value: value <= 2),
    "mirror_lag_p99_s": Target("<= 2", lambda value: value <= 2),
    "cold_start_10k_s": Target("<= 10", lambda value: value <= 10),
    "rss_mb_10k": Target("<= 200", lambda value: value <= 200),
    "stuck": Target("= 0", lambda value: value == 0),
    "doubled": Target("= 0", lambda value: value == 0),
}


def percentile(values: Iterable[float], share: float) -> float:
    """The value below or at which that share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def key_figures(rounds: Sequence[Round], starts: Sequence[Start]) -> dict[str, float | None]:
    """The headline figures; None for what was not measured. Of several rounds the median; of stuck and doubled the sum.

    The ratio is of the rates of each pair of neighbours, so that a slow hour meets both.
    """
    octo = [each for each in rounds if each.kind == "octo"]
    return {
        "ratio_to_plain_jobs": _ratio(rounds, "octo", "jobs"),
        "ratio_to_same_jobs": _ratio(rounds, "octo", "same"),
        "same_jobs_to_plain_jobs": _ratio(rounds, "same", "jobs"),
        "cpu_ms_per_job": _median([1000 * each.cpu_s / each.runs for each in octo]),
        "writes_per_job": _median([sum(each.writes.values()) / each.runs for each in octo]),
        "status_lag_p99_s": _median([percentile(each.status_lags_s, 0.99) for each in octo if each.status_lags_s]),
        "mirror_lag_p99_s": _median([percentile(each.mirror_lags_s, 0.99) for each in octo if each.mirror_lags_s]),
        "cold_start_10k_s": _median([start.seconds for start in starts]),
        "rss_mb_10k": _median([start.peak_rss_mib for start in starts]),
        "stuck": float(sum(each.stuck for each in octo)) if octo else None,
        "doubled": float(sum(each.doubled for each in octo)) if octo else None,
    }


def table(rounds: Sequence[Round], starts: Sequence[Start]) -> str:
    """All of it to read."""
    lines = [
        (
            "round",
            "runs",
            "wall s",
            "runs/s",
            "CPU ms/run",
            "RSS MiB",
            "status lag p50/p99",
            "mirror lag p50/p99",
            "others",
        )
    ]
    for each in rounds:
        octo = each.kind == "octo"
        lines.append(
            (
                f"{each.number} {each.kind}",
                str(each.runs),
                f"{each.wall_s:.1f}",
                f"{each.rate:.1f}",
                f"{1000 * each.cpu_s / each.runs:.1f}" if octo else "",
                f"{each.rss_mib:.0f}" if octo else "",
                _lags(each.status_lags_s),
                _lags(each.mirror_lags_s),
                f"{each.others_cores:.2f}",
            )
        )
    shares = [("CPU ms/run of", "")]
    shares += [
        (
            f"{each.number} {each.kind}",
            ", ".join(f"{name} {1000 * spent / each.runs:.1f}" for name, spent in each.shares_s.items()),
        )
        for each in rounds
        if each.shares_s
    ]
    more = [("start", "of them live", "seconds", "CPU s", "RSS MiB", "peak", "others")]
    more += [
        (
            f"{start.octojobs} OctoJobs",
            str(start.live),
            f"{start.seconds:.1f}",
            f"{start.cpu_s:.1f}",
            f"{start.rss_mib:.0f}",
            f"{start.peak_rss_mib:.0f}",
            f"{start.others_cores:.2f}",
        )
        for start in starts
    ]
    figures = [("figure", "value", "target", "")]
    for name, value in key_figures(rounds, starts).items():
        target = TARGETS.get(name)
        verdict = "" if value is None or target is None else "met" if target.met(value) else "SHORT"
        text = "" if target is None else target.text
        figures.append((name, "not measured" if value is None else f"{value:.3g}", text, verdict))
    return "\n\n".join(columns(part) for part in (lines, shares, more, figures) if len(part) > 1)


def columns(lines: Sequence[tuple[str, ...]]) -> str:
    """Lines whose cells stand below each other."""
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def as_json(each: Round) -> dict[str, Any]:
    """A round without its single lags, whose percentiles stand for them."""
    spread = {}
    for name, lags in (("status_lag_s", each.status_lags_s), ("mirror_lag_s", each.mirror_lags_s)):
        if lags:
            spread[name] = {f"p{share}": round(percentile(lags, share / 100), 3) for share in (50, 90, 99, 100)}
    return {
        "kind": each.kind,
        "number": each.number,
        "runs": each.runs,
        "wall_s": round(each.wall_s, 2),
        "runs_per_s": round(each.rate, 2),
        "others_cores": round(each.others_cores, 2),
        "cpu_ms_per_run": {name: round(1000 * spent / each.runs, 1) for name, spent in each.shares_s.items()},
        "requests_per_run": {
            name: round(count / each.runs, 2)
            for name, count in sorted(each.requests.items(), key=lambda item: -item[1])
            if count >= each.runs / 100
        },
        **(
            {}
            if each.kind != "octo"
            else {
                "cpu_s": round(each.cpu_s, 2),
                "rss_mib": round(each.rss_mib, 1),
                "writes": each.writes,
                "stuck": each.stuck,
                "doubled": each.doubled,
            }
        ),
        **spread,
    }


def _lags(lags: Sequence[float]) -> str:
    return f"{percentile(lags, 0.5):.2f} / {percentile(lags, 0.99):.2f}" if lags else ""


def _ratio(rounds: Sequence[Round], kind: str, base: str) -> float | None:
    """Of the rates of two kinds in the same round."""
    bases = {each.number: each for each in rounds if each.kind == base}
    pairs = [(each, bases[each.number]) for each in rounds if each.kind == kind and each.number in bases]
    return _median([each.rate / other.rate for each, other in pairs])


def _median(values: Sequence[float]) -> float | None:
    return round(median(values), 3) if values else None
