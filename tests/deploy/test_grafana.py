"""The dashboards as files; tests/deploy/test_prometheus.py asks a Prometheus all that they ask."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.deploy.dashboards import FILES, panels
from tests.deploy.prometheus import DEPLOY

PROVISIONING = DEPLOY / "grafana" / "provisioning"


def test_they_are_the_four():
    titles = {json.loads(path.read_text())["title"] for path in FILES}
    assert titles == {"Saga Overview", "Performance", "Errors", "Throughput"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dashboard_can_be_provisioned(path: Path):
    board = json.loads(path.read_text())
    assert board["uid"] == path.stem
    assert board["schemaVersion"] >= 39  # Grafana 11
    assert [each["name"] for each in board["templating"]["list"]] == ["datasource", "type"]
    shown = [panel["id"] for panel in board["panels"]]
    assert len(shown) == len(set(shown))
    for panel in panels(path):
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
            assert target["legendFormat"] or panel["type"] == "stat", panel["title"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_panels_fill_the_width_and_lie_upon_no_other(path: Path):
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(path.read_text())["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_data_source_is_the_one_that_is_scraped_into():
    [source] = yaml.safe_load((PROVISIONING / "datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    scraped = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["global"]
    assert source["type"] == "prometheus"
    assert source["jsonData"]["timeInterval"] == scraped["scrape_interval"]
