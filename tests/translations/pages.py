"""Every page of the console, with sagas, bulk operations and proposals in every state."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta

from django.contrib.auth.models import Group, User
from django.test import override_settings
from django.urls import reverse

from executors.breaker import held_by
from sagas import services
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.state import Operation
from sagas.domain.triggers import Compensate
from sagas.models import Saga
from tests.admin import staging
from tests.admin.staging import page_of

HELD = Outcome(verdict=Verdict.NOT_SENT, error=held_by("payment"), retry_after=timedelta(hours=1))
LISTS = (
    "", "?q=nothing+like+this", "?status__exact=in_progress", "?is=failed", "?ended=24h",
    "?created=2026-01", "?created=2026-01-31", "?is=retrying",
)  # fmt: skip
STATES = (
    staging.pending, staging.due, staging.completed, staging.compensated, staging.failed,
    staging.in_doubt, staging.compensating, staging.held, staging.driven_now, staging.parked,
)  # fmt: skip

Page = tuple[str, dict[str, str] | None]
"""An address, and the form that is sent to it, if one is."""


def pages() -> Iterator[Page]:
    """The console's own pages, with a saga in each state."""
    made = {state.__name__: state() for state in STATES}
    made["driven"] = staging.purchase({"reserve_inventory": [HELD]})
    for query in ("", "?window=24h", "?window=7d"):
        yield reverse("admin:index") + query, None
    yield reverse("breaker-reset", args=["payment"]), None
    for query in LISTS:
        yield reverse("admin:sagas_saga_changelist") + query, None
    for saga in made.values():
        yield page_of(saga), None
        yield page_of(saga) + "?all=1&before=9", None
    yield from operations(made)
    yield from bulk_operations(made)
    yield from approvals(made)
    yield from api_keys()
    yield from users()


def api_keys() -> Iterator[Page]:
    """None yet, wrong and right forms, and the three states."""
    page = reverse("api-keys")
    yield page, None
    yield page, {"name": "a b", "ends": "7"}
    yield page, {"name": "shop", "scopes": "read", "ends": "30"}
    key, _ = services.make_api_key("shop", ["read"], actor="user:ann")
    yield reverse("api-key-revoke", args=[key.prefix]), None
    services.revoke_api_key(key.prefix, actor="user:ann")
    services.make_api_key("shop", ["read"], actor="user:ann", lasts=timedelta(microseconds=1))
    yield page, None


def operations(made: Mapping[str, Saga]) -> Iterator[Page]:
    """Each operation with a preview, without one, and where it is not possible."""
    yield page_of(made["pending"], "execute"), None
    for state in ("pending", "completed", "failed", "in_doubt", "driven_now", "compensated"):
        yield page_of(made[state], "compensate"), None
    for state in ("compensated", "failed", "parked"):
        yield page_of(made[state], "retry"), None
    told = {"step": "process_payment", "applied": "yes", "evidence": "e", "output": "{}"}
    edited = {"edited": json.dumps(staging.DATA)}
    for state, operation, body in (
        ("in_doubt", "resolve", told | {"output": '{"payment_id": "p-7"}'}),
        ("in_doubt", "resolve", told | {"output": '{"payment_id": []}'}),
        ("in_doubt", "resolve", told | {"output": "[1]", "evidence": ""}),
        ("failed", "skip", {"retry": "on"}),
        ("failed", "edit_data", edited),
    ):
        yield page_of(made[state], operation), None
        yield page_of(made[state], operation), body | {"preview": "1"}
    yield page_of(made["failed"], "compensate"), {"fingerprint": "x"}


def bulk_operations(made: Mapping[str, Saga]) -> Iterator[Page]:
    """One that is only asked for, one that was previewed, and one that was done."""
    drafts = [
        services.draft_bulk(Operation.RETRY, [saga.pk for saga in made.values()], actor="user:root")
        for _ in range(3)
    ]
    for bulk in drafts[1:]:
        services.run_bulk(bulk.pk)
    # What is done changes the sagas: last, so that the pages of all of them come before.
    yield reverse("admin:sagas_bulk", args=[drafts[0].pk]), None
    yield reverse("admin:sagas_bulk", args=[drafts[1].pk]), None
    moved_on = Saga.objects.filter(pk=made["compensated"].pk)
    moved_on.update(data=staging.DATA | {"customer_id": 124})
    services.confirm_bulk(drafts[2].pk, actor="user:root", reason="r")
    services.run_bulk(drafts[2].pk)
    yield reverse("admin:sagas_bulk", args=[drafts[2].pk]), None
    yield reverse("admin:sagas_bulk_index"), None


def approvals(made: Mapping[str, Saga]) -> Iterator[Page]:
    """A proposal of one's own, another's, and those that were decided."""
    yield reverse("admin:sagas_approval_index"), None
    sagas = [made["completed"], *(staging.completed() for _ in range(3))]
    with override_settings(SAGA_TWO_PERSON=True):
        yield page_of(sagas[0], "compensate"), None
        proposals = [
            services.propose(saga.pk, actor=actor, reason="r", fingerprint=fingerprint(saga))
            for saga, actor in zip(sagas, ("user:root", *["user:ann"] * 3), strict=True)
        ]
        services.reject(proposals[2].pk, actor="user:ann", comment="c")
        services.reject(proposals[3].pk, actor="user:bob", comment="c")
        sagas[1].steps.filter(name="process_payment").update(output={"payment_id": "p-9"})
        for proposal in proposals:
            yield reverse("admin:sagas_approval", args=[proposal.pk]), None
        yield reverse("admin:sagas_approval_index"), None


def fingerprint(saga: Saga) -> str:
    return services.preview(saga.pk, Compensate()).fingerprint


def users() -> Iterator[Page]:
    """The pages of users and groups."""
    user, group = User.objects.get(), Group.objects.order_by("pk")[0]
    for model, pk in (("user", user.pk), ("group", group.pk)):
        for view in ("changelist", "add"):
            yield reverse(f"admin:auth_{model}_{view}"), None
        for view in ("change", "history"):
            yield reverse(f"admin:auth_{model}_{view}", args=[pk]), None
    yield reverse("admin:auth_user_delete", args=[user.pk]), None
    yield reverse("admin:auth_user_password_change", args=[user.pk]), None
    yield reverse("admin:password_change"), None
