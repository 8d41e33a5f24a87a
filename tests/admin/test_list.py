"""The list of sagas: what it shows, how sagas are found in it, and what it costs."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from html import unescape
from uuid import UUID

import pytest
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import escape

from executors.purchase import PurchaseSagaExecutor
from sagas import search, services
from sagas.admin import paging
from sagas.models import Saga
from tests.admin import staging

LIST = "/admin/sagas/saga/"

pytestmark = pytest.mark.django_db


def found(client: Client, query: dict[str, str]) -> list[Saga]:
    response = client.get(LIST, query)
    assert response.status_code == 200, response
    return list(response.context["cl"].result_list)


def shown(client: Client, address: str) -> list[Saga]:
    return list(client.get(address).context["cl"].result_list)


def linked(client: Client, text: str, address: str = LIST) -> str | None:
    """The address that a link of the list's pages leads to."""
    pages = client.get(address).content.decode().split('class="saga-pages"')[1]
    link = re.search(rf'<a href="([^"]*)"[^>]*>{text}</a>', pages)
    return LIST + unescape(link[1]) if link else None


def by(column: str) -> str:
    """The parameter that orders the list by that column."""
    request = RequestFactory().get(LIST)
    request.user = AnonymousUser()  # like a viewer's, their list has no actions
    model_admin = admin.site.get_model_admin(Saga)
    columns = model_admin.get_changelist_instance(request).list_display
    return f"o={list(columns).index(column)}"


@contextmanager
def page_length(length: int) -> Iterator[None]:
    model_admin = admin.site.get_model_admin(Saga)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model_admin), "list_per_page", length)
        yield


def row(client: Client, saga: Saga) -> str:
    """The saga's row alone."""
    content = client.get(LIST, {"q": str(saga.pk)}).content.decode()
    assert content.count('class="field-short_id') == 1
    return content[content.index("field-short_id") :]


def test_a_row_tells_where_a_saga_in_doubt_stands(viewer: Client) -> None:
    saga = staging.in_doubt()
    text = row(viewer, saga)
    assert f"…{str(saga.pk)[-12:]}</code>" in text
    assert staging.page_of(saga) in text
    assert "purchase_saga" in text
    assert ">autorenew</span>in progress</span>" in text
    assert ">help</span>in doubt</span>" in text
    assert "→ process_payment" in text
    assert "in 1 h" in text or "in 59 min" in text
    assert f"{saga.created_at:%Y-%m-%d %H:%M:%S} UTC" in text


def test_a_row_names_the_worker(viewer: Client) -> None:
    assert staging.WORKER in row(viewer, staging.driven_now())


def test_a_row_tells_that_nobody_came_yet(viewer: Client) -> None:
    assert "due for" in row(viewer, staging.due())


def test_a_row_tells_why_and_cuts_a_long_reason(viewer: Client) -> None:
    saga = staging.failed()
    text = row(viewer, saga)
    assert "← process_payment" in text
    assert ">refund_payment was refused: no money</span>" in text
    assert "in doubt</span>" not in text
    Saga.objects.filter(pk=saga.pk).update(reason="long " * 100)
    text = row(viewer, saga)
    assert f">{('long ' * 100)[:79]}…</span>" in text


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"status__exact": "failed"}, {"failed"}),
        ({"status__exact": "in_progress"}, {"in_doubt", "compensating"}),
        ({"type": "purchase_saga"}, {"failed", "in_doubt", "compensating", "completed", "old"}),
        ({"type": "return_saga"}, {"other"}),
        ({"is": "failed"}, {"failed"}),
        ({"is": "in_doubt"}, {"in_doubt"}),
        ({"is": "compensating"}, {"compensating"}),
        ({"is": "retrying"}, {"in_doubt", "compensating"}),
        ({"is": "retrying", "direction__exact": "forward"}, {"in_doubt"}),
        ({"ended": "1h"}, {"failed", "completed"}),
        ({"ended": "24h", "is": "failed"}, {"failed"}),
        ({"status__exact": "in_progress", "direction__exact": "forward"}, {"in_doubt"}),
        ({"q": "purch"}, {"failed", "in_doubt", "compensating", "completed", "old"}),
        ({"q": "process_"}, {"failed", "in_doubt", "compensating"}),
        ({"q": "payment"}, set()),  # inside a name, not at its start
        ({"q": "saga"}, set()),
    ],
)
def test_filters_and_search(viewer: Client, query: dict[str, str], names: set[str]) -> None:
    made = {name: getattr(staging, name)() for name in ("failed", "in_doubt", "compensating")}
    made |= {"completed": staging.completed(), "old": staging.pending(), "other": staging.pending()}
    Saga.objects.filter(pk=made["other"].pk).update(type="return_saga")
    long_ago = timezone.now() - timedelta(days=400)
    Saga.objects.filter(pk=made["old"].pk).update(created_at=long_ago)
    by_id = {saga.pk: name for name, saga in made.items()}
    assert {by_id[saga.pk] for saga in found(viewer, query)} == names
    recent = {"created_at__gte": str(timezone.now() - timedelta(days=7))}
    assert {by_id[saga.pk] for saga in found(viewer, query | recent)} == names - {"old"}


