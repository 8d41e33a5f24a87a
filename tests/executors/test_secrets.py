"""What is hidden of a document and of a text, and what is not."""

from __future__ import annotations

import json
import re
import timeit
from urllib.parse import quote, quote_plus

import pytest

from executors.base import SagaExecutor
from executors.quoted import plain
from executors.registry import registry
from executors.secrets import HIDDEN, Redactor, declared, hiding, redactor, redactor_of
from sagas.models import Saga
from tests.executors.card import CVV, HOLDER, NUMBER, CardSagaExecutor

CARD = {"card_number": NUMBER, "cvv": int(CVV), "holder": HOLDER}


def hides(*names: str) -> Redactor:
    return Redactor(frozenset(map(plain, names)))


@pytest.fixture
def hide() -> Redactor:
    return hides("card_number", "cvv", "card")


# --- Documents --------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [NUMBER, 4111, 1.5, True, None, "", [NUMBER], {"a": NUMBER}])
@pytest.mark.parametrize(
    "name", ["card_number", "cardNumber", "CardNumber", "CARD-NUMBER", "Card Number", "cardnumber"]
)
def test_a_field_has_no_value_whatever_its_type(hide, name, value):
    shown = hide.document({"a": [{"b": {name: value, "c": 1}}]})
    assert shown == {"a": [{"b": {name: HIDDEN, "c": 1}}]}


def test_a_value_is_hidden_in_names_and_words_of_names_are_not(hide):
    knows = hide.knowing({"card_number": NUMBER, "card": "amount"})
    assert knows.document({NUMBER: "declined", "amount": 1}) == {HIDDEN: "declined", "amount": 1}


def test_a_text_of_nothing_but_backslashes_takes_no_time(hide):
    knows = hide.knowing({"card": "/a/secret+value=="})
    assert timeit.timeit(lambda: knows.text("\\" * 8000), number=3) < 1


def test_the_document_itself_stays(hide):
    given = {"cvv": 1, "a": [{"cvv": 2}]}
    hide.document(given)
    assert given == {"cvv": 1, "a": [{"cvv": 2}]}


@pytest.mark.parametrize("name", ["card_numbers", "my_card_number", "number", "discard", "cv"])
def test_a_name_that_only_looks_like_it_is_shown(hide, name):
    assert hide.document({name: "x"}) == {name: "x"}
    assert hide.document(f"{name}=abcd&b=1") == f"{name}=abcd&b=1"


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"card_number": NUMBER, "a": 1}),
        json.dumps([{"a": json.dumps({"b": json.dumps({"Card-Number": NUMBER})})}]),
        json.dumps({"card_number": NUMBER}).replace("card_number", "card\\u005fnumber"),
        f'{{"card_number":"{NUMBER}","card_number":"{NUMBER}"}}',
        f"/charges?a=1&card_number={NUMBER}&b=2",
        f"/charges?card%5Fnumber={NUMBER}",
        f"/charges?card[number]={NUMBER}",
        f"cardNumber={NUMBER}&a=1",
        f"a=%7B%22card_number%22%3A%22{NUMBER}%22%7D",
        f"<html><card_number>{NUMBER}</card_number>",
        f"<pre>{{&quot;card_number&quot;: &quot;{NUMBER}&quot;}}</pre>",
        f"KeyError: {{'card_number': '{NUMBER}'}}",
        f"Card-Number: {NUMBER}\r\nA: b",
        "card number: 4929 1234 5678 1234.",
        f'"card: {{number: {NUMBER}, x: [',
        f"first\\ncard_number={NUMBER}",
    ],
)
def test_fields_are_found_in_texts_of_many_forms(hide, text):
    shown = hide.document({"body": text})["body"]
    assert HIDDEN in shown
    assert NUMBER[-4:] not in shown
    assert hide.document(shown) == shown


BODIES = [
    json.dumps(
        {"id": "r-1", "card_number": 'ab"cd\\ef' + NUMBER, "cvv": [1, {"a": NUMBER}], "z": 1}
    ),
    json.dumps({"echo": json.dumps({"card_number": 'ab"cd\\ef' + NUMBER, "z": 1})}),
    f"id=r-1&card_number=abcdef{NUMBER}&z=1",
]


@pytest.mark.parametrize("body", BODIES)
def test_wherever_a_text_is_cut_off_nothing_is_told(hide, body):
    for end in range(len(body) + 1):
        shown = hide.document(body[:end])
        assert not any(part in shown for part in ("ab", "cd", "ef", NUMBER[:2], NUMBER[-3:])), shown


def test_what_is_json_stays_json(hide):
    body = json.dumps({"card_number": 1, "amount": "1.50", "é": [1.5, None]})
    assert json.loads(hide.document(body)) == {
        "card_number": HIDDEN,
        "amount": "1.50",
        "é": [1.5, None],
    }


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, '{"a":' * 50_000, '"' * 1000, "\\" * 1000, "card" * 50_000]
)
def test_an_odd_text_is_no_trouble(hide, text):
    assert hide.knowing({"cvv": text}, text).document({"a": text}) is not None


# --- Values in texts --------------------------------------------------------------------------

QUOTED = [
    NUMBER,
    f"card {NUMBER}!",
    f"x{NUMBER}x",
    "4929 1234 5678 1234",
    "4929-1234-5678-1234",
    f"for {CVV}.",
    HOLDER,
    json.dumps(HOLDER),
    json.dumps(json.dumps({"a": HOLDER})),
    json.dumps(HOLDER, ensure_ascii=False),
    quote(HOLDER),
    re.sub("%..", lambda found: found[0].lower(), quote(HOLDER)),
    quote_plus(HOLDER),
    repr(HOLDER),
]


