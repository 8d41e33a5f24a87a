"""Whether sagas came to rest: the liveness invariants 21 and 22."""

from __future__ import annotations

from sagas.domain.state import ENDED, SagaStatus
from sagas.verify.case import Case, Verdicts


def everything_ended(case: Case) -> Verdicts:
    """21: once everything has settled, each saga that was started is completed, compensated, or
    failed with a reason. One that nobody executed (pending) is at rest. How long the others
    took is not judged.
    """
    if not case.rules.settled or case.has(SagaStatus.PENDING):
        return
    row = case.history.row
    if row is None:
        yield f"it is {case.history.status}, and {case.history.unreadable}"
    elif row.status not in ENDED:
        why = row.waiting or next((step.error for step in row.steps if step.error), "")
        yield f"it is {row.status}, {row.direction}" + (f": {why}" if why else "")
    elif row.status is SagaStatus.FAILED and not row.reason:
        yield "it failed without a reason"
    else:
        yield None


def nothing_is_overdue(case: Case) -> Verdicts:
    """22: no saga without a lease has been due for more than two sweeps."""
    row, now = case.history.row, case.rules.read_at
    if row is None or row.due_at is None or now is None or row.owner:
        return
    late = now - row.due_at
    overdue = late > 2 * case.rules.sweep
    yield f"it is due since {late.total_seconds():.1f} s, and nobody has it" if overdue else None
