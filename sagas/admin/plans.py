"""A plan as the pages show it: each call with its address, key and body, secrets hidden."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from executors.secrets import Redactor, hiding
from sagas.admin.words import Look, pretty, status_look
from sagas.domain import strictjson
from sagas.domain.state import CallKind
from sagas.models import Saga
from sagas.preview import Plan, PlannedCall


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One call of a plan."""

    call: PlannedCall
    look: Look
    address: str
    body: str
    notes: list[Look]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A plan for the template."""

    lines: list[Line]
    ends: Look
    fingerprint: str


def shown(plan: Plan, saga: Saga) -> Shown:
    """The plan, ready for the template."""
    hide = hiding(saga)
    return Shown(
        lines=[_line(call, hide) for call in plan.calls],
        ends=status_look(plan.ends.value),
        fingerprint=plan.fingerprint,
    )


def _line(call: PlannedCall, hide: Redactor) -> Line:
    action = call.kind is CallKind.ACTION
    # What was recorded long ago, or by hand, may be of any shape; it cannot be sent, but is shown.
    request = hide.document(dict(call.request)) if isinstance(call.request, Mapping) else {}
    base = settings.SAGA_PARTICIPANTS.get(str(request.get("participant", "")), "")
    return Line(
        call=call,
        look=Look(_("action"), "arrow_forward") if action else Look(_("compensation"), "undo"),
        address=f"{request.get('method', '')} {base.rstrip('/')}{request.get('path', '')}".strip(),
        body=_body(request.get("body")),
        notes=_notes(call),
    )


def _body(body: Any) -> str:
    if not isinstance(body, str):
        return ""
    try:
        return pretty(strictjson.loads(body.encode()))
    except ValueError:
        return body


def _notes(call: PlannedCall) -> list[Look]:
    notes = []
    if call.in_flight:
        notes.append(Look(_("in flight already: it is finished first"), "autorenew", "info"))
    elif call.recorded:
        notes.append(Look(_("sent before: repeated byte for byte"), "replay", "info"))
    if not call.exact:
        text = _("values in brackets come from the calls before it")
        notes.append(Look(text, "pending", "warning"))
    if call.varies:
        text = _("built anew with other values when it is called: this is an example")
        notes.append(Look(text, "shuffle", "warning"))
    if call.error and call.exact:
        notes.append(Look(_("cannot be built: the saga will fail here"), "bug_report", "danger"))
    return notes
