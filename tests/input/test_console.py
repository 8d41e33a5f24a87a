"""Every address of the console with every odd parameter, on the running service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests
from django.contrib import admin
from django.urls import URLPattern, URLResolver

from sagas.admin import urls
from tests.input.guard import Guard, faults
from tests.input.people import log_in, token
from tests.input.questions import LONG, NUL, ODD_IDS, QUERIES

pytestmark = pytest.mark.xdist_group("input")

LISTS = ("/admin/sagas/saga/", "/admin/auth/user/", "/admin/auth/group/")


@pytest.fixture(scope="module")
def root(guard: Guard) -> requests.Session:
    return log_in(guard.service.url, "root")


@pytest.fixture(scope="module")
def viewer(guard: Guard) -> requests.Session:
    return log_in(guard.service.url, "viewer")


def addresses(guard: Guard) -> list[str]:
    """Every address that the console's patterns have, for what is there and what is not."""
    pending = guard.service.get("?status=pending&limit=1")["results"][0]["id"]
    ids = {
        "saga_id": pending,
        "object_id": "1",
        "id": "1",
        "content_type_id": "4",
        "app_label": "auth",
        "url": "nothing/here",
        "bulk_id": pending,
        "proposal_id": "1",
        "name": "payment",
        "prefix": "0" * 12,
    }
    found = []
    for route in routes([*urls.urlpatterns, *admin.site.urls[0]]):
        for object_id in {"1", pending} if "object_id" in route else {"1"}:
            filled = re.sub(
                r"<(?:\w+:)?(\w+)>",
                lambda name, here=object_id: {**ids, "object_id": here}[name[1]],  # type: ignore[misc]
                route,
            )
            found.append("/admin/" + re.sub(r"\(\?P.*$|[$^]", "", filled))
    return sorted(set(found))


