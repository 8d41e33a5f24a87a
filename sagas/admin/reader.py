"""Reads the course of a run from its recorded events. Plain Python without Django.

It takes whatever is recorded, also what nothing else can use: a page must show every saga.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from sagas.admin.course import Attempt, Course, Recorded, Result, Wait, WaitKind, moment, read
from sagas.domain.state import CallKind

_SOON = timedelta(seconds=1)
"""A worker that comes within this time after a wait's end is no wait of its own."""


def course(events: Iterable[Recorded], now: datetime) -> Course:
    """The course of one run, or of its last part, from its events in order."""
    reader = _Reader()
    for event in events:
        reader.read(event)
    return reader.finish(now)


class _Reader:
    """Reads events one by one; it knows at each moment what is under way."""

    def __init__(self) -> None:
        self._course = Course()
        self._attempt: Attempt | None = None
        self._wait: Wait | None = None
        self._lease: datetime | None = None
        self._rested: datetime | None = None
        self._round = 1
        self._any = False

    def read(self, event: Recorded) -> None:
        """Take the next event in; one of an unknown kind changes nothing here."""
        handler = _HANDLERS.get(event.kind)
        if handler is not None:
            handler(self, event)
        self._any = True

    def finish(self, now: datetime) -> Course:
        """What was read, with what is still under way."""
        if self._attempt is not None:
            if self._lease is not None and self._lease < now:
                self._vanished(self._lease, WaitKind.LEASE)
            else:
                self._course.attempts.append(self._attempt)
        if self._wait is not None:
            self._split(self._wait, now, last=True)
        return self._course

    # --- The saga -----------------------------------------------------------------------------

    def _asked(self, event: Recorded) -> None:
        if event.kind == "retry_requested" and self._any:
            self._round += 1
        if self._attempt is not None:
            return  # the call in flight is finished first
        if self._rested is not None:
            resting = Wait(kind=WaitKind.PERSON, start=self._rested, end=event.at)
            self._course.waits.append(resting)
            self._rested = None
        self._open(Wait(kind=WaitKind.WORKER, start=event.at))

    def _claimed(self, event: Recorded) -> None:
        if self._attempt is not None:
            lease = self._lease or event.at
            self._vanished(min(lease, event.at), WaitKind.LEASE)
        self._close(event.at)
        self._lease = moment(event.data, "until")

    def _worker_lost(self, event: Recorded) -> None:
        self._vanished(event.at, WaitKind.WORKER)

    def _handed_back(self, event: Recorded) -> None:
        self._open(Wait(kind=WaitKind.WORKER, start=event.at))

    def _parked(self, event: Recorded) -> None:
        why, until = read(event.data, "reason", str, ""), moment(event.data, "due_at")
        self._open(Wait(kind=WaitKind.PARKED, start=event.at, until=until, why=why))

    def _failed_for_good(self, event: Recorded) -> None:
        self._open(Wait(kind=WaitKind.PERSON, start=event.at))

    def _ended(self, event: Recorded) -> None:
        self._close(event.at)
        self._rested = event.at

    # --- Attempts -----------------------------------------------------------------------------

    def _started(self, event: Recorded) -> None:
        self._close(event.at)
        self._request(event)
        self._attempt = self._new(event, event.at)
        self._lease = moment(event.data, "until")

    def _answered(self, event: Recorded) -> None:
        self._request(event)
        took = read(event.data, "duration_ms", (int, float))
        result = _RESULTS[event.kind]
        if result is Result.FAILED and read(event.data, "in_doubt", bool, False):
            result = Result.IN_DOUBT
        attempt = self._take(event)
        self._course.attempts.append(
            replace(
                attempt,
                ended=max(attempt.ended or event.at, attempt.started),
                result=result,
                duration_ms=took,
                error=read(event.data, "error", str, ""),
                answer=read(event.data, "answer", object),
                output=read(event.data, "output", object),
            )
        )
        retry_at = moment(event.data, "retry_at")
        if retry_at is not None:
            backoff = Wait(kind=WaitKind.BACKOFF, start=event.at, until=retry_at)
            self._open(replace(backoff, step=attempt.step, call=attempt.call))

    def _held(self, event: Recorded) -> None:
        attempt = self._take(event)  # nothing was sent: it is no attempt
        wait = Wait(
            kind=WaitKind.BREAKER,
            start=attempt.started,
            until=moment(event.data, "due_at"),
            step=attempt.step,
            call=attempt.call,
            why=read(event.data, "reason", str, ""),
        )
        self._open(wait)

    def _new(self, event: Recorded, started: datetime) -> Attempt:
        return Attempt(
            seq=event.seq,
            step=event.step,
            call=read(event.data, "call", str, CallKind.ACTION.value),
            number=read(event.data, "attempt", int),
            round=self._round,
            started=started,
        )

    def _take(self, event: Recorded) -> Attempt:
        """The attempt in flight; one whose start is not among the events starts by its length."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None and attempt.step == event.step:
            return attempt
        took = min(1e9, max(0, read(event.data, "duration_ms", (int, float), 0)))
        return self._new(event, event.at - timedelta(milliseconds=took))

    def _vanished(self, at: datetime, waits_for: WaitKind) -> None:
        """The attempt's worker is gone since then, as far as anybody can know."""
        if self._attempt is None:
            return
        attempt = self._attempt
        gone = replace(attempt, ended=max(at, attempt.started), result=Result.INTERRUPTED)
        self._course.attempts.append(gone)
        self._attempt = None
        self._open(Wait(kind=waits_for, start=at, step=attempt.step, call=attempt.call))

    def _interrupted(self, event: Recorded) -> None:
        last = self._course.attempts[-1] if self._course.attempts else None
        if last and (last.step, last.result) == (event.step, Result.INTERRUPTED):
            error = read(event.data, "error", str, "")
            self._course.attempts[-1] = replace(last, error=error)
        else:
            self._answered(event)

    def _request(self, event: Recorded) -> None:
        request = read(event.data, "request", Mapping)
        if request is not None:
            call = read(event.data, "call", str, CallKind.ACTION.value)
            self._course.requests.setdefault((event.step, call), request)

    # --- Waits --------------------------------------------------------------------------------

    def _open(self, wait: Wait) -> None:
        self._close(wait.start)
        self._wait = wait

    def _close(self, at: datetime) -> None:
        wait, self._wait = self._wait, None
        if wait is not None:
            self._split(wait, at, last=False)

    def _split(self, wait: Wait, at: datetime, *, last: bool) -> None:
        """Add the wait; what is left of it after its planned end, it waits for a worker."""
        end = None if last else max(at, wait.start)
        waits = self._course.waits
        if wait.until is not None and at - wait.until > _SOON:
            until = max(wait.until, wait.start)
            waits.append(replace(wait, end=until))
            waits.append(
                replace(wait, kind=WaitKind.WORKER, start=until, end=end, until=None, why="")
            )
        elif end is None or end > wait.start:
            waits.append(replace(wait, end=end))


_RESULTS = {
    "attempt_succeeded": Result.SUCCEEDED,
    "attempt_refused": Result.REFUSED,
    "attempt_failed": Result.FAILED,
    "attempt_interrupted": Result.INTERRUPTED,
    "attempt_broken": Result.BROKEN,
}
_HANDLERS: Mapping[str, Callable[[_Reader, Recorded], None]] = {
    "execute_requested": _Reader._asked,
    "retry_requested": _Reader._asked,
    "compensate_requested": _Reader._asked,
    "claimed": _Reader._claimed,
    "worker_lost": _Reader._worker_lost,
    "handed_back": _Reader._handed_back,
    "parked": _Reader._parked,
    "attempt_started": _Reader._started,
    "attempt_succeeded": _Reader._answered,
    "attempt_refused": _Reader._answered,
    "attempt_failed": _Reader._answered,
    "attempt_broken": _Reader._answered,
    "attempt_interrupted": _Reader._interrupted,
    "attempt_held": _Reader._held,
    "saga_completed": _Reader._ended,
    "saga_compensated": _Reader._ended,
    "saga_failed": _Reader._failed_for_good,
}
