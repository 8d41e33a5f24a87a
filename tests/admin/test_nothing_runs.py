"""Names, search words and messages are text in every page; no filter tells what pages hide."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from tests.admin import staging

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7|add:1 }}"
QUOTED = quote(SCRIPT, safe="")


def assert_text(page: str, where: str, *, shown: bool = True) -> None:
    assert not shown or "&lt;script&gt;alert(1)" in page, where
    for runs in ("<script>alert", "<img src=x", "\"'><", "add:1 }}8"):
        assert runs not in page, (where, runs)


@pytest.fixture
def odd_people(root: Client) -> list[str]:
    """A user and a group of such names, whom an administrator has just changed."""
    group = Group.objects.create(name=SCRIPT)
    user = User.objects.create_user(SCRIPT, first_name=SCRIPT, email="a@b.c", is_staff=True)
    user.groups.add(group)
    page = root.post(f"/admin/auth/group/{group.pk}/change/", {"name": SCRIPT}, follow=True)
    assert_text(page.content.decode(), "the message")
    chosen = {"action": "delete_selected", "_selected_action": [group.pk]}
    page = root.post("/admin/auth/group/", chosen)
    assert_text(page.content.decode(), "the deletion of several")
    own = (f"/admin/auth/user/{user.pk}", f"/admin/auth/group/{group.pk}")
    pages = [f"{address}/{view}/" for address in own for view in ("change", "delete", "history")]
    return [
        *pages,
        f"/admin/auth/user/{user.pk}/password/",
        "/admin/auth/group/",
        "/admin/auth/user/",
    ]


def test_names_of_people_and_groups(root: Client, odd_people: list[str]) -> None:
    for address in odd_people:
        page = root.get(address)
        assert page.status_code == 200, address
        assert_text(page.content.decode(), address)
    assert_text(root.get("/admin/").content.decode(), "the overview", shown=False)


def test_the_name_of_whoever_looks(odd_people: list[str]) -> None:
    User.objects.filter(username=SCRIPT).update(is_superuser=True)
    client = Client()
    client.force_login(User.objects.get(username=SCRIPT))
    saga = staging.failed()
    staging_page = staging.page_of(saga, "compensate")
    page = client.post(staging_page, {"reason": SCRIPT}, follow=True).content.decode()
    assert_text(page, "the saga's page, with its actor")
    for address in ("/admin/", "/admin/sagas/saga/", "/admin/password_change/", staging_page):
        assert_text(client.get(address, follow=True).content.decode(), address, shown=False)


@pytest.mark.parametrize(
    "address",
    [
        "/api-docs?lang={}&version={}",
        "/admin/auth/group/?q={}",
        "/admin/auth/user/?q={}&o={}",
        "/admin/auth/user/?groups__id__exact={}",
        "/admin/sagas/saga/?q={}&status__exact={}",
        "/admin/sagas/saga/?created_at__gte={}",
        "/admin/login/?next={}",
        "/admin/r/1/{}/",
        "/admin/autocomplete/?term={}&app_label={}",
    ],
)
def test_what_an_address_asks_for(root: Client, address: str) -> None:
    page = root.get(address.replace("{}", QUOTED), follow=True)
    assert page.status_code < 500
    assert_text(page.content.decode(), address, shown=False)


@pytest.mark.parametrize("path", ["", "?{}={}", "?status={}", "/{}", "/{}/events"])
def test_what_the_api_repeats_is_no_page(client: Client, path: str) -> None:
    answer = client.get("/api/v1/sagas" + path.replace("{}", QUOTED))
    assert answer["Content-Type"] in ("application/json", "application/problem+json")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "charset" not in answer["Content-Type"]


@pytest.mark.parametrize(
    "question",
    [
        "data={}",
        'data__gt={"a":1}',
        "data__isnull=0",
        "data__exact={}",
        "request_digest__gt=a",
        "request_digest=a",
        "idempotency_key__lt=b",
        "steps__output__gt=1",
        "events__data__isnull=0",
    ],
)
def test_no_filter_tells_what_pages_hide(viewer: Client, question: str) -> None:
    staging.failed()
    name, _, value = question.partition("=")
    answer = viewer.get(f"/admin/sagas/saga/?{name}={quote(value)}")
    assert answer.status_code == 400
