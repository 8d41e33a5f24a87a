"""What each answer means (design.md §3), from a real server's bytes to the outcome."""

from __future__ import annotations

import gzip
import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from django.test import override_settings
from rest_framework import serializers

from executors.base import Refusal, Request, SagaExecutor, SagaView, Step, post
from executors.participants import participants
from executors.retry_after import parse_retry_after
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.state import CallKind
from tests.executors.conftest import SAGA_ID, attempt
from tests.executors.tcp import (
    Server,
    answers,
    closed_port,
    http,
    reset_after_reading,
    silent,
    then_close,
)

COMPENSATION = CallKind.COMPENSATION


class Booking(serializers.Serializer[Any]):
    booking_id = serializers.CharField()
    price = serializers.DecimalField(max_digits=9, decimal_places=2, required=False)
    free = serializers.BooleanField(default=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["booking_id"] == "bug":
            raise KeyError("no_such_field")
        if not attrs["free"]:
            raise Refusal("no room is free")
        return attrs


class Trip(SagaExecutor):
    saga_type = "trip"
    steps = (
        Step("book", "partner", compensation="unbook", answer=Booking, timeout=0.3),
        Step("notify", "partner"),
        Step(
            "choosy",
            "partner",
            verdicts={
                404: Verdict.SUCCEEDED,
                409: Verdict.IN_DOUBT,
                503: Verdict.NOT_APPLIED,
                200: Verdict.REFUSED,
            },
        ),
    )

    def book(self, saga: SagaView) -> Request:
        return post("/bookings", {"guest": saga.data.get("guest"), "nights": 2})

    def unbook(self, saga: SagaView) -> Request:
        return post("/bookings/cancel", {"id": saga.output("book").get("booking_id")})

    def notify(self, saga: SagaView) -> Request:
        return post("/notes", {})

    def choosy(self, saga: SagaView) -> Request:
        return post("/choosy", {})


BOOKED = http(201, b'{"booking_id":"b1"}')


def outcome_of(serve, *texts: bytes, step: str = "notify", kind=CallKind.ACTION) -> Outcome:
    server: Server = serve(answers(*texts))
    outcome = attempt(Trip, step, kind)
    assert len(server.requests) == 1
    return outcome


# --- Verdicts ---------------------------------------------------------------------------------

REFUSED = (400, 401, 402, 403, 404, 405, 409, 410, 412, 422, 423, 451, 499)
IN_DOUBT = (103, 300, 301, 302, 303, 304, 307, 308, 408, 425, 429, 500, 501, 502, 503, 504, 599)


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204, 299])
@pytest.mark.parametrize("kind", CallKind)
def test_2xx_has_succeeded(serve, status, kind):
    step = "notify" if kind is CallKind.ACTION else "book"
    body = b"" if status == 204 else b'{"any":1}'
    outcome = outcome_of(serve, http(status, body), step=step, kind=kind)
    assert outcome.verdict is Verdict.SUCCEEDED
    assert outcome.output == ({} if status == 204 else {"any": 1})
    assert (outcome.error, outcome.answer) == ("", {"status": status})


@pytest.mark.parametrize("status", REFUSED)
@pytest.mark.parametrize("kind", CallKind)
def test_4xx_is_a_refusal(serve, status, kind):
    outcome = outcome_of(serve, http(status), step="book", kind=kind)
    assert outcome.verdict is Verdict.REFUSED
    assert outcome.error == f"partner answered {status}"
    assert outcome.answer == {"status": status, "body": "{}"}


@pytest.mark.parametrize("status", IN_DOUBT)
def test_whoever_asks_to_come_back_redirects_or_fails_leaves_the_call_in_doubt(serve, status):
    body = b"" if status in (103, 304) else b"{}"
    outcome = outcome_of(serve, http(status, body))
    assert (outcome.verdict, outcome.error) == (Verdict.IN_DOUBT, f"partner answered {status}")
    assert outcome.output is None


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (404, Verdict.SUCCEEDED),
        (409, Verdict.IN_DOUBT),
        (503, Verdict.NOT_APPLIED),
        (200, Verdict.REFUSED),
        (201, Verdict.SUCCEEDED),
        (402, Verdict.REFUSED),
        (500, Verdict.IN_DOUBT),
    ],
)
def test_a_step_may_read_statuses_in_its_own_way(serve, status, verdict):
    assert outcome_of(serve, http(status), step="choosy").verdict is verdict


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (silent, "partner did not answer within 0.3 s"),
        (reset_after_reading, "partner broke the connection before its answer was whole"),
        (
            then_close(http(402, b'{"detail":', length=99)),
            "partner broke the connection before its answer was whole",
        ),
        (then_close(b"<html>It works!</html>"), "partner did not answer in proper HTTP"),
    ],
)
def test_without_a_whole_answer_the_call_is_in_doubt(serve, script, error):
    server = serve(script)
    outcome = attempt(Trip, "book")
    assert (outcome.verdict, outcome.error) == (Verdict.IN_DOUBT, error)
    assert outcome.answer is None
    assert len(server.requests) == 1


