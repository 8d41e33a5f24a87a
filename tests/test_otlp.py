"""Spans on their way to a collector: as they are sent, chosen, and lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from sagas import tracing
from sagas.domain import trace
from sagas.domain.state import SagaState, SagaStatus
from sagas.engine.ports import Recorded
from sagas.otlp import Pipeline
from sagas.spans import Span
from tests.free_port import free_port
from tests.traces import Collector, Sent, tree

SAGA = UUID("0192f1aa-0000-7000-8000-000000000001")
OWN = trace.of_saga(SAGA, "")
CLIENT = trace.read("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=1")
BEGAN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
RUN = Span(
    id="1" * 16,
    parent="",
    name="trip",
    start=BEGAN,
    end=BEGAN + timedelta(seconds=2),
    attributes={"saga.id": str(SAGA), "saga.run": 1},
)
CALL = replace(
    RUN,
    id="2" * 16,
    parent=RUN.id,
    name="book",
    end=BEGAN + timedelta(microseconds=1),
    calls=True,
    failed=True,
    events={"retry": {"saga.retry_at": "soon"}, "in doubt": {}},
)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture
def made(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Pipeline]]:
    """Makes pipelines to the collector, with OpenTelemetry's variables."""

    def make(**env: str) -> Pipeline:
        for name in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_SAMPLER"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **env}.items():
            monkeypatch.setenv(name, value)
        pipeline = Pipeline()
        stack.callback(pipeline.stop, seconds=5)
        return pipeline

    with ExitStack() as stack:
        yield make


def sent(pipeline: Pipeline, collector: Collector) -> list[Sent]:
    pipeline.stop(seconds=10)
    return collector.of(SAGA)


def test_spans_arrive_as_they_are(made: Callable[..., Pipeline], collector: Collector) -> None:
    pipeline = made()
    pipeline.add(OWN, [CALL, RUN])
    call, run = sorted(sent(pipeline, collector), key=lambda span: span.name)
    assert tree([call, run], parent="") is run
    assert call == Sent(
        service="saga-orchestrator",
        name="book",
        trace_id=OWN.trace_id,
        id=CALL.id,
        parent=RUN.id,
        start=1767323045_678901000,
        end=1767323045_678902000,
        kind=3,
        failed=True,
        attributes={"saga.id": str(SAGA), "saga.run": 1},
        events=["retry", "in doubt"],
    )
    assert (run.kind, run.failed, run.end - run.start) == (1, False, 2 * 10**9)


@pytest.mark.parametrize(
    "env", [{"OTEL_SERVICE_NAME": "mine"}, {"OTEL_RESOURCE_ATTRIBUTES": "service.name=mine"}]
)
def test_the_service_has_the_name_that_it_is_given(
    made: Callable[..., Pipeline], collector: Collector, env: dict[str, str]
) -> None:
    pipeline = made(**env)
    pipeline.add(OWN, [RUN])
    assert [span.service for span in sent(pipeline, collector)] == ["mine"]


@pytest.mark.parametrize(
    ("sampler", "own", "client", "quiet_client"),
    [
        ("parentbased_always_on", True, True, False),
        ("parentbased_always_off", False, True, False),
        ("always_off", False, False, False),
        ("parentbased_traceidratio", False, True, False),
    ],
)
def test_the_sampler_chooses_traces(
    made: Callable[..., Pipeline],
    collector: Collector,
    sampler: str,
    own: bool,
    client: bool,
    quiet_client: bool,
) -> None:
    pipeline = made(OTEL_TRACES_SAMPLER=sampler, OTEL_TRACES_SAMPLER_ARG="0")
    assert CLIENT is not None
    chosen = {OWN: own, CLIENT: client, CLIENT.unsampled: quiet_client}
    assert {each: pipeline.samples(each) for each in chosen} == chosen
    for each in chosen:
        pipeline.add(each, [RUN])
    names = sorted(each.trace_id for each in chosen if chosen[each])
    assert sorted(span.trace_id for span in sent(pipeline, collector)) == names


def test_a_collector_that_is_away_holds_nobody_up(
    made: Callable[..., Pipeline], caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = made(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    started = time.monotonic()
    for number in range(3000):  # more than are kept
        pipeline.add(OWN, [replace(CALL, id=f"{number + 1:016x}")])
    added = time.monotonic() - started
    started = time.monotonic()
    pipeline.stop(seconds=0.5)
    assert time.monotonic() - started < 2
    assert added < 3000 * 0.005
    written = [r for r in caplog.records if r.name.startswith("opentelemetry")]
    assert all(r.levelno >= logging.ERROR for r in written)
    assert len(written) < 10


@pytest.mark.parametrize("state", ["0key=y", "a_-*/@=z", "tenant@system=x", "a=1,a=2", "a=1, ,b=2"])
def test_every_tracestate_that_is_kept_can_be_sent(
    made: Callable[..., Pipeline], collector: Collector, state: str
) -> None:
    traced = trace.read(f"00-{'a' * 32}-{'b' * 16}-01", state)
    assert traced is not None
    assert traced.state
    pipeline = made()
    pipeline.add(traced, [RUN])
    assert [span.trace_id for span in sent(pipeline, collector)] == [traced.trace_id]


@pytest.fixture
def anew() -> Iterator[None]:
    tracing._made.cache_clear()
    yield
    tracing._made.cache_clear()


def recorded() -> Recorded:
    """A saga that ended at once."""
    return Recorded(
        saga_id=SAGA,
        saga_type="trip",
        trace="",
        before=SagaState(),
        after=SagaState(status=SagaStatus.COMPENSATED),
        events=(),
        at=BEGAN,
        started_at=None,
    )


def test_what_is_recorded_is_sent_when_the_process_ends(
    anew: None, made: Callable[..., Pipeline], collector: Collector
) -> None:
    tracing.stop()
    assert tracing._made.cache_info().currsize == 0, "nothing is begun for a process without spans"
    made().stop(seconds=1)  # for its settings alone
    tracing.record(recorded())
    tracing.stop()
    assert [span.name for span in collector.of(SAGA)] == ["trip"]


def test_settings_that_opentelemetry_refuses_stop_no_saga(
    anew: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "-1")
    for _ in range(3):
        tracing.record(recorded())
        assert tracing._samples(OWN), "participants may still"
    tracing.stop()
    assert [r.message for r in caplog.records if r.name == "sagas.tracing"] == ["no spans are sent"]
