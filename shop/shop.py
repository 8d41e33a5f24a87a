"""The shop: all three participants together."""

import sqlite3
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from shop.endpoint import Business
from shop.inventory import INVENTORY
from shop.participant import Participant
from shop.payment import PAYMENT
from shop.sales import SALES
from shop.server import ParticipantServer

_BUSINESSES = (INVENTORY, PAYMENT, SALES)


class StartError(Exception):
    """The shop cannot start, for a reason that whoever starts it can mend."""


class Shop:
    """Serves the participants, with their stores in one folder, until it is stopped."""

    def __init__(
        self,
        state_dir: str | Path,
        ports: Mapping[str, int] | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.urls: dict[str, str] = {}
        self._state = Path(state_dir)
        self._ports = ports or {}
        self._host = host
        self._opened = ExitStack()

    def start(self) -> None:
        """Listen at all ports (any free one where none is given), or raise StartError."""
        with ExitStack() as opened:
            servers = [self._open(business, opened) for business in _BUSINESSES]
            for server in servers:
                server.start()
                opened.callback(server.stop)
            self.urls = {server.participant.name: server.url for server in servers}
            self._opened = opened.pop_all()

    def stop(self) -> None:
        """End all connections and close the stores; again is no error."""
        self._opened.close()
        self.urls = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _open(self, business: Business, opened: ExitStack) -> ParticipantServer:
        try:
            self._state.mkdir(parents=True, exist_ok=True)
            participant = Participant(business, self._state)
        except (OSError, sqlite3.Error) as error:
            raise StartError(
                f"{business.name} cannot keep state in {self._state}: {error}"
            ) from error
        opened.callback(participant.close)
        port = self._ports.get(business.name, 0)
        try:
            server = ParticipantServer(participant, self._host, port)
        except OSError as error:
            where = f"{self._host}:{port}"
            raise StartError(f"{business.name} cannot listen on {where}: {error}") from error
        opened.callback(server.server_close)
        return server