def test_without_a_connection_the_call_is_not_applied(serve):
    serve()
    address = {"partner": f"http://user:secret@127.0.0.1:{closed_port()}/base"}
    with override_settings(SAGA_PARTICIPANTS=address):
        outcome = attempt(Trip, "book")
    assert outcome.verdict is Verdict.NOT_APPLIED
    assert outcome.error == "partner was not reached: connection refused"
    assert outcome.request is not None
    assert timedelta(0) < outcome.duration < timedelta(seconds=1)


@override_settings(SAGA_MAX_ANSWER_BYTES=1000)
def test_a_body_over_the_limit_leaves_the_call_in_doubt(serve):
    outcome = outcome_of(serve, http(body=b" " * 1001))
    assert outcome.verdict is Verdict.IN_DOUBT
    assert outcome.error == "partner gave an answer that is larger than the limit"


# --- Bodies -----------------------------------------------------------------------------------

JSON = "partner answered 200, but its body is not usable JSON: "
INVALID = "partner answered 200, but its body is not valid: "


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"<html>It works!</html>", JSON),
        (b'{"booking_id":"b1"', JSON),
        (b'{"booking_id":"b1","booking_id":"b2"}', JSON + "the key 'booking_id' occurs twice"),
        (b'{"booking_id":NaN}', JSON + "NaN is not JSON"),
        (b'{"booking_id":"\xff"}', JSON + "not UTF-8 at byte 15"),
        (b'{"booking_id":"a\\u0000b"}', JSON + "the character U+0000 cannot be stored"),
        (b'{"booking_id":' + b"[" * 50_000 + b"]" * 50_000 + b"}", JSON + "nested"),
        (b'["b1"]', "partner answered 200, but its body is not a JSON object"),
        (b"null", "partner answered 200, but its body is not a JSON object"),
        (b"", INVALID + "booking_id: This field is required."),
        (b"{}", INVALID + "booking_id: This field is required."),
        (b'{"booking_id":null}', INVALID + "booking_id: This field may not be null."),
        (b'{"booking_id":{"$ne":1}}', INVALID + "booking_id: Not a valid string."),
        (b'{"booking_id":"bug"}', "partner answered 200, but checking its body failed: KeyError"),
    ],
)
def test_a_success_whose_body_cannot_be_used_leaves_the_call_in_doubt(serve, body, error):
    outcome = outcome_of(serve, http(body=body), step="book")
    assert outcome.verdict is Verdict.IN_DOUBT
    assert outcome.error.startswith(error)
    assert len(outcome.error) < 260
    assert outcome.output is None
    assert outcome.answer is not None
    assert len(outcome.answer["body"]) <= 2000
    assert "\0" not in json.dumps(outcome.answer)


def test_a_compressed_success_leaves_the_call_in_doubt(serve):
    bomb = gzip.compress(b'{"booking_id":"' + b"0" * 1_000_000 + b'"}')
    outcome = outcome_of(serve, http(body=bomb, headers="Content-Encoding: gzip\r\n"), step="book")
    assert outcome.verdict is Verdict.IN_DOUBT
    assert outcome.error.endswith("its body is compressed, which was not asked for")
    assert outcome.answer == {"status": 200, "body": "(compressed)"}


def test_a_body_that_says_no_is_a_refusal_whatever_its_status(serve):
    outcome = outcome_of(serve, http(body=b'{"booking_id":"b","free":false}'), step="book")
    assert (outcome.verdict, outcome.error) == (
        Verdict.REFUSED,
        "partner said no: no room is free",
    )


