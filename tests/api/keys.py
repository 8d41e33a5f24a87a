"""API keys for the tests, and every request that needs one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db.models import Sum

from sagas import services
from sagas.keys import ApiKey, Scope
from sagas.models import Saga, SagaEvent
from tests.api.client import PURCHASE, SAGAS, Answer, Api

EVERY = tuple(scope.value for scope in Scope)


def key(*scopes: str, name: str = "shop", lasts: timedelta | None = None) -> str:
    """The text of a new key."""
    return services.make_api_key(name, scopes or EVERY, actor="shell:test", lasts=lasts)[1]


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def prefix(text: str) -> str:
    return text.split("_")[1]


def revoked() -> str:
    text = key()
    services.revoke_api_key(prefix(text), actor="shell:test")
    return text


def expired() -> str:
    return key(lasts=timedelta(seconds=-1))


def wrong_secret() -> str:
    text = key()
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def unknown() -> str:
    text = key()
    ApiKey.objects.filter(prefix=prefix(text)).delete()
    return text


def pending() -> str:
    made = services.create_saga("purchase_saga", PURCHASE["data"], execute=False, actor="test")
    return str(made.saga.id)


def compensated() -> str:
    saga_id = pending()
    services.compensate(Saga.objects.get(pk=saga_id).pk, actor="test")
    return saga_id


def requests() -> list[tuple[str, str, Any, str, int]]:
    """Method, path, body, the scope that it takes, and what is answered to who has it."""
    one = pending()
    return [
        ("GET", SAGAS, None, "read", 200),
        ("HEAD", SAGAS, None, "read", 200),
        ("GET", f"{SAGAS}/{one}", None, "read", 200),
        ("HEAD", f"{SAGAS}/{one}", None, "read", 200),
        ("GET", f"{SAGAS}/{one}/events", None, "read", 200),
        ("POST", SAGAS, PURCHASE, "create", 201),
        ("POST", f"{SAGAS}/{pending()}/execute", {}, "execute", 202),
        ("POST", f"{SAGAS}/{pending()}/compensate", {}, "compensate", 202),
        ("POST", f"{SAGAS}/{compensated()}/retry", {}, "retry", 202),
    ]


def send(api: Api, method: str, path: str, body: Any, **headers: str) -> Answer:
    if method == "POST":
        return api.post(path, body, **headers)
    return api.send(method, path, b"", **headers)


def rows() -> tuple[Any, ...]:
    """What every change of a saga changes."""
    return (
        Saga.objects.count(),
        Saga.objects.aggregate(all=Sum("seq"))["all"],
        SagaEvent.objects.count(),
    )


def problem(answers: Iterable[Answer]) -> set[tuple[int, str, bytes]]:
    """Status, challenge and body of each answer."""
    return {(each.status, each.headers["www-authenticate"], each.body) for each in answers}
