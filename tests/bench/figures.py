"""From runs to figures. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

MIB, GIB = 1 << 20, 1 << 30


@dataclass(frozen=True, slots=True)
class Run:
    """One measured process tree."""

    workload: str
    peer: str
    round: int
    files: int
    source_bytes: int
    plain_bytes: int
    wall_s: float
    cpu_s: float
    """User and system time of all its processes."""
    server_cpu_s: dict[str, float]
    others_cpu_s: float
    """What the rest of the machine used meanwhile; on a quiet one near zero."""
    stolen_s: float
    load_1m: float
    left_running: tuple[str, ...]
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """What issue and README promise."""

    text: str
    met: Callable[[float], bool]


TARGETS = {
    "large_vs_naive": Target(">= 3", lambda value: value >= 3),
    "large_vs_rclone_ciphertext": Target(">= 0.40", lambda value: value >= 0.40),
    "large_vs_rclone_plaintext": Target(">= 1.6", lambda value: value >= 1.6),
    "small_files_vs_rclone": Target(">= 0.5", lambda value: value >= 0.5),
    "peak_rss_mib_64m": Target("<= 160", lambda value: value <= 160),
    "peak_rss_mib_2g": Target("<= 160", lambda value: value <= 160),
    "peak_rss_growth": Target("within 0.10", lambda value: abs(value) <= 0.10),
}


def key_figures(runs: Sequence[Run]) -> dict[str, float | None]:
    """The headline figures; None for what was not measured. A ratio above 1 says that Octo is faster."""
    small, large = _peak(runs, "memory-64m", "peak_rss"), _peak(runs, "memory-2g", "peak_rss")
    return {
        "large_vs_naive": _ratio(runs, ("large", "naive"), ("large", "octo")),
        "large_vs_rclone_ciphertext": _ratio(runs, ("large", "rclone"), ("large", "octo")),
        # Octo delivers the plaintext too: the same bytes in the time of each.
        "large_vs_rclone_plaintext": _ratio(runs, ("large-plain", "rclone"), ("large", "octo")),
        # The same with rclone's own choice of streams, which is slower here; see peers/rclone.py.
        "large_vs_rclone_streams_plaintext": _ratio(runs, ("large-plain", "rclone-streams"), ("large", "octo")),
        "small_files_vs_rclone": _ratio(runs, ("small-rsa3072", "rclone"), ("small-rsa3072", "octo")),
        "small_files_cv25519_vs_rclone": _ratio(runs, ("small-rsa3072", "rclone"), ("small-cv25519", "octo")),
        "cpu_s_per_gib": _median(runs, "large", "octo", lambda run: run.cpu_s / (run.source_bytes / GIB)),
        "peak_rss_mib_64m": small,
        "peak_rss_mib_2g": large,
        "peak_rss_growth": None if small is None or large is None else round(large / small - 1, 3),
        "peak_pss_mib_64m": _peak(runs, "memory-64m", "peak_pss"),
        "peak_pss_mib_2g": _peak(runs, "memory-2g", "peak_pss"),
    }


def summaries(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """One row for each peer of each workload: minimum, median and maximum of what was measured."""
    rows = []
    for workload, peer in dict.fromkeys((run.workload, run.peer) for run in runs):
        of = _of(runs, workload, peer)
        rows.append(
            {
                "workload": workload,
                "peer": peer,
                "n": len(of),
                "files": of[0].files,
                "wall_s": _spread(run.wall_s for run in of),
                "source_mb_per_s": _spread(run.source_bytes / run.wall_s / 1e6 for run in of),
                "plain_mb_per_s": _spread(run.plain_bytes / run.wall_s / 1e6 for run in of),
                "files_per_s": _spread(run.files / run.wall_s for run in of),
                "cpu_s": _spread(run.cpu_s for run in of),
                "server_cpu_s": _spread(sum(run.server_cpu_s.values()) for run in of),
                "others_cores": _spread(run.others_cpu_s / run.wall_s for run in of),
            }
        )
    return rows


def table(runs: Sequence[Run]) -> str:
    """All of it to read."""
    head = ("workload", "peer", "n", "wall s: min/median/max", "rate", "CPU s", "servers", "others")
    lines = [head]
    for row in summaries(runs):
        wall = row["wall_s"]
        if row["files"] == 1:
            rate = f"{row['source_mb_per_s']['median']:.1f} MB/s"
        else:
            rate = f"{row['files_per_s']['median']:.0f} files/s"
        lines.append(
            (
                row["workload"],
                row["peer"],
                str(row["n"]),
                f"{wall['min']:.2f} / {wall['median']:.2f} / {wall['max']:.2f}",
                rate,
                f"{row['cpu_s']['median']:.2f}",
                f"{row['server_cpu_s']['median']:.2f}",
                f"{row['others_cores']['median']:.2f}",
            )
        )
    figures = [("figure", "value", "target", "")]
    for name, value in key_figures(runs).items():
        target = TARGETS.get(name)
        verdict = "" if target is None or value is None else "met" if target.met(value) else "SHORT"
        shown = "not measured" if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
        figures.append((name, shown, target.text if target else "", verdict))
    return f"{_columns(lines)}\n\n{_columns(figures)}"


def _columns(lines: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _of(runs: Sequence[Run], workload: str, peer: str) -> list[Run]:
    return [run for run in runs if (run.workload, run.peer) == (workload, peer)]


def _median(runs: Sequence[Run], workload: str, peer: str, of: Callable[[Run], float]) -> float | None:
    values = [of(run) for run in _of(runs, workload, peer)]
    return round(median(values), 3) if values else None


def _ratio(runs: Sequence[Run], other: tuple[str, str], octo: tuple[str, str]) -> float | None:
    theirs, ours = (_median(runs, *which, lambda run: run.wall_s) for which in (other, octo))
    return None if theirs is None or not ours else round(theirs / ours, 3)


def _peak(runs: Sequence[Run], workload: str, kind: str) -> float | None:
    return _median(runs, workload, "octo", lambda run: float(run.detail[kind]["mib"]))


def _spread(values: Iterable[float]) -> dict[str, float]:
    known = list(values)
    return {"min": round(min(known), 3), "median": round(median(known), 3), "max": round(max(known), 3)}
