"""Execute, compensate and retry: who sees and may do them, and what is recorded."""

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.html import escape

from sagas import services
from sagas.models import Saga, SagaEvent
from tests.admin import staging
from tests.admin.staging import facts, page_of

pytestmark = pytest.mark.django_db

OPERATIONS = ("execute", "compensate", "retry")


def buttons(client: Client, saga: Saga) -> set[str]:
    """The operations that the saga's page leads to."""
    text = client.get(page_of(saga)).content.decode()
    return set(re.findall(rf'href="/admin/sagas/saga/{saga.pk}/(\w+)/"', text)) & set(OPERATIONS)


def messages(response) -> str:
    return " ".join(str(message) for message in response.context["messages"])


@pytest.mark.parametrize(
    ("make", "allowed"),
    [
        (staging.pending, {"execute", "compensate"}),
        (staging.in_doubt, {"compensate"}),
        (staging.compensating, set()),
        (staging.completed, {"compensate"}),
        (staging.failed, {"retry", "compensate"}),
        (staging.compensated, {"retry"}),
    ],
)
def test_buttons_are_what_is_allowed_and_permitted(
    root: Client, viewer: Client, login, make: Callable[[], Saga], allowed: set[str]
) -> None:
    saga = make()
    assert buttons(root, saga) == allowed
    assert buttons(viewer, saga) == set()
    for operation in OPERATIONS:
        operator = login(operation, "view_saga", operation)
        assert buttons(operator, saga) == allowed & {operation}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("make", [staging.pending, staging.failed])
def test_without_the_permission_it_is_forbidden(
    viewer: Client, login, operation: str, make: Callable[[], Saga]
) -> None:
    saga = make()
    before = facts(saga)
    others = {name for name in OPERATIONS if name != operation}
    for client in (
        viewer,
        login("others", "view_saga", *others),
        login("editor", "view_saga", "add_saga", "change_saga", "delete_saga"),
        login("blind", operation),
    ):
        assert client.get(page_of(saga, operation)).status_code == 403
        answer = client.post(page_of(saga, operation), {"reason": "because"})
        assert answer.status_code == 403
    assert facts(saga) == before


@pytest.mark.parametrize(
    ("make", "operation", "status", "kind", "sentence"),
    [
        (
            staging.pending,
            "execute",
            "in_progress",
            "execute_requested",
            "Starts the saga with its first step, validate_inventory.",
        ),
        (
            staging.pending,
            "compensate",
            "compensated",
            "compensate_requested",
            "Cancels the saga: nothing was called, and nothing will be.",
        ),
        (
            staging.completed,
            "compensate",
            "in_progress",
            "compensate_requested",
            "Takes back what took effect or is in doubt, in this order: cancel_sale,"
            " refund_payment, release_inventory.",
        ),
        (
            staging.in_doubt,
            "compensate",
            "in_progress",
            "compensate_requested",
            "Takes back what took effect or is in doubt, in this order: refund_payment,"
            " release_inventory. A call in flight is finished first, and no new action starts.",
        ),
        (
            staging.held,
            "compensate",
            "compensated",
            "compensate_requested",
            "Ends the saga; as it stands there is no effect to take back. A call in flight is"
            " finished first, and no new action starts.",
        ),
        (
            staging.failed,
            "retry",
            "in_progress",
            "retry_requested",
            "Goes on where the saga stopped, with refund_payment; attempts are counted anew.",
        ),
        (
            staging.compensated,
            "retry",
            "in_progress",
            "retry_requested",
            "Starts the saga again from its first step, validate_inventory, as run 2 with fresh"
            " idempotency keys.",
        ),
    ],
)
def test_an_operation_from_confirmation_to_history(
    login, make: Callable[[], Saga], operation: str, status: str, kind: str, sentence: str
) -> None:
    saga = make()
    before = facts(saga)
    ann = login("ann", "view_saga", operation)

    page = ann.get(page_of(saga, operation))
    assert page.status_code == 200
    assert escape(sentence) in page.content.decode()
    assert 'name="reason"' in page.content.decode()
    assert facts(saga) == before, "a GET changed something"

    answer = ann.post(page_of(saga, operation), {"reason": "the customer called"}, follow=True)
    assert answer.redirect_chain == [(page_of(saga), 302)]
    assert f"The saga is {status.replace('_', ' ')} now." in messages(answer)
    assert Saga.objects.get(pk=saga.pk).status == status
    event = SagaEvent.objects.get(saga=saga.pk, kind=kind, seq__gt=before[3])
    assert (event.actor, event.reason) == ("user:ann", "the customer called")
    shown = answer.content.decode()
    shown = shown[shown.index(f'id="event-{event.seq}"') :]
    assert shown.index("user:ann") < shown.index("the customer called") < shown.index("</tr>")


