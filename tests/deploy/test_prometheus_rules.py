"""Each alert fires where it should and not where it should not, as promtool sees the rules."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.service import ROOT
from tests.deploy.prometheus import CONFIG, RULES, program

pytestmark = [pytest.mark.xdist_group("degraded"), pytest.mark.timeout(150)]

PURCHASE = 'type="purchase_saga"'
ENDED = "django_http_responses_total_by_status_view_method_total"
LISTED = 'view="saga-list",method="GET"'

WELL = {
    'up{job="saga-orchestrator",instance="a"}': "1x45",
    'up{job="saga-worker",instance="w"}': "1x45",
    'up{job="kong",instance="k"}': "1x45",
    "saga_due_oldest_seconds": "0 0.4 0 1x42",
    "saga_workers": "4x45",
    f'saga_current{{{PURCHASE},status="failed"}}': "0x45",
    'saga_in_doubt_oldest_seconds{status="failed"}': "0 30 0 3x42",
    f"saga_past_deadline{{{PURCHASE}}}": "0x45",
    f'saga_waiting{{{PURCHASE},reason="code"}}': "0x45",
    f'saga_waiting{{{PURCHASE},reason="retry"}}': "3x45",
    f"saga_due{{{PURCHASE}}}": "0 5 2x43",
    f'saga_total{{{PURCHASE},status="completed"}}': "0+60x45",
    f'saga_total{{{PURCHASE},status="failed"}}': "0x45",
    f"saga_failures_total{{{PURCHASE}}}": "0+1x45",
    'saga_breaker_open{participant="payment"}': "0x45",
    'saga_dependency_up{dependency="database"}': "1x45",
    "saga_database_read_only": "0x45",
    f'{ENDED}{{status="200",{LISTED}}}': "0+600x45",
    f'{ENDED}{{status="503",{LISTED}}}': "0+1x45",
    f'{ENDED}{{status="200",view="health-ready",method="GET"}}': "0+9000x45",
}
"""Series where all is well, a sample a minute, with moments as there are in any service."""


@dataclass(frozen=True)
class Case:
    """An alert, what is wrong from the 15th minute on, and when somebody is told."""

    alert: str
    wrong: dict[str, str]
    minutes: int
    """After which it fires; a minute earlier it does not."""


def _then(value: str, before: str = "0") -> str:
    return f"{before}x14 {value}x30"


CASES = (
    Case("SagasStuck", {"saga_due_oldest_seconds": "0x14 0+60x30"}, 3),
    Case("SagasFailed", {f'saga_current{{{PURCHASE},status="failed"}}': _then("1")}, 5),
    Case(
        "SagasInDoubtTooLong",
        {'saga_in_doubt_oldest_seconds{status="failed"}': "0x14 0+60x30"},
        17,
    ),
    Case("SagasPastDeadline", {f"saga_past_deadline{{{PURCHASE}}}": _then("2")}, 10),
    Case("SagasWaitForCode", {f'saga_waiting{{{PURCHASE},reason="code"}}': _then("2")}, 5),
    Case("SagaBacklogGrowing", {f"saga_due{{{PURCHASE}}}": "0x14 101+50x30"}, 10),
    Case(
        "SagaFailureRateHigh",
        {
            f'saga_total{{{PURCHASE},status="completed"}}': "0+60x15 900+6x30",
            f"saga_failures_total{{{PURCHASE}}}": "0+1x15 15+60x30",
        },
        8,
    ),
    Case("SagaBreakerOpen", {'saga_breaker_open{participant="payment"}': _then("1")}, 2),
    Case("SagaNoWorker", {"saga_workers": _then("0", "4")}, 1),
    Case("SagaWorkerGone", {"saga_workers": _then("3", "4")}, 5),
    Case("SagaApiDown", {'up{job="saga-orchestrator",instance="a"}': _then("0", "1")}, 1),
    Case("SagaWorkerMetricsGone", {'up{job="saga-worker",instance="w"}': "1x14 stale"}, 2),
    Case("SagaGatewayDown", {'up{job="kong",instance="k"}': _then("0", "1")}, 1),
    Case("SagaFiguresMissing", {'saga_dependency_up{dependency="database"}': "1x14 stale"}, 2),
    Case(
        "SagaDependencyAway",
        {'saga_dependency_up{dependency="database"}': _then("0", "1")},
        1,
    ),
    Case("SagaDatabaseReadOnly", {"saga_database_read_only": _then("1")}, 1),
    Case("SagaApiErrors", {f'{ENDED}{{status="503",{LISTED}}}': "0+1x15 15+300x30"}, 7),
)


@pytest.fixture(scope="module")
def promtool() -> str:
    return program("promtool")


def groups() -> list[dict[str, Any]]:
    """All groups of rules, those first of which others read what they record."""
    found = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return sorted(found, key=lambda group: "alert" in group["rules"][0])


def rules() -> list[dict[str, Any]]:
    """All alerts, as they are written."""
    return [rule for group in groups() for rule in group["rules"] if "alert" in rule]


def test_the_configuration_is_valid(promtool: str):
    for config in (CONFIG, CONFIG.with_name("single-machine.yml")):
        run(promtool, "check", "config", str(config))


def test_every_alert_is_tried():
    assert [case.alert for case in CASES] == [rule["alert"] for rule in rules()]


def test_every_alert_fires_in_time_and_only_then(promtool: str, tmp_path: Path):
    tests = [_test({}, [(minute, []) for minute in (5, 14, 25, 45)])]
    for case in CASES:
        fires = [(15 + case.minutes - 1, []), (15 + case.minutes, [case.alert])]
        tests.append(_test(case.wrong, fires))
    path = tmp_path / "rules.test.yml"
    path.write_text(
        yaml.safe_dump(
            {
                "rule_files": [str(rule) for rule in RULES],
                "evaluation_interval": "1m",
                "group_eval_order": [group["name"] for group in groups()],
                "tests": tests,
            }
        )
    )
    run(promtool, "test", "rules", str(path))


def _test(wrong: dict[str, str], fires: list[tuple[int, list[str]]]) -> dict[str, Any]:
    assert set(wrong) <= set(WELL)
    series = [{"series": name, "values": values} for name, values in (WELL | wrong).items()]
    return {
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{minute}m",
                "exp_samples": [
                    {"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names)
                ],
            }
            for minute, names in fires
        ],
    }


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_says_what_it_means_and_what_to_do():
    page = (ROOT / "docs" / "alerts.md").read_text()
    told = {heading.lower() for heading in re.findall(r"^## (\w+)$", page, re.MULTILINE)}
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert {"summary", "description"} <= set(rule["annotations"])
        page_name, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert page_name == "docs/alerts.md"
        assert anchor == rule["alert"].lower()
    assert told == {rule["alert"].lower() for rule in rules()}
