"""Sagas at the shell: look at them, and operate them."""

from __future__ import annotations

import getpass
import json
from argparse import ArgumentTypeError
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from executors.registry import registry
from executors.secrets import hiding
from sagas import selectors, services
from sagas.domain.state import Operation, SagaStatus
from sagas.management import processes
from sagas.models import Saga
from sagas.text import one_line

_MOST = 10_000
_LONGEST_REASON = 1000


def _text(text: str) -> str:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ArgumentTypeError("it has bytes that are no UTF-8")  # so Python hands them on
    return text


def _reason(text: str) -> str:
    if len(text) > _LONGEST_REASON:
        raise ArgumentTypeError(f"it has more than {_LONGEST_REASON} characters")
    return _text(text)


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= _MOST):
        raise ArgumentTypeError(f"it is a number from 1 to {_MOST}")
    return int(text)


class Command(BaseCommand):
    """`./run manage saga …`."""

    help = "List, show, execute, compensate and retry sagas; list the saga types."

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_subparsers(dest="what", required=True)
        listing = what.add_parser("list", help="the newest sagas")
        listing.add_argument("--status", choices=[status.value for status in SagaStatus])
        listing.add_argument("--type", type=_text)
        listing.add_argument("--limit", type=_limit, default=20)
        show = what.add_parser("show", help="one saga with its steps and history")
        show.add_argument("id", type=UUID)
        what.add_parser("types", help="the saga types that this code knows, with their steps")
        for operation in Operation:
            command = what.add_parser(operation.value, help=f"{operation.value} a saga")
            command.add_argument("id", type=UUID)
            command.add_argument(
                "--reason", type=_reason, default="", help="why; kept in the history"
            )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            match options["what"]:
                case "list":
                    self._list(options)
                case "show":
                    self._show(options["id"])
                case "types":
                    self._types()
                case operation:
                    self._operate(Operation(operation), options)
        except services.SagaNotFound as error:
            raise CommandError(f"there is no saga {error}") from error
        except DatabaseError as error:
            raise processes.database_trouble(error) from error

    def _list(self, options: dict[str, Any]) -> None:
        sagas = Saga.objects.order_by("-id")
        for name in ("status", "type"):
            if options[name]:
                sagas = sagas.filter(**{name: options[name]})
        for saga in sagas[: options["limit"]]:
            self.stdout.write(self._line(saga))

    def _line(self, saga: Saga) -> str:
        doubt = " in doubt" if saga.in_doubt else ""
        where = f" at {saga.current_step}" if saga.current_step else ""
        why = hiding(saga).text(saga.waiting or saga.reason)
        created = f"{saga.created_at:%Y-%m-%d %H:%M:%S}"
        line = f"{saga.id}  {created}  {saga.status:<12}{doubt} {saga.type}{where}  {why}"
        return one_line(line).rstrip()

    def _show(self, saga_id: UUID) -> None:
        saga = services.get_saga(saga_id)
        events = list(selectors.saga_events(saga_id))
        hide = hiding(saga, events)
        self.stdout.write(self._line(saga))
        self.stdout.write(f"allowed: {', '.join(services.allowed(saga)) or 'nothing'}")
        self.stdout.write(f"data: {json.dumps(hide.document(saga.data), ensure_ascii=False)}")
        for step in saga.steps.all():
            tries = f"{step.attempts}+{step.compensation_attempts} attempts"
            self.stdout.write(f"  {step.position} {step.name:<24} {step.status:<12} {tries}")
            if step.error:
                self.stdout.write(f"      {one_line(hide.text(step.error))}")
        for event in events:
            data = event.data if isinstance(event.data, dict) else {}
            about = f"{event.step} {data.get('call', '')}".strip()
            why = hide.told(event.reason or data.get("error") or data.get("reason") or "")
            line = f"  {event.seq:>3} {event.at:%H:%M:%S.%f} {event.kind:<22} {about:<32}"
            self.stdout.write(one_line(f"{line} {event.actor} {why}").rstrip())

    def _types(self) -> None:
        for executor in registry.all():
            self.stdout.write(f"{executor.saga_type} version {executor.version}")
            for step in executor.definition.steps:
                undo = f"  <- {step.compensation}" if step.compensation else ""
                self.stdout.write(f"  {step.name}{' (pivot)' if step.pivot else ''}{undo}")

    def _operate(self, operation: Operation, options: dict[str, Any]) -> None:
        actor = f"shell:{getpass.getuser()}"
        try:
            saga = services.OPERATIONS[operation](
                options["id"], actor=actor, reason=options["reason"]
            )
        except services.NotAllowed as error:
            now = ", ".join(error.allowed) or "nothing"
            raise CommandError(f"{error}; allowed now: {now}") from error
        except services.NeedsApproval as error:
            raise CommandError(f"{error}: propose it in the console") from error
        self.stdout.write(self._line(saga))
