"""Start the shop: python -m shop --state DIR."""

import os
import signal
import sys
import threading
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from shop.shop import Shop, StartError

_PORTS = {"inventory": 8101, "payment": 8102, "sales": 8103}


def main() -> int:
    """Serve until SIGTERM or SIGINT, and return the exit status."""
    options = _options()
    signals = {signal.SIGTERM, signal.SIGINT}
    # Blocked before any thread starts, so that only sigwait below ever receives them.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    if options.exit_with_parent_pipe:
        threading.Thread(target=_exit_at_end_of_input, daemon=True).start()
    ports = {name: getattr(options, f"{name}_port") for name in _PORTS}
    try:
        with Shop(options.state, ports, options.host) as shop:
            for name, url in shop.urls.items():
                print(name, url, flush=True)  # noqa: T201
            signal.sigwait(signals)
    except StartError as error:
        print(f"shop: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _options() -> Namespace:
    parser = ArgumentParser(prog="python -m shop", description="The demo's three participants.")
    parser.add_argument("--state", type=Path, required=True, help="folder of the SQLite files")
    parser.add_argument("--host", default="127.0.0.1")
    for name, port in _PORTS.items():
        text = f"0: any free port (default {port})"
        parser.add_argument(f"--{name}-port", type=_port, default=port, metavar="PORT", help=text)
    parser.add_argument(
        "--exit-with-parent-pipe",
        action="store_true",
        help="exit when standard input ends, that is with whoever holds its other end",
    )
    return parser.parse_args()


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) < 65536):
        raise ArgumentTypeError(f"{text} is no port")
    return int(text)


def _exit_at_end_of_input() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