@pytest.mark.parametrize(
    ("question", "make"),
    [
        ("failed", staging.failed),
        ("in_doubt", staging.in_doubt),
        ("retrying", staging.compensating),
        ("held", staging.held),
        ("parked", staging.parked),
        ("compensating", staging.compensating),
    ],
)
def test_questions(viewer: Client, question: str, make) -> None:
    other = staging.driven_now()
    saga = make()
    assert found(viewer, {"is": question}) == [saga]
    assert other in found(viewer, {})


def test_questions_of_time(viewer: Client) -> None:
    now = timezone.now()
    late, near, far, overdue = (staging.driven_now() for _ in range(4))
    for saga, minutes in ((late, -1), (near, 4), (far, 9)):
        moment = now + timedelta(minutes=minutes)
        Saga.objects.filter(pk=saga.pk).update(deadline=moment)
    Saga.objects.filter(pk=overdue.pk).update(due_at=now - timedelta(seconds=11))
    assert found(viewer, {"is": "late"}) == [late]
    assert found(viewer, {"is": "near"}) == [near]
    assert found(viewer, {"is": "overdue"}) == [overdue]
    assert "passed" in row(viewer, late)
    assert re.search(r">in (3 min|4 min)", row(viewer, near))


def test_a_row_tells_that_a_call_is_tried_again(viewer: Client) -> None:
    text = row(viewer, staging.in_doubt())
    assert ">replay</span>retrying</span>" in text
    assert ">attempt 2 of 4</small>" in text
    assert "no answer in time" in text
    first = row(viewer, staging.held())
    assert ">retrying</span>" not in first
    assert ">attempt 1 of 4</small>" in first
    assert ">attempt 1 of 4</small>" in row(viewer, staging.failed()), "the one that was refused"


def test_the_filters_are_offered(viewer: Client) -> None:
    saga = staging.pending()
    content = viewer.get(LIST).content.decode()
    for link in (
        "?status__exact=failed",
        "?type=return_saga",
        "?is=retrying",
        "?ended=24h",
        f"?created={saga.created_at:%Y-%m}",
    ):
        assert escape(link) in content


def test_by_the_time_of_creation(viewer: Client) -> None:
    saga = staging.pending()
    at = saga.created_at
    for form in ("%Y-%m", "%Y-%m-%d", "%Y-%m-%dT%H"):
        assert found(viewer, {"created": f"{at:{form}}"}) == [saga]
        other = at.replace(year=at.year - 1)
        assert found(viewer, {"created": f"{other:{form}}"}) == []
    for chosen, offered in (("%Y-%m", "%Y-%m-%d"), ("%Y-%m-%d", "%Y-%m-%dT%H")):
        content = viewer.get(LIST, {"created": f"{at:{chosen}}"}).content.decode()
        assert f"?created={at:{offered}}" in content


