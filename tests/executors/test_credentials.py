"""What lets the service in at participants: sent with every call, and seen nowhere else."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.test import override_settings
from rest_framework import serializers

from executors.base import Request, SagaExecutor, SagaView, Step, post
from executors.secrets import redactor_of
from sagas.domain.outcome import Verdict
from sagas.domain.state import CallKind
from sagas.verify.sources import Source
from tests.executors.conftest import attempt, call
from tests.executors.tcp import Peer, answers, http

TOKEN = "tok-4f9a-77e1"
LOGIN = "saga:pass-4f9a"
BASIC = base64.b64encode(LOGIN.encode()).decode()
SET = {"partner": f"Bearer {TOKEN}", "other": f"Basic {BASIC}"}


class Free(serializers.Serializer[Any]):
    id = serializers.CharField()
    kind = serializers.CharField(default="")


class Plain(SagaExecutor):
    """Declares no secrets of its own."""

    saga_type = "plain_saga"
    steps = (Step("take", "partner", compensation="give", answer=Free), Step("see", "partner"))

    def take(self, saga: SagaView) -> Request:
        return post("/take", {})

    def give(self, saga: SagaView) -> Request:
        return post("/give", {})

    def see(self, saga: SagaView) -> Request:
        return post("/see", {})


@pytest.fixture(autouse=True)
def credentials() -> Iterator[None]:
    with override_settings(SAGA_AUTHORIZATIONS=SET):
        yield


def test_every_call_to_it_carries_the_header_and_no_record_does(serve):
    server = serve(answers(http(body=b'{"id":"1"}')))
    for kind in CallKind:
        attempt(Plain, "take", kind)
    for request in server.requests:
        assert f"\r\nAuthorization: Bearer {TOKEN}\r\n".encode() in request
    assert len(server.requests) == 2
    assert TOKEN not in json.dumps(Plain().prepare(call("take")))


def test_a_participant_without_one_gets_none(serve):
    server = serve(answers(http()))
    with override_settings(SAGA_AUTHORIZATIONS={"other": SET["other"]}):
        attempt(Plain, "see")
    assert b"authorization" not in server.requests[0].lower()


def echo(status: int) -> Any:
    """Answers with all that it was sent, and with what it is encoded from."""

    def script(peer: Peer) -> None:
        head = peer.read().decode("latin-1")
        said = {
            "id": f"no. {TOKEN}",
            "kind": "Bearer",
            "detail": f"bad {TOKEN} {BASIC} {LOGIN} {head}",
        }
        peer.send(http(status, json.dumps(said).encode()))

    return script


@pytest.mark.parametrize("status", [401, 403, 500, 302])
def test_one_that_is_sent_back_is_hidden(serve, caplog, status):
    serve(echo(status))
    outcome = attempt(Plain, "take")
    assert outcome.verdict in (Verdict.REFUSED, Verdict.IN_DOUBT)
    told = f"{outcome.error} {outcome.answer} {caplog.text}"
    assert "•••" in outcome.error
    for secret in (TOKEN, BASIC, LOGIN, LOGIN.partition(":")[2]):
        assert secret not in told


@pytest.mark.parametrize("step", ["take", "see"])
def test_it_is_taken_out_of_outputs_and_nothing_else_is(serve, step):
    serve(echo(200))
    output = attempt(Plain, step).output
    assert output is not None
    assert (output["id"], output["kind"]) == ("no. •••", "Bearer")
    for secret in (TOKEN, BASIC, LOGIN):
        assert secret not in json.dumps(output)


ODD = "tok-4f9a/77e1+aBcD=="
SPELT = [
    ODD.replace("/", "\\/"),  # PHP
    ODD.replace("+", "\\u002B"),  # .NET
    ODD.replace("=", "\\u003d"),
    ODD.replace("/", "&#x2F;").replace("=", "&#61;"),  # pages
    quote(quote(ODD, safe=""), safe=""),
]


@pytest.mark.parametrize("spelt", SPELT)
@pytest.mark.parametrize("rest", ["", "x" * 9000], ids=["short", "cut off by us"])
def test_it_is_hidden_however_the_participant_spells_it(serve, caplog, spelt, rest):
    body = f'{{"headers": {{"authorization": "Bearer {spelt}"}}, "trace": "{rest}"}}'
    with override_settings(SAGA_AUTHORIZATIONS={"partner": f"Bearer {ODD}"}):
        serve(answers(http(500, body.encode()), http(200, json.dumps({"id": spelt}).encode())))
        refused, taken = attempt(Plain, "take"), attempt(Plain, "take")
    for told in (refused.error, json.dumps(refused.answer), json.dumps(taken.output), caplog.text):
        assert "tok-4f9a" not in told
    assert taken.output == {"id": "•••", "kind": ""}


@pytest.mark.parametrize("status", [400, 500])
def test_it_is_hidden_where_it_is_the_name_of_a_field(serve, caplog, status):
    body = {"errors": {TOKEN: "is not known"}, TOKEN: 1, "code": {"a": [{TOKEN: None}]}}
    serve(answers(http(status, json.dumps(body).encode())))
    outcome = attempt(Plain, "take")
    assert outcome.answer is not None
    assert TOKEN not in f"{outcome.error} {outcome.answer} {caplog.text}"
    assert "is not known" in outcome.answer["body"]


def test_what_was_stored_is_shown_without_it():
    hide = redactor_of(Plain())
    assert hide.document({"a": [f"x {TOKEN}"]}) == {"a": ["x •••"]}
    assert hide.text(f"Basic {BASIC} of {LOGIN}") == "Basic ••• of •••"
    with override_settings(SAGA_AUTHORIZATIONS={}):
        assert redactor_of(Plain()).idle


def test_verify_shows_it_at_the_participant_s_own_address_alone():
    own, other = "http://partner:3000", "http://elsewhere:3000"
    with override_settings(SAGA_PARTICIPANTS={"partner": own}):
        assert Source("partner", own).login() == {"Authorization": f"Bearer {TOKEN}"}
        for source in (Source("partner", other), Source("", own), Source("other", other)):
            assert source.login() == {}
