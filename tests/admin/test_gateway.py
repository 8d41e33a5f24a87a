"""The console behind a gateway that takes a prefix off the path."""

import re
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from wsgiref.util import setup_testing_defaults

import pytest
from django.test import Client
from django.urls import get_script_prefix, set_script_prefix

from sagaproject.wsgi import application
from tests.admin import staging
from tests.admin.staging import page_of


@pytest.fixture(autouse=True)
def _no_prefix_stays() -> Iterator[None]:
    before = get_script_prefix()
    yield
    set_script_prefix(before)


def through_the_gateway(path: str, client: Client) -> tuple[str, str]:
    """Status line and body of a GET that reaches the WSGI application as the gateway's does."""
    session = client.cookies["sessionid"].value
    environ = {"PATH_INFO": path, "HTTP_COOKIE": f"sessionid={session}", "wsgi.input": BytesIO()}
    setup_testing_defaults(environ)
    statuses: list[str] = []
    answer = application(environ, lambda status, headers, *_: statuses.append(status))
    with closing(answer):  # type: ignore[type-var]  # as WSGI asks for
        return statuses[0], b"".join(answer).decode(errors="replace")


@pytest.mark.django_db(transaction=True)  # the application closes connections, as a server's
def test_every_link_keeps_the_gateways_prefix(root: Client) -> None:
    saga = staging.failed()
    prefix = "/saga-orchestrator"
    for path in ("/admin/", "/admin/sagas/saga/", page_of(saga), page_of(saga, "retry")):
        status, text = through_the_gateway(prefix + path, root)
        assert status == "200 OK"
        links = re.findall(r'(?:href|src|action)="(/[^"]*)"', text)
        assert len(links) > 10
        assert [link for link in links if not link.startswith(f"{prefix}/")] == []
        for link in {link for link in links if "/static/" in link}:
            assert through_the_gateway(link, root)[0] == "200 OK", link
    _, text = through_the_gateway("/admin/", root)
    assert prefix not in text, "the same process without a prefix"
