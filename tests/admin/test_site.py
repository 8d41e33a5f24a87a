"""What surrounds the sagas: navigation, users and groups."""

import re
from io import StringIO

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command
from django.test import Client

from sagas.roles import ROLES
from tests.admin import staging
from tests.admin.staging import page_of

pytestmark = pytest.mark.django_db


def navigation(client: Client) -> set[str]:
    text = client.get("/admin/").content.decode()
    text = text[text.index('id="nav-sidebar-apps"') : text.index('id="main"')]
    return set(re.findall(r'href="([^"]+)"', text))


def test_the_navigation_shows_what_one_may_see(root: Client, viewer: Client, login) -> None:
    pages = {f"/admin/sagas/saga/{page}" for page in ("", "bulk/", "approvals/", "audit/")}
    own = {*pages, "/api-docs"}
    assert navigation(viewer) == own
    assert navigation(root) == own | {
        "/admin/auth/user/",
        "/admin/auth/group/",
        "/admin/api-keys/",
    }
    assert navigation(login("nobody")) == {"/api-docs"}
    title = re.search(r"<title>(.*?)</title>", root.get("/admin/").content.decode(), re.DOTALL)
    assert title
    assert title[1].strip() == "Overview | Saga orchestrator"


@pytest.mark.parametrize(
    ("path", "here"),
    [
        ("sagas/saga/", ["sagas/saga/"]),
        ("sagas/saga/{}/change/", ["sagas/saga/"]),
        ("sagas/saga/{}/retry/", ["sagas/saga/"]),
        ("sagas/saga/bulk/", ["sagas/saga/bulk/"]),
        ("sagas/saga/approvals/", ["sagas/saga/approvals/"]),
        ("auth/user/", ["auth/user/"]),
        ("", []),
    ],
)
def test_the_navigation_shows_where_one_is(root: Client, path: str, here: list[str]) -> None:
    text = root.get("/admin/" + path.format(staging.failed().pk)).content.decode()
    assert re.findall(r'<a href="/admin/([^"]*)" class="[^"]* active"', text) == here


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
        "groups": [Group.objects.get(name="operators").pk],
        "date_joined_0": "2025-01-01",
        "date_joined_1": "12:00:00",
    }
    assert root.post(f"/admin/auth/user/{ann.pk}/change/", change).status_code == 302

    client = Client()
    login = {"username": "ann", "password": "pa55-word-long", "next": ""}
    assert client.post("/admin/login/", login)["Location"] == "/admin/"
    assert client.get(page_of(staging.failed(), "retry")).status_code == 200


@pytest.mark.parametrize("role", ROLES)
def test_each_role_may_what_it_says(db: None, role: str) -> None:
    user = User.objects.create_user("ann", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    assert user.get_all_permissions() == {*ROLES[role]}
    client = Client()
    client.force_login(user)
    saga = staging.failed()
    assert client.get(page_of(saga)).status_code == 200
    for operation in ("retry", "compensate", "skip"):
        may = f"sagas.{operation}" in ROLES[role]
        assert client.get(page_of(saga, operation)).status_code == (200 if may else 403)
    people = client.get("/admin/auth/user/").status_code
    assert people == (200 if role == "administrator" else 403)


def test_a_team_may_change_the_groups_and_set_them_back(db: None) -> None:
    operators = Group.objects.get(name="operator")
    operators.permissions.clear()
    call_command("migrate", verbosity=0)
    assert not operators.permissions.exists(), "what a team made of it stays"
    said = StringIO()
    call_command("roles", stdout=said)
    assert operators.permissions.count() == len(ROLES["operator"])
    assert "viewer: sagas.view_saga" in said.getvalue()


def test_a_role_is_given_at_the_shell(db: None) -> None:
    User.objects.create_user("ann")
    call_command("roles", give="viewer", to="ann", stdout=StringIO())
    ann = User.objects.get(username="ann")
    assert ann.is_staff
    assert ann.has_perm("sagas.view_saga")
    call_command("roles", give="operator", to="ann", stdout=StringIO())
    call_command("roles", give="viewer", to="ann", stdout=StringIO())
    assert [group.name for group in ann.groups.all()] == ["viewer"]
    for wrong in ({"give": "viewer"}, {"to": "ann"}, {"give": "viewer", "to": "nobody"}):
        with pytest.raises(CommandError):
            call_command("roles", stdout=StringIO(), **wrong)
