"""API keys in the console: made, shown once, revoked; for administrators alone."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client

from sagas import services
from sagas.keys import ApiKey

pytestmark = pytest.mark.django_db

PAGE = "/admin/api-keys/"
NEW = {"name": "shop", "scopes": ["read", "create"], "ends": ""}
TOKEN = re.compile(r"saga_[0-9a-f]{12}_[0-9a-f]{64}")


def of(role: str, *, csrf: bool = False) -> Client:
    user = User.objects.create_user(f"the-{role}", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client(enforce_csrf_checks=csrf)
    client.force_login(user)
    return client


@pytest.fixture
def administrator() -> Client:
    return of("administrator")


def html(client: Client, path: str = PAGE) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_key_is_shown_once(administrator: Client) -> None:
    assert "There are none yet" in html(administrator)
    answer = administrator.post(PAGE, NEW)
    (text,) = TOKEN.findall(answer.content.decode())
    assert "no-store" in answer["Cache-Control"]
    found = services.api_key_of(text)
    assert found is not None
    assert found.granted == {"read", "create"}
    assert (found.name, found.created_by) == ("shop", "user:the-administrator")
    page = html(administrator)
    assert found.prefix in page
    secret = text.rpartition("_")[2]
    assert secret not in page
    for session in Session.objects.all():
        assert secret not in str(session.get_decoded())
    assert secret not in str(list(LogEntry.objects.values()))
    assert not administrator.cookies.get("messages")


def test_it_leaves_a_trace(administrator: Client) -> None:
    administrator.post(PAGE, NEW)
    key = ApiKey.objects.get()
    revoke = f"{PAGE}{key.prefix}/revoke/"
    assert "Revoke this API key of shop?" in html(administrator, revoke)
    key.refresh_from_db()
    assert key.revoked_at is None, "a look at the confirmation revokes nothing"
    for _ in range(2):
        answer = administrator.post(revoke, follow=True)
        assert f"The API key shop {key.prefix} is revoked." in answer.content.decode()
    key.refresh_from_db()
    assert key.revoked_by == "user:the-administrator"
    entries = LogEntry.objects.order_by("pk").values_list("action_flag", "object_repr")
    name = f"shop {key.prefix}"
    assert list(entries) == [(ADDITION, name), (CHANGE, name)], "each once"
    audit = html(administrator, "/admin/sagas/saga/audit/?kind=console")
    for told in ("API key made", "API key revoked", name, "user:the-administrator"):
        assert told in audit
    assert revoke not in html(administrator)


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_it_is_the_administrators_affair(role: str) -> None:
    _, text = services.make_api_key("shop", ["read"], actor="shell:test")
    client = of(role)
    revoke = f"{PAGE}{text.split('_')[1]}/revoke/"
    for path in (PAGE, revoke):
        assert client.get(path).status_code == 403
        assert client.post(path, NEW).status_code == 403
        assert Client().post(path, NEW).status_code == 302
    assert ApiKey.objects.filter(revoked_at__isnull=True).count() == 1


def test_it_takes_a_token() -> None:
    assert of("administrator", csrf=True).post(PAGE, NEW).status_code == 403
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": "user:ann"},
        {"name": "a\x00"},
        {"name": "x" * 65},
        {"name": "<script>"},
        {"scopes": []},
        {"scopes": ["admin"]},
        {"ends": "7"},
    ],
)
def test_what_makes_no_key(administrator: Client, wrong: dict[str, Any]) -> None:
    answer = administrator.post(PAGE, NEW | wrong)
    assert answer.status_code == 200
    assert "<script>&" not in answer.content.decode()
    assert not ApiKey.objects.exists()


def test_a_key_may_not_do_more_than_its_maker(login: Any) -> None:
    client = login("ann", "view_saga", "manage_api_keys")
    assert client.post(PAGE, NEW).status_code == 200
    assert not ApiKey.objects.exists()
    client.post(PAGE, NEW | {"scopes": ["read"], "ends": "30"})
    key = ApiKey.objects.get()
    assert key.scopes == "read"
    assert key.expires_at is not None
    assert (key.expires_at - key.created_at).days == 30


def test_the_page_costs_the_same_with_many_keys(
    administrator: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        services.make_api_key(f"client{number}", ["read"], actor="shell:test")
    with django_assert_max_num_queries(12):
        assert html(administrator).count("/revoke/") == 20


def test_no_key_of_that_name(administrator: Client) -> None:
    for prefix in ("0" * 12, "x", "%00"):
        assert administrator.get(f"{PAGE}{prefix}/revoke/").status_code in (400, 404)
    assert connection.is_usable()
