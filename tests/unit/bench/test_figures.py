"""The bench's arithmetic: which way a ratio goes, and what is said of what was not measured."""

from __future__ import annotations

from typing import Any

from tests.bench.figures import GIB, MIB, Run, key_figures, summaries, table


def a_run(workload: str, peer: str, wall_s: float, **more: Any) -> Run:
    facts = {
        "round": 1,
        "files": 1,
        "source_bytes": GIB // 8,
        "plain_bytes": 256 * MIB,
        "cpu_s": 2.0,
        "server_cpu_s": {"sshd": 0.5, "versitygw": 1.0},
        "others_cpu_s": 0.1,
        "stolen_s": 0.0,
        "load_1m": 0.0,
        "left_running": (),
        "detail": {},
    }
    return Run(workload=workload, peer=peer, wall_s=wall_s, **{**facts, **more})


def test_a_ratio_is_of_medians_and_above_one_where_octo_is_faster() -> None:
    runs = [a_run("large", "octo", wall) for wall in (1.0, 2.0, 9.0)]
    runs += [a_run("large", "naive", wall) for wall in (5.0, 6.0, 7.0)]
    runs += [a_run("large", "rclone", 1.0), a_run("large-plain", "rclone", 3.0)]
    figures = key_figures(runs)
    assert figures["large_vs_naive"] == 3.0
    assert figures["large_vs_rclone_ciphertext"] == 0.5
    assert figures["large_vs_rclone_plaintext"] == 1.5


def test_cpu_is_told_per_gib_of_ciphertext() -> None:
    assert key_figures([a_run("large", "octo", 1.0)])["cpu_s_per_gib"] == 16.0


def test_memory_growth_is_relative_to_the_small_input() -> None:
    peaks = {"memory-64m": 100.0, "memory-2g": 107.0}
    runs = [
        a_run(name, "octo", 1.0, detail={"peak_rss": {"mib": mib}, "peak_pss": {"mib": mib / 2}})
        for name, mib in peaks.items()
    ]
    figures = key_figures(runs)
    assert (figures["peak_rss_mib_64m"], figures["peak_rss_mib_2g"]) == (100.0, 107.0)
    assert figures["peak_rss_growth"] == 0.07


def test_what_was_not_measured_is_none_and_said_so() -> None:
    runs = [a_run("large", "octo", 1.0)]
    assert key_figures(runs)["large_vs_naive"] is None
    assert "not measured" in table(runs)


def test_the_table_says_which_targets_are_missed() -> None:
    rows = table([a_run("large", "octo", 2.0), a_run("large", "naive", 8.0), a_run("large", "rclone", 0.5)])
    verdicts = {line.split()[0]: line.split()[-1] for line in rows.splitlines() if line.startswith("large_vs")}
    assert verdicts["large_vs_naive"] == "met"
    assert verdicts["large_vs_rclone_ciphertext"] == "SHORT"


def test_a_summary_has_the_spread_of_each_peer() -> None:
    rows = summaries([a_run("large", "octo", 2.0), a_run("large", "octo", 1.0), a_run("large", "rclone", 1.0)])
    assert [(row["peer"], row["n"]) for row in rows] == [("octo", 2), ("rclone", 1)]
    assert rows[0]["wall_s"] == {"min": 1.0, "median": 1.5, "max": 2.0}
    assert rows[0]["server_cpu_s"]["median"] == 1.5
