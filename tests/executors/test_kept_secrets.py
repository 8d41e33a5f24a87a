"""What is kept and logged of an answer, or of an error, holds no secret of its saga."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from executors.participants import participants
from sagas.domain.outcome import Outcome, Verdict
from sagas.services import InvalidData, validated
from tests.executors.card import CVV, HOLDER, NUMBER, TOLD, CardSagaExecutor
from tests.executors.conftest import call, perform
from tests.executors.tcp import Peer, Script, http, then_close

DATA = {"card_number": NUMBER, "cvv": int(CVV), "holder": HOLDER, "wallet": "none", "mood": ""}
TOKEN = "tok-20260101-zzz"
ALSO = (TOKEN, quote(HOLDER))


def assert_silent(caplog: pytest.LogCaptureFixture, *texts: Any) -> None:
    shown = [*map(str, texts), caplog.text, *(str(record.__dict__) for record in caplog.records)]
    for text in shown:
        assert not TOLD.search(text), text
        assert not [secret for secret in ALSO if secret in text], text


def held(serve, *texts: bytes) -> Outcome:
    return next(all_held(serve, *map(then_close, texts)))


def all_held(serve, *scripts: Script) -> Iterator[Outcome]:
    """The outcome of a call to each of the scripts."""
    serve(*scripts)
    for _ in scripts:
        participants.cache_clear()  # no connection is kept, and no breaker opens
        outcome = perform(CardSagaExecutor(), call("hold", data=DATA))
        assert outcome.verdict is not Verdict.NOT_SENT
        yield outcome


def echo(status: int, cut: int | None = None, *, pad: str = "") -> Any:
    """Answers with the request: in its body, in words, in other forms, and in headers."""

    def script(peer: Peer) -> None:
        request = peer.read()
        sent = request.partition(b"\r\n\r\n")[2].decode()
        said = {
            "detail": f"{pad}no hold for {NUMBER} ({CVV}) of {HOLDER}: {sent}",
            "echo": json.loads(sent),
            "again": sent,
            "path": request.split(b" ")[1].decode(),
            "token": TOKEN,
            "message": f"token={TOKEN}",
        }
        headers = f"X-Echo: {json.dumps(sent)}\r\nRetry-After: {NUMBER}\r\n"
        peer.send(http(status, json.dumps(said).encode()[:cut], headers))

    return script


@pytest.mark.parametrize("status", [301, 400, 402, 409, 429, 500, 503])
def test_an_answer_that_repeats_the_request(serve, caplog, status):
    outcome = next(all_held(serve, echo(status)))
    assert outcome.verdict in (Verdict.REFUSED, Verdict.IN_DOUBT)
    assert outcome.error.startswith(f"partner answered {status}: no hold for •••")
    assert outcome.answer is not None
    assert_silent(caplog, outcome.error, json.dumps(outcome.answer, ensure_ascii=False))
    assert "•••" in outcome.answer["body"]


@pytest.mark.parametrize("status", [200, 402])
def test_an_answer_that_was_cut_off_anywhere(serve, caplog, status):
    cuts = range(15, 480, 7)
    for outcome in all_held(serve, *(echo(status, cut) for cut in cuts)):
        assert_silent(caplog, outcome.error, outcome.answer)


def test_a_reason_that_is_cut_off_by_us(serve, caplog):
    for outcome in all_held(serve, *(echo(402, pad="x" * pad) for pad in range(160, 200, 3))):
        assert len(outcome.error) < 260
        assert NUMBER[:4] not in outcome.error
        assert_silent(caplog, outcome.error, outcome.answer)


def test_an_excerpt_that_is_cut_off_by_us(serve, caplog):
    pads = (*range(1960, 2000, 5), *range(7950, 8000, 5))
    texts = (http(500, b"-" * pad + NUMBER.encode() * 2) for pad in pads)
    for outcome in all_held(serve, *map(then_close, texts)):
        assert outcome.answer is not None
        assert NUMBER[:4] not in outcome.answer["body"]


def test_a_success_keeps_its_output_and_tells_nothing(serve, caplog):
    outcome = next(all_held(serve, echo(200)))
    assert outcome.output == {"token": TOKEN, "state": "held"}
    assert_silent(caplog, outcome.error, outcome.answer)


@pytest.mark.parametrize(
    "body",
    [
        {"token": "t" * 31 + NUMBER},
        {"token": TOKEN, "state": NUMBER},
        {"token": {"card_number": TOKEN}},
        {"token": "bug " + NUMBER},
        {"token": "bug " + TOKEN},
    ],
)
def test_a_success_that_is_not_valid(serve, caplog, body):
    outcome = held(serve, http(200, json.dumps(body).encode()))
    assert outcome.verdict is Verdict.IN_DOUBT
    assert_silent(caplog, outcome.error, outcome.answer)
    if str(body["token"]).startswith("bug"):
        assert "checking its body failed: KeyError" in outcome.error
        assert "validate_token" in caplog.text


def test_an_answer_that_is_none(serve, caplog):
    outcome = held(serve, f"HTTP/{NUMBER} {HOLDER}\r\n\r\n".encode())
    assert_silent(caplog, outcome.error, outcome.answer)


@pytest.mark.parametrize(("mood", "name"), [("broken", "ValueError"), ("lost", "KeyError")])
def test_the_saga_s_own_code(serve, mood, name):
    serve()
    with pytest.raises(Exception, match="•••") as caught:
        CardSagaExecutor().prepare(call("hold", data=DATA | {"mood": mood}))
    assert type(caught.value).__name__ == name
    record = logging.LogRecord("a", 1, "", 1, "", (), caught._excinfo)
    told = logging.Formatter().format(record)
    assert "in hold" in told
    assert not TOLD.search(told), told


def test_a_request_that_cannot_be_repeated(serve, caplog):
    serve()
    request = {"participant": "partner", "method": "POST", "path": f"no{NUMBER}", "body": "{}"}
    outcome = perform(CardSagaExecutor(), call("hold", data=DATA), request=request)
    assert outcome.verdict is Verdict.BROKEN
    assert "ValueError" in outcome.error
    assert_silent(caplog, outcome.error)


# --- A client's data --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [{"wallet": NUMBER}, {"mood": "wrong"}, {"cvv": NUMBER + "x"}, {"card_number": NUMBER * 3}],
)
def test_what_is_wrong_with_data_quotes_no_secret(changes):
    with pytest.raises(InvalidData) as caught:
        validated(CardSagaExecutor(), DATA | changes)
    assert next(iter(changes)) in caught.value.errors
    assert NUMBER not in json.dumps(caught.value.errors)


def test_nor_does_a_serializer_that_breaks():
    with pytest.raises(Exception, match="odd") as caught:
        validated(CardSagaExecutor(), DATA | {"mood": "odd"})
    assert type(caught.value).__name__ == "RuntimeError"
    assert not TOLD.search(str(caught.value))
