"""What may become of a saga, each as a play, and how many of a long history end so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from sagas.domain import triggers as tr
from sagas.domain.outcome import Outcome, Verdict
from sagas.seeding.stage import FOR_EVER, Play, Vanished

Scenario = Callable[[Play], None]


def _refused(play: Play, name: str, status: int = 409, why: str = "not possible any more") -> None:
    body = f'{{"detail": "{why}"}}'
    error = f"{play.whom(name)} answered {status}: {why}"
    answer = {"status": status, "body": body}
    play.answer(name, Outcome(verdict=Verdict.REFUSED, error=error, answer=answer))


def _lost(play: Play, name: str, times: int = 1) -> None:
    error = f"{play.whom(name)} did not answer within 5 s"
    late = Outcome(verdict=Verdict.IN_DOUBT, error=error, duration=timedelta(seconds=5.002))
    play.answer(name, *[late] * times)


def _unreachable(play: Play, name: str, times: int = 1) -> None:
    error = f"{play.whom(name)} cannot be reached: connection refused"
    play.answer(name, *[Outcome(verdict=Verdict.NOT_APPLIED, error=error)] * times)


def _held(play: Play, name: str, wait: timedelta) -> None:
    error = f"the circuit breaker of {play.whom(name)!r} is open"
    play.answer(name, Outcome(verdict=Verdict.NOT_SENT, error=error, retry_after=wait))


# --- Ended well, or compensated -------------------------------------------------------------------


def completed(play: Play) -> None:
    play.create()
    play.drive()


def completed_after_a_retry(play: Play) -> None:
    play.chance.choice((_lost, _unreachable))(play, play.money, play.chance.randint(1, 2))
    completed(play)


def completed_after_a_breaker(play: Play) -> None:
    _held(play, play.money, timedelta(seconds=30))
    completed(play)


def completed_by_another_worker(play: Play) -> None:
    play.answer(play.money, Vanished())
    completed(play)


def compensated_as_refused(play: Play) -> None:
    _refused(play, play.money, 402, "the card was declined")
    completed(play)


def compensated_as_not_answered(play: Play) -> None:
    _lost(play, play.last, 4)
    completed(play)


def compensated_for_a_person(play: Play) -> None:
    completed(play)
    play.ask(tr.Compensate(reason="ordered twice"), "ordered twice", timedelta(minutes=7))
    play.drive()


def completed_in_a_second_run(play: Play) -> None:
    compensated_as_refused(play)
    play.ask(tr.Retry(), "the customer has another card", timedelta(minutes=12))
    play.drive()


def completed_after_a_failure(play: Play) -> None:
    _broken(play)
    play.ask(tr.Retry(), "the fix is deployed", timedelta(minutes=40))
    play.drive()


def cancelled(play: Play) -> None:
    play.create(execute=False)
    play.ask(tr.Compensate(reason="not wanted any more"), "", timedelta(minutes=2))


# --- Failed: a person must decide -----------------------------------------------------------------


def failed_compensation_refused(play: Play) -> None:
    _refused(play, play.last)
    _refused(play, play.back(play.money), 422, "the payment is settled")
    completed(play)


def failed_compensation_exhausted(play: Play) -> None:
    _refused(play, play.last)
    _unreachable(play, play.back(play.money), 4)
    completed(play)


def failed_in_doubt(play: Play) -> None:
    _lost(play, play.money, 4)
    _refused(play, play.back(play.money), 404, "no such payment")
    completed(play)


def failed_code_broken(play: Play) -> None:
    _broken(play)


def failed_worker_vanished(play: Play) -> None:
    play.answer(play.money, Vanished(), Vanished(), Vanished())
    completed(play)


def _broken(play: Play) -> None:
    error = "its call could not be built: KeyError: 'currency'"
    play.answer(play.last, Outcome(verdict=Verdict.BROKEN, error=error))
    completed(play)


# --- Not ended ------------------------------------------------------------------------------------


def pending(play: Play) -> None:
    play.create(execute=False)


def waits_in_doubt(play: Play) -> None:
    play.patient()
    _lost(play, play.money)
    completed(play)


def waits_for_a_breaker(play: Play) -> None:
    _held(play, play.last, FOR_EVER)
    completed(play)


def waits_for_its_code(play: Play) -> None:
    play.create(version=9)
    play.drive()


def waits_compensating(play: Play) -> None:
    play.patient()
    _refused(play, play.last)
    _lost(play, play.back(play.money))
    completed(play)


def being_called(play: Play) -> None:
    play.patient()
    play.answer(play.last, Vanished())
    play.create()
    play.drive()


def being_called_past_its_deadline(play: Play) -> None:
    play.patient()
    play.answer(play.last, Vanished())
    play.create(deadline=timedelta(minutes=10))
    play.drive()


ORDINARY: Mapping[Scenario, float] = {
    completed: 0.885,
    completed_after_a_retry: 0.05,
    completed_after_a_breaker: 0.01,
    completed_by_another_worker: 0.003,
    compensated_as_refused: 0.035,
    compensated_as_not_answered: 0.012,
    compensated_for_a_person: 0.002,
    completed_in_a_second_run: 0.001,
    completed_after_a_failure: 0.001,
    cancelled: 0.001,
}
"""What most sagas come to, with the share of each."""

FAILED: Mapping[Scenario, float] = dict.fromkeys(
    (
        failed_compensation_refused,
        failed_compensation_exhausted,
        failed_in_doubt,
        failed_code_broken,
        failed_worker_vanished,
    ),
    0.0006,
)
"""The ways to fail: each is there, however short the history."""

OPEN: Mapping[Scenario, float] = {
    pending: 0.0005,
    waits_in_doubt: 0.0002,
    waits_for_a_breaker: 0.0002,
    waits_for_its_code: 0.0002,
    waits_compensating: 0.0002,
    being_called: 0.0001,
    being_called_past_its_deadline: 0.0001,
}
"""What has not ended, all of it young."""
