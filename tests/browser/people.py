"""Who uses the console in these tests, and what they find there.

Run by `manage.py shell` in the service under test, so that the real engine makes the sagas.
"""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User
from django.test import Client

from sagas import services
from sagas.domain import triggers as tr
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.state import Operation
from sagas.models import Proposal, Saga
from tests.admin import staging
from tests.browser.known import EVIL, PASSWORD, ROLES, SCRIPT

STATES = {
    "pending": staging.pending,
    "completed": staging.completed,
    "compensated": staging.compensated,
    "failed": staging.failed,
    "in_doubt": staging.in_doubt,
    "compensating": staging.compensating,
    "held": staging.held,
    "driven_now": staging.driven_now,
    "parked": staging.parked,
    "to_compensate": staging.in_doubt,
    "to_resolve": staging.in_doubt,
}


def make(found: str) -> None:
    """Make people and sagas; the ids of the sagas and people's sessions go into a file as JSON."""
    sessions = {user.username: session(user) for user in make_people()}
    ids = {name: str(state().id) for name, state in STATES.items()} | evil()
    Path(found).write_text(json.dumps({"sagas": ids, "sessions": sessions}))


def make_people() -> list[User]:
    """Make the users, each in the group of the role."""
    users = []
    password = make_password(PASSWORD)  # once, as it takes its time
    for name, role in ROLES.items():
        user = User(username=name, password=password, is_staff=True, is_superuser=not role)
        user.save()
        user.groups.set(Group.objects.filter(name=role))
        users.append(user)
    return users


def session(user: User) -> str:
    """The key of a session in which the user is logged in."""
    client = Client()
    client.force_login(user)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def evil() -> dict[str, str]:
    """All that others can write tries to run in the page: ids of the sagas and what is theirs."""
    failed, sold = evil_saga("failed"), evil_saga("sold")
    propose(sold.id)
    decided = Proposal.objects.get()
    services.reject(decided.pk, actor=f"user:{SCRIPT}", comment=SCRIPT)
    propose(sold.id)
    bulk = services.draft_bulk(Operation.EXECUTE, [failed.id, sold.id], actor=f"user:{SCRIPT}")
    services.run_bulk(bulk.pk)
    services.confirm_bulk(bulk.pk, actor=f"user:{SCRIPT}", reason=SCRIPT)
    services.run_bulk(bulk.pk)
    return {
        "evil": str(failed.id),
        "evil_sold": str(sold.id),
        "evil_to_retry": str(evil_saga("failed to be retried").id),
        "evil_doubt": str(evil_doubt().id),
        "evil_proposal": str(decided.pk + 1),
        "evil_decided": str(decided.pk),
        "evil_bulk": str(bulk.pk),
    }


def evil_saga(name: str) -> Saga:
    """A saga that is failed, or else completed."""
    said = {"status": 409, "body": SCRIPT, "headers": {SCRIPT: SCRIPT}}
    lied = Outcome(verdict=Verdict.SUCCEEDED, output={"id": SCRIPT, SCRIPT: SCRIPT}, answer=said)
    refused = Outcome(verdict=Verdict.REFUSED, error=SCRIPT, answer=said)
    saga = services.create_saga(
        "purchase_saga",
        staging.DATA | {"payment_method": EVIL},
        execute=False,
        actor=SCRIPT,
        idempotency_key=SCRIPT + name,
    ).saga
    services.execute(saga.id, actor=f"user:{EVIL}", reason=SCRIPT)
    refuses = (
        {"create_sale": [refused], "refund_payment": [refused]} if name.startswith("failed") else {}
    )
    script = {"reserve_inventory": [lied], **refuses}
    return staging.drive(saga, script, requests={"create_sale": {"path": "/", "body": SCRIPT}})


def evil_doubt() -> Saga:
    """A saga in doubt, then resolved with evidence that tries to run."""
    saga = staging.in_doubt()
    told = services.resolution(saga, "process_payment", applied=False, evidence=SCRIPT)
    plan = services.preview(saga.id, told)
    return services.perform(
        saga.id, told, actor=f"user:{EVIL}", reason=SCRIPT, fingerprint=plan.fingerprint
    )


def propose(saga_id: UUID) -> None:
    """Propose to compensate the saga."""
    fingerprint = services.preview(saga_id, tr.Compensate(reason=SCRIPT)).fingerprint
    services.propose(saga_id, actor=f"user:{EVIL}", reason=SCRIPT, fingerprint=fingerprint)
