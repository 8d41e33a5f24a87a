"""/health, /health/live, /health/ready and /metrics."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from dramatiq import Worker
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.api.client import SAGAS, Api

WELL = {"status": "ok", "database": "ok", "cache": "ok", "broker": "ok"}


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_all_is_well(api: Api, path: str) -> None:
    assert api.get(path).json == WELL
    assert api.send("HEAD", path).status == 200


def test_a_process_lives_without_a_database(api: Api) -> None:
    assert api.get("/health/live").json == {"status": "ok"}
    assert api.get("/metrics").status == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    "accept", ["text/plain", "*/*", "application/openmetrics-text, text/plain;q=0.5"]
)
def test_metrics_for_any_scraper(api: Api, accept: str) -> None:
    answer = api.get("/metrics", Accept=accept)
    assert answer.headers["content-type"].startswith("text/plain; version=")


def families(api: Api) -> dict[str, Metric]:
    text = api.get("/metrics").body.decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def values(api: Api) -> dict[str, float]:
    """The samples of the five metrics, as the seed writes them."""
    return {
        sample.name + str(sorted(sample.labels.items())): sample.value
        for name, family in families(api).items()
        if name.startswith("saga")
        for sample in family.samples
    }


@pytest.mark.django_db
def test_the_five_metrics_have_the_seeds_names_and_labels(
    api: Api, worker: Worker, fault: Callable[..., None]
) -> None:
    def run() -> None:
        answer = api.post(f"{SAGAS}/{api.new()}/execute", Prefer="wait=30")
        assert answer.status == 200

    run()
    fault("payment", step="process_payment", fault="decline", times=1)
    run()
    before = values(api)
    fault("payment", step="process_payment", fault="decline", times=1)
    run()
    run()
    after = values(api)
    grown = {name: after[name] - before.get(name, 0) for name in after}

    def growth(name: str, **labels: str) -> float:
        return grown[name + str(sorted(labels.items()))]

    purchase = {"type": "purchase_saga"}
    assert growth("saga_total", **purchase, status="pending") == 2
    assert growth("saga_total", **purchase, status="completed") == 1
    assert growth("saga_total", **purchase, status="compensated") == 1
    assert growth("saga_duration_seconds_count", **purchase) == 2
    assert 0 < growth("saga_duration_seconds_sum", **purchase) < 30
    assert growth("saga_steps_total", type="validate_inventory", status="completed") == 2
    assert growth("saga_steps_total", type="reserve_inventory", status="compensated") == 1
    assert growth("saga_steps_total", type="process_payment", status="failed") == 1
    assert growth("saga_failures_total", **purchase) == 1
    assert growth("saga_compensations_total", **purchase) == 1
    types = {name: family.type for name, family in families(api).items() if name[:4] == "saga"}
    counted = {name: kind for name, kind in types.items() if kind != "gauge"}
    assert counted == {
        "saga": "counter",
        "saga_duration_seconds": "histogram",
        "saga_steps": "counter",
        "saga_failures": "counter",
        "saga_compensations": "counter",
        "saga_call_duration_seconds": "histogram",
        "saga_attempts": "counter",
        "saga_retries": "counter",
    }


@pytest.mark.django_db
def test_no_client_can_multiply_the_labels(api: Api) -> None:
    """Neither unknown methods nor unknown paths are among them."""
    for word in ("BREW", "PROPFIND"):
        api.send(word, f"/no/such/{word.lower()}")
        api.send(word, SAGAS)
    text = api.get("/metrics").body.decode().lower()
    assert "<invalid method>" in text
    assert "brew" not in text
    assert "propfind" not in text
