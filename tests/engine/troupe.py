"""What the machine plays with: a participant that keeps a ledger, and workers that fail on cue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any
from unittest import mock
from uuid import UUID

from django.core.cache import cache
from django.db import OperationalError, connection

from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.state import CallKind, Direction, Json, StepStatus, idempotency_key
from sagas.engine import store
from sagas.engine.engine import Engine
from sagas.engine.ports import Attempt, Recorded, StepCall
from tests.engine.stage import LEASE, Stage

BUILDS = ["raises", "crash", "command", "paused"]
CALLS = [
    "refused", "late", "applied, lost", "no connection", "held", "broken", "twice",
    "crash before", "crash after", "command", "message doubled", "paused before", "paused after",
]  # fmt: skip
SAVES = ["crash before", "crash inside", "crash after", "away", "away inside", "lost"]


class Killed(BaseException):
    """The process ends here: nothing of ours runs any more."""


class Participant:
    """Remembers keys and what it refused, and bars the actions that were compensated first."""

    def __init__(self) -> None:
        self.effects: list[str] = []
        self.late: list[StepCall] = []
        self._bodies: dict[str, Json] = {}
        self._barred: set[str] = set()

    def hears(self, call: StepCall, request: Json) -> None:
        """A request was sent: all of one key are the same."""
        assert self._bodies.setdefault(key_of(call), request) == request, "5: another body"

    def receives(self, call: StepCall, *, no: bool = False) -> Verdict:
        """The answer to a request that has arrived."""
        key, action = key_of(call), key_of(call, CallKind.ACTION)
        if key in self.effects:
            return Verdict.SUCCEEDED
        if no or (call.kind is CallKind.ACTION and key in self._barred):
            return Verdict.REFUSED
        if call.kind is CallKind.COMPENSATION:
            self._barred.add(action)
            if action not in self.effects:
                return Verdict.SUCCEEDED
        self.effects.append(key)
        return Verdict.SUCCEEDED

    def net(self, saga_id: UUID, run: int, step: str) -> int:
        """Effective actions less effective compensations."""
        done = [self.effects.count(idempotency_key(saga_id, run, step, k)) for k in CallKind]
        assert max(done) <= 1, "3: an effect came twice"
        return done[0] - done[1]


def key_of(call: StepCall, kind: CallKind | None = None) -> str:
    return idempotency_key(call.saga_id, call.run, call.step, kind or call.kind)


class Worker(Engine):
    """An engine whose clock can be set forward."""

    def __init__(self, troupe: Troupe, owner: str) -> None:
        super().__init__(troupe, owner=owner, lease=LEASE, park=timedelta(seconds=60))
        self._troupe = troupe

    def now(self, loaded: store.Loaded) -> datetime:
        return super().now(loaded) + self._troupe.ahead


class Troupe(Stage):
    """The executor of every worker. What goes wrong is taken from the cues, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.shop = Participant()
        self.ahead = timedelta(0)
        self.cues: dict[tuple[str, int], str] = {}
        """What goes wrong with the n-th build, call or save from now on."""

        self.met: list[str] = []
        self.command: Callable[[], None] = lambda: None
        self.told: list[int] = []
        """The events after which a transition was told of: an observer's own assertion is lost."""

        self._owners = 0

    def worker(self) -> Worker:
        self._owners += 1
        worker = Worker(self, f"worker-{self._owners}")
        worker.observers.append(self._observe)
        return worker

    def _observe(self, recorded: Recorded) -> None:
        self.told.append(recorded.before.seq)

    def drive(self, saga_id: UUID) -> None:
        """A new worker gets the message; it may die of it, or give up without its database."""
        with suppress(Killed, OperationalError):
            self.worker().drive(saga_id)

    def taken_over(self, saga_id: UUID) -> None:
        """This worker is paused until its lease is over and another has driven the saga."""
        self.ahead += LEASE + timedelta(seconds=1)
        self.doubled(saga_id)

    def doubled(self, saga_id: UUID) -> None:
        """A second message comes, and the lock in front of the lease is of no help."""
        cache.delete(f"saga-lock:{saga_id}")
        self.drive(saga_id)

    def _cue(self, what: str) -> str:
        cue = self.cues.pop((what, 0), "well")
        self.cues = {(w, n - (w == what)): other for (w, n), other in self.cues.items()}
        self.met.append(f"{what} {cue}")
        return cue

    # The saga's code

    def prepare(self, call: StepCall) -> Json:
        request = {**super().prepare(call), "body": str(len(self.prepared))}
        match self._cue("build"):
            case "raises":
                raise KeyError("amount")
            case "crash":
                raise Killed
            case "command":
                self.command()
            case "paused":
                self.taken_over(call.saga_id)
        return request

    def perform(self, attempt: Attempt) -> Outcome:
        call = attempt.call
        self._check_recorded(attempt)
        self.shop.hears(call, attempt.request)
        super().perform(attempt)
        verdict = self._answer(call, self._cue("call"))
        return Outcome(verdict=verdict, error="" if verdict is Verdict.SUCCEEDED else "no")

    def _answer(self, call: StepCall, cue: str) -> Verdict:
        match cue:
            case "late":
                self.shop.late.append(call)
                return Verdict.IN_DOUBT
            case "no connection":
                return Verdict.NOT_APPLIED
            case "held":
                return Verdict.NOT_SENT
            case "broken":
                return Verdict.BROKEN
            case "twice":
                self.shop.late.append(call)
            case "crash before":
                raise Killed
            case "command":
                self.command()
            case "message doubled":
                self.doubled(call.saga_id)
            case "paused before":
                self.taken_over(call.saga_id)
        verdict = self.shop.receives(call, no=cue == "refused")
        match cue:
            case "crash after":
                raise Killed
            case "paused after":
                self.taken_over(call.saga_id)
            case "applied, lost":
                return Verdict.IN_DOUBT
        return verdict

    def _check_recorded(self, attempt: Attempt) -> None:
        """What the database says at the moment of a call."""
        call, state = attempt.call, store.load(attempt.call.saga_id).state
        step = state.step(call.step)
        assert step.calling is call.kind, "4: the call is not recorded as started"
        assert step.attempts_of(call.kind) == attempt.number
        place = state.steps.index(step)
        if call.kind is CallKind.ACTION:
            assert state.direction is Direction.FORWARD, "8"
            assert all(s.status is StepStatus.COMPLETED for s in state.steps[:place]), "6"
        else:
            undoable = {s.name for s in self.definition.steps if s.compensation}
            later = [s.name for s in state.steps[place + 1 :] if s.effect != "none"]
            assert not undoable & {*later}, "7"

    # The database

    @contextmanager
    def stands_before_the_database(self) -> Iterator[None]:
        """Saves fail on cue: before the transaction, inside it, or after its commit."""
        save = store.save

        def fails(*args: Any, **kwargs: Any) -> object:
            cue = self._cue("save")
            error = Killed() if cue.startswith("crash") else OperationalError("gone")
            if cue in ("crash before", "away"):
                raise error
            if cue.endswith("inside"):
                with connection.execute_wrapper(_fails_at_events(error)):
                    return save(*args, **kwargs)
            saved = save(*args, **kwargs)
            if cue in ("crash after", "lost"):
                raise error
            return saved

        with mock.patch.object(store, "save", fails), mock.patch("sagas.engine.drive.time.sleep"):
            yield


def _fails_at_events(error: BaseException) -> Callable[..., Any]:
    def execute(run: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if 'INSERT INTO "sagas_sagaevent"' in sql:
            raise error
        return run(sql, params, many, context)

    return execute
