"""How many requests a client may make in a minute, and how many bad keys an address may try."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client, RequestFactory

from sagas import limits, services
from sagas.addresses import client_network
from tests.api import keys
from tests.api.client import SAGAS, Answer, Api, in_thread, on_servers
from tests.api.contract import Contract
from tests.api.keys import bearer
from tests.api.test_away import no_redis

pytestmark = pytest.mark.django_db

__all__ = ["no_redis"]


@pytest.fixture(autouse=True)
def closed(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A closed API in a minute that does not end before the test."""
    settings.SAGA_API_OPEN = False
    settings.SAGA_API_RATE = 3
    cache.clear()
    now = 60 * int(time.time() / 60) + 20
    monkeypatch.setattr(limits, "time", lambda: now)
    yield
    cache.clear()


def test_a_client_has_so_many_requests_a_minute(
    api: Api, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, again, other = keys.key(), keys.key(), keys.key(name="bank")
    assert [api.get(SAGAS, **bearer(one)).status for _ in range(3)] == [200] * 3
    refused = api.create(**bearer(again))  # another key of the same client's
    assert refused.status == 429
    assert refused.json["detail"] == "A client may make 3 requests a minute."
    told = ("retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")
    assert [refused.headers[name] for name in told] == ["40", "3", "0", "40"]
    assert keys.rows()[0] == 0
    assert api.get(SAGAS, **bearer(other)).status == 200
    later = time.time() + 60
    monkeypatch.setattr(limits, "time", lambda: later)
    assert api.get(SAGAS, **bearer(one)).status == 200, "the next minute"
    settings.SAGA_API_RATE = 0
    assert {api.get(SAGAS, **bearer(one)).status for _ in range(5)} == {200}


def test_what_a_scope_forbids_is_counted_too(api: Api) -> None:
    text = keys.key("create")
    statuses = [api.get(SAGAS, **bearer(text)).status for _ in range(4)]
    assert statuses == [403, 403, 403, 429]


@on_servers
@pytest.mark.django_db(transaction=True)
def test_requests_at_the_same_moment_are_each_counted(contract: Contract) -> None:
    text = keys.key("read")

    def get(_: int) -> Answer:
        return Api(contract).get(SAGAS, **bearer(text))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(in_thread(get), range(16)))
    assert sorted(answer.status for answer in answers) == [200] * 3 + [429] * 13


@on_servers
def test_without_the_cache_everybody_is_let_through(api: Api, no_redis: None) -> None:
    text = keys.key("read")
    assert {api.get(SAGAS, **bearer(text)).status for _ in range(5)} == {200}
    assert {api.get(SAGAS, **bearer("garbage")).status for _ in range(40)} == {401}


def test_bad_keys_are_limited_by_address_and_good_ones_are_not_held_up(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    good, revoked = keys.key("read"), keys.revoked()
    statuses = [api.get(SAGAS, **bearer(text)).status for text in ["garbage", revoked] * 20]
    assert statuses == [401] * 30 + [429] * 10
    assert caplog.text.count("API key refused") == 30, "nor is the log flooded"
    refused = api.get(SAGAS, **bearer("garbage"))
    assert refused.headers["retry-after"] == "40"
    assert api.get(SAGAS, **bearer(good)).status == 200
    assert api.get(SAGAS).status == 401, "no key is no bad one"
    elsewhere: Any = {"REMOTE_ADDR": "10.0.0.9", "HTTP_AUTHORIZATION": "Bearer garbage"}
    answer = Client().get(SAGAS, **elsewhere)
    assert (answer.status_code, json.loads(answer.content)["status"]) == (401, 401)


@pytest.mark.parametrize(
    ("proxies", "forwarded", "found"),
    [
        (0, "", "10.0.0.1"),
        (0, "1.1.1.1", "10.0.0.1"),
        (1, "", "10.0.0.1"),
        (1, "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        (2, "6.6.6.6, 2.2.2.2 ,1.1.1.1", "2.2.2.2"),
        (2, "1.1.1.1", "1.1.1.1"),
        (1, "nonsense", "unknown"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    ],
)
def test_whose_word_on_the_address_is_taken(
    settings: Any, proxies: int, forwarded: str, found: str
) -> None:
    settings.SAGA_TRUSTED_PROXIES = proxies
    headers: Any = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
    request: Any = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", **headers)
    assert client_network(request) == found


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\nb", "é", "x" * 65, "-a", "a\n"])
def test_names_are_plain_words(name: str) -> None:
    with pytest.raises(ValueError, match="a client's name"):
        services.make_api_key(name, ["read"], actor="shell:test")
