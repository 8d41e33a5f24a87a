"""The rules of every participant: a key has one effect, and a compensation bars its action."""

from dataclasses import dataclass
from sqlite3 import Connection

from shop import barrier, record
from shop.answer import Answer, Refused
from shop.body import Body
from shop.call import Call
from shop.endpoint import Action, Check, Compensation
from shop.record import Record
from shop.store import all_or_nothing


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a call: the ledger's word for it, and the answer."""

    outcome: str
    answer: Answer
    amount: int | None = None


def judge(db: Connection, call: Call) -> Verdict:
    """Apply, replay or refuse the call; a refusal leaves nothing behind."""
    try:
        with all_or_nothing(db):
            return _settle(db, call)
    except Refused as refusal:
        return Verdict(refusal.outcome, refusal.answer)


def _settle(db: Connection, call: Call) -> Verdict:
    body = call.body
    if call.key is None:
        raise Refused(400, "key_missing", "the header Idempotency-Key is missing")
    match call.endpoint:
        case Check() as check:
            return Verdict("checked", Answer.of(200, check.run(db, body)))
        case Action() as action:
            return _act(db, call, action, call.key, body)
        case Compensation() as compensation:
            return _compensate(db, call, compensation, call.key, body)


def _act(db: Connection, call: Call, action: Action, key: str, body: Body) -> Verdict:
    # The barrier comes before the record: a compensated effect must not look like one that stands.
    if barrier.is_barred(db, key):
        raise Refused(409, "barred", "this action was compensated", outcome="barred")
    if known := record.find(db, key):
        return _replay(call, known)
    effect = action.run(db, body)
    answer = Answer.of(effect.status, effect.fields)
    _keep(db, call, key, answer, effect.reference, effect.amount)
    return Verdict("applied", answer, effect.amount)


def _compensate(
    db: Connection, call: Call, compensation: Compensation, key: str, body: Body
) -> Verdict:
    if call.compensates is None:
        raise Refused(400, "compensates_missing", "the header Compensates is missing")
    if known := record.find(db, key):
        return _replay(call, known)
    reference = body.optional_reference(compensation.field)
    action = record.find(db, call.compensates)
    if action is None and reference is not None:
        action = record.find_action(db, compensation.takes_back, call.saga_id, reference)
    if action is not None and action.endpoint != compensation.takes_back:
        raise Refused(422, "key_mismatch", f"{compensation.step} does not take back this action")

    done, amount = False, None
    if action is not None and action.reference and not barrier.is_barred(db, action.key):
        done, amount = True, compensation.run(db, action.reference)
        barrier.bar(db, action.key, key)
    barrier.bar(db, call.compensates, key)
    answer = Answer.of(200, {compensation.done: done})
    _keep(db, call, key, answer, reference, amount)
    return Verdict("applied" if done else "noop", answer, amount)


def _replay(call: Call, known: Record) -> Verdict:
    if (known.endpoint, known.body_sha256) != (call.endpoint.step, call.body_sha256):
        raise Refused(422, "key_reused", "this Idempotency-Key came before with another body")
    return Verdict("replayed", known.answer, known.amount)


def _keep(
    db: Connection, call: Call, key: str, answer: Answer, reference: str | None, amount: int | None
) -> None:
    sha256 = call.body_sha256 or ""  # never empty here: a body that was not read is refused
    step, saga_id, status, text = call.endpoint.step, call.saga_id, answer.status, answer.text
    record.keep(db, Record(key, step, saga_id, sha256, reference, amount, status, text))
