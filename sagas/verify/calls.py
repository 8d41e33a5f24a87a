"""What was recorded of the calls that arrived: invariants 4 and 5."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict

from sagas.domain import attempts as at
from sagas.domain.state import CallKind
from sagas.verify.case import Case, Verdicts
from sagas.verify.entry import Entry
from sagas.verify.history import Call, Moment


def arrivals_were_recorded_first(case: Case) -> Verdicts:
    """4: the n-th arrival of a call comes after the record of its n-th attempt that may have been
    sent; on a network that duplicates, after the first.

    The time of an event is taken just before its commit, so a call that arrived between the two
    is not seen; nor is a call that was sent and lost.
    """
    strays = Counter(entry.key for entry in case.entries if case.call_of(entry) is None)
    for key, times in strays.items():
        yield f"{key} arrived {times} times, of which 0 are recorded"
    for call, entries in case.arrivals.items():
        recorded = case.of(call, at.AttemptStarted)
        sent = len(recorded) - sum(_stayed_here(moment) for moment in case.by_call.get(call, ()))
        twice = len(entries) > sent and not (case.rules.duplicating_network and sent > 0)
        if twice or not recorded:
            key = case.key(call)
            yield f"{key} arrived {len(entries)} times, of which {max(sent, 0)} are recorded"
            continue
        for number, entry in enumerate(entries):
            nth = 0 if case.rules.duplicating_network else number
            yield _too_early(case, call, entry, recorded[nth])


def _too_early(case: Case, call: Call, entry: Entry, started: Moment) -> str | None:
    if entry.at + case.rules.skew >= started.fact.at:
        return None
    early = (started.fact.at - entry.at).total_seconds()
    return f"{case.key(call)} arrived {early:.3f} s before event {started.fact.seq} recorded it"


def _stayed_here(moment: Moment) -> bool:
    """Whether the attempt, by its record, never reached the participant."""
    event = moment.event
    if isinstance(event, at.AttemptFailed):
        return not event.in_doubt and event.answer is None
    return isinstance(event, at.AttemptBroken) and moment.before.calling is not None


def bodies_are_one_per_key(case: Case) -> Verdicts:
    """5: all arrivals of a call carry one body, that of the recorded request, under the key and
    the names that the saga, run, step and kind give. A body that the participant did not read
    (null) cannot be compared.
    """
    recorded: dict[Call, set[str]] = defaultdict(set)
    for call, request in case.requests():
        recorded[call].add(hashlib.sha256(str(request.get("body", "")).encode()).hexdigest())
    for call, hashes in recorded.items():
        yield f"{case.key(call)} is recorded with several bodies" if len(hashes) > 1 else None
    for entry in case.entries:
        if entry.key is None:
            yield f"call {entry.seq} at {entry.service} came without a key"
    for call, entries in case.arrivals.items():
        came = {entry.body_sha256 for entry in entries if entry.body_sha256 is not None}
        if len(came) > 1:
            yield f"{case.key(call)} came with several bodies"
        elif came and recorded[call] and came != recorded[call]:
            yield f"{case.key(call)} came with another body than was recorded"
        elif came:
            yield None
        for entry in entries:
            yield from _named_otherwise(case, call, entry)


def _named_otherwise(case: Case, call: Call, entry: Entry) -> Verdicts:
    action = call.kind is CallKind.ACTION
    name = call.step if action else dict(case.history.steps)[call.step]
    takes_back = None if action else case.key(call._replace(kind=CallKind.ACTION))
    came = (entry.run, entry.step, entry.kind, entry.compensates)
    if came != (call.run, name, call.kind, takes_back):
        words = f"run {entry.run}, {entry.kind.value} {entry.step}, taking back {entry.compensates}"
        yield f"{case.key(call)} came as {words}"
