"""Prometheus itself plays series to the chart's alerts: each fires by the fault it is for, and none without a fault."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from octo_api.metrics import Metrics as ApiMetrics
from octo_controller.metrics import declared
from tests.support.kubectl import ROOT
from tests.unit.charts.rendering import CHART, EMBEDDED, of_kind, render

PROMTOOL = ROOT / ".octo" / "bin" / "promtool"
DASHBOARD = CHART / "dashboards" / "octo.json"
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Fault:
    """Series, one sample a minute, in which a fault begins after ten minutes, and when its alert has to fire."""

    series: dict[str, str]
    at: str
    labels: dict[str, str]


def fault(at: str, /, labels: dict[str, str] | None = None, **series: str) -> Fault:
    """``series``: name of a metric without its prefix, and its samples."""
    return Fault({full(name): samples for name, samples in series.items()}, at, labels or {})


def full(name: str) -> str:
    """The whole name, with the labels that a scrape adds; ``__`` stands before labels of its own."""
    metric, _, labels = name.partition("__")
    own = ",".join(f'{key}="{value}"' for key, value in (pair.split("_is_") for pair in labels.split("__") if pair))
    return f'octo_{metric}{{namespace="octo",pod="octo-0"{"," + own if own else ""}}}'


HEALTHY = {
    "controller_leader": "1x400",
    "controller_queue_failing": "0x400",
    "controller_queue_oldest_seconds": "1x400",
    "controller_jobs_stalled": "0x400",
    "controller_watch_age_seconds": "500x400",
    "controller_watch_behind_seconds": "0x400",
    "controller_mirror_lag_seconds": "1x400",
    "controller_mirror_skipped_total": "3x400",
    "controller_finalizer_fail_open": "3x400",
    "controller_runs_ended_total__state_is_Failed": "5x400",
    "controller_runs_ended_total__state_is_Succeeded": "0+1x400",
    # Each hour, a few minutes after its tick.
    "provider_last_tick_timestamp_seconds__provider_is_bank": "0x59 3600x59 7200x59 10800x59 14400x59 18000x59",
    "provider_last_success_timestamp_seconds__provider_is_bank": "0x63 3840x59 7440x59 11040x59 14640x59 18240x59",
    "provider_next_tick_timestamp_seconds__provider_is_bank": "3600x59 7200x59 10800x59 14400x59 18000x59 21600x59",
    # No schedule, and never a success.
    "provider_last_success_timestamp_seconds__provider_is_quiet": "0x400",
    "api_event_streams": "0x400",
    "api_requests_total__code_is_200": "0+100x400",
    "api_requests_total__code_is_503": "0+1x400",
    "api_shed_total": "3x400",
    "audit_dropped_total": "3x400",
    "api_webhook_attempts_total__outcome_is_delivered": "0+10x400",
    "api_webhook_attempts_total__outcome_is_failed": "0+1x400",
}
BANK = {"provider": "bank"}

FAULTS = {
    "OctoControllerAbsent": fault("16m", controller_leader="1x10 stale"),
    "OctoNoLeader": fault("14m", controller_leader="1x10 0x10"),
    "OctoVisitsFail": fault("26m", controller_queue_failing="0x10 2x20"),
    "OctoQueueStuck": fault("17m", controller_queue_oldest_seconds="1x10 61+60x20"),
    "OctoRunsStalled": fault("26m", controller_jobs_stalled="0x10 1x30"),
    "OctoWatchStale": fault("15m", controller_watch_behind_seconds="0x10 61+60x20"),
    "OctoMirrorLag": fault("20m", controller_mirror_lag_seconds="0x10 60+60x20"),
    "OctoRowsRefused": fault("12m", controller_mirror_skipped_total="3x10 4x20"),
    "OctoUnarchived": fault("12m", controller_finalizer_fail_open="3x10 5x20"),
    "OctoProviderStale": fault(
        "125m",
        BANK,
        provider_last_tick_timestamp_seconds__provider_is_bank="0x59 3600x120",
        provider_last_success_timestamp_seconds__provider_is_bank="0x200",
    ),
    "OctoScheduleLate": fault("70m", BANK, provider_next_tick_timestamp_seconds__provider_is_bank="3600x100"),
    "OctoRunsFail": fault(
        "30m",
        controller_runs_ended_total__state_is_Failed="5x10 6+1x60",
        controller_runs_ended_total__state_is_Succeeded="0+1x60",
    ),
    "OctoApiAbsent": fault("16m", api_event_streams="0x10 stale"),
    "OctoApiErrors": fault("26m", api_requests_total__code_is_503="0x10 10+10x30"),
    "OctoApiSheds": fault("26m", api_shed_total="3x10 4+1x30"),
    "OctoAuditDropped": fault("12m", audit_dropped_total="3x10 4x20"),
    "OctoWebhooksFail": fault(
        "40m",
        api_webhook_attempts_total__outcome_is_failed="0x10 20+20x60",
        api_webhook_attempts_total__outcome_is_delivered="0+10x60",
    ),
}
NEVER = fault("125m", BANK, provider_last_tick_timestamp_seconds__provider_is_bank="_x60 3600x120")


@pytest.fixture(scope="module")
def groups() -> list[dict[str, Any]]:
    rule = of_kind(render(*EMBEDDED, "metrics.rules.enabled=true"), "PrometheusRule")["octo"]
    found: list[dict[str, Any]] = rule["spec"]["groups"]
    return found


def promtool(*args: str | Path) -> str:
    assert PROMTOOL.exists(), "no promtool in .octo/bin; run `make tools`, or `deploy/tools.sh promtool`"
    done = subprocess.run([PROMTOOL, *args], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def play(folder: Path, groups: list[dict[str, Any]], faults: dict[str, Fault], *, replace: bool = True) -> None:
    """Each fault alone in a healthy installation: its alert fires when it has to, and had not before the fault."""
    tests = []
    rules = {rule["alert"]: rule for group in groups for rule in group["rules"]}
    for alert, case in faults.items():
        series = {full(name): samples for name, samples in HEALTHY.items()}
        if not replace:
            series = {name: samples for name, samples in series.items() if 'provider="bank"' not in name}
        series |= case.series
        labels = {"severity": rules[alert]["labels"]["severity"], "namespace": "octo", **case.labels}
        fires = {"eval_time": case.at, "alertname": alert, "exp_alerts": [{"exp_labels": labels}]}
        tests.append(
            {
                "name": alert,
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": [{"eval_time": "9m", "alertname": alert, "exp_alerts": []}, fires],
            }
        )
    _run(folder, groups, tests)


def _run(folder: Path, groups: list[dict[str, Any]], tests: list[dict[str, Any]]) -> None:
    # The words are for people; what is compared is which alert fires.
    bare = [
        {
            **group,
            "rules": [{key: value for key, value in rule.items() if key != "annotations"} for rule in group["rules"]],
        }
        for group in groups
    ]
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": bare}))
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}
    (folder / "tests.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    promtool("test", "rules", folder / "tests.yaml")


def test_each_alert_has_a_fault(groups: list[dict[str, Any]]) -> None:
    assert [rule["alert"] for group in groups for rule in group["rules"]] == list(FAULTS)


def test_each_alert_fires_by_its_fault(tmp_path: Path, groups: list[dict[str, Any]]) -> None:
    play(tmp_path, groups, FAULTS)


def test_a_provider_that_never_succeeded_is_stale_too(tmp_path: Path, groups: list[dict[str, Any]]) -> None:
    play(tmp_path, groups, {"OctoProviderStale": NEVER}, replace=False)


def test_no_alert_fires_without_a_fault(tmp_path: Path, groups: list[dict[str, Any]]) -> None:
    quiet = [
        {"eval_time": f"{minutes}m", "alertname": alert, "exp_alerts": []}
        for alert in FAULTS
        for minutes in range(10, 350, 17)
    ]
    series = [{"series": full(name), "values": samples} for name, samples in HEALTHY.items()]
    _run(tmp_path, groups, [{"name": "quiet", "interval": "1m", "input_series": series, "alert_rule_test": quiet}])


def test_a_test_that_should_fail_does(tmp_path: Path, groups: list[dict[str, Any]]) -> None:
    harmless = fault("26m", controller_queue_failing="0x40")
    with pytest.raises(AssertionError, match="OctoVisitsFail"):
        play(tmp_path, groups, {"OctoVisitsFail": harmless})


def test_the_words_of_an_alert_are_well_formed(tmp_path: Path, groups: list[dict[str, Any]]) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    promtool("check", "rules", "--lint=all", "--lint-fatal", tmp_path / "rules.yaml")


# ---- what is asked for is there --------------------------------------------------------------------------


def known() -> set[str]:
    """Every name of a sample that a scrape of api or controller may hold."""
    registries = (declared().registry, ApiMetrics().registry)
    families = [family for registry in registries for family in registry.collect()]
    suffixes = ("", "_total", "_bucket", "_sum", "_count")
    return {family.name + suffix for family in families for suffix in suffixes}


def dashboard_expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def test_alerts_and_dashboard_ask_for_metrics_that_there_are(groups: list[dict[str, Any]]) -> None:
    expressions = [rule["expr"] for group in groups for rule in group["rules"]] + dashboard_expressions()
    asked = {name for expression in expressions for name in re.findall(r"\b(?:octo|process)_[a-z_]+", expression)}
    assert len(asked) > 25
    assert asked <= known()


def test_prometheus_understands_the_dashboard(tmp_path: Path) -> None:
    expressions = [text.replace("$namespace", "octo") for text in dashboard_expressions()]
    rules = [{"record": f"octo:panel:{index}", "expr": expression} for index, expression in enumerate(expressions)]
    assert len(rules) > 20
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", "--lint=none", tmp_path / "rules.yaml")


def test_the_dashboard_is_given_whole_and_names_no_data_source() -> None:
    config = of_kind(render(*EMBEDDED, "metrics.dashboard.enabled=true"), "ConfigMap")["octo-dashboard"]
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    dashboard = json.loads(config["data"]["octo.json"])
    assert dashboard == json.loads(DASHBOARD.read_text())
    sources = {panel["datasource"]["uid"] for panel in dashboard["panels"] if "datasource" in panel}
    assert sources == {"${datasource}"}


def test_the_docs_tell_of_each_alert(groups: list[dict[str, Any]]) -> None:
    sections = re.split(r"^## ", (ROOT / "docs" / "alerts.md").read_text(), flags=re.MULTILINE)[1:]
    told = {name: text for name, _, text in (section.partition("\n\n") for section in sections)}
    severities = {rule["alert"]: rule["labels"]["severity"] for group in groups for rule in group["rules"]}
    assert list(told) == list(severities)
    for alert, text in told.items():
        assert text.startswith("Critical.") == (severities[alert] == "critical"), alert