def routes(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[str]:
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        else:
            yield route


def get(session: requests.Session, guard: Guard, target: str) -> requests.Response:
    answer = session.get(guard.service.url + target, allow_redirects=False)
    assert answer.status_code < 500, f"{answer.status_code} {target}"
    return answer


def test_the_walk_finds_the_console(guard: Guard) -> None:
    found = addresses(guard)
    assert len(found) > 35
    for part in ("/admin/login/", "/admin/sagas/saga/", "/execute/", "/password/", "/history/"):
        assert any(part in address for address in found), part


def test_no_parameter_of_a_list_is_a_5xx(guard: Guard, root: requests.Session) -> None:
    before, mark = guard.count(), guard.mark()
    statuses = {
        f"{address}?{query[:60]}": get(root, guard, f"{address}?{query}").status_code
        for address, queries in zip(LISTS, (QUERIES, QUERIES, QUERIES[::5]), strict=True)
        for query in queries
    }
    assert set(statuses.values()) == {200, 302, 400}
    for path in ("sagas/saga/?type__regex=(", "auth/user/?date_joined__year=0"):
        assert statuses[f"/admin/{path}"] == 400
    assert not faults(guard.since(mark))
    assert guard.count() == before


@pytest.mark.parametrize("name", ["root", "viewer", ""])
def test_no_address_is_a_5xx(guard: Guard, name: str) -> None:
    person = log_in(guard.service.url, name)
    before, mark = guard.count()[:4], guard.mark()
    together = "&".join(query for query in QUERIES if LONG not in query)[:3500]
    statuses = set()
    for address in addresses(guard):
        if "logout" in address:
            continue
        for query in ("", "?_to_field=password", f"?{together}"):
            answer = get(person, guard, address + query)
            statuses.add(answer.status_code)
            if not name and "/login/" not in address:
                # Nobody sees anything of it but the way to the login.
                assert answer.status_code in (302, 404), address
    assert statuses <= {200, 301, 302, 400, 403, 404}, statuses
    assert guard.count()[:4] == before
    assert not faults(guard.since(mark))


@pytest.mark.parametrize("query", NUL)
def test_nul_in_a_parameter(guard: Guard, root: requests.Session, query: str) -> None:
    for address in (*LISTS, "/admin/login/", "/admin/autocomplete/", "/admin/jsi18n/"):
        assert get(root, guard, f"{address}?{query}").status_code == 400


@pytest.mark.parametrize("odd", [*ODD_IDS, "a" * 3000])
def test_an_odd_id_leads_back(guard: Guard, root: requests.Session, odd: str) -> None:
    odd = odd.format(known=guard.service.get("?limit=1")["results"][0]["id"])
    for listed in LISTS:
        for view in ("", "change/", "history/", "delete/", "password/", "execute/", "retry/"):
            answer = get(root, guard, f"{listed}{odd}/{view}")
            assert answer.status_code in (301, 302, 403, 404), answer.url


def test_only_who_may_sees(guard: Guard, viewer: requests.Session) -> None:
    for address in ("/admin/auth/group/", "/admin/auth/user/add/", "/admin/auth/user/1/delete/"):
        assert get(viewer, guard, address).status_code == 403
    pending = guard.service.get("?status=pending&limit=1")["results"][0]["id"]
    here = f"/admin/sagas/saga/{pending}"
    assert get(viewer, guard, f"{here}/change/").status_code == 200
    before = guard.count()
    for operation in ("execute", "compensate", "retry"):
        assert get(viewer, guard, f"{here}/{operation}/").status_code == 403
        data = {
            "reason": "why not",
            "csrfmiddlewaretoken": token(viewer, guard.service.url, "/admin/password_change/"),
        }
        answer = viewer.post(f"{guard.service.url}{here}/{operation}/", data=data)
        assert answer.status_code == 403
    assert guard.count() == before


def test_asking_for_a_page_changes_nothing(guard: Guard, root: requests.Session) -> None:
    pending = guard.service.get("?status=pending&limit=1")["results"][0]["id"]
    before = guard.count()
    for operation in ("execute", "compensate"):
        here = f"{guard.service.url}/admin/sagas/saga/{pending}/{operation}/"
        assert root.get(f"{here}?reason=x&_method=POST&post=yes").status_code == 200
        assert root.head(here).status_code == 200
        for method in ("PUT", "DELETE", "PATCH", "PROPFIND"):
            assert root.request(method, here).status_code == 403  # CSRF comes first
        assert root.options(here).status_code == 405
    assert guard.count() == before


def test_nothing_is_posted_without_a_token(guard: Guard, root: requests.Session) -> None:
    pending = guard.service.get("?status=pending&limit=1")["results"][0]["id"]
    before, mark = guard.count(), guard.mark()
    for address in addresses(guard):
        for data in ({}, {"reason": "x", "csrfmiddlewaretoken": "x" * 64}):
            answer = root.post(guard.service.url + address, data=data, allow_redirects=False)
            assert answer.status_code == 403, address
    other = {"Origin": "http://evil.example"}
    here = f"{guard.service.url}/admin/sagas/saga/{pending}/execute/"
    data = {
        "reason": "x",
        "csrfmiddlewaretoken": token(root, guard.service.url, urlsplit(here).path),
    }
    assert root.post(here, data=data, headers=other).status_code == 403
    assert guard.count() == before
    assert not faults(guard.since(mark))


FORMS = [
    ("/admin/auth/user/", {"action": "delete_selected", "_selected_action": "x"}),
    ("/admin/auth/user/", {"action": "delete_selected", "_selected_action": "\0", "index": "x"}),
    ("/admin/auth/user/", {"action": "nope", "_selected_action": "1", "select_across": "x"}),
    ("/admin/auth/group/", {"action": "delete_selected", "_selected_action": "9" * 30}),
    ("/admin/sagas/saga/", {"action": "delete_selected", "_selected_action": "x"}),
    ("/admin/sagas/saga/", {"action": "", "form-TOTAL_FORMS": "-1", "_save": "x"}),
    ("/admin/auth/group/add/", {"name": "a\0b", "permissions": "x"}),
    ("/admin/auth/group/add/", {"name": "x" * 200, "permissions": "9" * 30}),
    ("/admin/auth/user/add/", {"username": "\0", "password1": "\0", "password2": "\ud800"}),
    ("/admin/auth/user/add/", {"username": "<b>", "password1": "x", "usable_password": "\0"}),
    ("/admin/auth/user/1/change/", {"username": "root", "groups": "x", "last_login_0": "9" * 400}),
    ("/admin/auth/user/1/password/", {"password1": "\0", "password2": "\0"}),
    ("/admin/password_change/", {"old_password": "\0", "new_password1": LONG}),
    ("/admin/sagas/saga/{saga}/execute/", {"reason": ""}),
    ("/admin/sagas/saga/{saga}/execute/", {"reason": " \n "}),
    ("/admin/sagas/saga/{saga}/execute/", {"reason": "a\0b"}),
    ("/admin/sagas/saga/{saga}/compensate/", {"reason": "x" * 1001}),
    ("/admin/sagas/saga/{saga}/retry/", {"reason": "it is pending"}),
]


@pytest.mark.parametrize(("address", "form"), FORMS, ids=range(len(FORMS)))
def test_a_form_with_odd_values(
    guard: Guard, root: requests.Session, address: str, form: dict[str, str]
) -> None:
    pending = guard.service.get("?status=pending&limit=1")["results"][0]["id"]
    address, before, mark = address.format(saga=pending), guard.count(), guard.mark()
    sent = {
        name: value.encode("utf-8", "surrogatepass")
        for name, value in {
            **form,
            "csrfmiddlewaretoken": token(root, guard.service.url, "/admin/password_change/"),
        }.items()
    }
    answer = root.post(guard.service.url + address, data=sent, allow_redirects=False)
    assert answer.status_code in (200, 302, 400, 403), answer.text[:500]
    assert guard.count() == before
    assert not faults(guard.since(mark))
