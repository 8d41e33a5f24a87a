"""What people did, across all sagas, the latest first: who, when, to what, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from sagas.admin import acts
from sagas.admin.acts import Asked

_PERSON = re.compile(r"[\w.@+:-]{1,200}")
KINDS: Mapping[str, Any] = {
    "": gettext_lazy("all"),
    "sagas": gettext_lazy("operations on sagas"),
    "bulk": gettext_lazy("bulk operations"),
    "approvals": gettext_lazy("approvals"),
    "console": gettext_lazy("breakers, users and API keys"),
}
"""What may be asked for, by the name in the address."""


def page(request: HttpRequest, context: dict[str, Any], *, users: bool) -> HttpResponse:
    """A page of what people did; of what was done to users and groups only if `users`."""
    asked = _asked(request, users=users)
    sources = {
        "sagas": acts.events,
        "bulk": acts.bulks,
        "approvals": acts.approvals,
        "console": acts.console,
    }
    found = [make(asked) for kind, make in sources.items() if asked.kind in ("", kind)]
    cuts = [cut for _some, cut in found if cut is not None]
    until = max(cuts, default=None)
    shown = [act for some, _cut in found for act in some if until is None or act.at >= until]
    context |= {
        "title": _("Who did what"),
        "acts": sorted(shown, key=lambda act: act.at, reverse=True),
        "who": asked.who,
        "kind": asked.kind,
        "kinds": [
            {"text": text, "url": _address(asked, kind=kind), "chosen": kind == asked.kind}
            for kind, text in KINDS.items()
        ],
        "earlier": _address(asked, before=until.isoformat()) if until else "",
        "latest": _address(asked) if asked.before else "",
    }
    return TemplateResponse(request, "admin/sagas/audit.html", context)


def _asked(request: HttpRequest, *, users: bool) -> Asked:
    """What the address asks for; what it cannot ask for is left out."""
    who = request.GET.get("who", "").strip()
    who = who if _PERSON.fullmatch(who) else ""
    kind = request.GET.get("kind", "")
    try:
        before = parse_datetime(request.GET.get("before", ""))
    except ValueError:
        before = None
    return Asked(
        who=f"user:{who}" if who and ":" not in who else who,
        before=before if before and before.tzinfo and 1971 <= before.year < 9000 else None,
        kind=kind if kind in KINDS else "",
        users=users,
    )


def _address(asked: Asked, **changed: str) -> str:
    parameters = {"who": asked.who, "kind": asked.kind} | changed
    return "?" + urlencode({name: value for name, value in parameters.items() if value})
