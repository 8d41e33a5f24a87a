"""Documents that were shown with hidden values, and come back edited."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, NoReturn

from django.utils.translation import gettext as _

from executors.secrets import HIDDEN
from sagas import services


def with_hidden(edited: Any, shown: Any, data: Any) -> Any:
    """The edited document with its values in place of those that were shown hidden.

    Raises InvalidData for a hidden value that is not where it was shown: nobody, not even the
    preview, could tell which one was meant.
    """
    if isinstance(edited, str) and HIDDEN in edited:
        if edited != shown:
            _refuse_hidden()
        return data
    if isinstance(edited, dict):
        known = isinstance(shown, dict) and isinstance(data, dict)
        return {
            name: with_hidden(
                value, shown.get(name) if known else None, data.get(name) if known else None
            )
            for name, value in edited.items()
        }
    if isinstance(edited, list):
        pairs = [*zip(shown, data, strict=True)] if isinstance(shown, list) else []
        _check_places(edited, [each for each, _ in pairs])
        pairs += [(None, None)] * (len(edited) - len(pairs))
        return [with_hidden(value, *pair) for value, pair in zip(edited, pairs, strict=False)]
    return edited


def _check_places(edited: list[Any], shown: list[Any]) -> None:
    """Raises InvalidData if an item with a hidden value may have been another one of the list."""
    before = [json.dumps(item, sort_keys=True, ensure_ascii=False) for item in shown]
    count, shorter = Counter(before), len(edited) < len(shown)
    for place, item in enumerate(edited):
        text = json.dumps(item, sort_keys=True, ensure_ascii=False)
        if HIDDEN not in text:
            continue
        stayed = before[place : place + 1] == [text]
        if (shorter and count[text] > 1) if stayed else (shorter or text in count):
            _refuse_hidden()


def _refuse_hidden() -> NoReturn:
    why = _("a hidden value, %(hidden)s, is not where it was: write the value itself")
    raise services.InvalidData({"data": [why % {"hidden": HIDDEN}]})
