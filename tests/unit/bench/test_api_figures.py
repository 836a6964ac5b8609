"""The figures of the api's bench, from measurements made by hand."""

from __future__ import annotations

import json

from tests.bench.api_figures import Creates, Gets, Measured, Walk, as_json, key_figures, table
from tests.bench.sse import Figures

RAW = [Creates("raw", 1, 100, 0.5, (0.1,) * 100, 0.0), Creates("raw", 2, 100, 0.25, (0.1,) * 100, 0.0)]
OCTO = [
    Creates("octo", 1, 100, 1.0, (0.2,) * 100, 0.0, cpu_s=0.3),
    Creates("octo", 2, 100, 1.0, (0.2,) * 100, 0.0, cpu_s=0.5),
]
STREAMS = Figures(
    clients=2000,
    held=1999,
    refused={},
    events=60,
    lag_p50_ms=100,
    lag_p99_ms=300,
    lag_max_ms=400,
    idle_rss_mb=100,
    peak_rss_mb=180,
)


def a_walk(name: str = "all", *, last_s: float = 0.011, read_per_shown: float = 1.02) -> Walk:
    return Walk(name, 1000, (0.01,) * 100, (last_s,) * 100, (0.01,) * 99 + (0.015,), read_per_shown, 0.0)


def test_a_ratio_is_of_neighbours() -> None:
    figures = key_figures(Measured(creates=[*RAW, *OCTO]))
    assert figures["create_vs_raw"] == 0.375, "the median of 0.5 and 0.25"
    assert figures["create_cpu_ms"] == 4.0


def test_of_several_lists_the_worst_is_told() -> None:
    figures = key_figures(Measured(walks=[a_walk(), a_walk("failed", last_s=0.013)]))
    assert figures["list_last_vs_first_page"] == 1.3
    assert figures["list_p99_ms_1m"] == 13.0


def test_a_list_that_reads_more_than_it_shows_counts() -> None:
    assert key_figures(Measured(walks=[a_walk()]))["count_free"] is True
    assert key_figures(Measured(walks=[a_walk(), a_walk("failed", read_per_shown=20_000)]))["count_free"] is False


def test_what_was_not_measured_is_not_told() -> None:
    assert set(key_figures(Measured()).values()) == {None}
    assert "not measured" in table(Measured())


def test_the_table_says_which_targets_are_missed() -> None:
    found = Measured(
        creates=[*RAW, *OCTO],
        gets=[Gets(1, 200, (0.001,) * 99 + (0.009,), 0.1, 0.0)],
        walks=[a_walk()],
        streams=STREAMS,
        rss_mb=251,
    )
    verdicts = {line.split()[0]: line.split()[-1] for line in table(found).splitlines() if line}
    assert verdicts["create_vs_raw"] == "SHORT"
    assert verdicts["get_p99_ms"] == "met"
    assert verdicts["count_free"] == "met"
    assert verdicts["sse_clients"] == "SHORT"
    assert verdicts["sse_lag_p99_s"] == "met"
    assert verdicts["rss_mb"] == "SHORT"


def test_all_of_it_is_json() -> None:
    told = json.loads(json.dumps(as_json(Measured(creates=[*RAW, *OCTO], walks=[a_walk()], streams=STREAMS))))
    assert told["creates"][0]["per_s"] == 200
    assert told["creates"][0]["latencies_s"]["p99_ms"] == 100
    assert told["lists"][0]["between_s"] == {"p50_ms": 10, "p90_ms": 10, "p99_ms": 10, "p100_ms": 15}
    assert told["streams"]["lag_p99_ms"] == 300
