"""The list of sagas: what it shows, how sagas are found in it, and what it costs."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import escape

from sagas import services
from sagas.models import Saga
from tests.admin import staging

LIST = "/admin/sagas/saga/"

pytestmark = pytest.mark.django_db


def found(client: Client, query: dict[str, str]) -> list[Saga]:
    response = client.get(LIST, query)
    assert response.status_code == 200, response
    return list(response.context["cl"].result_list)


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
        ({"direction__exact": "compensating"}, {"failed", "compensating"}),
        ({"in_doubt__exact": "1"}, {"in_doubt"}),
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


def test_the_filters_are_offered(viewer: Client) -> None:
    staging.pending()
    content = viewer.get(LIST).content.decode()
    for link in (
        "?status__exact=failed",
        "?type=return_saga",
        "?direction__exact=compensating",
        "?in_doubt__exact=1",
        "created_at__gte=",
    ):
        assert escape(link) in content


def test_search_by_id(viewer: Client) -> None:
    saga, _ = staging.pending(), staging.pending()
    for text in (str(saga.pk), saga.pk.hex, f" {saga.pk} "):
        assert found(viewer, {"q": text}) == [saga]
    assert found(viewer, {"q": str(saga.pk)[:-1]}) == []


def test_the_newest_come_first_by_the_primary_key(viewer: Client) -> None:
    first, second, third = staging.pending(), staging.pending(), staging.pending()
    # created_at is not what orders
    Saga.objects.filter(pk=first.pk).update(created_at=timezone.now() + timedelta(days=1))
    assert found(viewer, {}) == [third, second, first]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        found(viewer, {})
    ordered = [q["sql"] for q in queries if "ORDER BY" in q["sql"] and "sagas_saga" in q["sql"]]
    assert [sql.split("ORDER BY")[1].strip().split(" LIMIT")[0] for sql in ordered] == [
        '"sagas_saga"."id" DESC'
    ]


def test_fifty_to_a_page(viewer: Client) -> None:
    for _ in range(51):
        staging.pending()
    assert len(found(viewer, {})) == 50
    assert len(found(viewer, {"p": "2"})) == 1


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
    assert len(many) == len(few) <= 6
    assert sum("COUNT(" in sql for sql in many) == 1, "one count, for the pages"
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
