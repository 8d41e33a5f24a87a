"""Why an operation was refused, in the reader's language; the engine speaks English alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, pgettext

from sagas.admin.words import status_look

_ALWAYS = {
    gettext_noop("there is no such saga"),
    gettext_noop("the saga moved on since the preview"),
    gettext_noop("somebody else edited the data meanwhile"),
    gettext_noop("compensating a completed saga takes two persons"),
    gettext_noop("Redis does not answer"),
}
"""What is always said in the same words."""

_UNKNOWN = re.compile(r"no code here knows version (\d+) of '(\w+)'")
_STATUS = re.compile(r"a saga that is (\w+) cannot (execute|compensate|retry)")


def refusal(why: str) -> str:
    """The words of the engine or a service, translated; as they are, if they are not known."""
    if why in _ALWAYS:
        return _(why)
    if found := _UNKNOWN.fullmatch(why):
        words = {"version": int(found[1]), "type": found[2]}
        return _("no code here knows version %(version)d of '%(type)s'") % words
    found = _STATUS.fullmatch(why)
    if found is None:
        return why
    can_not = {
        "execute": pgettext("a saga cannot", "execute"),
        "compensate": pgettext("a saga cannot", "compensate"),
        "retry": pgettext("a saga cannot", "retry"),
    }
    words = {"status": status_look(found[1]).text, "operation": can_not[found[2]]}
    return _("a saga that is %(status)s cannot %(operation)s") % words


def in_a_line(errors: Any) -> str:
    """The errors of a serializer on one line, each with the name of its field."""
    if isinstance(errors, Mapping):
        told = ((name, in_a_line(below)) for name, below in errors.items())
        return _("; ").join(_("%(what)s: %(why)s") % {"what": n, "why": why} for n, why in told)
    if isinstance(errors, list):
        return " ".join(in_a_line(below) for below in errors)
    return str(errors)
