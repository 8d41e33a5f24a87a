"""The API is read by programs: it is English, whatever language is asked for."""

from typing import Any

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db

SAGAS = "/api/v1/sagas"
FRENCH = {"Accept-Language": "fr"}
BAD: list[Any] = [
    {},
    [],
    {"type": "purchase_saga", "data": {}},
    {"type": "purchase_saga", "data": {"store_id": "x", "customer_id": -1, "items": []}},
    {"type": 1, "data": {}, "execute": "maybe", "more": 1},
]


def answers(client: Client) -> list[bytes]:
    """What the API answers to all that is wrong."""
    asked = [
        *(client.post(SAGAS, body, "application/json") for body in BAD),
        client.post(SAGAS, "{", "application/json"),
        client.post(SAGAS, "a", "text/plain"),
        client.delete(SAGAS),
        client.get(SAGAS, {"status": "none", "limit": "x"}),
        client.get(f"{SAGAS}/none"),
        client.get("/none"),
    ]
    for answer in asked:
        assert answer.status_code >= 400
        assert "Content-Language" not in answer
        assert "Accept-Language" not in answer.get("Vary", "")
    return [answer.content for answer in asked]


def test_problems_are_english() -> None:
    english = answers(Client())
    assert b"This field is required." in b"".join(english)
    assert answers(Client(headers=FRENCH)) == english
    reader = Client()
    reader.cookies["django_language"] = "fr"
    assert answers(reader) == english


def test_a_page_in_french_leaves_no_language_behind() -> None:
    """Both are served by the same threads."""
    english = answers(Client())
    page = Client(headers=FRENCH).get("/admin/login/")
    assert page["Content-Language"] == "fr"
    assert answers(Client()) == english
