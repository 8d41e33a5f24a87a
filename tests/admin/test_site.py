"""What surrounds the sagas: navigation, users and groups."""

import re

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from tests.admin import staging
from tests.admin.staging import page_of

pytestmark = pytest.mark.django_db


def navigation(client: Client) -> set[str]:
    text = client.get("/admin/").content.decode()
    text = text[text.index('id="nav-sidebar-apps"') : text.index('id="main"')]
    return set(re.findall(r'href="([^"]+)"', text))


def test_the_navigation_shows_what_one_may_see(root: Client, viewer: Client, login) -> None:
    own = {"/admin/sagas/saga/", "/api-docs"}
    assert navigation(viewer) == own
    assert navigation(root) == own | {"/admin/auth/user/", "/admin/auth/group/"}
    assert navigation(login("nobody")) == {"/api-docs"}
    title = re.search(r"<title>(.*?)</title>", root.get("/admin/").content.decode(), re.DOTALL)
    assert title
    assert title[1].strip() == "Overview | Saga orchestrator"


@pytest.mark.parametrize(
    "path", ["user/", "user/add/", "user/{}/change/", "user/{}/password/", "group/", "group/add/"]
)
def test_users_and_groups_wear_the_same_dress(root: Client, viewer: Client, path: str) -> None:
    path = f"/admin/auth/{path}".format(User.objects.get(username="root").pk)
    page = root.get(path)
    assert page.status_code == 200
    assert b"unfold/css/styles.css" in page.content
    assert viewer.get(path).status_code == 403


def test_an_operator_is_made_in_the_console(root: Client) -> None:
    made = {"username": "ann", "password1": "pa55-word-long", "password2": "pa55-word-long"}
    assert root.post("/admin/auth/user/add/", made | {"usable_password": "true"}).status_code == 302
    rights = Permission.objects.filter(codename__in=["view_saga", "retry"])
    group = {"name": "operators", "permissions": [right.pk for right in rights]}
    assert root.post("/admin/auth/group/add/", group).status_code == 302
    ann = User.objects.get(username="ann")
    change = {
        "username": "ann",
        "is_active": "on",
        "is_staff": "on",
        "groups": [Group.objects.get().pk],
        "date_joined_0": "2025-01-01",
        "date_joined_1": "12:00:00",
    }
    assert root.post(f"/admin/auth/user/{ann.pk}/change/", change).status_code == 302

    client = Client()
    login = {"username": "ann", "password": "pa55-word-long", "next": ""}
    assert client.post("/admin/login/", login)["Location"] == "/admin/"
    assert client.get(page_of(staging.failed(), "retry")).status_code == 200
