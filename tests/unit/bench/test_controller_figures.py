"""The figures of the controller's bench, from rounds made by hand."""

from __future__ import annotations

import json

import pytest

from tests.bench.controller_figures import TARGETS, Round, Start, as_json, key_figures, percentile, table
from tests.bench.controller_load import plain_job, requests_of, same_job, told

JOBS = Round("jobs", 1, 100, wall_s=10.0, others_cores=0.1)
OCTO = Round(
    "octo",
    1,
    100,
    wall_s=12.5,
    others_cores=0.1,
    cpu_s=0.9,
    shares_s={"etcd": 1.25, "kwok": 0.4},
    rss_mib=90.0,
    requests={"LIST pods": 110, "GET leases": 0},
    writes={"PATCH octojobs/status": 300, "POST jobs": 100},
    status_lags_s=tuple(number / 100 for number in range(1, 101)),
    mirror_lags_s=(0.5,) * 100,
)
START = Start(10_000, 100, seconds=8.0, rss_mib=120.0, peak_rss_mib=150.0, cpu_s=6.0, others_cores=0.0)


def test_the_ratio_is_that_of_neighbours() -> None:
    slow = [Round("jobs", 2, 100, 20.0, 0.9), Round("octo", 2, 100, 25.0, 0.9)]
    figures = key_figures([JOBS, OCTO, *slow], [START])
    assert figures["ratio_to_plain_jobs"] == 0.8
    assert figures["writes_per_job"] == 2.0, "the median of 4 and of the round without any"
    assert figures["status_lag_p99_s"] == 0.99
    assert figures["cold_start_10k_s"] == 8.0
    assert figures["rss_mb_10k"] == 150.0, "the peak, not what is left"


def test_what_pods_cost_is_told_apart_from_what_octo_does() -> None:
    figures = key_figures([JOBS, Round("same", 1, 100, 20.0, 0.0), OCTO], [])
    assert figures["ratio_to_plain_jobs"] == 0.8, "as without them"
    assert (figures["ratio_to_same_jobs"], figures["same_jobs_to_plain_jobs"]) == (1.6, 0.5)
    assert key_figures([JOBS, OCTO], [])["ratio_to_same_jobs"] is None


def test_the_same_jobs_are_those_that_octo_makes() -> None:
    made, plain = same_job(3), plain_job("run-3-1")
    assert made["metadata"]["name"] == plain["metadata"]["name"]
    assert not {"ownerReferences", "namespace"} & made["metadata"].keys()
    assert made["spec"]["template"]["spec"]["volumes"]


def test_what_was_not_measured_is_not_told() -> None:
    figures = key_figures([], [START])
    assert figures["ratio_to_plain_jobs"] is None
    assert figures["stuck"] is None


def test_every_figure_has_its_name_and_its_target() -> None:
    told_beside = {"ratio_to_same_jobs", "same_jobs_to_plain_jobs"}
    assert set(key_figures([JOBS, OCTO], [START])) == set(TARGETS) | told_beside
    assert "etcd 12.5, kwok 4.0" in table([JOBS, OCTO], [START])


def test_one_stuck_run_shows() -> None:
    stuck = Round("octo", 1, 100, 12.5, 0.0, stuck=1)
    assert "SHORT" in table([JOBS, stuck], []).split("stuck", 1)[1].split("\n", 1)[0]


@pytest.mark.parametrize(("share", "value"), [(0.5, 2), (0.99, 3), (0.01, 1)])
def test_percentiles_are_values_that_occurred(share: float, value: int) -> None:
    assert percentile([3, 1, 2], share) == value


def test_a_round_is_json() -> None:
    found = json.loads(json.dumps(as_json(OCTO)))
    assert found["cpu_ms_per_run"] == {"etcd": 12.5, "kwok": 4.0}
    assert found["status_lag_s"]["p99"] == 0.99
    assert found["requests_per_run"] == {"LIST pods": 1.1}
    assert "cpu_s" not in as_json(JOBS)


def test_requests_are_read_from_what_the_api_server_counts() -> None:
    text = (
        'apiserver_request_total{code="200",component="apiserver",dry_run="",group="octo.dev",resource="octojobs",'
        'scope="resource",subresource="status",verb="PATCH",version="v1alpha1"} 300\n'
        'apiserver_request_total{code="409",component="apiserver",dry_run="",group="octo.dev",resource="octojobs",'
        'scope="resource",subresource="status",verb="PATCH",version="v1alpha1"} 7\n'
        'apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="pods",'
        'scope="resource",subresource="",verb="PATCH",version="v1"} 9\n'
    )
    assert told(requests_of(text)) == {"PATCH octojobs/status": 300, "PATCH pods": 9}
