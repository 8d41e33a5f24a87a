"""Users of the console, and sagas for them to look at."""

from __future__ import annotations

import re

import requests

PASSWORD = "correct horse battery"

PEOPLE = f"""
from django.contrib.auth.models import Group, Permission, User
from sagas import seeding
User.objects.create_superuser("root", password={PASSWORD!r})
viewer = User.objects.create_user("viewer", password={PASSWORD!r}, is_staff=True)
viewer.user_permissions.set(Permission.objects.filter(codename__in=["view_saga", "view_user"]))
Group.objects.create(name="tellers")
seeding.seed()
"""


def log_in(url: str, name: str) -> requests.Session:
    """A session of the person; of nobody if there is no name."""
    session = requests.Session()
    if name:
        data = {"username": name, "password": PASSWORD, "csrfmiddlewaretoken": token(session, url)}
        answer = session.post(f"{url}/admin/login/", data=data, allow_redirects=False)
        assert answer.status_code == 302, answer.text
    return session


def token(session: requests.Session, url: str, path: str = "/admin/login/") -> str:
    """A CSRF token, as the page's form has it."""
    page = session.get(url + path).text
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert found is not None, page[:500]
    return found[1]
