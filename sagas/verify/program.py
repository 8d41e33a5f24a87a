"""The whole check: reads the ledgers, then the sagas, and reports what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings

from sagas.selectors import database_now
from sagas.verify import load
from sagas.verify.case import Case
from sagas.verify.clients import BadTold, Told, told_of, what_clients_saw
from sagas.verify.history import History, Rules
from sagas.verify.invariants import found
from sagas.verify.money import Totals
from sagas.verify.report import Report
from sagas.verify.secrets import secrets_in
from sagas.verify.sources import CannotCheck, Ledger, Source, json_lines

_LEFT_ALONE = timedelta(seconds=5)
"""While sagas run: how long before the ledgers were read a saga must have ended to be judged by
them, as the time of an event may lie a little before its commit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What to check, and with what."""

    ledgers: tuple[str, ...] = ()
    """Base URLs of participants, or files of JSON lines; `NAME=` before one says whose it is."""

    clients: Path | None = None
    secrets: Path | None = None
    scan: tuple[Path, ...] = ()
    settled: bool = True
    skew: float = 0.05
    """Seconds by which clocks may differ."""

    duplicating_network: bool = False
    since: datetime | None = None
    """Sagas of before may be gone from here, and their calls still be in the ledgers."""


def participants() -> tuple[str, ...]:
    """The ledgers of all participants that the settings name."""
    return tuple(f"{name}={url}" for name, url in settings.SAGA_PARTICIPANTS.items())


def verify(options: Options) -> Report:
    """Check everything that can be seen from these. Raises CannotCheck."""
    report, totals = Report(), Totals()
    secrets = _secrets(options.secrets)
    told = _told(options.clients)
    with Ledger() as ledger:
        # First the ledgers: then every call in them must be in what is read of the database.
        before = database_now()
        sources = [Source.of(text) for text in options.ledgers]
        for source in sources:
            ledger.read(source)
        states = _states(sources, ledger) if options.settled else {}
        rules = _rules(options, ledger, secrets, before)
        _sagas(report, totals, ledger, rules)
        report.calls = ledger.calls
        for saga, service, times, key in ledger.strays():
            if options.since is not None and _is_older(saga, options.since):
                continue
            named = f"which are of no saga here, such as {key}" if saga else "which name no saga"
            report.looked(4, saga, f"{times} calls arrived at {service} {named}")
    if report.calls and not report.sagas and not report.moving:
        place = load.database_name()
        raise CannotCheck(f"this database holds no sagas ({place}): is it the right one?")
    if not report.sagas and not report.calls and not told:
        raise CannotCheck("there are no sagas, no calls and nothing that clients were told")
    # Sums are of all sagas, or say nothing.
    for saga, text in totals.check({} if report.moving or options.since else states):
        report.looked(19, saga, text)
    for invariant, saga, text in what_clients_saw(told, load.stored(told)):
        report.looked(invariant, saga, text)
    for text in _scanned(options.scan, secrets):
        report.looked(20, "", text)
    return report


def _is_older(saga: str, moment: datetime) -> bool:
    """Whether the saga was created before, by its id: a UUIDv7 holds the time (RFC 9562)."""
    try:
        known = UUID(saga)
    except ValueError:
        return False
    return known.version == 7 and (known.int >> 80) / 1000 < moment.timestamp()


def _rules(options: Options, ledger: Ledger, secrets: tuple[str, ...], before: datetime) -> Rules:
    return Rules(
        skew=timedelta(seconds=options.skew),
        duplicating_network=options.duplicating_network,
        services=frozenset(ledger.services),
        ledgers=bool(options.ledgers),
        settled=options.settled,
        rested_by=None if options.settled else before - _LEFT_ALONE,
        read_at=before,
        sweep=timedelta(seconds=settings.SAGA_SWEEP_INTERVAL),
        secrets=secrets,
    )


def _sagas(report: Report, totals: Totals, ledger: Ledger, rules: Rules) -> None:
    for batch in load.histories():
        known = [history for history in batch if isinstance(history, History)]
        report.moving += len(batch) - len(known)
        ledger.of(str(saga_id) for saga_id in batch if not isinstance(saga_id, History))
        entries = ledger.of(history.saga_id for history in known)
        for history in known:
            case = Case(history, entries[history.saga_id], rules)
            report.sagas += 1
            try:
                totals.add(case)
            except Exception as error:  # as in `found`
                why = f"what is stored makes no sense: {type(error).__name__}: {error}"
                report.looked(19, history.saga_id, why)
            for invariant, text in found(case):
                report.looked(invariant, history.saga_id, text)


def _states(sources: list[Source], ledger: Ledger) -> Mapping[str, Mapping[str, Any]]:
    """The sums of the participants of which it is known who they are."""
    alone = next(iter(ledger.services)) if len(ledger.services) == 1 else ""
    named = {source.name or alone: source for source in sources}
    return {name: source.state() for name, source in named.items() if name}


def _told(path: Path | None) -> list[Told]:
    told = []
    for number, value in enumerate(json_lines(path) if path else (), start=1):
        try:
            told.append(told_of(value))
        except BadTold as error:
            raise CannotCheck(f"{path}, request {number}: {error}") from None
    return told


def _secrets(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CannotCheck(f"{path} cannot be read: {type(error).__name__}") from error
    secrets = tuple(line for line in lines if line.strip())
    if not secrets:
        raise CannotCheck(f"{path} has no secret")
    return secrets


def _scanned(paths: tuple[Path, ...], secrets: tuple[str, ...]) -> Iterator[str | None]:
    if paths and not secrets:
        raise CannotCheck("--scan looks for secrets: --secrets says which")
    for path in paths:
        try:
            with path.open("rb") as file:
                numbers = sorted(secrets_in(file, secrets))
        except OSError as error:
            raise CannotCheck(f"{path} cannot be read: {error.strerror}") from error
        yield None if not numbers else f"{path} has secret {', '.join(map(str, numbers))}"
