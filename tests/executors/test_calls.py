"""What is sent of a call, what is not sent at all, and what the breaker makes of it."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from executors.base import Request, SagaExecutor, SagaView, Step, post
from executors.breaker import Culprit
from executors.participants import Participant, participants
from sagas.domain.outcome import Verdict
from tests.executors.conftest import SAGA_ID, WORKER, attempt, call
from tests.executors.tcp import (
    answers,
    closed_port,
    http,
    silent,
    then_close,
)
from tests.executors.trip import BOOKED, COMPENSATION, Trip


def headers_of(request: bytes) -> dict[str, str]:
    lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return dict(line.split(": ", 1) for line in lines)


def test_headers_of_an_action(serve):
    server = serve(answers(BOOKED))
    attempt(Trip, "book", run=3)
    found = headers_of(server.requests[0])
    assert found["Idempotency-Key"] == f"{SAGA_ID}:3:book:action"
    assert found["Saga-Id"] == str(SAGA_ID)
    assert found["Saga-Run"] == "3"
    assert found["Saga-Step"] == "book"
    assert found["Content-Type"] == "application/json"
    assert "Compensates" not in found


def test_headers_of_a_compensation(serve):
    server = serve(answers(http()))
    attempt(Trip, "book", COMPENSATION, run=2)
    found = headers_of(server.requests[0])
    assert found["Idempotency-Key"] == f"{SAGA_ID}:2:book:compensation"
    assert found["Saga-Step"] == "unbook"
    assert found["Compensates"] == f"{SAGA_ID}:2:book:action"


def test_the_address_s_path_comes_before_the_call_s(serve):
    server = serve(answers(BOOKED))
    with override_settings(SAGA_PARTICIPANTS={"partner": f"{server.url}/api/v2/"}):
        attempt(Trip, "book")
    assert server.requests[0].startswith(b"POST /api/v2/bookings HTTP/1.1\r\n")


def test_the_recorded_call_is_repeated_byte_for_byte_and_never_built_again(serve):
    server = serve(answers(http(503), BOOKED))
    sent = Trip().prepare(call("book", data={"guest": "Zoë"}))
    attempt(Trip, "book", request=sent)
    second = attempt(Trip, "book", data={"guest": "somebody else"}, request=sent)
    assert second.verdict is Verdict.SUCCEEDED
    assert server.requests[0] == server.requests[1]
    assert sent == {
        "participant": "partner",
        "method": "POST",
        "path": "/bookings",
        "body": '{"guest":"Zo\\u00eb","nights":2}',
    }


def test_the_recorded_call_goes_to_its_first_receiver_and_needs_no_method(serve):
    class Moved(SagaExecutor):
        steps = (Step("book", "partner2"),)

        def book(self, saga: SagaView) -> Request:
            raise AssertionError("built again")

    old, new = serve(answers(BOOKED)), serve(answers(BOOKED))
    recorded = {"participant": "partner", "method": "POST", "path": "/old", "body": "{ }"}
    assert attempt(Moved, "book", request=recorded).verdict is Verdict.SUCCEEDED
    assert (len(old.requests), len(new.requests)) == (1, 0)
    assert old.requests[0].endswith(b"\r\n\r\n{ }")


# --- What is not sent -------------------------------------------------------------------------


def built_from(thing: object) -> type[SagaExecutor]:
    class Broken(SagaExecutor):
        steps = (Step("book", "partner"), Step("lost", "nobody"))

        def book(self, saga: SagaView) -> Any:
            return thing(saga) if callable(thing) else thing

        def lost(self, saga: SagaView) -> Request:
            return post("/lost", {})

    return Broken


@pytest.mark.parametrize(
    "thing",
    [
        lambda saga: saga.data["absent"],
        lambda saga: saga.output("earlier")["id"],
        lambda saga: post("/x", {"a": object()}),
        lambda saga: post("/x", {"a": float("nan")}),
        lambda saga: post("relative", {}),
        lambda saga: post("//another.host/x", {}),
        lambda saga: post("http://another.host/x", {}),
        lambda saga: post("/a b", {}),
        lambda saga: post("/a\r\nX-Injected: 1", {}),
        lambda saga: post("/stores/../admin", {}),
        lambda saga: post("/stores/..", {}),
        lambda saga: post("/é", {}),
        lambda saga: post("/a#b", {}),
        lambda saga: Request("BAD METHOD", "/x", ""),
        {"method": "POST"},
        None,
    ],
)
def test_what_is_no_call_is_not_prepared(serve, thing):
    serve()
    with pytest.raises((ValueError, TypeError, KeyError, RuntimeError)):
        built_from(thing)().prepare(call("book"))


def test_a_call_to_a_participant_without_address_is_not_prepared(serve):
    serve()
    with pytest.raises(ImproperlyConfigured, match="set PARTICIPANT_NOBODY_URL"):
        built_from(None)().prepare(call("lost"))


def test_a_recorded_call_whose_participant_has_no_address_any_more_is_broken(serve):
    server = serve(answers(http()))
    sent = {**Trip().prepare(call("book")), "participant": "nobody"}
    outcome = attempt(Trip, "book", request=sent)
    assert outcome.verdict is Verdict.BROKEN
    assert "set PARTICIPANT_NOBODY_URL" in outcome.error
    assert server.connections == 0


def test_a_call_is_not_sent_when_the_lease_is_over_and_nobody_is_blamed(serve):
    server = serve(answers(BOOKED))
    for _ in range(10):
        outcome = attempt(Trip, "book", lease=-0.1)
        assert outcome.verdict is Verdict.NOT_SENT
    assert attempt(Trip, "book").verdict is Verdict.SUCCEEDED
    assert len(server.requests) == 1


def test_a_call_ends_with_the_lease_if_that_is_sooner_than_its_time_out(serve):
    serve(silent)
    started = time.monotonic()
    outcome = attempt(Trip, "book", lease=0.1)
    assert time.monotonic() - started < 0.25
    assert outcome.verdict is Verdict.IN_DOUBT
    assert outcome.error == "partner did not answer within 0.1 s"


# --- The breaker ------------------------------------------------------------------------------


def test_after_five_failures_nothing_is_sent(serve):
    server = serve(answers(http(503)))
    for _ in range(5):
        assert attempt(Trip, "notify").verdict is Verdict.IN_DOUBT
    outcome = attempt(Trip, "notify")
    assert outcome.verdict is Verdict.NOT_SENT
    assert outcome.error == "the circuit breaker of 'partner' is open"
    assert outcome.retry_after is not None
    assert timedelta(seconds=29) < outcome.retry_after <= timedelta(seconds=30)
    assert len(server.requests) == 5


def test_the_breaker_is_told_whose_failure_opens_it(serve):
    serve(answers(http(503)))
    for _ in range(5):
        error = attempt(Trip, "notify").error
    assert participants().get("partner").breaker.look().by == Culprit(
        saga_id=str(SAGA_ID), saga_type="any", step="notify", error=error, worker=WORKER
    )


@pytest.mark.parametrize("text", [http(402), http(404), http(429), http()])
def test_a_participant_that_answers_is_well(serve, text):
    server = serve(answers(text))
    for _ in range(8):
        attempt(Trip, "notify")
    assert len(server.requests) == 8


@pytest.mark.parametrize(
    "script",
    [then_close(b"garbage\r\n\r\n"), *map(answers, (http(body=b"nope"), http(302), http(408)))],
)
def test_useless_answers_open_the_breaker(serve, script):
    server = serve(script)
    for _ in range(8):
        attempt(Trip, "notify")
    assert len(server.requests) == 5


def test_a_participant_that_is_not_reached_opens_the_breaker(serve):
    serve()
    with override_settings(SAGA_PARTICIPANTS={"partner": f"http://127.0.0.1:{closed_port()}"}):
        participants.cache_clear()
        verdicts = [attempt(Trip, "notify").verdict for _ in range(7)]
    assert verdicts == [Verdict.NOT_APPLIED] * 5 + [Verdict.NOT_SENT] * 2


def test_what_goes_wrong_amid_a_call_leaves_it_in_doubt(serve, monkeypatch):
    """Nobody knows whether it arrived: a refusal later on must not settle that."""
    server = serve(answers(BOOKED))

    def arrives_and_breaks(self, *call, **deadline):
        send(self, *call, **deadline)
        raise RuntimeError("a bug of ours")

    send = Participant.send
    monkeypatch.setattr(Participant, "send", arrives_and_breaks)
    outcome = attempt(Trip, "book")
    assert len(server.requests) == 1
    assert outcome.verdict is Verdict.IN_DOUBT
    assert outcome.error == "the call to partner went wrong: RuntimeError"
