"""From measurements of the api to figures. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Literal

from tests.bench.controller_figures import Target, columns, percentile
from tests.bench.sse import Figures as Streams

Side = Literal["raw", "octo"]
_READ_FOR_EACH_SHOWN = 25
"""What a page may read for each run it shows before it counts as counting: it is merged from a short read of each of
ten states at most."""


@dataclass(frozen=True, slots=True)
class Creates:
    """One side's turn: so many creates over all connections."""

    side: Side
    """``raw`` at the API server, ``octo`` at the api."""
    number: int
    requests: int
    wall_s: float
    latencies_s: tuple[float, ...]
    others_cores: float
    """What the rest of the machine used meanwhile; on a quiet one near zero."""
    cpu_s: float = 0.0
    """Of the api."""

    @property
    def rate(self) -> float:
        """Creates per second."""
        return self.requests / self.wall_s


@dataclass(frozen=True, slots=True)
class Gets:
    """Requests for single runs, sent at a fixed rate whether or not earlier ones were answered."""

    number: int
    per_second: float
    latencies_s: tuple[float, ...]
    """From the moment at which a request was due, so that a stall counts for all it held up."""
    cpu_s: float
    others_cores: float


@dataclass(frozen=True, slots=True)
class Walk:
    """Pages of one list, one after the other: the first, the last and some from anywhere, in turn."""

    name: str
    runs: int
    """On all its pages together."""
    first_s: tuple[float, ...]
    last_s: tuple[float, ...]
    between_s: tuple[float, ...]
    read_per_shown: float
    """Entries of indexes and rows that Postgres looked at, for each run on a page."""
    others_cores: float


@dataclass(frozen=True, slots=True)
class Measured:
    """All that was measured; empty or None is what was not."""

    creates: Sequence[Creates] = ()
    gets: Sequence[Gets] = ()
    walks: Sequence[Walk] = ()
    archived: int = 0
    """Runs in the archive while lists were read."""
    streams: Streams | None = None
    rss_mb: float | None = None
    """The most that the api's process held, through all of it."""
    setup: dict[str, Any] = field(default_factory=dict)


def _at_least(value: float) -> Target:
    return Target(f">= {value:g}", lambda found: found >= value)


def _at_most(value: float) -> Target:
    return Target(f"<= {value:g}", lambda found: found <= value)


TARGETS: dict[str, Target] = {
    "create_vs_raw": _at_least(0.6),
    "get_p99_ms": _at_most(10),
    "list_p99_ms_1m": _at_most(20),
    "list_last_vs_first_page": _at_most(1.2),
    "count_free": Target("yes", lambda found: bool(found)),
    "sse_clients": _at_least(2000),
    "sse_lag_p99_s": _at_most(1),
    "rss_mb": _at_most(250),
}


def key_figures(found: Measured) -> dict[str, float | bool | None]:
    """The headline figures; None for what was not measured. Of several rounds the median, of several lists the worst.

    The ratio is of the rates of each pair of neighbours, so that a slow hour meets both.
    """
    raw = {each.number: each for each in found.creates if each.side == "raw"}
    octo = [each for each in found.creates if each.side == "octo"]
    ratios = [each.rate / raw[each.number].rate for each in octo if each.number in raw]
    return {
        "create_vs_raw": _median(ratios),
        "create_cpu_ms": _median([1000 * each.cpu_s / each.requests for each in octo]),
        "get_p99_ms": _median([1000 * percentile(each.latencies_s, 0.99) for each in found.gets]),
        "get_cpu_ms": _median([1000 * each.cpu_s / len(each.latencies_s) for each in found.gets]),
        "list_p99_ms_1m": _worst(
            1000 * percentile((*each.first_s, *each.between_s, *each.last_s), 0.99) for each in found.walks
        ),
        "list_last_vs_first_page": _worst(median(each.last_s) / median(each.first_s) for each in found.walks),
        "count_free": all(each.read_per_shown <= _READ_FOR_EACH_SHOWN for each in found.walks) if found.walks else None,
        "sse_clients": None if found.streams is None else found.streams.held,
        "sse_lag_p99_s": None if found.streams is None else round(found.streams.lag_p99_ms / 1000, 3),
        "rss_mb": found.rss_mb,
    }


def table(found: Measured) -> str:
    """All of it to read."""
    creates = [("create", "requests", "per s", "p50 ms", "p99 ms", "CPU ms each", "others")]
    creates += [
        (
            f"{each.number} {each.side}",
            str(each.requests),
            f"{each.rate:.0f}",
            _ms(each.latencies_s, 0.5),
            _ms(each.latencies_s, 0.99),
            f"{1000 * each.cpu_s / each.requests:.2f}" if each.side == "octo" else "",
            f"{each.others_cores:.2f}",
        )
        for each in found.creates
    ]
    gets = [("get", "per s", "p50 ms", "p99 ms", "max ms", "CPU ms each", "others")]
    gets += [
        (
            str(each.number),
            f"{each.per_second:.0f}",
            _ms(each.latencies_s, 0.5),
            _ms(each.latencies_s, 0.99),
            _ms(each.latencies_s, 1),
            f"{1000 * each.cpu_s / len(each.latencies_s):.2f}",
            f"{each.others_cores:.2f}",
        )
        for each in found.gets
    ]
    walks = [
        (f"list of {found.archived}", "runs", "first p50", "last p50", "any p50", "any p99", "read/shown", "others")
    ]
    walks += [
        (
            each.name,
            str(each.runs),
            _ms(each.first_s, 0.5),
            _ms(each.last_s, 0.5),
            _ms(each.between_s, 0.5),
            _ms(each.between_s, 0.99),
            f"{each.read_per_shown:.2f}",
            f"{each.others_cores:.2f}",
        )
        for each in found.walks
    ]
    figures = [("figure", "value", "target", "")]
    for name, value in key_figures(found).items():
        target = TARGETS.get(name)
        verdict = "" if target is None or value is None else "met" if target.met(value) else "SHORT"
        figures.append((name, _shown(value), target.text if target else "", verdict))
    return "\n\n".join(columns(part) for part in (creates, gets, walks, figures) if len(part) > 1)


def as_json(found: Measured) -> dict[str, Any]:
    """All of it, percentiles instead of single latencies."""
    return {
        **key_figures(found),
        "creates": [{**_plain(each), "per_s": round(each.rate, 1)} for each in found.creates],
        "gets": [_plain(each) for each in found.gets],
        "lists": [_plain(each) for each in found.walks],
        "archived": found.archived,
        "streams": None if found.streams is None else asdict(found.streams),
        "setup": found.setup,
    }


def _plain(each: Creates | Gets | Walk) -> dict[str, Any]:
    return {
        name: {f"p{share}_ms": round(1000 * percentile(value, share / 100), 2) for share in (50, 90, 99, 100)}
        if isinstance(value, tuple)
        else round(value, 4)
        if isinstance(value, float)
        else value
        for name, value in asdict(each).items()
    }


def _ms(values: Sequence[float], share: float) -> str:
    return f"{1000 * percentile(values, share):.1f}"


def _shown(value: float | bool | None) -> str:
    if value is None:
        return "not measured"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def _median(values: Sequence[float]) -> float | None:
    return round(median(values), 3) if values else None


def _worst(values: Any) -> float | None:
    worst = max(values, default=None)
    return None if worst is None else round(worst, 3)
