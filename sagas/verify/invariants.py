"""The invariants by number: what each promises, which check looks at it, and what none can see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from sagas.verify import calls, effects, money, numbers, order, rest, secrets, status
from sagas.verify.case import Case, Verdicts
from sagas.verify.history import Violation

TITLES: Mapping[int, str] = {
    1: "completed: each step took effect once",
    2: "compensated: nothing is left; failed: what is left is recorded",
    3: "no call takes effect twice",
    4: "each arrival was recorded as an attempt first",
    5: "one key and one body per call",
    6: "an action follows the recorded success of those before",
    7: "a compensation follows those of later steps",
    8: "no action after the saga turned round",
    9: "an ending is left only by a named command",
    10: "allowed transitions; the events give the row",
    11: "events are numbered without gaps",
    12: "epochs grow, and only the lease's holder writes",
    13: "attempts are limited, and retries wait",
    14: "one saga per client key, and one body",
    15: "what was acknowledged is there",
    16: "a command takes effect once",
    17: "a saga keeps its definition",
    18: "waiting for a breaker spends no attempt",
    19: "money and goods add up",
    20: "no secret is kept",
    21: "every started saga has ended",
    22: "no saga is overdue",
    23: "a poison saga holds no other up",
    24: "losing Redis loses no saga",
}
Check = Callable[[Case], Verdicts]
CHECKS: Mapping[int, Check] = {
    1: effects.completed_took_effect_once,
    2: effects.nothing_is_left,
    3: effects.effects_are_single,
    4: calls.arrivals_were_recorded_first,
    5: calls.bodies_are_one_per_key,
    6: order.actions_follow_success,
    7: order.compensations_follow_later_ones,
    8: order.actions_end_with_the_turn,
    9: status.endings_are_left_by_people,
    10: status.replay_gives_the_row,
    11: numbers.numbers_have_no_gaps,
    12: numbers.epochs_grow,
    13: numbers.retries_are_patient,
    17: numbers.definition_stays,
    18: numbers.waiting_is_free,
    19: money.amounts_agree,
    20: secrets.rows_hold_no_secret,
    21: rest.everything_ended,
    22: rest.nothing_is_overdue,
}
"""The checks of single sagas; 14 to 16 are those of `clients`, 19 and 20 also have others."""

WHY_NOT: Mapping[int, str] = {
    1: "no completed saga with a ledger of its participants (--ledger, --participants)",
    2: "no compensated or failed saga with a ledger of its participants",
    3: "no call in any ledger",
    4: "no call in any ledger",
    5: "no call in any ledger",
    6: "no action was called",
    7: "no compensation was called",
    8: "no action was called",
    9: "no saga went on after it had ended",
    13: "no call was made",
    14: "what clients were told is needed (--clients), with keys",
    15: "what clients were told is needed (--clients), with a 2xx",
    16: "what clients were told is needed (--clients), with operations",
    18: "no attempt was held back by a breaker; that one probe is sent at a time is never seen",
    19: "no payment, or no ledger of it",
    20: "secrets to look for are needed (--secrets)",
    21: "judged only when all has settled, of sagas that were started",
    22: "no saga waits without a lease",
    23: "needs times under load: not to be seen in data at rest",
    24: "needs a run in which the keys are deleted: then all of the above",
}


def found(case: Case) -> Iterator[tuple[int, str | None]]:
    """Each thing that was looked at: its invariant, and what is wrong with it if anything is."""
    for number, check in CHECKS.items():
        try:
            for text in check(case):
                yield number, text
        except Exception as error:  # JSON of another shape than ours: somebody else wrote it
            yield number, f"what is stored makes no sense: {type(error).__name__}: {error}"


def violations(case: Case) -> Iterator[Violation]:
    """What is wrong with one saga."""
    for number, text in found(case):
        if text is not None:
            yield Violation(invariant=number, saga_id=case.history.saga_id, text=text)
