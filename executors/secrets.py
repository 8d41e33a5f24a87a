"""Secrets are hidden wherever something is shown: by the field names that executors declare.

Data, requests and outputs are stored as they are, as steps need them and repeat their calls byte
for byte. Whatever shows them asks a Redactor first; of an answer nothing secret is kept at all.
"""

from __future__ import annotations

import json
import traceback
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from executors import credentials, quoted
from executors.base import SagaExecutor
from executors.registry import registry
from sagas.models import Saga, SagaEvent

HIDDEN = quoted.HIDDEN

UNKNOWN = "no code here knows this saga type, nor which fields are secret: all values are hidden"

_MANY = 200
"""Values that are looked for in texts; with more of them a text is hidden as a whole."""

_DOCUMENTS = ("request", "answer", "output", "data", "before")
_TEXTS = ("error", "reason", "evidence")
"""What an event tells of data; all else in it is the engine's own."""


class Redactor:
    """Hides the values of certain fields, and what it knows to be such a value wherever it is."""

    def __init__(
        self, names: frozenset[str], values: frozenset[str] = frozenset(), *, all: bool = False
    ) -> None:
        self._names = names
        self._all = all
        self._fields = quoted.fields(names)
        self._values = quoted.Values(values) if len(values) <= _MANY else None
        self._known = values
        self.idle = not names and not values and not all
        """Whether there is nothing to hide, so that all is shown as it is."""

        self.learns = bool(names) or all
        """Whether documents have secrets of their own, which `knowing` looks for."""

    def knowing(self, *documents: Any) -> Redactor:
        """One that also hides the secret values of these documents, under whatever name.

        In texts they are found from 4 characters or digits on; 3, such as a CVV, as a whole word;
        shorter ones would be found everywhere and are hidden as fields alone.
        """
        if not self.learns:
            return self
        found = {value for each in documents for value in self._secrets(each, self._all)}
        if found <= self._known:
            return self
        return Redactor(self._names, self._known | found, all=self._all)

    def document(self, value: Any) -> Any:
        """A copy of the JSON value in which secret fields have no value, at any depth.

        Also in texts that hold JSON, even if it was cut off, a form or a query.
        """
        if self.idle:
            return value
        hidden = self._document(value)
        return {HIDDEN: UNKNOWN, **hidden} if self._all and isinstance(hidden, dict) else hidden

    def text(self, text: str, *documents: Any) -> str:
        """The text without the secret values that the documents hold."""
        if self.idle or not text:
            return text
        values = self.knowing(*documents)._values
        return HIDDEN if values is None else values.hide(text)

    def event(self, data: Any) -> Any:
        """The data of a saga's event: what is the engine's own in it stays as it is."""
        if self.idle or not isinstance(data, Mapping):
            return self.document(data)
        shown = dict(data)
        for name in _DOCUMENTS:
            if shown.get(name) is not None:
                shown[name] = self.document(shown[name])
        for name in _TEXTS:
            if shown.get(name):
                shown[name] = self.told(shown[name])
        return shown

    def told(self, value: Any) -> Any:
        """Texts, also in lists and by name, without secret values; the names hide nothing."""
        if isinstance(value, Mapping):
            return {name: self.told(below) for name, below in value.items()}
        if isinstance(value, list | tuple):
            return [self.told(below) for below in value]
        return self.text(value) if isinstance(value, str) else value

    def error(self, error: BaseException) -> BaseException:
        """The exception; where its traceback would tell a secret, one of the same name without.

        What it was caused by is left out with the secret, as that mostly quotes it too.
        """
        if self.idle:
            return error
        told = "".join(traceback.format_exception(error))
        if self.text(told) == told:
            return error
        kind = type(error)
        clean = type(kind.__name__, (Exception,), {"__module__": kind.__module__})
        shown: BaseException = clean(self.text(str(error))).with_traceback(error.__traceback__)
        shown.__suppress_context__ = True
        return shown

    @contextmanager
    def cleansing(self) -> Iterator[None]:
        """What is raised inside comes out without secrets."""
        try:
            yield
        except (Exception, SystemExit) as error:
            shown = self.error(error)
            if shown is error:
                raise
        else:
            return
        raise shown

    def _document(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {
                self._name(name): HIDDEN
                if quoted.plain(name) in self._names
                else self._document(below)
                for name, below in value.items()
            }
        if isinstance(value, list):
            return [self._document(below) for below in value]
        if self._all:
            return HIDDEN
        if isinstance(value, str):
            return self._string(value)
        return HIDDEN if self._values is None or self._values.has(value) else value

    def _name(self, name: Any) -> Any:
        """The name of a field; what it is called may itself be such a value."""
        if not isinstance(name, str):
            return name
        if self._values is None:
            return HIDDEN if name in self._known else name
        return self._values.name(name)

    def _string(self, text: str) -> str:
        inside = quoted.unpacked(text)
        if inside is None:
            text = quoted.hide_fields(self._fields, text)
            return HIDDEN if self._values is None else self._values.hide(text)
        hidden = self._document(inside)
        return text if hidden == inside else json.dumps(hidden, ensure_ascii=False)

    def _secrets(self, value: Any, secret: bool) -> Iterator[str]:
        """The values below as texts: those of secret fields, or all of what is secret itself."""
        if isinstance(value, Mapping):
            for name, below in value.items():
                yield from self._secrets(below, secret or quoted.plain(name) in self._names)
        elif isinstance(value, list | tuple):
            for below in value:
                yield from self._secrets(below, secret)
        elif isinstance(value, str):
            if secret:
                yield value
            inside = quoted.unpacked(value) or quoted.query(value)
            if inside:
                yield from self._secrets(inside, secret)
        elif secret and isinstance(value, int | float) and not isinstance(value, bool):
            yield str(value)


def redactor(saga_type: str) -> Redactor:
    """What hides the secrets of sagas of that type, in all versions that the code knows.

    A version that is gone has its sagas; what it declared is taken to be in the others. Of a type
    that is gone nobody knows the secrets, so that all values are.
    """
    known = registry.versions(saga_type)
    return _made(_names(known), credentials.secrets(), all=not known)


def redactor_of(executor: SagaExecutor) -> Redactor:
    """What hides the secrets of the executor's sagas, whether or not it is registered."""
    known = registry.versions(executor.saga_type)
    return _made(_names([executor, *known]), credentials.secrets())


def hiding(saga: Saga, events: Iterable[SagaEvent] = ()) -> Redactor:
    """What hides the secrets of that saga: the fields, and their values wherever they are.

    Without secrets it reads nothing of the saga but its type; else also its data and steps. The
    events add what was sent and answered in earlier runs.
    """
    hide = redactor(saga.type)
    if not hide.learns:
        return hide
    steps = saga.steps.all()
    outputs = [step.output for step in steps]
    sent = [each for step in steps for each in (step.request, step.compensation_request)]
    facts = [event.data for event in events if isinstance(event.data, dict)]
    told = [data.get(name) for data in facts for name in _DOCUMENTS]
    return hide.knowing(saga.data, *outputs, *sent, *told)


def declared() -> str:
    """Stands for all that is declared: what was shown under another may hide too little."""
    known = sorted((each.saga_type, *sorted(_names([each]))) for each in registry.all())
    return f"{zlib.crc32(repr(known).encode()):08x}"


def _names(executors: Sequence[SagaExecutor]) -> frozenset[str]:
    """The declared names, as they are compared; a system check refuses what is no name."""
    return _plain(tuple(tuple(each.secrets) for each in executors))


@lru_cache(maxsize=256)
def _plain(declared: tuple[tuple[str, ...], ...]) -> frozenset[str]:
    return frozenset({quoted.plain(name) for names in declared for name in names} - {""})


@lru_cache(maxsize=256)
def _made(
    names: frozenset[str], values: frozenset[str] = frozenset(), *, all: bool = False
) -> Redactor:
    return Redactor(names, values, all=all)
