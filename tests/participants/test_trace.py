"""What the participants are told of the trace, through retries and compensations."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.test import override_settings

from executors.participants import participants
from executors.tracing import sample_with
from sagas import services
from sagas.domain import trace
from tests.participants.stage import BUYS, Stage
from tests.proxy import Proxy
from tests.traces import proxies, sent

CLIENT = trace.read(
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", "rojo=00f067aa0ba902b7,congo=x y"
)


@pytest.fixture
def through(stage: Stage) -> Iterator[list[Proxy]]:
    with proxies(stage.shop.urls) as made:
        urls = {name: proxy.url for name, proxy in made.items()}
        with override_settings(SAGA_PARTICIPANTS=urls):
            participants.cache_clear()
            yield list(made.values())
        participants.cache_clear()


def compensated(stage: Stage, traced: trace.Trace | None) -> object:
    """A purchase whose payment and its refund are answered at the second try, and sale refused."""
    stage.odd("shop", "error_after", "action", times=1)
    stage.odd("shop", "error_after", "compensation", times=1)
    stage.shop_fault("sales", "decline", step="create_sale", times=1)
    made = services.create_saga("purchase_saga", BUYS, execute=True, actor="test", trace=traced)
    assert stage.run(made.saga.id).status == "compensated"
    return made.saga.id


def test_every_attempt_is_a_span_of_the_client_s_trace(stage: Stage, through: list[Proxy]) -> None:
    saga_id = compensated(stage, CLIENT)
    calls = sent(through, saga_id)
    steps = [call["saga-step"] for call in calls]
    assert sorted(steps) == sorted(
        ["validate_inventory", "reserve_inventory", "release_inventory", "create_sale"]
        + ["process_payment"] * 2
        + ["refund_payment"] * 2
    )
    parts = [call["traceparent"].split("-") for call in calls]
    assert CLIENT is not None
    assert {(version, id, flags) for version, id, _, flags in parts} == {
        ("00", CLIENT.trace_id, "00")
    }
    spans = {span for _, _, span, _ in parts}
    assert len(spans) == len(calls)
    assert CLIENT.parent not in spans
    assert {call["tracestate"] for call in calls} == {CLIENT.state}


def test_without_a_client_s_trace_the_saga_s_own_is_told(
    stage: Stage, through: list[Proxy]
) -> None:
    saga_id = compensated(stage, None)
    calls = sent(through, saga_id)
    parts = [call["traceparent"].split("-") for call in calls]
    trace_id = services.get_saga(saga_id).trace_id  # type: ignore[arg-type]
    assert {(version, id, flags) for version, id, _, flags in parts} == {("00", trace_id, "01")}
    assert len({span for _, _, span, _ in parts}) == len(calls) == 8
    assert all("tracestate" not in call for call in calls)


@pytest.fixture
def sampling() -> Iterator[Callable[..., None]]:
    yield sample_with
    sample_with(None)


@pytest.mark.parametrize("chosen", [True, False])
def test_a_sampler_decides_of_traces_that_sagas_begin_and_of_no_others(
    stage: Stage, through: list[Proxy], sampling: Callable[..., None], chosen: bool
) -> None:
    sampling(lambda traced: chosen)
    recorded = trace.read("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    flags = {}
    for traced in (None, CLIENT, recorded):
        made = services.create_saga("purchase_saga", BUYS, execute=True, actor="test", trace=traced)
        stage.run(made.saga.id)
        [flags[traced]] = {call["traceparent"][-2:] for call in sent(through, made.saga.id)}
    assert flags == {None: "01" if chosen else "00", CLIENT: "00", recorded: "01"}
