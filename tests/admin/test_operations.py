"""Execute, compensate and retry: who sees and may do them, and what is recorded."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from executors.secrets import HIDDEN
from sagas import services
from sagas.admin.hidden import with_hidden
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


def fingerprint(page) -> str:
    """What binds a confirmation to the preview on the page."""
    found = re.search(r'name="fingerprint" value="(\w+)"', page.content.decode())
    assert found, "the page has no preview"
    return found[1]


def confirm(client: Client, saga: Saga, operation: str, **fields: str):
    """Preview the operation, and confirm it as it was previewed."""
    address = page_of(saga, operation)
    page = client.post(address, fields | {"preview": "1"}) if fields else client.get(address)
    body = {"reason": "the customer called"} | fields | {"fingerprint": fingerprint(page)}
    return client.post(address, body, follow=True)


def calls(page) -> list[str]:
    """The calls that the page previews, in order."""
    text = page.content.decode()
    text = text[text.index('id="plan"') :]
    return re.findall(r"<strong>(\w+)</strong>", text)


FORWARD = [
    "validate_inventory",
    "reserve_inventory",
    "process_payment",
    "create_sale",
    "update_inventory",
]
BACK = ["cancel_sale", "refund_payment", "release_inventory"]


@pytest.mark.parametrize(
    ("make", "operation", "status", "kind", "planned"),
    [
        (staging.pending, "execute", "in_progress", "execute_requested", FORWARD),
        (staging.pending, "compensate", "compensated", "compensate_requested", []),
        (staging.completed, "compensate", "in_progress", "compensate_requested", BACK),
        (staging.in_doubt, "compensate", "in_progress", "compensate_requested", BACK[1:]),
        (staging.held, "compensate", "compensated", "compensate_requested", []),
        (staging.failed, "retry", "in_progress", "retry_requested", BACK[1:]),
        (staging.compensated, "retry", "in_progress", "retry_requested", FORWARD),
        (
            staging.driven_now,
            "compensate",
            "in_progress",
            "compensate_requested",
            ["process_payment", *BACK[1:]],
        ),
    ],
)
def test_an_operation_from_preview_to_history(
    login, make: Callable[[], Saga], operation: str, status: str, kind: str, planned: list[str]
) -> None:
    saga = make()
    before = facts(saga)
    ann = login("ann", "view_saga", operation)

    page = ann.get(page_of(saga, operation))
    assert page.status_code == 200
    assert calls(page) == planned
    assert facts(saga) == before, "a GET changed something"

    answer = confirm(ann, saga, operation)
    assert answer.redirect_chain == [(page_of(saga), 302)]
    assert f"The saga is {status.replace('_', ' ')} now." in messages(answer)
    assert Saga.objects.get(pk=saga.pk).status == status
    event = SagaEvent.objects.get(saga=saga.pk, kind=kind, seq__gt=before[3])
    assert (event.actor, event.reason) == ("user:ann", "the customer called")


def test_a_preview_shows_addresses_keys_and_bodies(root: Client) -> None:
    saga = staging.completed()
    text = root.get(page_of(saga, "compensate")).content.decode()
    assert f"{saga.id}:1:process_payment:compensation" in text
    assert f"{saga.id}:1:process_payment:action" in text
    assert f"POST {settings.SAGA_PARTICIPANTS['payment']}/payments/refund" in text
    assert "&quot;payment_id&quot;" in text


def test_what_was_sent_before_and_what_is_not_known_yet_is_said(root: Client) -> None:
    assert "repeated byte for byte" in staging.html(root, staging.failed(), "retry")
    assert "in flight already" in staging.html(root, staging.driven_now(), "compensate")
    assert "come from the calls before it" in staging.html(root, staging.pending(), "execute")


@pytest.mark.parametrize("reason", [None, "", "   ", "x" * 1001, "nul \0"])
def test_a_reason_is_required(root: Client, reason: str | None) -> None:
    saga = staging.failed()
    before = facts(saga)
    page = root.get(page_of(saga, "retry"))
    assert re.search(r"<textarea[^>]* required", page.content.decode()), "browsers ask for it"
    body = {"fingerprint": fingerprint(page)}
    answer = root.post(
        page_of(saga, "retry"), body if reason is None else body | {"reason": reason}
    )
    assert answer.status_code == 200
    assert answer.context["form"].errors["reason"]
    assert str(answer.context["form"].errors["reason"][0]) in answer.content.decode()
    assert fingerprint(answer) == body["fingerprint"], "the preview is still there"
    assert facts(saga) == before


@pytest.mark.parametrize("body", [{}, {"fingerprint": ""}, {"fingerprint": "0" * 64}])
def test_nothing_is_done_without_its_preview(root: Client, body: dict[str, str]) -> None:
    saga = staging.failed()
    before = facts(saga)
    answer = root.post(page_of(saga, "retry"), body | {"reason": "x"})
    assert answer.status_code in (200, 409)
    assert calls(answer) == BACK[1:]
    assert facts(saga) == before


def test_csrf_is_enforced(db: None) -> None:
    saga = staging.failed()
    before = facts(saga)
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("root"))
    page = client.get(page_of(saga, "retry"))
    body = {"reason": "x", "fingerprint": fingerprint(page)}
    assert client.post(page_of(saga, "retry"), body).status_code == 403
    assert facts(saga) == before
    text = page.content.decode()
    form = text[text.index('<form method="post" class="saga') :]
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
    assert token
    body["csrfmiddlewaretoken"] = token[1]
    assert client.post(page_of(saga, "retry"), body).status_code == 302
    assert facts(saga) != before


def test_a_saga_that_moved_on_is_left_alone_and_shown_as_it_is_now(root: Client) -> None:
    saga = staging.failed()
    body = {"reason": "x", "fingerprint": fingerprint(root.get(page_of(saga, "retry")))}
    services.retry(saga.pk, actor="user:bob", reason="bob was faster")
    staging.drive(saga, {"refund_payment": [staging.NO]})  # and it failed as before
    before = facts(saga)
    answer = root.post(page_of(saga, "retry"), body)
    assert answer.status_code == 409
    assert "Nothing was done: the saga moved on since your preview" in answer.content.decode()
    assert facts(saga) == before
    body["fingerprint"] = fingerprint(answer)
    assert root.post(page_of(saga, "retry"), body).status_code == 302


def test_a_stale_page_changes_nothing_and_says_so(root: Client) -> None:
    saga = staging.failed()
    body = {"reason": "x", "fingerprint": fingerprint(root.get(page_of(saga, "compensate")))}
    services.retry(saga.pk, actor="user:bob", reason="bob was faster")
    staging.drive(saga)  # which compensates the rest
    before = facts(saga)
    assert before[0] == "compensated"

    answer = root.post(page_of(saga, "compensate"), body, follow=True)
    assert answer.redirect_chain == [(page_of(saga), 302)]
    said = messages(answer)
    assert "Compensate is not possible now: a saga that is compensated cannot compensate" in said
    assert "The saga is compensated; nothing changed. Possible now: Retry, Edit the data." in said
    assert facts(saga) == before


# What people found out, saw to, or change


def test_a_doubt_is_resolved_from_form_to_history(login) -> None:
    saga = staging.in_doubt()
    ann = login("ann", "view_saga", "resolve")
    told = {
        "step": "process_payment",
        "applied": "yes",
        "evidence": "the bank's statement, line 7",
        "output": '{"payment_id": "p-7"}',
    }
    page = ann.post(page_of(saga, "resolve"), told | {"preview": "1"})
    assert calls(page) == ["create_sale", "update_inventory"]
    assert "p-7" in page.content.decode()
    answer = confirm(ann, saga, "resolve", **told)
    assert "Resolve the doubt: accepted" in messages(answer)
    event = SagaEvent.objects.get(saga=saga.pk, kind="doubt_resolved")
    assert (event.actor, event.data["evidence"]) == ("user:ann", told["evidence"])
    assert staging.drive(saga).status == "completed"


def test_the_fields_of_an_output_are_told_and_later_steps_must_not_miss_it(root: Client) -> None:
    saga = staging.in_doubt()
    text = staging.html(root, saga, "resolve")
    assert 'placeholder="{&quot;payment_id&quot;: &quot;…&quot;}"' in text
    told = {"step": "process_payment", "applied": "yes", "evidence": "e", "preview": "1"}
    assert "Later steps read it" in root.post(page_of(saga, "resolve"), told).content.decode()
    assert calls(root.post(page_of(saga, "resolve"), told | {"applied": "no"})) == FORWARD[2:]


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": "reserve_inventory"},
        {"step": "nothing"},
        {"applied": "perhaps"},
        {"evidence": " "},
        {"output": "{"},
        {"output": "[1]"},
        {"output": '{"a": 1, "a": 2}'},
        {"output": '{"payment_id": []}'},
        {"output": "1e999"},
    ],
)
def test_what_does_not_fit_is_said_and_nothing_is_done(root: Client, wrong: dict[str, str]) -> None:
    saga = staging.in_doubt()
    before = facts(saga)
    told = {"step": "process_payment", "applied": "yes", "evidence": "e", "output": ""} | wrong
    for body in (told | {"preview": "1"}, told | {"fingerprint": "x", "reason": "r"}):
        answer = root.post(page_of(saga, "resolve"), body)
        assert answer.status_code == 200
        assert answer.context["form"].errors
        assert answer.context["plan"] is None
    assert facts(saga) == before


def test_a_confirmation_of_something_else_than_was_previewed_is_refused(root: Client) -> None:
    saga = staging.in_doubt()
    before = facts(saga)
    told = {"step": "process_payment", "applied": "yes", "evidence": "e"}
    told["output"] = '{"payment_id": "p-7"}'
    page = root.post(page_of(saga, "resolve"), told | {"preview": "1"})
    body = told | {"applied": "no", "reason": "r", "fingerprint": fingerprint(page)}
    answer = root.post(page_of(saga, "resolve"), body)
    assert answer.status_code == 409
    assert calls(answer) == FORWARD[2:]
    assert facts(saga) == before


def test_a_step_is_skipped_and_the_saga_retried_at_once(login) -> None:
    saga = staging.failed()
    ann = login("ann", "view_saga", "skip", "retry")
    page = ann.post(page_of(saga, "skip"), {"retry": "on", "preview": "1"})
    assert calls(page) == ["release_inventory"]
    confirm(ann, saga, "skip", retry="on")
    assert staging.drive(saga).status == "compensated"


def test_a_retry_along_with_it_takes_its_own_permission(login) -> None:
    saga = staging.failed()
    ann = login("ann", "view_saga", "skip")
    page = ann.post(page_of(saga, "skip"), {"retry": "on", "preview": "1"})
    assert calls(page) == []
    confirm(ann, saga, "skip", retry="on")
    assert Saga.objects.get(pk=saga.pk).status == "failed"
    assert SagaEvent.objects.filter(saga=saga.pk, kind="step_skipped").exists()


def test_data_is_edited_and_run_again(login) -> None:
    saga = staging.compensated()
    ann = login("ann", "view_saga", "edit_data", "retry")
    form = staging.html(ann, saga, "edit_data")
    assert "&quot;payment_method&quot;: &quot;credit_card&quot;" in form
    edited = json.dumps(staging.DATA | {"payment_method": "cash"})
    page = ann.post(page_of(saga, "edit_data"), {"edited": edited, "retry": "on", "preview": "1"})
    assert calls(page) == FORWARD
    assert "&quot;payment_method&quot;: &quot;cash&quot;" in page.content.decode()
    confirm(ann, saga, "edit_data", edited=edited, retry="on")
    after = Saga.objects.get(pk=saga.pk)
    assert (after.data["payment_method"], after.run) == ("cash", 2)


def test_an_edit_of_data_that_somebody_else_edited_meanwhile_is_refused(root: Client) -> None:
    saga = staging.compensated()
    seen = re.search(r'name="seen" value="(\d+)"', staging.html(root, saga, "edit_data"))
    assert seen, "the page does not say which data it shows"
    services.perform(
        saga.id,
        services.editing(saga, staging.DATA | {"payment_method": "cash"}),
        actor="user:bob",
        reason="he was faster",
    )
    before = facts(saga)
    edited = json.dumps(staging.DATA | {"customer_id": 7})
    for more in ({"preview": "1"}, {"fingerprint": "x", "reason": "r"}):
        answer = root.post(page_of(saga, "edit_data"), {"edited": edited, "seen": seen[1], **more})
        assert "Somebody edited the data after it was shown to you" in answer.content.decode()
        assert answer.context["plan"] is None
    assert facts(saga) == before


@pytest.mark.parametrize("edited", ["", "{}", "[]", "{", '{"colour": "red"}', "x" * 1_000_001])
def test_data_that_does_not_fit_is_refused(root: Client, edited: str) -> None:
    saga = staging.compensated()
    before = facts(saga)
    answer = root.post(page_of(saga, "edit_data"), {"edited": edited, "preview": "1"})
    assert answer.status_code == 200
    assert answer.context["form"].errors
    assert facts(saga) == before


def test_hidden_values_stay_when_data_is_edited() -> None:
    data = {"a": 1, "pin": "1234", "cards": [{"pin": "1", "n": 1}, {"pin": "2", "n": 2}]}
    shown = {"a": 1, "pin": HIDDEN, "cards": [{"pin": HIDDEN, "n": 1}, {"pin": HIDDEN, "n": 2}]}
    assert with_hidden(shown, shown, data) == data
    edited: dict[str, Any] = {
        "a": 2,
        "pin": HIDDEN,
        "cards": [{"pin": "9", "n": 1}, {"pin": HIDDEN, "n": 3}, {"n": 4}],
    }
    assert with_hidden(edited, shown, data) == {
        "a": 2,
        "pin": "1234",
        "cards": [{"pin": "9", "n": 1}, {"pin": "2", "n": 3}, {"n": 4}],
    }
    fewer = {"pin": "7", "cards": [{"pin": HIDDEN, "n": 1}]}
    assert with_hidden(fewer, shown, data) == {"pin": "7", "cards": [{"pin": "1", "n": 1}]}


def test_a_text_of_which_a_part_is_hidden_stays_whole() -> None:
    data = {"note": "pay 4929 from 1 to 2", "notes": ["a 4929", 7]}
    shown = {"note": f"pay {HIDDEN} from 1 to 2", "notes": [f"a {HIDDEN}", 7]}
    assert with_hidden(shown, shown, data) == data
    with pytest.raises(services.InvalidData):
        with_hidden({"note": f"pay {HIDDEN} from 2 to 1"}, shown, data)


ONE, TWO, SAME = {"pin": HIDDEN, "n": 1}, {"pin": HIDDEN, "n": 2}, {"pin": HIDDEN, "n": 1, "s": 0}


@pytest.mark.parametrize(
    "edited",
    [
        {"b": HIDDEN},  # it was not shown there
        {"a": HIDDEN},
        {"a": {"pin": HIDDEN}},
        {"pin": [HIDDEN]},
        {"pin": f"{HIDDEN}1"},
        {"cards": [TWO]},  # the first was removed: the second is not to get its pin
        {"cards": [TWO, ONE]},
        {"cards": [{"pin": "9", "n": 9}, ONE, TWO]},
        {"cards": [{"pin": HIDDEN, "n": 3}]},
        {"cards": [ONE, TWO, {"pin": HIDDEN, "n": 3}]},
        {"alike": [SAME]},  # which of the two is it?
        {"cards": {"pin": HIDDEN}},
    ],
)
def test_a_hidden_value_elsewhere_than_it_was_shown_is_refused(edited: dict[str, Any]) -> None:
    one, two = {"pin": "1", "n": 1}, {"pin": "2", "n": 2}
    alike = [{"pin": "1", "n": 1, "s": 0}, {"pin": "2", "n": 1, "s": 0}]
    data = {"a": 1, "pin": "1234", "cards": [one, two], "alike": alike}
    shown = {"a": 1, "pin": HIDDEN, "cards": [ONE, TWO], "alike": [SAME, SAME]}
    assert with_hidden(shown, shown, data) == data
    with pytest.raises(services.InvalidData):
        with_hidden(edited, shown, data)


@pytest.mark.parametrize("operation", ["retry", "skip", "edit_data", "compensate"])
def test_nothing_of_the_data_runs_in_the_page(root: Client, operation: str) -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    saga = staging.purchase(
        {"create_sale": [staging.NO], "refund_payment": [staging.NO]}, payment_method=evil[:50]
    )
    saga.steps.update(output={evil: evil}, error=evil)
    Saga.objects.filter(pk=saga.pk).update(reason=evil)
    if operation == "edit_data":
        Saga.objects.filter(pk=saga.pk).update(data={evil: evil})
    text = staging.html(root, saga, operation)
    assert "alert(1)" in text
    assert "<script>alert" not in text
    assert "<img src=x" not in text


def test_the_confirmation_of_what_is_not_allowed_leads_back(root: Client) -> None:
    saga = staging.compensating()
    before = facts(saga)
    for operation in OPERATIONS:
        answer = root.get(page_of(saga, operation), follow=True)
        assert answer.redirect_chain == [(page_of(saga), 302)]
        said = messages(answer)
        assert f"is not possible now: a saga that is in progress cannot {operation}." in said
        assert "The saga is in progress; nothing changed." in said
    assert facts(saga) == before


def test_a_definition_that_nobody_knows_is_said_so(root: Client) -> None:
    saga = staging.parked()
    before = facts(saga)
    answer = root.get(page_of(saga, "compensate"), follow=True)
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