@pytest.mark.parametrize(
    "query",
    [
        {"created": "2026-13"},
        {"created": "0000-00"},
        {"created": "9999-12"},
        {"created": "١٢٣٤-١٢"},
        {"is": "nonsense"},
        {"ended": "1000y"},
        {"after": "x"},
        {"before": "9999-99-99T00:00:00+00:00_x"},
        {"after": "2026-01-01_", "ended": "1h"},
        {"o": "99"},
        {"o": "1.2.3"},
        {"o": "-5"},
        {"p": "7"},
    ],
)
def test_what_makes_no_sense_is_ignored(viewer: Client, query: dict[str, str]) -> None:
    saga = staging.completed()
    assert found(viewer, query) == [saga]


def test_search_by_id(viewer: Client) -> None:
    saga, _ = staging.pending(), staging.pending()
    whole = str(saga.pk)
    for text in (whole, whole.upper(), saga.pk.hex, f" {whole} ", whole[:-1], whole[:23]):
        assert found(viewer, {"q": text}) == [saga]
    assert found(viewer, {"q": whole[:-1] + ("0" if whole[-1] != "0" else "1")}) == []


def test_what_may_be_an_id_or_a_number_finds_both(viewer: Client) -> None:
    saga, other = staging.completed(), staging.completed()
    pk = UUID(saga.pk.hex[:24] + "12345678")
    Saga.objects.filter(pk=other.pk).update(data=other.data | {"customer_id": 12345678})
    third = Saga.objects.defer().get(pk=saga.pk)
    third.pk = pk
    third.save(force_insert=True)
    assert {s.pk for s in found(viewer, {"q": "12345678"})} == {pk, other.pk}


@pytest.mark.parametrize("make", [staging.pending, staging.completed, staging.in_doubt])
def test_search_by_the_end_of_an_id(viewer: Client, make) -> None:
    saga, _ = make(), make()
    whole = str(saga.pk)
    for text in (f"…{whole[-12:]}", whole[-12:].upper(), whole[-8:], whole[-17:]):
        assert found(viewer, {"q": text}) == [saga]


@pytest.mark.parametrize(
    "make", [staging.pending, staging.completed, staging.in_doubt, staging.failed]
)
def test_search_by_value(viewer: Client, make) -> None:
    saga, other = make(), make()
    customer = 987_654_321
    items = [{"product_id": 31, "quantity": 2, "price": "29.99"}]
    data = saga.data | {"customer_id": customer, "items": items, "note": 'a "b\\" é'}
    Saga.objects.filter(pk=saga.pk).update(data=data)
    for text in (
        str(customer),
        f"customer_id={customer}",
        f" customer_id = {customer} ",
        "product_id=31",
        'a "b\\" é',
        'note=a "b\\" é',
    ):
        assert found(viewer, {"q": text}) == [saga], text
    for text in (f"store_id={customer}", "98765432", "customer_id=9", 'a "b', "items=31", "note="):
        assert found(viewer, {"q": text}) == [], text
    assert found(viewer, {"q": "credit_card"}) == [other, saga]
    assert found(viewer, {"q": str(customer), "is": "failed"}) == [saga] * (make is staging.failed)


def test_search_by_what_a_step_gave(viewer: Client) -> None:
    sold = replace(staging.OK, output={"sale_id": "sale-77", "more": [{"deep": 12.5}]})
    saga, _ = staging.purchase({"create_sale": [sold]}), staging.completed()
    for text in ("sale-77", "sale_id=sale-77", "12.5", "deep=12.5"):
        assert found(viewer, {"q": text}) == [saga], text
    assert found(viewer, {"q": "sale-7"}) == []


@pytest.mark.parametrize(
    "text",
    [
        '"',
        "\\",
        "') OR 1=1 --",
        "$.** ? (@ == 1)",
        "%s %(x)s {} \\u0000 \\x",
        "9" * 190,
        "1" + "0" * 150 + ".5",
        "x" * 5000,
        "a\0b",
        "=",
        "=1",
        'a"b=1',
        "customer_id=" + "9" * 100,
        "🐘",
        "-",
        "--------",
    ],
)
def test_search_text_is_data(viewer: Client, text: str) -> None:
    staging.completed(), staging.pending()
    response = viewer.get(LIST, {"q": text})
    if "\0" in text:
        assert response.status_code == 400
        return
    assert response.status_code == 200
    assert list(response.context["cl"].result_list) == []


