"""The counters say what happened, once."""

import pytest
from prometheus_client import REGISTRY

from sagas import metrics
from sagas.domain import triggers as tr
from sagas.engine.engine import Engine
from tests.engine.stage import AWAY, LOST, NO, Stage

pytestmark = pytest.mark.django_db(transaction=True)

ALL = {
    "created": ("saga_total", {"type": "stage", "status": "pending"}),
    "completed": ("saga_total", {"type": "stage", "status": "completed"}),
    "compensated": ("saga_total", {"type": "stage", "status": "compensated"}),
    "failed": ("saga_total", {"type": "stage", "status": "failed"}),
    "failures": ("saga_failures_total", {"type": "stage"}),
    "compensations": ("saga_compensations_total", {"type": "stage"}),
    "paid": ("saga_steps_total", {"type": "pay", "status": "completed"}),
    "measured": ("saga_duration_seconds_count", {"type": "stage"}),
}


class Counted:
    """How much each counter has grown."""

    def __init__(self) -> None:
        self.before = self.now()

    def now(self) -> dict[str, float]:
        return {n: REGISTRY.get_sample_value(*sample) or 0.0 for n, sample in ALL.items()}

    def __call__(self) -> dict[str, float]:
        grown = {name: value - self.before[name] for name, value in self.now().items()}
        return {name: value for name, value in grown.items() if value}


class CountingStage(Stage):
    """Whose engines count."""

    def engine(self, *args: object, **kwargs: object) -> Engine:
        made = super().engine()
        made.observers.append(metrics.count)
        return made


@pytest.fixture
def stage() -> CountingStage:
    return CountingStage()


@pytest.fixture
def counted() -> Counted:
    return Counted()


def test_a_completed_saga(stage: CountingStage, counted: Counted) -> None:
    stage.engine().drive(stage.create())
    assert counted() == {"created": 1, "completed": 1, "paid": 1, "measured": 1}


def test_a_failed_compensation_is_no_second_failure(stage: CountingStage, counted: Counted) -> None:
    stage.script = {"pay": [NO], "unbook": [NO, NO]}
    saga_id = stage.create()
    stage.engine().drive(saga_id)
    once = {"created": 1, "failed": 1, "failures": 1, "compensations": 1, "measured": 1}
    assert counted() == once
    stage.engine().command(saga_id, tr.Retry(), actor="test", reason="")
    stage.engine().drive(saga_id)
    assert counted() == {**once, "failed": 2, "measured": 2}


def test_what_was_asked_for_is_no_failure(stage: CountingStage, counted: Counted) -> None:
    saga_id = stage.create()
    stage.engine().drive(saga_id)
    stage.engine().command(saga_id, tr.Compensate(), actor="test", reason="")
    stage.engine().drive(saga_id)
    seen = counted()
    assert "failures" not in seen
    assert (seen["compensations"], seen["compensated"], seen["measured"]) == (1, 1, 2)


def attempts() -> dict[str, float]:
    """All samples of the stage's attempts, of their number, retries and times."""
    return {
        " ".join([sample.name, *(v for _, v in sorted(sample.labels.items()))]): sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.labels.get("type") == "stage"
        and sample.name
        in ("saga_attempts_total", "saga_retries_total", "saga_call_duration_seconds_count")
    }


def test_each_attempt_is_counted_by_what_became_of_it(stage: CountingStage) -> None:
    before = attempts()
    stage.script = {"book": [LOST, AWAY], "pay": [NO]}
    saga_id = stage.create()
    for _ in range(3):
        stage.engine().drive(saga_id)
    grown = {name: value - before.get(name, 0.0) for name, value in attempts().items()}
    made = {
        "action in_doubt book stage": 1,
        "action not_applied book stage": 1,
        "action succeeded book stage": 1,
        "action succeeded look stage": 1,
        "action refused pay stage": 1,
        "compensation succeeded book stage": 1,
    }
    assert {name: value for name, value in grown.items() if value} == {
        **{f"saga_attempts_total {labels}": value for labels, value in made.items()},
        **{f"saga_call_duration_seconds_count {labels}": value for labels, value in made.items()},
        "saga_retries_total action book stage": 2,
    }
