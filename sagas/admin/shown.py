"""What of a saga may be shown: all that comes from outside goes through here."""

from __future__ import annotations

import json
from typing import Any

from executors.secrets import hiding
from sagas.admin.words import cut, pretty
from sagas.domain import strictjson
from sagas.models import Saga


class Shown:
    """One saga's documents and texts without its secrets; not escaped: templates do that."""

    def __init__(self, saga: Saga) -> None:
        self._hide = hiding(saga)

    def text(self, text: str, *documents: Any) -> str:
        """The text without the secrets of the saga's data and outputs, and of the documents."""
        return self._hide.text(text, *documents)

    def document(self, value: Any) -> Any:
        """The document without its secrets."""
        return self._hide.document(value)

    def json(self, value: Any) -> str:
        """The document without its secrets, as indented JSON."""
        return pretty(self.document(unpacked(value)))

    def body(self, text: str) -> str:
        """A body without its secrets; indented, if it is JSON."""
        visible = self.document(unpacked({"body": text})["body"])
        return cut(visible) if isinstance(visible, str) else pretty(visible)

    def sent(self, body: str) -> tuple[str, bool]:
        """A body as it was sent, byte for byte unless it has secrets; whether it has."""
        whole = unpacked({"body": body})["body"]
        visible = self.document(whole)
        if visible == whole:
            return body, False
        text = json.dumps(visible, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return (visible if isinstance(visible, str) else text), True


def unpacked(document: Any) -> Any:
    """The document with its body, when that is JSON in a text, as JSON: easier to read."""
    if not isinstance(document, dict) or not isinstance(document.get("body"), str):
        return document
    try:
        return {**document, "body": strictjson.loads(document["body"].encode())}
    except ValueError:  # a lone surrogate included
        return document
