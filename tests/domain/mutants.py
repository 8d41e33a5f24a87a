"""Wrong orchestrators and participants, and the invariant that the search finds broken.

Some mistakes cannot be seen here and have tests of their own. A claim before the saga is due is
only wasteful: the epoch still lets one worker win. A commit whose answer was lost and that is made
again, and a save that does not look at the epoch, are mistakes of the store (tests/engine).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sagas.domain import attempts as at
from sagas.domain import events as ev
from sagas.domain.definition import Definition
from sagas.domain.mending import DataEdited, DoubtResolved
from sagas.domain.state import CallKind, Direction, Effect, SagaState, StepStatus
from tests.domain import wrong
from tests.domain.scenarios import hurried, pivot, plain
from tests.domain.world import Rules
from tests.domain.wrong import Patch, applied, of_step, replaced


@dataclass(frozen=True)
class Mutant:
    """A mistake, the invariants that may show it first, and the world to look for it in."""

    name: str
    broken: str
    """A regular expression that the violation's beginning matches."""

    rules: Rules
    patch: Patch = lambda _: None


def _rules(definition: Definition | None = None, **given: Any) -> Rules:
    return Rules(definition or plain(), **{"commands": 1, "faults": 1, **given})


def _with(**changes: Any) -> Callable[[Any, SagaState, SagaState], SagaState]:
    return lambda event, before, after: replace(after, **changes)


def _outside() -> list[Mutant]:
    """A defence outside the core is missing."""
    action, compensation = CallKind.ACTION, CallKind.COMPENSATION
    missing: list[tuple[str, str, dict[str, Any]]] = [
        ("a stale worker writes", "7", {"fence": False}),
        ("a start is written unseen of a cancel", "8", {"seen": False}),
        ("the call is sent before its start is committed", "4", {"started_first": False}),
        ("no barrier at the participant", "2", {"barrier": False}),
        ("no idempotency at the participant", "3", {"idempotent": False}),
        ("the participant forgets its refusal", "2", {"remembers": False}),
        ("a new run uses the keys of the last", "5", {"run_in_key": False}),
        ("an action is retried with a new key", "3", {"new_key": action}),
        ("a compensation is retried with a new key", "3", {"new_key": compensation}),
    ]
    return [Mutant(name, broken, _rules(**given)) for name, broken, given in missing]


def _calls() -> list[Mutant]:
    """The core misjudges what became of a call, or which one is next."""
    done = of_step(status=StepStatus.COMPLETED)
    core: list[tuple[str, str, Patch]] = [
        ("a time-out is no doubt", "2", applied(at.AttemptFailed, wrong.no_doubt)),
        ("a crash is no doubt", "2", applied(at.AttemptInterrupted, wrong.no_doubt)),
        ("a step in doubt is not compensated", "2", replaced("next_call", wrong.skips_doubt)),
        ("a refusal settles a doubt", "2", applied(at.AttemptRefused, wrong.final)),
        ("a refused compensation is done", "2", applied(at.AttemptRefused, wrong.skipped)),
        ("the breaker settles a doubt", "2", applied(at.AttemptHeld, of_step(effect=Effect.NONE))),
        ("waiting for the breaker costs an attempt", "18", applied(at.AttemptHeld, wrong.costly)),
        ("the request is built anew", "5", applied(at.AttemptFailed, of_step(request=None))),
        ("compensations run forward", "7", wrong.undoes_forward),
        ("an action does not wait", "shape", replaced("call_to_start", wrong.does_not_wait)),
        ("a lost answer is a success", "6", applied(at.AttemptFailed, done)),
        ("actions go on after turning", "8", replaced("next_call", wrong.goes_on_forward)),
        ("retries have no end", "13", replaced("_why_stop", wrong.never_stops)),
        ("a wait has no end", "22", applied(at.AttemptFailed, _with(due_at=None))),
        ("a refused action stops the saga", "10", replaced("_give_up", wrong.fails_always)),
    ]
    return [Mutant(name, broken, _rules(), patch) for name, broken, patch in core]


def _commands() -> list[Mutant]:
    """The core mistakes what people ask."""
    forward = _with(direction=Direction.FORWARD)
    core: list[tuple[str, str, Patch]] = [
        ("a cancel does not wait", "2", applied(ev.CompensateRequested, wrong.turned_at_once)),
        (
            "a cancel is forgotten",
            "16",
            applied(at.AttemptSucceeded, _with(cancel_requested=False)),
        ),
        ("a retry turns back forward", "8", applied(ev.RetryRequested, forward)),
        ("a retry takes failed for done", "6", applied(ev.RetryRequested, wrong.waved_through)),
        ("a retry does not count anew", "13", applied(ev.RetryRequested, wrong.not_anew)),
    ]
    mutants = [Mutant(name, broken, _rules(), patch) for name, broken, patch in core]
    again = replaced("allowed_operations", wrong.always_retry)
    stands = _rules(pivot(), commands=2, faults=0)
    return [*mutants, Mutant("a retry while the pivot stands", "2", stands, again)]


def _mends() -> list[Mutant]:
    """The core mistakes what people found out or changed."""
    many = _rules(pivot(), commands=3, mends=True)
    same_key = applied(DataEdited, wrong.same_revision)
    return [
        Mutant("an edited call keeps its key", "5", many, same_key),
        Mutant("what is in doubt is edited", "[236]", many, replaced("may_edit", wrong.edits_all)),
        Mutant("what was applied is forgotten", "[26]", many, applied(DoubtResolved, wrong.undone)),
        Mutant("a mended saga is not due", "22", many, applied(DoubtResolved, _with(due_at=None))),
    ]


def _time_and_workers() -> list[Mutant]:
    """The core mistakes the deadline, the pivot, a claim or the end of one."""
    late = replaced("_why_stop", wrong.stopped_by_deadline)
    round_ = replaced("_give_up", wrong.turns_always)
    endless = applied(ev.Claimed, wrong.not_counted)
    return [
        Mutant("the deadline stops a compensation", "13", _rules(hurried()), late),
        Mutant("the deadline stops no action", "8", _rules(hurried()), wrong.never_late),
        Mutant("a pivot in doubt turns round", "10", _rules(pivot()), round_),
        Mutant("crashes are not counted", "21", _rules(commands=0, faults=0, poison=True), endless),
        Mutant("a claim has no new epoch", "12", _rules(), applied(ev.Claimed, wrong.same_epoch)),
        Mutant(
            "a parked call is forgotten",
            "13",
            _rules(commands=0),
            applied(ev.Parked, wrong.no_call),
        ),
        Mutant(
            "a worker hands back before its answer",
            "shape",
            _rules(),
            replaced("answered", wrong.hands_back_first),
        ),
        Mutant(
            "a stopped worker keeps the lease",
            "shape",
            _rules(),
            applied(ev.HandedBack, wrong.keeps),
        ),
        Mutant("an ended saga stays due", "22", _rules(), applied(ev.SagaCompleted, wrong.keeps)),
    ]


MUTANTS = [*_outside(), *_calls(), *_commands(), *_mends(), *_time_and_workers()]
