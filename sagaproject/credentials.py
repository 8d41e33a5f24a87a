"""What the service shows participants to be let in, from environment variables alone."""

from __future__ import annotations

import re

from sagaproject.config import Environment

_NAME = re.compile(r"PARTICIPANT_(.+)_AUTHORIZATION")
_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")


def authorizations(env: Environment) -> dict[str, str]:
    """The Authorization headers of PARTICIPANT_<NAME>_AUTHORIZATION, by participant."""
    found = {}
    for variable in sorted(env.values):
        value, named = env.secret(variable).strip(" "), _NAME.fullmatch(variable)
        if not named or not value:
            continue
        if _VALUE.fullmatch(value):
            found[named[1].lower()] = value
        else:
            env.problem(
                "E015",
                f"{variable} has a line end or another character that no header may have.",
                "It is one line of visible ASCII, such as `Bearer …` or `Basic …`.",
            )
    return found
