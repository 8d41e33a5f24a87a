"""API keys at the shell: make, list, revoke."""

from __future__ import annotations

import getpass
import re
from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from sagas import selectors, services
from sagas.keys import ApiKey, Scope
from sagas.management import processes

_TIME = re.compile(r"([1-9][0-9]{0,4})([hd])")


def _name(text: str) -> str:
    if not services.KEY_NAME.fullmatch(text):
        raise ArgumentTypeError("it has letters, digits, '.', '_' and '-', at most 64")
    return text


def _lasts(text: str) -> timedelta:
    found = _TIME.fullmatch(text)
    if found is None:
        raise ArgumentTypeError("it is a number of days or hours, such as 90d or 12h")
    number = int(found[1])
    return timedelta(days=number) if found[2] == "d" else timedelta(hours=number)


class Command(BaseCommand):
    """`./run manage api_key …`."""

    help = "Make, list and revoke the keys with which clients may call the API."

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_subparsers(dest="what", required=True)
        create = what.add_parser("create", help="make a key; standard output is the key alone")
        create.add_argument("name", type=_name, help="the client; several keys may be one's")
        create.add_argument(
            "--scope",
            action="append",
            required=True,
            choices=[scope.value for scope in Scope],
            help="what the client may do; may be given several times",
        )
        create.add_argument("--expires", type=_lasts, metavar="90d", help="when: in days or hours")
        what.add_parser("list", help="all keys, the newest first; never their secrets")
        revoke = what.add_parser("revoke", help="make a key useless at once, for good")
        revoke.add_argument("prefix", help="what `list` shows: a key's part after saga_")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            match options["what"]:
                case "create":
                    self._create(options)
                case "list":
                    self._list()
                case _:
                    self._revoke(options["prefix"])
        except DatabaseError as error:
            raise processes.database_trouble(error) from error

    def _create(self, options: dict[str, Any]) -> None:
        key, text = services.make_api_key(
            options["name"], {*options["scope"]}, actor=_actor(), lasts=options["expires"]
        )
        until = f", until {key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else ""
        self.stderr.write(f"{key.name} may {key.scopes}{until}. The key is shown this once:")
        self.stdout.write(text)

    def _list(self) -> None:
        now = selectors.database_now()
        for key in ApiKey.objects.all():
            used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
            end = f" (until {key.expires_at:%Y-%m-%d %H:%M})" if key.expires_at else ""
            self.stdout.write(
                f"{key.prefix}  {key.state(now):<8}  {key.name:<20}  {key.scopes:<38}  "
                f"used {used:<16}  made {key.created_at:%Y-%m-%d %H:%M} by {key.created_by}{end}"
            )

    def _revoke(self, prefix: str) -> None:
        try:
            key, now = services.revoke_api_key(prefix, actor=_actor())
        except services.ApiKeyNotFound as error:
            raise CommandError("there is no such key; see `api_key list`") from error
        if not now:
            self.stderr.write(f"{key}: {key.revoked_by} revoked it before")
            return
        self.stderr.write(f"{key}: revoked")


def _actor() -> str:
    return f"shell:{getpass.getuser()}"
