"""The circuit breakers in the console: how each stands, why, and its reset."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from executors.breaker import Culprit, Phase, Standing, Unshared, held_by
from executors.participants import participants
from executors.secrets import redactor
from sagas.admin import links, parts
from sagas.admin.forms import ReasonForm
from sagas.admin.operations import may
from sagas.admin.refusals import refusal
from sagas.admin.words import Look
from sagas.models import Saga

logger = logging.getLogger(__name__)

PHASES: Mapping[Phase, Look] = {
    Phase.CLOSED: Look(gettext_lazy("closed"), "check_circle", "success"),
    Phase.OPEN: Look(gettext_lazy("open"), "block", "danger"),
    Phase.PROBING: Look(gettext_lazy("probing"), "network_check", "warning"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """How the breaker of a participant stands."""

    name: str
    look: Look
    standing: Standing
    threshold: int
    why: str
    """The error of the culprit, without its type's secrets."""

    url: str
    """The page of the culprit."""

    waiting: int
    waiting_url: str
    reset_url: str

    @property
    def can_reset(self) -> bool:
        """Whether there is anything to reset."""
        return self.standing.phase is not Phase.CLOSED or self.standing.failures > 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Breakers:
    """All of them, and whether they are those of all processes."""

    rows: list[Row]
    notice: Promise | str


def breakers(waiting: Mapping[str, int]) -> Breakers:
    """How each participant's breaker stands; `waiting`: how many sagas wait, by the reason."""
    rows = [row(name, waiting) for name in sorted(settings.SAGA_PARTICIPANTS)]
    notice: Promise | str = ""
    if not settings.SAGA_SHARED_STATE:
        notice = gettext_lazy("Without Redis each process has its own; these are this process's.")
    elif not all(each.standing.shared for each in rows):
        notice = gettext_lazy(
            "Redis does not answer: until it does, each process has breakers of its own, and these"
            " are this process's. Those of the workers may stand otherwise."
        )
    return Breakers(rows=rows, notice=notice)


def row(name: str, waiting: Mapping[str, int]) -> Row:
    """How the breaker of that participant stands."""
    standing, held = participants().get(name).breaker.look(), held_by(name)
    by = standing.by
    return Row(
        name=name,
        look=PHASES[standing.phase],
        standing=standing,
        threshold=int(settings.SAGA_BREAKER["threshold"]),
        why=_why(by) if by else "",
        url=links.saga(by.saga_id) if by else "",
        waiting=waiting.get(held, 0),
        waiting_url=links.sagas(links.waiting(held)),
        reset_url=reverse("breaker-reset", args=[name]),
    )


def _why(by: Culprit) -> str:
    return redactor(by.saga_type).text(by.error)


@require_http_methods(["GET", "HEAD", "POST"])
def reset(request: HttpRequest, name: str) -> HttpResponseBase:
    """Ask for a reason and confirmation; with both, close the breaker for all processes."""
    if not (may(request.user, "view_saga") and may(request.user, "reset_breaker")):
        raise PermissionDenied
    if name not in settings.SAGA_PARTICIPANTS:
        raise Http404
    form = ReasonForm(request.POST if request.method == "POST" else None)
    form.fields["reason"].help_text = _("Kept in the log of the console, with your name.")
    if request.method == "POST" and form.is_valid():
        return _perform(request, name, form.cleaned_data["reason"])
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("Reset the breaker of %(name)s") % {"name": name},
        "breaker": row(name, {}),
        "form": form,
        "recovery": f"{settings.SAGA_BREAKER['recovery']:g}",
        "back": reverse("admin:index"),
    }
    return TemplateResponse(request, "admin/sagas/overview/reset.html", context)


def _perform(request: HttpRequest, name: str, reason: str) -> HttpResponseBase:
    breaker = participants().get(name).breaker
    before = breaker.look()
    try:
        with transaction.atomic():  # no reset without its entry, and no entry without its reset
            _record(request, name, before.phase, reason)
            breaker.reset()
    except Unshared as why:
        text = _("The breaker of %(name)s was not reset: %(why)s. Nothing changed.")
        messages.error(request, text % {"name": name, "why": refusal(str(why))})
        return redirect("admin:index")
    parts.forget()
    actor = f"user:{request.user.get_username()}"
    fields = {"participant": name, "actor": actor, "reason": reason, "before": before.phase.value}
    logger.warning("breaker reset", extra=fields)
    text = _("The breaker of %(name)s is closed; it was %(before)s.")
    messages.success(request, text % {"name": name, "before": PHASES[before.phase].text})
    return redirect("admin:index")


def _record(request: HttpRequest, name: str, phase: Phase, reason: str) -> None:
    """An entry of Django's log: who, what and why."""
    LogEntry.objects.create(
        user_id=request.user.pk,  # type: ignore[misc]  # anonymous ones never get here
        content_type=ContentType.objects.get_for_model(Saga),
        object_repr=f"circuit breaker of {name}"[:200],
        action_flag=CHANGE,
        change_message=f"reset, it was {phase.value}: {reason}",
    )