@pytest.mark.parametrize("text", QUOTED)
def test_a_value_is_hidden_however_it_is_quoted(text):
    shown = hides("card_number", "cvv", "holder").text(f"no: {text}", {"a": [CARD]})
    assert HIDDEN in shown
    assert not any(part in shown for part in ("1234", CVV, "Neill", "Zed")), shown


def test_short_values_are_whole_words_and_shorter_ones_nothing(hide):
    known = {"cvv": "123", "card_number": 12, "card": {"pin": 2345, "ok": True}}
    text = "123, 1234, x123, 12, True, 23456"
    assert hide.text(text, known) == f"{HIDDEN}, 1234, x123, 12, True, {HIDDEN}6"


def test_a_value_is_hidden_under_any_name(hide):
    known = hide.knowing({"card_number": 4929123456781234, "cvv": 837})
    assert known.document({"pan": NUMBER, "no": int(NUMBER), "store": 837, "ok": True}) == {
        "pan": HIDDEN,
        "no": HIDDEN,
        "store": 837,
        "ok": True,
    }


def test_the_start_of_a_value_is_hidden_where_a_text_was_cut_off(hide):
    for said, least in (("no such card, " * 20, 4), ("no ", 6)):
        for size in range(least, len(NUMBER)):
            assert hide.text(said + NUMBER[:size], {"card_number": NUMBER}) == said + HIDDEN


def test_values_are_found_in_the_bodies_of_requests(hide):
    for body in (f'{{"cvv":"{NUMBER}"}}', f"cvv={NUMBER}&a=1"):
        assert hide.text(NUMBER, {"path": "/", "body": body}) == HIDDEN
    assert hide.text(NUMBER, {"path": f"/a?cvv={NUMBER}"}) == HIDDEN


def test_names_alone_hide_nothing_in_a_text(hide):
    assert hide.text("card_number: This field is required.", {"a": 1}) == (
        "card_number: This field is required."
    )


def test_with_too_many_values_a_text_is_hidden_as_a_whole(hide):
    known = {"card": [f"{number:06}" for number in range(1000)]}
    assert hide.text("fine", known) == HIDDEN
    assert hide.knowing(known).document({"a": "fine", "b": {"c": 1}}) == {
        "a": HIDDEN,
        "b": {"c": HIDDEN},
    }


# --- Exceptions -------------------------------------------------------------------------------


def test_an_exception_without_secrets_is_itself(hide):
    error = ValueError("no")
    assert hide.knowing(CARD).error(error) is error


def test_an_exception_loses_its_secrets_and_keeps_its_name_and_place(hide):
    def fail() -> None:
        try:
            raise KeyError(NUMBER)
        except KeyError as error:
            raise ValueError("no card") from error

    with pytest.raises(Exception, match=r"^no card$") as caught, hide.knowing(CARD).cleansing():
        fail()
    assert type(caught.value).__name__ == "ValueError"
    assert NUMBER not in str(caught.value)
    assert any(entry.name == "fail" for entry in caught.traceback)


# --- Types ------------------------------------------------------------------------------------


def test_without_secrets_all_is_as_it_was():
    hide, document = redactor("purchase_saga"), {"cvv": NUMBER}
    assert hide.idle
    assert hide.document(document) is document
    assert hide.knowing(document) is hide
    assert hide.text(NUMBER, document) == NUMBER
    assert hiding(Saga(type="purchase_saga")) is hide


def test_of_a_type_that_is_gone_no_value_is_shown():
    hide = redactor("gone_saga")
    shown = hide.document({"a": [1, {"b": None}], "c": "text", "d": {}, "e": True})
    assert shown.pop(HIDDEN).startswith("no code here knows this saga type")
    assert shown == {"a": [HIDDEN, {"b": HIDDEN}], "c": HIDDEN, "d": {}, "e": HIDDEN}
    assert hide.document("text") == HIDDEN
    assert hide.text("said text, 1", {"c": "text"}) == f"said {HIDDEN}, 1"
    event = {"step": "a", "attempt": 1, "error": "no", "request": {"body": "{}"}, "answer": None}
    told = hide.event(event)
    assert told["request"].pop(HIDDEN)
    assert told == event | {"request": {"body": HIDDEN}}


def test_all_versions_hide_what_one_of_them_declares(monkeypatch):
    class Older(SagaExecutor):
        saga_type = "card_saga"
        version = 2
        secrets = ("iban",)

    both = [CardSagaExecutor(), Older()]
    monkeypatch.setattr(registry, "versions", lambda saga_type: both)
    document = {"cvv": 1, "iban": 2, "a": 3}
    hidden = {"cvv": HIDDEN, "iban": HIDDEN, "a": 3}
    assert redactor("card_saga").document(document) == hidden
    assert redactor_of(Older()).document(document) == hidden


def test_what_is_declared_has_a_name_of_its_own(monkeypatch):
    before = declared()
    assert declared() == before
    monkeypatch.setattr(registry, "all", lambda: [CardSagaExecutor()])
    assert declared() != before


def test_a_document_takes_microseconds():
    """Bounds that only a mistake in kind would break: a read of a saga takes milliseconds."""
    hide = hides("card_number", "cvv").knowing(CARD)
    data = {"items": [{"product_id": 4, "price": "9.99"}] * 3, "note": "x" * 200, **CARD}
    assert min(timeit.repeat(lambda: hide.document(data), number=100, repeat=5)) / 100 < 0.002
