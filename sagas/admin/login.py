"""Logging in to the console; whoever guesses passwords soon has to wait."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from unfold.forms import AuthenticationForm

from sagas.addresses import client_network
from sagas.admin import guesses

_THROTTLED = "throttled"


class LoginForm(AuthenticationForm):
    """Unfold's; the same words for a wrong name and a wrong password."""

    wait = 0
    """Seconds after which the next attempt is looked at."""

    @sensitive_variables()
    def clean(self) -> dict[str, Any]:
        """Raises ValidationError for a wrong login, and for any after too many of them."""
        assert self.request is not None
        name, address = self.cleaned_data.get("username", ""), client_network(self.request)
        self.wait = guesses.count(name, address)
        if self.wait:
            raise ValidationError(_too_many(self.wait), code=_THROTTLED)
        cleaned: dict[str, Any] = super().clean()
        guesses.forget(name, address)
        return cleaned


def _too_many(seconds: int) -> str:
    minutes = -(-seconds // 60)
    told = ngettext(
        "Too many attempts to log in. Try again in %(minutes)d minute.",
        "Too many attempts to log in. Try again in %(minutes)d minutes.",
        minutes,
    )
    return told % {"minutes": minutes}


# Not named in the settings: the site would load it, and all that registers here, too early.
admin.site.login_form = LoginForm


@never_cache
def login(request: HttpRequest) -> HttpResponseBase:
    """The console's page to log in at: 429 with the time to wait, after too many guesses."""
    answer = admin.site.login(request)
    form = (getattr(answer, "context_data", None) or {}).get("form")
    if form is not None and form.is_bound and form.has_error("__all__", _THROTTLED):
        answer.status_code = 429
        answer["Retry-After"] = str(form.wait)
    return answer
