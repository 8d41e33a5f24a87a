"""API keys in the console: which there are, a new one, shown once, and an end to one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.core.validators import RegexValidator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from sagas import selectors, services
from sagas.admin.operations import User, actor, may
from sagas.admin.words import Look
from sagas.keys import PERMISSIONS, ApiKey, Scope

STATES = {
    "active": Look(pgettext_lazy("API key", "active"), "check_circle", "success"),
    "revoked": Look(pgettext_lazy("API key", "revoked"), "block", "danger"),
    "expired": Look(pgettext_lazy("API key", "expired"), "timer_off", "warning"),
}
_SCOPES = {
    Scope.READ: gettext_lazy("read: look at sagas"),
    Scope.CREATE: gettext_lazy("create: create sagas"),
    Scope.EXECUTE: gettext_lazy("execute: start sagas"),
    Scope.COMPENSATE: gettext_lazy("compensate: take back what sagas did"),
    Scope.RETRY: gettext_lazy("retry: try sagas again"),
}
_SHOWN = 500
_ENDS = {
    "": gettext_lazy("never"),
    "30": gettext_lazy("in 30 days"),
    "90": gettext_lazy("in 90 days"),
    "365": gettext_lazy("in a year"),
}
_NAME = gettext_lazy("Letters, digits, “.”, “_” and “-”, at most 64.")


class KeyForm(forms.Form):
    """What a new key is for."""

    name = forms.CharField(
        label=gettext_lazy("Client"),
        max_length=64,
        help_text=gettext_lazy(
            "Letters, digits, “.”, “_” and “-”. Keys of one name are one client's: make the new one"
            " before you revoke the old."
        ),
        validators=[RegexValidator(rf"\A{services.KEY_NAME.pattern}\Z", _NAME)],
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off", "spellcheck": "false"}),
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("Scopes"),
        help_text=gettext_lazy(
            "What the client may do, of what you may do yourself. To create a saga and start it at"
            " once takes “create” and “execute”."
        ),
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
    )
    ends = forms.ChoiceField(
        label=gettext_lazy("Expires"),
        choices=list(_ENDS.items()),
        required=False,
        widget=UnfoldAdminSelectWidget(),
    )

    def __init__(self, user: User, data: Any = None) -> None:
        super().__init__(data)
        mine = [scope for scope in Scope if may(user, PERMISSIONS[scope].removeprefix("sagas."))]
        self.fields["scopes"].choices = [(scope.value, _SCOPES[scope]) for scope in mine]  # type: ignore[attr-defined]

    @property
    def lasts(self) -> timedelta | None:
        """How long the key is good; None: until it is revoked."""
        days = self.cleaned_data["ends"]
        return timedelta(days=int(days)) if days else None


@require_http_methods(["GET", "HEAD", "POST"])
@cache_control(no_store=True, private=True)
def index(request: HttpRequest) -> HttpResponseBase:
    """All keys; with a form that was sent, a new one, whose text only this one answer has."""
    _require(request)
    form = KeyForm(request.user, request.POST if request.method == "POST" else None)
    text, made = "", None
    if request.method == "POST" and form.is_valid():
        name, scopes = form.cleaned_data["name"], form.cleaned_data["scopes"]
        with transaction.atomic():
            made, text = services.make_api_key(name, scopes, actor=actor(request), lasts=form.lasts)
            _record(request, made, ADDITION, made.scopes)
        form = KeyForm(request.user)
    now = selectors.database_now()
    keys = ApiKey.objects.all()[:_SHOWN]
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("API keys"),
        "keys": [(key, STATES[key.state(now)]) for key in keys],
        "form": form,
        "made": made,
        "text": text,
    }
    return TemplateResponse(request, "admin/sagas/keys/index.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def revoke(request: HttpRequest, prefix: str) -> HttpResponseBase:
    """Ask whether to revoke the key, and once confirmed do."""
    _require(request)
    key = ApiKey.objects.filter(prefix=prefix).first()
    if key is None:
        raise Http404
    if request.method == "POST":
        with transaction.atomic():
            key, now = services.revoke_api_key(prefix, actor=actor(request))
            if now:
                _record(request, key, CHANGE, "")
        messages.success(request, _("The API key %(key)s is revoked.") % {"key": key})
        return redirect("api-keys")
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("Revoke an API key"),
        "key": key,
        "look": STATES[key.state(selectors.database_now())],
        "back": reverse("api-keys"),
    }
    return TemplateResponse(request, "admin/sagas/keys/revoke.html", context)


def _require(request: HttpRequest) -> None:
    if not may(request.user, "manage_api_keys"):
        raise PermissionDenied


def _record(request: HttpRequest, key: ApiKey, flag: int, message: str) -> None:
    """An entry of Django's log: who and which key; never its text."""
    LogEntry.objects.create(
        user_id=request.user.pk,  # type: ignore[misc]  # anonymous ones never get here
        content_type=ContentType.objects.get_for_model(ApiKey),
        object_id=str(key.pk),
        object_repr=str(key),
        action_flag=flag,
        change_message=message,
    )
