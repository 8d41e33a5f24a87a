"""The overview: how all sagas stand, what needs a person, the breakers and the workers; live."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import get_script_prefix, reverse
from django.utils.cache import get_conditional_response
from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from sagas import figures, tally
from sagas.admin import attention, counts
from sagas.admin.breakers import breakers
from sagas.admin.chart import GAP, HEIGHT, STACK, STEP, chart
from sagas.admin.operations import may
from sagas.admin.parts import part, remembered
from sagas.admin.words import STATUSES, span
from sagas.admin.workers import workers
from sagas.figures import Group
from sagas.models import Proposal
from sagas.selectors import database_now
from sagas.tally import STRETCH, Ended

_FRESH = 2.0
"""Seconds for which all viewers of a process are shown the same."""

_LAST = 20.0
"""Seconds likewise for the times of the last sagas, which change slowly."""

EVERY = 5000
"""Milliseconds after which a page asks for what has changed."""


@dataclass(frozen=True, slots=True)
class Window:
    """A length of time up to now, and in how many slots it is shown."""

    text: Promise
    width: int
    slots: int


WINDOWS = {
    "1h": Window(_("1 hour"), STRETCH, 12),
    "24h": Window(_("24 hours"), 6 * STRETCH, 48),
    "7d": Window(_("7 days"), 36 * STRETCH, 56),
}


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the console's first page shows beside what it shows anybody."""
    if not may(request.user, "view_saga"):
        return context
    chosen = _window(request)
    return context | {
        "title": _("Overview"),
        "overview": _fragment(request),
        "live_url": f"{reverse('overview')}?window={chosen}",
        "every": EVERY,
        "windows": [
            {"text": window.text, "url": f"?window={name}", "chosen": name == chosen}
            for name, window in WINDOWS.items()
        ],
    }


@require_safe
def live(request: HttpRequest) -> HttpResponseBase:
    """The part of the overview that changes, for the script that shows it; 304 if it did not."""
    if not may(request.user, "view_saga"):
        raise PermissionDenied
    if "X-Live" not in request.headers:
        return redirect(f"{reverse('admin:index')}?window={_window(request)}")
    fragment = _fragment(request)
    etag = f'"{blake2b(fragment.encode(), digest_size=12).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    response = HttpResponse(fragment, headers=headers)
    return get_conditional_response(request, etag=etag, response=response) or response


def _window(request: HttpRequest) -> str:
    asked = request.GET.get("window", "")
    return asked if asked in WINDOWS else "1h"


def _fragment(request: HttpRequest) -> str:
    name, may_reset = _window(request), may(request.user, "reset_breaker")
    key = ("fragment", name, get_language(), get_script_prefix(), may_reset)

    def render() -> str:
        context = {**_parts(name), "may_reset": may_reset}
        return render_to_string("admin/sagas/overview/live.html", context)

    return remembered(key, _FRESH, render)


def _parts(name: str) -> dict[str, Any]:
    """The template's variables; each part fails by itself."""
    window = WINDOWS[name]
    seen = part(_active)
    return {
        "window": window,
        "active": part(lambda: counts.active(_active().groups, _active().resting)),
        "finished": part(lambda: counts.finished(_ended(name), name)),
        "chart": part(lambda: chart(_ended(name))),
        "legend": [(status.value, STATUSES[status.value]) for status in STACK],
        "bar": {"width": STEP - GAP, "height": HEIGHT},
        "lines": part(lambda: attention.lines(_active().groups, _active().now)),
        "proposals": part(lambda: Proposal.objects.filter(decision="").count()),
        "breakers": part(lambda: breakers(attention.waiting_for(_active().groups))),
        "workers": part(lambda: workers(_active().now)),
        "overdue": sum(group.number for group in seen.value.groups if group.overdue)
        if seen.value
        else 0,
        "times": part(_last),
        "sample": figures.SAMPLE,
    }


class _Active(NamedTuple):
    """The sagas that have not ended well, at a moment of the database's clock."""

    groups: list[Group]
    resting: list[figures.Resting]
    now: datetime


def _active() -> _Active:
    def make() -> _Active:
        now = database_now()
        overdue = timedelta(seconds=2 * settings.SAGA_SWEEP_INTERVAL)
        return _Active(figures.in_progress(now, overdue), figures.resting(), now)

    return remembered("active", _FRESH, make)


def _ended(name: str) -> Ended:
    window = WINDOWS[name]
    return remembered(("ended", name), _FRESH, lambda: tally.ended(window.width, window.slots))


def _last() -> dict[str, list[dict[str, Any]]]:
    """The rows of two tables: how long the last sagas took, and how long their steps."""
    whole, steps = remembered("times", _LAST, figures.durations)
    return {
        "whole": [
            {"type": saga_type, "look": STATUSES[status], **_shown(times)}
            for (saga_type, status), times in sorted(whole.items())
        ],
        "steps": [
            {"type": saga_type, "step": step, **_shown(times)}
            for (saga_type, step), times in sorted(steps.items(), key=lambda item: item[0][0])
        ],
    }


def _shown(times: figures.Times) -> dict[str, Any]:
    return {"number": times.number, "half": span(times.half), "most": span(times.most)}
