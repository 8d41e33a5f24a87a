"""GET /api/v1/sagas: filters, order, pages and search."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils.http import urlencode
from pytest_django import DjangoAssertNumQueries

from sagas import services
from sagas.models import Saga
from tests.api.client import SAGAS, Api, purchase

pytestmark = pytest.mark.django_db

RETURN = {
    "type": "return_saga",
    "data": {
        "store_id": 1,
        "customer_id": 123,
        "items": [{"product_id": 456, "quantity": 2, "price": 29.99}],
        "sale_id": "s-1",
        "amount": 59.98,
    },
}


@pytest.fixture
def five(api: Api) -> list[str]:
    """Five sagas in the order of their creation: the second a return, the last two compensated."""
    ids = [api.create(RETURN if number == 1 else purchase()).json["id"] for number in range(5)]
    for saga_id in ids[3:]:
        services.execute(UUID(saga_id), actor="test")
        services.compensate(UUID(saga_id), actor="test", reason="stock-taking")
    return ids


def listed(api: Api, **query: Any) -> list[str]:
    answer = api.get(f"{SAGAS}?{urlencode(query)}")
    assert answer.status == 200, answer.body
    return [saga["id"] for saga in answer.json["results"]]


def test_the_list_is_a_page_of_the_newest(api: Api, five: list[str]) -> None:
    page = api.get(SAGAS).json
    assert (page["count"], page["limit"], page["offset"]) == (5, 50, 0)
    assert [saga["id"] for saga in page["results"]] == five[::-1]


def test_an_empty_list(api: Api) -> None:
    assert api.get(SAGAS).json == {
        "count": 0,
        "count_is_exact": True,
        "limit": 50,
        "offset": 0,
        "next": None,
        "results": [],
    }


def test_pages(api: Api, five: list[str]) -> None:
    assert listed(api, limit=2) == five[:2:-1]
    assert listed(api, limit=2, offset=4) == five[:1]
    assert listed(api, offset=5) == []
    assert api.get(f"{SAGAS}?limit=1&offset=10000").json["count"] == 5


@pytest.mark.parametrize("ordering", ["created_at", "-created_at", "updated_at", "-updated_at"])
def test_the_next_page_is_named_until_there_is_none(
    api: Api, five: list[str], ordering: str
) -> None:
    whole = listed(api, ordering=ordering)
    since = Saga.objects.get(pk=five[0]).created_at.isoformat()
    query: dict[str, Any] = {"ordering": ordering, "limit": 2, "created_after": since}
    address, found = f"{SAGAS}?{urlencode(query)}&offset=1", []
    while address:
        page = api.get(address).json
        found += [saga["id"] for saga in page["results"]]
        assert (page["count"], page["limit"]) == (5, 2)
        address = page["next"]
    assert found == whole[1:]


def test_a_place_goes_with_the_order_of_creation_alone(api: Api, five: list[str]) -> None:
    assert listed(api, after=five[2]) == five[1::-1]
    assert listed(api, after=five[2], ordering="created_at") == five[3:]
    answer = api.get(f"{SAGAS}?after={five[2]}&ordering=updated_at")
    assert (answer.status, list(answer.json["errors"])) == (400, ["after"])


def test_what_would_take_long_is_bounded(
    api: Api, five: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sagas.api.listing.MOST", 1)
    page = api.get(f"{SAGAS}?limit=4").json
    assert (page["count"], page["count_is_exact"]) == (1, False)
    assert api.get(f"{SAGAS}?ordering=updated_at&type=return_saga").json["count_is_exact"]
    for query in ("ordering=updated_at", "search=stock"):
        answer = api.get(f"{SAGAS}?{query}")
        assert (answer.status, list(answer.json["errors"])) == (400, [query.partition("=")[0]])


def test_filters(api: Api, five: list[str]) -> None:
    assert listed(api, status="compensated") == five[:2:-1]
    assert listed(api, status="completed") == []
    assert listed(api, type="return_saga") == [five[1]]
    assert listed(api, type="return") == []
    assert listed(api, type="purchase_saga", status="pending") == [five[2], five[0]]


def test_times(api: Api, five: list[str]) -> None:
    third = Saga.objects.get(pk=five[2]).created_at
    assert listed(api, created_after=third.isoformat()) == five[:1:-1]
    assert listed(api, created_before=third.isoformat()) == five[1::-1]
    east = third.astimezone(UTC) + timedelta(hours=2)
    assert listed(api, created_after=east.strftime("%Y-%m-%dT%H:%M:%S.%f+02:00")) == five[:1:-1]
    future = datetime.now(UTC) + timedelta(days=1)
    assert listed(api, created_after=future.isoformat()) == []


@pytest.mark.parametrize("moment", ["created_at", "updated_at"])
def test_orders(api: Api, five: list[str], moment: str) -> None:
    services.execute(UUID(five[0]), actor="test")
    order = five if moment == "created_at" else [*five[1:], five[0]]
    assert listed(api, ordering=moment) == order
    assert listed(api, ordering=f"-{moment}") == order[::-1]


def test_search(api: Api, five: list[str]) -> None:
    assert listed(api, search=five[0]) == [five[0]]
    assert listed(api, search=five[0].upper()) == [five[0]]
    assert listed(api, search="RETURN") == [five[1]]
    assert listed(api, search="stock") == five[:2:-1]
    assert listed(api, search="%") == []
    assert listed(api, search="_") == []
    assert listed(api, search="' OR 1=1 --") == []


def test_a_summary_says_where_the_saga_stands(api: Api, five: list[str]) -> None:
    saga = api.get(SAGAS).json["results"][0]
    assert (saga["status"], saga["reason"]) == ("compensated", "stock-taking")
    assert "steps" not in saga
    assert "data" not in saga


def test_a_page_costs_no_more_than_two_queries(
    api: Api, five: list[str], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        assert len(listed(api)) == 5
    with django_assert_num_queries(2):
        assert len(listed(api, limit=4)) == 4


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=done", "status"),
        ("status=", "status"),
        ("status=COMPLETED", "status"),
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=201", "limit"),
        ("limit=ten", "limit"),
        ("limit=1e3", "limit"),
        ("limit=" + "9" * 400, "limit"),
        ("offset=-1", "offset"),
        ("offset=10001", "offset"),
        ("after=1", "after"),
        ("offset=99999999999999999999", "offset"),
        ("created_after=yesterday", "created_after"),
        ("created_before=2026-13-45", "created_before"),
        ("created_after=99999-01-01T00:00:00Z", "created_after"),
        ("ordering=id", "ordering"),
        ("ordering=owner,-epoch", "ordering"),
        ("search=", "search"),
        ("search=" + "x" * 101, "search"),
        ("type=" + "x" * 101, "type"),
        ("state=failed", "state"),
        ("epoch=1", "epoch"),
    ],
)
def test_a_wrong_parameter_is_named(api: Api, query: str, field: str) -> None:
    problem = api.refused(api.get(f"{SAGAS}?{query}"))
    assert list(problem["errors"]) == [field]


@pytest.mark.parametrize(
    "query",
    ["search=%00", "type=a%00b", "%00=1", "status=pending%00", "search=%ED%A0%80%00"],
)
def test_nul_in_a_query(api: Api, query: str) -> None:
    api.refused(api.get(f"{SAGAS}?{query}"))


@pytest.mark.parametrize("query", ["search=%ED%A0%80", "search=%FF%FE", "type=%F0%9F%92%A9"])
def test_odd_text_finds_nothing(api: Api, query: str) -> None:
    assert api.get(f"{SAGAS}?{query}").json["results"] == []


def test_the_edges_of_time(api: Api, five: list[str]) -> None:
    for moment in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"):
        for name in ("created_after", "created_before"):
            assert api.get(f"{SAGAS}?{urlencode({name: moment})}").status in (200, 400)
