"""One saga's history with its calls in the ledgers, as the checks see it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from sagas.domain import attempts as at
from sagas.domain import events as ev
from sagas.domain.codec import decode
from sagas.domain.mending import StepSkipped
from sagas.domain.state import ENDED, CallKind, Json, SagaState, SagaStatus, idempotency_key
from sagas.verify.entry import Entry
from sagas.verify.history import Call, History, Moment, Rules


class Case:
    """One saga's history with the entries of the ledgers that name it."""

    def __init__(self, history: History, entries: Iterable[Entry], rules: Rules) -> None:
        self.history = history
        self.rules = rules
        self.entries = sorted(entries, key=lambda entry: (entry.at, entry.service, entry.seq))
        self.broken = ""
        """Why the events cannot be replayed to the end; filled by `moments`."""

    @cached_property
    def moments(self) -> tuple[Moment, ...]:
        """The events in order; they end early where one cannot be understood."""
        state, found = SagaState(), []
        for fact in self.history.facts:
            try:
                event = decode(fact.kind, fact.data)
                after = ev.evolve(state, event)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                self.broken = f"event {fact.seq} ({fact.kind}) cannot be replayed: {error!r}"
                break
            found.append(Moment(fact, event, state, after))
            state = after
        return tuple(found)

    @property
    def run(self) -> int:
        """The run that it is in."""
        if self.history.row is not None:
            return self.history.row.run
        return self.moments[-1].after.run if self.moments else 1

    @property
    def still(self) -> bool:
        """Whether it has not changed since before the ledgers were read."""
        changed, by = self.history.updated_at, self.rules.rested_by
        return changed is None or by is None or changed <= by

    @property
    def at_rest(self) -> bool:
        """Whether it has ended, and had before the ledgers were read."""
        return self.still and self.history.status in ENDED

    def has(self, status: SagaStatus) -> bool:
        """Whether that is its status, by its row."""
        return self.history.status == status.value

    # --- Calls ---------------------------------------------------------------------------------

    def key(self, call: Call) -> str:
        """The key that every attempt of the call carries."""
        return idempotency_key(self.history.saga_id, *call)

    def call_of(self, entry: Entry) -> Call | None:
        """The call that the entry's key names, if it is one of this saga's."""
        run, _, rest = (entry.key or "").removeprefix(f"{self.history.saga_id}:").partition(":")
        step, _, kind = rest.partition(":")
        kind, _, revision = kind.partition(":")
        known = step in (name for name, _ in self.history.steps)
        numbers = all(text.isascii() and text.isdecimal() for text in (run, revision or "0"))
        if not (known and numbers and kind in list(CallKind)):
            return None
        call = Call(int(run), step, CallKind(kind), int(revision or 0))
        return call if self.key(call) == entry.key else None

    @cached_property
    def arrivals(self) -> Mapping[Call, list[Entry]]:
        """What arrived of each call, in the order in which it did."""
        found: dict[Call, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            if (call := self.call_of(entry)) is not None:
                found[call].append(entry)
        return found

    def outcomes(self, call: Call) -> Counter[str]:
        """How often the call, in all its revisions, came to what, by the ledgers."""
        return Counter(
            entry.outcome
            for came, entries in self.arrivals.items()
            if came[:3] == call[:3]
            for entry in entries
        )

    @cached_property
    def by_hand(self) -> frozenset[Call]:
        """The calls that a person skipped: what became of their effects no ledger tells."""
        return frozenset(
            Call(moment.before.run, moment.event.step, moment.event.call)
            for moment in self.moments
            if isinstance(moment.event, StepSkipped)
        )

    @cached_property
    def by_call(self) -> Mapping[Call, list[Moment]]:
        """The events of each call, in order."""
        found: dict[Call, list[Moment]] = defaultdict(list)
        for moment in self.moments:
            if moment.call is not None:
                found[moment.call].append(moment)
        return found

    def of(self, call: Call, *kinds: type[at.AttemptEvent]) -> list[Moment]:
        """The call's events of those kinds."""
        return [moment for moment in self.by_call.get(call, ()) if isinstance(moment.event, kinds)]

    def doubts(self, call: Call) -> int:
        """How many attempts may still have been under way when their outcome was recorded."""
        lost = self.of(call, at.AttemptInterrupted, at.AttemptFailed)
        doubtful = sum(bool(getattr(moment.event, "in_doubt", True)) for moment in lost)
        started = len(self.of(call, at.AttemptStarted))
        known = [
            m for m in self.by_call.get(call, ()) if not isinstance(m.event, at.AttemptStarted)
        ]
        return doubtful + max(0, started - len(known))

    def requests(self) -> Iterator[tuple[Call, Json]]:
        """Every request that an event has, with its call; the row's are replayed from them."""
        for call, moments in self.by_call.items():
            for moment in moments:
                request = getattr(moment.event, "request", None)
                if request is not None:
                    yield call, request

    def covers(self, step: str) -> bool:
        """Whether the ledger of the participant that the step calls was read."""
        if not self.rules.ledgers:
            return False
        whom = self.participants.get(step)
        return self.rules.services is None or whom is None or whom in self.rules.services

    @cached_property
    def participants(self) -> Mapping[str, str]:
        """Whom each step calls, where that is known."""
        recorded = {
            call.step: str(request["participant"])
            for call, request in self.requests()
            if "participant" in request
        }
        return {**self.history.participants, **recorded}


Verdicts = Iterator[str | None]
"""What a check gives: for each thing that it looked at a sentence, or None if all is well."""


def show(value: Any) -> str:
    """A value in a sentence, not too long."""
    text = value.isoformat() if isinstance(value, datetime) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