def test_no_secret_is_found(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PurchaseSagaExecutor, "secrets", ("pin", "card"))
    pin = {"pin": 4711, "card": {"number": "42 42", "codes": [815]}, "open": "1234"}
    for make in (staging.pending, staging.completed):
        saga = make()
        Saga.objects.filter(pk=saga.pk).update(data=saga.data | pin)
        for text in ("4711", "pin=4711", "42 42", "number=42 42", "815", "card=42 42"):
            assert found(viewer, {"q": text}) == [], text
        assert found(viewer, {"q": "1234"}) == [saga]
        Saga.objects.filter(pk=saga.pk).update(data=saga.data | pin | {"open": "4711"})
        assert found(viewer, {"q": "4711"}) == [saga], "where it is no secret"
        Saga.objects.filter(pk=saga.pk).update(data={})


def test_a_value_that_very_many_have(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PurchaseSagaExecutor, "secrets", ("pin",))
    monkeypatch.setattr(search, "FEW", 2)
    sagas = [staging.completed(), staging.failed(), staging.pending(), staging.in_doubt()]
    hidden = staging.completed()
    Saga.objects.filter(pk=hidden.pk).update(data={"pin": "credit_card"})
    if connection.vendor == "postgresql":
        assert found(viewer, {"q": "credit_card"}) == sagas[::-1]
        assert found(viewer, {"q": "id=x"}) == [hidden, sagas[3], sagas[1], sagas[0]]
    else:  # only the newest are looked for
        assert found(viewer, {"q": "credit_card"}) == [sagas[3], sagas[2]]
        assert found(viewer, {"q": "id=x"}) == [hidden, sagas[3]]


def test_the_newest_come_first_by_the_primary_key(viewer: Client) -> None:
    first, second, third = staging.pending(), staging.pending(), staging.pending()
    # created_at is not what orders
    Saga.objects.filter(pk=first.pk).update(created_at=timezone.now() + timedelta(days=1))
    assert found(viewer, {}) == [third, second, first]
    assert shown(viewer, f"{LIST}?{by('age')}") == [third, second, first]
    assert shown(viewer, f"{LIST}?{by('age').replace('=', '=-')}") == [first, second, third]


def test_pages(viewer: Client) -> None:
    sagas = [staging.pending() for _ in range(103)][::-1]
    assert "50 sagas on this page" in viewer.get(LIST).content.decode()
    assert linked(viewer, "First") is linked(viewer, "Newer") is None
    second = linked(viewer, "Older")
    assert second is not None
    assert shown(viewer, second) == sagas[50:100]
    third = linked(viewer, "Older", second)
    assert third is not None
    assert shown(viewer, third) == sagas[100:]
    assert linked(viewer, "Older", third) is None
    back = linked(viewer, "Newer", third)
    assert back is not None
    assert shown(viewer, back) == sagas[50:100]
    top = linked(viewer, "Newer", back)
    assert top is not None
    assert shown(viewer, top) == sagas[:50]
    assert linked(viewer, "First", second) == f"{LIST}?"
    newest = staging.pending()
    assert shown(viewer, LIST) == [newest, *sagas[:49]]
    assert linked(viewer, "Newer", top) is not None


