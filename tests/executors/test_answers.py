"""What each answer means, from a real server's bytes to the outcome."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta

import pytest
from django.test import override_settings

from sagas.domain.outcome import Verdict
from sagas.domain.state import CallKind
from tests.executors.conftest import attempt
from tests.executors.tcp import (
    closed_port,
    http,
    reset_after_reading,
    silent,
    then_close,
)
from tests.executors.trip import COMPENSATION, Trip, outcome_of

REFUSED = (400, 401, 402, 403, 404, 405, 409, 410, 412, 422, 423, 451, 499)
IN_DOUBT = (101, 300, 301, 302, 303, 304, 307, 308, 408, 425, 429, 500, 501, 502, 503, 504, 599)


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
    body = b"" if status in (101, 304) else b"{}"
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


def test_a_wait_that_is_asked_for_is_kept_with_the_answer(serve):
    outcome = outcome_of(serve, http(503, headers="Retry-After: 7\r\n"))
    assert outcome.retry_after == timedelta(seconds=7)
    assert outcome.answer == {"status": 503, "body": "{}", "retry_after": 7.0}