def test_the_output_is_what_the_serializer_keeps_as_json(serve):
    body = b'{"booking_id":17,"price":59.9,"unknown":1}'
    outcome = outcome_of(serve, http(body=body), step="book")
    assert outcome.output == {"booking_id": "17", "price": "59.90", "free": True}


def test_the_answer_to_a_compensation_is_not_held_to_the_action_s_form(serve):
    outcome = outcome_of(serve, http(body=b'{"cancelled":true}'), step="book", kind=COMPENSATION)
    assert (outcome.verdict, outcome.output) == (Verdict.SUCCEEDED, {"cancelled": True})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"code":"declined","detail":"the card is declined"}', ": the card is declined"),
        (b'{"code":"declined"}', ": declined"),
        (b'{"detail":"","title":"Payment Required"}', ": Payment Required"),
        (b'{"message":"no\\r\\n  money\\u0007 "}', ": no money�"),
        (b'{"detail":"' + b"x" * 5000 + b'"}', ": " + "x" * 200),
        (b'{"detail":{"a":1}}', ""),
        (b'["no"]', ""),
        (b"<h1>no</h1>", ""),
        (b"\xff\xfe", ""),
        (b"", ""),
    ],
)
@pytest.mark.parametrize("status", [402, 503])
def test_the_error_tells_what_the_participant_said_in_one_line(serve, status, body, reason):
    outcome = outcome_of(serve, http(status, body))
    assert outcome.error == f"partner answered {status}{reason}"
    assert outcome.answer is not None
    assert outcome.answer["body"] == body.decode("utf-8", "replace")[:2000]


# --- Retry-After ------------------------------------------------------------------------------

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 120 ", 120),
        ("0000000009", 9),
        ("9999999999", 9_999_999_999),
        ("9" * 5000, 10**9),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        ("Fri, 02 Jan 2026 03:05:05 -0000", 60),
        ("Friday, 02-Jan-26 03:05:05 GMT", 60),
        ("Fri, 02 Jan 2026 05:05:05 +0200", 60),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), None),
        (format_datetime(NOW, usegmt=True), None),
        (None, None),
        *((garbage, None) for garbage in ("", "-5", "1.5", "+3", "1e3", "٣", "soon", "1, 2", ",")),
        ("Fri, 32 Jan 2026 03:05:05 GMT", None),
        ("Fri, 02 Jan 99999 03:05:05 GMT", None),
        ("Fri, 02 Jan 2026 03:05:05 +9999999999", None),
    ],
)
def test_retry_after(value, seconds):
    found = parse_retry_after(value, NOW)
    assert found == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize("status", [429, 503, 302])
def test_retry_after_comes_with_the_outcome(serve, status):
    outcome = outcome_of(serve, http(status, headers="Retry-After: 7\r\n"))
    assert outcome.retry_after == timedelta(seconds=7)


# --- What is sent -----------------------------------------------------------------------------


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
    first = attempt(Trip, "book", data={"guest": "Zoë"})
    second = attempt(Trip, "book", data={"guest": "somebody else"}, recorded=first.request)
    assert second.verdict is Verdict.SUCCEEDED
    assert server.requests[0] == server.requests[1]
    assert second.request == first.request
    assert first.request == {
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
    assert attempt(Moved, "book", recorded=recorded).verdict is Verdict.SUCCEEDED
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
def test_a_call_that_cannot_be_built_is_broken_and_nothing_is_sent(serve, thing):
    server = serve(answers(http()))
    outcome = attempt(built_from(thing), "book")
    assert outcome.verdict is Verdict.BROKEN
    assert outcome.error.startswith("its call could not be built: ")
    assert len(outcome.error) <= 300
    assert server.connections == 0


def test_a_participant_without_address_is_broken(serve):
    serve()
    outcome = attempt(built_from(None), "lost")
    assert outcome.verdict is Verdict.BROKEN
    assert "set PARTICIPANT_NOBODY_URL" in outcome.error


def test_a_call_is_not_sent_when_the_lease_is_over_and_nobody_is_blamed(serve):
    server = serve(answers(BOOKED))
    for _ in range(10):
        outcome = attempt(Trip, "book", lease=-0.1)
        assert (outcome.verdict, outcome.request) == (Verdict.NOT_SENT, None)
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