@pytest.mark.parametrize(
    "query", ["?ended=7d", "?status__exact=failed&oldest", "?newest&is=failed"]
)
def test_pages_in_other_orders(viewer: Client, query: str) -> None:
    first, second, third = sagas = [staging.failed() for _ in range(3)]
    now = timezone.now()
    for saga, minutes in zip(sagas, (3, 1, 3), strict=True):
        moment = now - timedelta(minutes=minutes)
        Saga.objects.filter(pk=saga.pk).update(ended_at=moment)
    wanted = {"?ended=7d": [second, third, first], "?newest&is=failed": sagas[::-1]}.get(
        query, sagas
    )
    query = query.replace("newest", by("age")).replace("oldest", by("age").replace("=", "=-"))
    with page_length(1):
        address: str | None = LIST + query
        pages: list[Saga] = []
        while address:
            last = address
            pages += shown(viewer, address)
            address = linked(viewer, "(?:Older|After)", address)
        assert pages == wanted
        assert shown(viewer, linked(viewer, "(?:Newer|Before)", last) or "") == [wanted[1]]


def test_in_progress_by_the_next_attempt(viewer: Client) -> None:
    first, second, third = sagas = [staging.in_doubt() for _ in range(3)]
    for saga, hours in zip(sagas, (2, 1, 3), strict=True):
        due_at = timezone.now() + timedelta(hours=hours)
        Saga.objects.filter(pk=saga.pk).update(due_at=due_at)
    ended = staging.completed()
    by_due = by("follows")
    assert shown(viewer, f"{LIST}?status__exact=in_progress&{by_due}") == [second, first, third]
    with page_length(1):
        address = linked(viewer, "After", f"{LIST}?is=retrying&{by_due}")
        assert address is not None
        assert shown(viewer, address) == [first]
    # where others have no next attempt, nothing is ordered by it
    assert shown(viewer, f"{LIST}?{by_due}") == [ended, *sagas[::-1]]


def test_what_an_action_could_be_applied_to_is_counted_up_to_a_limit(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(model_admin: object, request: object, queryset: object) -> None:
        """Does nothing."""

    monkeypatch.setattr(type(admin.site.get_model_admin(Saga)), "actions", [look])
    for _ in range(3):
        staging.pending()
    with page_length(1):
        assert "Select all 3 sagas" in root.get(LIST).content.decode()
        monkeypatch.setattr(paging, "MOST_COUNTED", 2)
        assert "Select all more than 2 sagas" in root.get(LIST).content.decode()


def test_the_cost_does_not_grow_with_the_sagas(viewer: Client) -> None:
    def queries() -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            assert viewer.get(LIST).status_code == 200
        return [query["sql"] for query in captured]

    staging.failed()
    few = queries()
    for make in (staging.failed, staging.in_doubt, staging.driven_now, staging.pending):
        make(), make()
    many = queries()
    assert len(many) == len(few) <= 7
    assert not any("COUNT(" in sql for sql in many), "nothing is counted"
    assert not any('"data"' in sql for sql in many), "a page of documents that nobody reads"


def test_only_who_may_view_sees(login, client: Client) -> None:
    saga = staging.pending()
    for permissions in ((), ("execute", "compensate", "retry"), ("change_saga",)):
        nobody = login("-".join(permissions) or "nobody", *permissions)
        assert nobody.get(LIST).status_code == 403
        assert nobody.get(staging.page_of(saga)).status_code == 403
    response = client.get(LIST)
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")


def test_a_status_of_every_kind_has_its_label(viewer: Client) -> None:
    for make in (
        staging.pending,
        staging.due,
        staging.completed,
        staging.failed,
        staging.compensated,
    ):
        saga = services.get_saga(make().pk)
        assert f"</span>{saga.status.replace('_', ' ')}</span>" in row(viewer, saga)


@pytest.mark.parametrize("name", ["cardNumber", "Card-Number", "CARD_NUMBER", "card.number"])
def test_a_secret_is_not_to_be_guessed_under_another_spelling_of_its_name(
    viewer: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(PurchaseSagaExecutor, "secrets", ("card_number",))
    saga, number = staging.completed(), "4929123456781234"
    for data in ({name: number}, {"x": [{name: {"a": number}}]}):
        Saga.objects.filter(pk=saga.pk).update(data=data)
        for q in (number, f"{name}={number}", f"a={number}"):
            assert found(viewer, {"q": q}) == []
    Saga.objects.filter(pk=saga.pk).update(data={name: number, "note": number})
    assert found(viewer, {"q": number}) == [saga]
