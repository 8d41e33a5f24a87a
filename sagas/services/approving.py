"""Two-person approval: one proposes an operation, another approves the very plan that was shown."""

from __future__ import annotations

from uuid import UUID

from django.db import IntegrityError, transaction

from sagas import selectors
from sagas.domain import triggers as tr
from sagas.domain.state import Operation
from sagas.models import Proposal, Saga
from sagas.services.operating import (
    MOVED_ON,
    MovedOn,
    NotAllowed,
    cleaned,
    needs_approval,
    perform,
    preview,
)
from sagas.services.reading import allowed, get_saga

APPROVED, REJECTED, WITHDRAWN, OUTDATED = "approved", "rejected", "withdrawn", "outdated"


class SamePerson(Exception):
    """Nobody approves what they proposed themselves."""


class Decided(Exception):
    """The proposal was decided before; `decision` says how."""

    def __init__(self, decision: str) -> None:
        super().__init__(f"it was {decision} before")
        self.decision = decision


class AlreadyProposed(Exception):
    """There is an open proposal for the saga."""


def propose(saga_id: UUID, *, actor: str, reason: str, fingerprint: str) -> Proposal:
    """Propose to compensate a completed saga, as its plan of that fingerprint shows.

    Raises SagaNotFound, NotAllowed, MovedOn, AlreadyProposed.
    """
    plan = preview(saga_id, tr.Compensate(reason=reason))
    if plan.fingerprint != fingerprint:
        raise MovedOn(MOVED_ON)
    if not needs_approval(plan.begins, Operation.COMPENSATE):
        saga = get_saga(saga_id)
        raise NotAllowed("it needs nobody's approval", saga.status, allowed(saga))
    try:
        with transaction.atomic():
            return Proposal.objects.create(
                saga_id=saga_id,
                operation=Operation.COMPENSATE.value,
                fingerprint=fingerprint,
                reason=cleaned(saga_id)(reason),
                proposed_by=actor,
                proposed_at=selectors.database_now(),
            )
    except IntegrityError:
        get_saga(saga_id)  # it may have been purged meanwhile
        raise AlreadyProposed(str(saga_id)) from None


def approve(proposal_id: int, *, actor: str, comment: str = "") -> Saga:
    """Do what was proposed, if the saga is still as it was then.

    Raises Proposal.DoesNotExist, SamePerson, Decided, MovedOn or NotAllowed; the last two leave
    the proposal outdated.
    """
    proposal = Proposal.objects.get(pk=proposal_id)
    if proposal.proposed_by == actor:
        raise SamePerson(actor)
    comment = cleaned(proposal.saga_id)(comment)
    reason = f"{proposal.reason} (proposed by {proposal.proposed_by})"
    if comment:
        reason = f"{reason}; {comment}"
    try:
        with transaction.atomic():
            _decide(proposal_id, APPROVED, actor, comment)
            return perform(
                proposal.saga_id,
                tr.Compensate(reason=reason),
                actor=actor,
                reason=reason,
                fingerprint=proposal.fingerprint,
                approved=True,
            )
    except (MovedOn, NotAllowed):
        _decide(proposal_id, OUTDATED, actor, comment)
        raise


def reject(proposal_id: int, *, actor: str, comment: str = "") -> None:
    """Turn the proposal down, or take one's own back. Raises Proposal.DoesNotExist, Decided."""
    proposal = Proposal.objects.get(pk=proposal_id)
    decision = WITHDRAWN if proposal.proposed_by == actor else REJECTED
    _decide(proposal_id, decision, actor, cleaned(proposal.saga_id)(comment))


def _decide(proposal_id: int, decision: str, actor: str, comment: str) -> None:
    """Record the decision, if none is. Raises Decided."""
    open_ = Proposal.objects.filter(pk=proposal_id, decision="")
    now = selectors.database_now()
    if not open_.update(decision=decision, decided_by=actor, decided_at=now, comment=comment):
        raise Decided(Proposal.objects.values_list("decision", flat=True).get(pk=proposal_id))
