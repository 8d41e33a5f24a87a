"""Who uses the console in these tests, and the sagas that they find there.

Run by `manage.py shell` in the service under test, so that the real engine makes the sagas.
"""

from __future__ import annotations

import json
from pathlib import Path

from django.contrib.auth.models import Permission, User

from sagas import services
from sagas.domain.outcome import Outcome, Verdict
from sagas.models import Saga
from tests.admin import staging
from tests.browser.known import EVIL, MAY, PASSWORD, SCRIPT


def make(found: str) -> None:
    """Make people and sagas; the ids of the sagas, by state, go into a file as JSON."""
    make_people()
    sagas = {
        state.__name__: state()
        for state in (
            staging.pending,
            staging.completed,
            staging.compensated,
            staging.failed,
            staging.in_doubt,
            staging.compensating,
            staging.held,
            staging.driven_now,
            staging.parked,
        )
    }
    sagas["to_retry"] = staging.failed()
    sagas["to_compensate"] = staging.completed()
    sagas["evil"] = evil()
    Path(found).write_text(json.dumps({name: str(saga.id) for name, saga in sagas.items()}))


def evil() -> Saga:
    """A failed saga in which everything that somebody else wrote tries to run in the page."""
    said = {"status": 409, "body": SCRIPT, "headers": {SCRIPT: SCRIPT}}
    lied = Outcome(verdict=Verdict.SUCCEEDED, output={"id": SCRIPT, SCRIPT: SCRIPT}, answer=said)
    refused = Outcome(verdict=Verdict.REFUSED, error=SCRIPT, answer=said)
    saga = services.create_saga(
        "purchase_saga",
        staging.DATA | {"payment_method": EVIL},
        execute=False,
        actor=SCRIPT,
        idempotency_key=SCRIPT,
    ).saga
    services.execute(saga.id, actor=f"user:{EVIL}", reason=SCRIPT)
    script = {"reserve_inventory": [lied], "create_sale": [refused], "refund_payment": [refused]}
    return staging.drive(saga, script, requests={"create_sale": {"path": "/", "body": SCRIPT}})


def make_people() -> None:
    """Make the users."""
    for name, permissions in MAY.items():
        user = User.objects.create_user(
            name, password=PASSWORD, is_staff=True, is_superuser=name == "root"
        )
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
