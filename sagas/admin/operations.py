"""Execute, compensate and retry in the console: who may, the confirmation, and the outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, PermissionsMixin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminTextareaWidget

from sagas import services
from sagas.admin.sentences import consequence, standing
from sagas.admin.words import OPERATIONS, STATUSES, Look
from sagas.domain.state import Operation
from sagas.models import Saga

User = AbstractBaseUser | AnonymousUser


class ReasonForm(forms.Form):
    """Why somebody wants an operation; the history keeps it."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=1000,
        help_text=gettext_lazy("Kept for good in the saga's history, with your name."),
        widget=UnfoldAdminTextareaWidget({"rows": 3, "autofocus": True}),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Button:
    """The way to the confirmation of an operation."""

    look: Look
    url: str


def may(user: User, permission: str) -> bool:
    """Whether the user has this permission on sagas."""
    return isinstance(user, PermissionsMixin) and user.has_perm(f"sagas.{permission}")


def buttons(user: User, saga: Saga) -> list[Button]:
    """The operations that are allowed on the saga now, and to this user."""
    return [
        Button(look=OPERATIONS[Operation(name)], url=_url(saga, name))
        for name in services.allowed(saga)
        if may(user, name)
    ]


def confirm(
    request: HttpRequest, saga: Saga, operation: Operation, context: dict[str, Any]
) -> HttpResponse:
    """The confirmation page; with a confirmed reason, the operation. For who may do it only."""
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        return _perform(request, saga, operation, form.cleaned_data["reason"])
    allowed = services.allowed(saga)
    if operation.value not in allowed:
        return _refuse(request, saga, operation, saga.status, allowed)
    context |= {
        "title": OPERATIONS[operation].text,
        "subtitle": str(saga),
        "saga": saga,
        "form": form,
        "look": STATUSES[saga.status],
        "button": OPERATIONS[operation],
        "standing": standing(saga, timezone.now()),
        "consequence": consequence(operation, saga),
        "back": _url(saga),
    }
    return TemplateResponse(request, "admin/sagas/saga/confirm.html", context)


def _perform(request: HttpRequest, saga: Saga, operation: Operation, reason: str) -> HttpResponse:
    actor = f"user:{request.user.get_username()}"
    try:
        after = services.OPERATIONS[operation](saga.id, actor=actor, reason=reason)
    except services.NotAllowed as refused:
        return _refuse(request, saga, operation, refused.status, refused.allowed, str(refused))
    text = _("%(operation)s: accepted. The saga is %(status)s now.")
    words = {"operation": OPERATIONS[operation].text, "status": STATUSES[after.status].text}
    messages.success(request, text % words)
    return redirect(_url(saga))


def _refuse(
    request: HttpRequest,
    saga: Saga,
    operation: Operation,
    status: str,
    allowed: list[str],
    why: str = "",
) -> HttpResponse:
    text = _("%(operation)s is not possible now%(why)s. The saga is %(status)s; nothing changed.")
    text %= {
        "operation": OPERATIONS[operation].text,
        "why": f": {why}" if why else "",
        "status": STATUSES[status].text,
    }
    if allowed:
        names = ", ".join(str(OPERATIONS[Operation(name)].text) for name in allowed)
        text += " " + _("Possible now: %(names)s.") % {"names": names}
    messages.error(request, text)
    return redirect(_url(saga))


def _url(saga: Saga, view: str = "change") -> str:
    return reverse(f"admin:sagas_saga_{view}", args=[saga.pk])