@pytest.mark.parametrize("reason", [None, "", "   ", "x" * 1001, "nul \0"])
def test_a_reason_is_required(root: Client, reason: str | None) -> None:
    saga = staging.failed()
    before = facts(saga)
    answer = root.post(page_of(saga, "retry"), {} if reason is None else {"reason": reason})
    assert answer.status_code == 200
    assert answer.context["form"].errors["reason"]
    assert str(answer.context["form"].errors["reason"][0]) in answer.content.decode()
    assert facts(saga) == before


def test_csrf_is_enforced(db: None) -> None:
    saga = staging.failed()
    before = facts(saga)
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("root"))
    assert client.post(page_of(saga, "retry"), {"reason": "x"}).status_code == 403
    assert facts(saga) == before
    page = client.get(page_of(saga, "retry")).content.decode()
    token = re.search(
        r'name="csrfmiddlewaretoken" value="(\w+)"', page[page.index("saga-confirm") :]
    )
    assert token
    body = {"reason": "x", "csrfmiddlewaretoken": token[1]}
    assert client.post(page_of(saga, "retry"), body).status_code == 302
    assert facts(saga) != before


def test_a_stale_page_changes_nothing_and_says_so(root: Client) -> None:
    saga = staging.failed()
    assert root.get(page_of(saga, "compensate")).status_code == 200
    services.retry(saga.pk, actor="user:bob", reason="bob was faster")
    staging.drive(saga)  # which compensates the rest
    before = facts(saga)
    assert before[0] == "compensated"

    answer = root.post(page_of(saga, "compensate"), {"reason": "too late"}, follow=True)
    assert answer.redirect_chain == [(page_of(saga), 302)]
    said = messages(answer)
    assert "Compensate is not possible now: a saga that is compensated cannot compensate" in said
    assert "The saga is compensated; nothing changed. Possible now: Retry." in said
    assert facts(saga) == before


def test_the_confirmation_of_what_is_not_allowed_leads_back(root: Client) -> None:
    saga = staging.compensating()
    before = facts(saga)
    for operation in OPERATIONS:
        answer = root.get(page_of(saga, operation), follow=True)
        assert answer.redirect_chain == [(page_of(saga), 302)]
        assert "is not possible now. The saga is in progress; nothing changed." in messages(answer)
    assert facts(saga) == before


def test_a_definition_that_nobody_knows_is_said_so(root: Client) -> None:
    saga = staging.parked()
    before = facts(saga)
    answer = root.post(page_of(saga, "compensate"), {"reason": "x"}, follow=True)
    assert "no code here knows version 9 of 'purchase_saga'" in messages(answer)
    assert facts(saga) == before


def test_other_methods_and_unknown_sagas(root: Client, client: Client) -> None:
    saga = staging.failed()
    before = facts(saga)
    assert root.head(page_of(saga, "retry")).status_code == 200
    for method in ("put", "patch", "delete"):
        assert getattr(root, method)(page_of(saga, "retry")).status_code == 405
    unknown = "/admin/sagas/saga/01890000-0000-7000-8000-000000000000/retry/"
    assert root.post(unknown, {"reason": "x"})["Location"] == "/admin/sagas/saga/"
    anonymous = client.post(page_of(saga, "retry"), {"reason": "x"})
    assert anonymous["Location"].startswith("/admin/login/")
    assert facts(saga) == before
