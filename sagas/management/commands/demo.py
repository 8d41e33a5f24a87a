"""The whole system on this machine, with nothing else to install: `./run demo`."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from sagas.demo.ports import Port
from sagas.demo.stop import DemoError
from sagas.demo.supervisor import Options, run

_PORTS = {"": 8000, "inventory": 8101, "payment": 8102, "sales": 8103}


class Command(BaseCommand):
    """Runs example sagas on real HTTP services, checks them, and stays up."""

    help = "Run example sagas, check them against the participants' ledgers, and stay up."
    # The person's own settings do not matter here: the demo's processes get others.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        state = Path(settings.STATE_DIR) / "demo"
        parser.add_argument("--exit", action="store_true", help="stop when the sagas are done")
        parser.add_argument("--fresh", action="store_true", help="forget what earlier demos did")
        parser.add_argument(
            "--state", type=Path, default=state, help=f"folder for everything (default {state})"
        )
        for name, number in _PORTS.items():
            parser.add_argument(
                _option(name),
                type=_number,
                default=os.environ.get(_variable(name)) or str(number),
                help=f"port of {_owner(name)}, 0: any (default {number}; or {_variable(name)})",
                metavar="PORT",
            )

    def handle(self, *args: Any, **options: Any) -> None:
        ports = {
            name: Port(_owner(name), options[_field(name)], _option(name), _variable(name))
            for name in _PORTS
        }
        asked = Options(
            root=Path(settings.BASE_DIR),
            state=options["state"].absolute(),
            port=ports.pop(""),
            shop_ports=ports,
            fresh=options["fresh"],
            exit=options["exit"],
        )
        colour = {name.upper(): "1" for name in ("no_color", "force_color") if options[name]}
        try:
            sys.exit(run(asked, sys.stdout, {**os.environ, **colour}))
        except DemoError as error:
            print(f"demo: {error}", file=sys.stderr)
            sys.exit(1)


def _option(name: str) -> str:
    return f"--{name}-port" if name else "--port"


def _variable(name: str) -> str:
    return f"SAGA_DEMO_{name.upper()}_PORT" if name else "SAGA_DEMO_PORT"


def _field(name: str) -> str:
    return f"{name}_port" if name else "port"


def _owner(name: str) -> str:
    return f"the shop's {name}" if name else "the orchestrator"


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) < 65536):
        raise ArgumentTypeError(f"{text} is no port")
    return int(text)
