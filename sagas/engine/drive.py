"""One worker's drive of one saga: claim it, make its calls, record their answers."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from django.db import connection

from sagas.domain import trace
from sagas.domain import triggers as tr
from sagas.domain.rules import Call, Illegal, call_to_start
from sagas.domain.state import Json, SagaState, idempotency_key
from sagas.engine import store
from sagas.engine.away import DATABASE_AWAY
from sagas.engine.ports import Attempt, Executor, StepCall
from sagas.engine.writer import Move, Writer

logger = logging.getLogger(__name__)

_KEEP_ANSWER = 120.0
"""Seconds for which a worker keeps an answer while the database is away."""

_SEND_MARGIN = 0.5
"""Seconds before the lease's end after which no call is sent any more."""


class Drive:
    """Drives a saga until it ends, waits, or is another's."""

    def __init__(
        self,
        writer: Writer,
        executor: Executor,
        stopping: Callable[[], bool],
        *,
        keep: float | None = None,
    ) -> None:
        """`keep`: seconds for which an answer is kept, where those are fewer than usual."""
        self._writer = writer
        self._executor = executor
        self._definition = executor.definition
        self._stopping = stopping
        self._keep = _KEEP_ANSWER if keep is None else keep

    def run(self, loaded: store.Loaded) -> None:
        """Claim the saga, if it is due, and make its calls."""
        self.go_on(self._claim(loaded))

    def go_on(self, work: store.Loaded | None) -> None:
        """Make the calls of a saga that this worker has claimed."""
        while work is not None and work.state.owner == self._writer.owner:
            if work.state.calling is None:
                work = self._begin(work)
                continue
            outcome = self._executor.perform(self._attempt(work))
            answer = tr.Answer(outcome=outcome, spread=random.random(), hand_back=self._stopping())
            work = self._record(work, answer)

    def _claim(self, loaded: store.Loaded) -> store.Loaded | None:
        now = self._writer.now(loaded)
        claim = tr.Claim(owner=self._writer.owner, lease=self._writer.lease)
        try:
            move = Move(loaded).then(self._definition, claim, now)
        except Illegal:
            return None  # not due: a late or doubled message, or another worker has it
        call = call_to_start(self._definition, move.after)
        # A request that is yet to be built waits for this commit: a crash in the saga's own
        # code must count as one.
        if call is not None and _request(move.after, call) is not None:
            move, now = self.with_start(move, now)
        return self._save(move, now)

    def _begin(self, work: store.Loaded) -> store.Loaded | None:
        """Start the first call of this claim, or see what a command made of the saga meanwhile."""
        saved = self._save(*self.with_start(Move(work), self._writer.now(work)))
        return saved or self._still_mine(work, store.load(work.id))

    def _record(self, work: store.Loaded, answer: tr.Answer) -> store.Loaded | None:
        """Save an answer, through a database that is away for a while; None if it is not ours.

        After an error nobody knows whether the commit took place, and after a lost race what
        changed: the saga is read again, and the answer is saved only if its call is still open.
        """
        call, wait = _open_call(work.state), 0.1
        give_up = time.monotonic() + self._keep
        while True:
            now = self._writer.now(work)
            move, now = self.with_start(Move(work).then(self._definition, answer, now), now)
            try:
                saved = self._save(move, now)
                if saved is not None:
                    return saved
                fresh = store.load(work.id)
            except DATABASE_AWAY as error:
                if time.monotonic() > give_up:
                    raise
                logger.warning("database away, answer kept: %s", error)
                connection.close()
                time.sleep(wait)
                wait = min(wait * 2, 2.0)
                fresh = self._reload(work)
            if self._still_mine(work, fresh) is None:
                return None
            if _open_call(fresh.state) != call:
                # The commit whose answer was lost had taken place.
                self._writer.told_of(move, now)
                return fresh
            work = fresh

    def _still_mine(self, work: store.Loaded, fresh: store.Loaded) -> store.Loaded | None:
        if fresh.state.epoch != work.state.epoch:
            logger.warning("lease of saga %s lost, its work is dropped", work.id)
            return None
        return fresh

    def _reload(self, work: store.Loaded) -> store.Loaded:
        try:
            return store.load(work.id)
        except DATABASE_AWAY:
            return work  # still away: the next save fails in the same way and waits again

    def with_start(self, move: Move, now: datetime) -> tuple[Move, datetime]:
        """The move and, where a call follows it, the start of that; and when.

        The request is recorded with the start, so that no attempt can ever send another.
        """
        while True:
            call = call_to_start(self._definition, move.after)
            if call is None:
                return move, now
            trigger = self._start(replace(move.work, state=move.after), call)
            now = self._writer.now(move.work)
            move = move.then(self._definition, trigger, now)

    def _start(self, work: store.Loaded, call: Call) -> tr.Start | tr.Unbuildable:
        request = _request(work.state, call)
        if request is None:
            try:
                request = self._executor.prepare(_step_call(work, call))
            except (Exception, SystemExit) as error:
                logger.exception("the call for step %s could not be built", call.step)
                return tr.Unbuildable(error=f"its call could not be built: {_shown(error)}")
        return tr.Start(lease=self._writer.lease, request=request)

    def _attempt(self, work: store.Loaded) -> Attempt:
        step = work.state.calling
        assert step is not None
        assert step.calling is not None
        assert work.state.due_at is not None
        request = step.request_of(step.calling)
        assert request is not None
        number = step.attempts_of(step.calling)
        key = idempotency_key(work.id, work.state.run, step.name, step.calling, step.revision)
        left = (work.state.due_at - self._writer.now(work)).total_seconds()
        return Attempt(
            call=_step_call(work, Call(step=step.name, kind=step.calling, attempt=number)),
            number=number,
            request=request,
            expires=time.monotonic() + left - _SEND_MARGIN,
            worker=self._writer.owner,
            trace=trace.of_saga(work.id, work.trace),
            span=trace.attempt_span(key, number, work.state.epoch),
        )

    def _save(self, move: Move, now: datetime) -> store.Loaded | None:
        return self._writer.save(move, self._definition, now, actor=self._writer.owner)


def _request(state: SagaState, call: Call) -> Json | None:
    return state.step(call.step).request_of(call.kind)


def _step_call(work: store.Loaded, call: Call) -> StepCall:
    return StepCall(
        saga_id=work.id,
        saga_type=work.type,
        run=work.state.run,
        data=work.data,
        outputs={s.name: s.output for s in work.state.steps if s.output is not None},
        step=call.step,
        kind=call.kind,
        revision=work.state.step(call.step).revision,
    )


def _shown(error: BaseException) -> str:
    text = f"{type(error).__name__}: {error}"[:300].replace("\0", "\\x00")
    # Code may quote anything; what no database keeps would have the saga's drives end like crashes.
    return text.encode(errors="backslashreplace").decode()


def _open_call(state: SagaState) -> tuple[object, ...]:
    step = state.calling
    if step is None or step.calling is None:
        return ()
    return (state.run, step.name, step.calling, step.attempts_of(step.calling))
