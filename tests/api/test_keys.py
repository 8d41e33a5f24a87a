"""API keys: who is let in to what, and what the others are told."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from sagas import services
from sagas.keys import PERMISSIONS, ApiKey, Scope
from sagas.models import Saga, SagaEvent
from sagas.services import keys as key_services
from tests.api import keys
from tests.api.client import PURCHASE, SAGAS, Answer, Api, in_thread, on_servers, purchase, unknown
from tests.api.contract import Contract
from tests.api.keys import bearer
from tests.engine.stage import asked

pytestmark = pytest.mark.django_db

BAD: dict[str, Callable[[], str]] = {
    "garbage": lambda: "garbage",
    "empty": lambda: "",
    "unknown": keys.unknown,
    "wrong secret": keys.wrong_secret,
    "revoked": keys.revoked,
    "expired": keys.expired,
}


@pytest.fixture(autouse=True)
def closed(settings: Any) -> Iterator[None]:
    settings.SAGA_API_OPEN = False
    cache.clear()
    yield
    cache.clear()


# --- Every endpoint, with and without a key -------------------------------------------------------


@pytest.mark.parametrize("scope", keys.EVERY)
def test_a_scope_opens_what_it_is_for_and_nothing_else(api: Api, scope: str) -> None:
    headers = bearer(keys.key(scope))
    for method, path, body, needed, good in keys.requests():
        before = keys.rows()
        answer = keys.send(api, method, path, body, **headers)
        if needed == scope:
            assert answer.status == good, (method, path)
            continue
        assert answer.status == 403, (method, path)
        assert keys.rows() == before
        challenge = f'Bearer realm="saga", error="insufficient_scope", scope="{needed}"'
        assert answer.headers["www-authenticate"] == challenge
        if method != "HEAD":
            assert answer.json["detail"] == f"This API key lacks the scope '{needed}'."


def test_without_a_key_nothing_is_told_or_done(api: Api) -> None:
    for method, path, body, _, _ in keys.requests():
        before = keys.rows()
        answer = keys.send(api, method, path, body)
        assert answer.status == 401, (method, path)
        assert keys.rows() == before
        assert answer.headers["www-authenticate"] == 'Bearer realm="saga"'


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_key_opens_nothing(api: Api, kind: str) -> None:
    text = BAD[kind]()
    for method, path, body, _, _ in keys.requests():
        before = keys.rows()
        for headers in (bearer(text), {"X_Api_Key": text}):
            answer = keys.send(api, method, path, body, **headers)
            assert answer.status == 401, (method, path)
        assert keys.rows() == before


def test_all_bad_keys_are_told_the_same(api: Api) -> None:
    answers = [api.get(SAGAS, **bearer(make())) for make in BAD.values()]
    ((status, challenge, body),) = keys.problem(answers)
    assert status == 401
    assert challenge == 'Bearer realm="saga", error="invalid_token"'
    assert b"This API key is not valid." in body


def test_either_header_will_do(api: Api) -> None:
    text = keys.key("read")
    other = keys.key("read")
    for good in (
        {"X_Api_Key": text},
        {"Authorization": f"bearer {text}"},
        {"Authorization": f"  Bearer   {text} "},
        {**bearer(text), "X_Api_Key": text},
        {"Authorization": "Basic YTpi", "X_Api_Key": text},
    ):
        assert api.get(SAGAS, **good).status == 200, good
    assert api.get(SAGAS, **bearer(text), X_Api_Key=other).status == 401, "which of them?"


@pytest.mark.parametrize("headers", [{}, bearer("garbage")], ids=["none", "bad"])
def test_who_is_unknown_learns_nothing_of_the_request(api: Api, headers: dict[str, str]) -> None:
    one = keys.pending()
    for method, path, content, media_type in (
        ("GET", unknown(), b"", "application/json"),
        ("POST", f"{unknown()}/execute", b"", "application/json"),
        ("POST", SAGAS, b"{nonsense", "application/json"),
        ("POST", SAGAS, b"<a/>", "application/xml"),
        ("POST", SAGAS, b" " * 2_000_000, "application/json"),
        ("GET", f"{SAGAS}?limit=nonsense", b"", "application/json"),
        ("DELETE", f"{SAGAS}/{one}", b"", "application/json"),
        ("OPTIONS", f"{SAGAS}/{one}", b"", "application/json"),
        ("OPTIONS", SAGAS, b"", "application/json"),
    ):
        assert api.send(method, path, content, media_type, **headers).status == 401, (method, path)


def test_a_key_is_enough_to_be_told_what_is_wrong(api: Api) -> None:
    headers = bearer(keys.key("read"))
    assert api.get(unknown(), **headers).status == 404
    assert api.send("DELETE", SAGAS, b"", **headers).status == 405
    assert api.client.options(SAGAS, headers=headers).status_code == 200


@pytest.mark.parametrize("headers", [{}, bearer("garbage")], ids=["none", "bad"])
@pytest.mark.parametrize(
    "path",
    ["/health", "/health/live", "/health/ready", "/metrics", "/api-docs", "/api-docs/openapi.yaml"],
)
def test_what_is_open_to_all(path: str, headers: dict[str, str]) -> None:
    assert Client().get(path, headers=headers).status_code == 200


def test_an_open_api_still_refuses_a_bad_key(api: Api, settings: Any) -> None:
    settings.SAGA_API_OPEN = True
    assert api.get(SAGAS).status == 200
    assert api.get(SAGAS, **bearer(keys.key("read"))).status == 200
    assert api.get(SAGAS, **bearer(keys.key("create"))).status == 403
    assert api.get(SAGAS, **bearer("garbage")).status == 401


def test_starting_a_saga_with_its_creation_takes_both_scopes(api: Api) -> None:
    body = {**PURCHASE, "execute": True}
    refused = api.create(body, **bearer(keys.key("create")))
    assert refused.status == 403
    assert "'execute'" in refused.json["detail"]
    assert not Saga.objects.exists()
    created = api.create(body, **bearer(keys.key("create", "execute")))
    assert (created.status, created.json["status"]) == (201, "in_progress")


def test_a_key_ends_at_once(api: Api) -> None:
    text = keys.key("read")
    assert api.get(SAGAS, **bearer(text)).status == 200
    services.revoke_api_key(keys.prefix(text), actor="shell:test")
    assert api.get(SAGAS, **bearer(text)).status == 401


def test_the_database_has_no_keys_text(api: Api) -> None:
    text = keys.key("create")
    assert api.create(**bearer(text)).status == 201
    secret = text.rpartition("_")[2]
    for model in (ApiKey, Saga, SagaEvent):
        assert secret not in str(list(model.objects.values()))
    assert SagaEvent.objects.get().actor == "api:shop"


def test_keys_are_in_no_line_of_the_log(
    api: Api, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = [make() for make in BAD.values() if make()], keys.key()
    with caplog.at_level(logging.DEBUG):
        for text in (good, *bad):
            answer = api.get(f"{SAGAS}?limit=x", **bearer(text))
            assert text.encode() not in answer.body
        monkeypatch.setattr(services, "create_saga", lambda *args, **kwargs: 1 / 0)
        assert api.create(**bearer(good)).status == 500
    assert "API key refused" in caplog.text
    told = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    for text in (good, *bad):
        if text != "garbage":
            assert text.rpartition("_")[2] not in told


ODD = [
    *("Bearer", "bearer ", "Bearer  ", "Bearer\t", "Bearer a b", "Bearer é", "Bearer \x00", "\x00"),
    *("Bearer ,", "Bearer a,Bearer b", "Digest x", "Basic", "=", "Bearer " + "x" * 60_000),
    *("Bearer saga_", "Bearer saga__", "Bearer saga_\ud7ff_x", "Bearer saga_" + "0" * 12),
    f"Bearer saga_{'0' * 12}_{'0' * 64}\n",
    f"Bearer saga_{'٠' * 12}_{'٠' * 64}",
    f"Bearer saga_{'A' * 12}_{'A' * 64}",
    f"Bearer SAGA_{'0' * 12}_{'0' * 64}",
]


@pytest.mark.parametrize("header", ["HTTP_AUTHORIZATION", "HTTP_X_API_KEY"])
def test_odd_headers_are_refused_in_good_order(header: str) -> None:
    client = Client(raise_request_exception=False)
    before = keys.rows()
    for number, text in enumerate(ODD):
        extra: Any = {header: text, "REMOTE_ADDR": f"10.0.0.{number}"}
        answer = client.post(SAGAS, b"{}", "application/json", **extra)
        assert answer.status_code == 401, text[:80]
    assert keys.rows() == before


@on_servers
@pytest.mark.django_db(transaction=True)
def test_a_database_that_takes_no_writes_lets_keys_read(api: Api) -> None:
    text, mode = keys.key(), "SET SESSION CHARACTERISTICS AS TRANSACTION READ {}"
    with connection.cursor() as cursor:
        cursor.execute(mode.format("ONLY"))
        try:
            assert api.get(SAGAS, **bearer(text)).status == 200
            assert api.create(**bearer(text)).status == 503
        finally:
            cursor.execute(mode.format("WRITE"))


# --- Sessions of the console ----------------------------------------------------------------------


def session(*scopes: str, staff: bool = True, csrf: bool = False) -> Client:
    user = User.objects.create_user(f"ann{secrets.token_hex(4)}", is_staff=staff)
    names = [PERMISSIONS[Scope(scope)].removeprefix("sagas.") for scope in scopes]
    user.user_permissions.set(
        Permission.objects.filter(codename__in=names, content_type__model="saga")
    )
    assert user.user_permissions.count() == len(scopes)
    client = Client(enforce_csrf_checks=csrf)
    client.force_login(user)
    return client


@pytest.mark.parametrize("scope", keys.EVERY)
def test_a_session_may_what_its_user_may(api: Api, scope: str) -> None:
    api.client = session(scope)
    for method, path, body, needed, good in keys.requests():
        before = keys.rows()
        answer = keys.send(api, method, path, body)
        assert answer.status == (good if needed == scope else 403), (method, path)
        assert needed == scope or keys.rows() == before


def test_a_session_needs_its_token_and_a_member_of_the_staff(api: Api) -> None:
    api.client = session("create", csrf=True)
    assert api.create().status == 403
    assert api.create(**bearer(keys.key("create"))).status == 201, "a key is no session"
    api.client = session("create", staff=False)
    assert api.create().status == 403
    assert Saga.objects.count() == 1


# --- A client's idempotency keys ------------------------------------------------------------------


def create(api: Api, text: str, body: Any = PURCHASE) -> Answer:
    return api.create(body, Idempotency_Key="k", **bearer(text))


def test_a_clients_idempotency_keys_are_its_own(api: Api, settings: Any) -> None:
    one, again, two = keys.key(), keys.key(), keys.key(name="bank")
    first = create(api, one)
    other = create(api, two, purchase(store_id=2))
    assert (first.status, other.status) == (201, 201), "another's key is not even known of"
    replayed = create(api, again)
    assert replayed.json["id"] == first.json["id"], "a new key of the same client's"
    assert replayed.headers["idempotency-replayed"] == "true"
    assert create(api, again, purchase(store_id=2)).status == 422
    api.client = session("create")
    assert api.create(Idempotency_Key="k").json["id"] not in (first.json["id"], other.json["id"])
    settings.SAGA_API_OPEN = True
    api.client = Client()
    assert "idempotency-replayed" not in api.create(Idempotency_Key="k").headers
    clients = list(Saga.objects.order_by("pk").values_list("client", flat=True))
    assert [*clients[:2], clients[3]] == ["shop", "bank", ""]
    assert clients[2].startswith("user:ann")


def test_a_request_of_before_there_were_keys_may_be_repeated_with_one(
    api: Api, settings: Any
) -> None:
    settings.SAGA_API_OPEN = True
    first = api.create(Idempotency_Key="k")
    settings.SAGA_API_OPEN = False
    shop, bank = keys.key(), keys.key(name="bank")
    repeated = create(api, shop)
    assert repeated.json["id"] == first.json["id"]
    assert repeated.headers["idempotency-replayed"] == "true"
    other = create(api, bank, purchase(store_id=2))
    assert (other.status, other.json["id"] == first.json["id"]) == (201, False)
    assert create(api, bank).status == 422


@pytest.mark.django_db(transaction=True)
def test_of_two_clients_at_the_same_moment_each_makes_its_saga(contract: Contract) -> None:
    texts = [keys.key(name=f"client{number % 2}") for number in range(8)]
    together = Barrier(len(texts))

    def post(text: str) -> Answer:
        together.wait()
        return create(Api(contract), text)

    with ThreadPoolExecutor(len(texts)) as pool:
        answers = list(pool.map(in_thread(post), texts))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["id"] for answer in answers}) == 2
    assert sorted(Saga.objects.values_list("client", flat=True)) == ["client0", "client1"]


def test_the_index_serves_a_look_with_and_without_the_client() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("the plan is PostgreSQL's")
    # Of a table that is empty the planner may read anything.
    rows = {"type": "t", "definition_version": 1, "data": {}} | dict.fromkeys(
        ("created_at", "updated_at"), timezone.now()
    )
    Saga.objects.bulk_create(Saga(idempotency_key=f"k{n}", client="c", **rows) for n in range(500))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE sagas_saga")
    for looked in ({"idempotency_key": "k7", "client": "c"}, {"idempotency_key": "k7"}):
        assert "saga_key_of_client" in Saga.objects.filter(**looked).explain()


# --- What it costs --------------------------------------------------------------------------------


def test_a_request_costs_one_query_more(
    api: Api, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    headers, saga_id = bearer(keys.key()), keys.pending()
    api.get(f"{SAGAS}/{saga_id}", **headers)
    with django_assert_num_queries(2), asked() as statements:
        assert api.get(f"{SAGAS}/{saga_id}", **headers).status == 200
    assert 'FROM "sagas_apikey"' in statements[0]
    with django_assert_num_queries(0):
        assert api.get(f"{SAGAS}/{saga_id}", **bearer("garbage")).status == 401


def test_the_last_use_is_noted_once_a_minute(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    text = keys.key("read")

    def used() -> Any:
        return ApiKey.objects.get(prefix=keys.prefix(text)).last_used_at

    assert used() is None
    api.get(SAGAS, **bearer(text))
    first = used()
    assert first is not None
    api.get(SAGAS, **bearer(text))
    assert used() == first
    later = first - timedelta(minutes=2)
    ApiKey.objects.filter(prefix=keys.prefix(text)).update(last_used_at=later)
    api.get(SAGAS, **bearer(text))
    assert used() == later, "this process noted it just now"
    monkeypatch.setattr(key_services, "_noted", {})
    api.get(SAGAS, **bearer(text))
    assert used() >= first
