"""A shop that costs little: one process, HTTP/1.1 with keep-alive, and a ledger of its effects.

    python -m benchmarks.participant PORT

    POST /shop/STEP     a call; the body has the order's id, the header Idempotency-Key its key
    GET  /ledger        what was done
    POST /config        {"latency": seconds a call takes, "decline_every": N}; forgets the ledger

Only what the benchmark's clients send is understood: bodies have a Content-Length.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from http import HTTPStatus

from benchmarks.ledger import Ledger

_ORDER = re.compile(rb'"order_id":\s*"?(\d+)')
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_KEY = re.compile(rb"\r\nidempotency-key:\s*([^\r]*)", re.IGNORECASE)


class Shop:
    """What the connections share."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.latency = 0.0

    def step(self, name: str, head: bytes, body: bytes) -> bytes:
        """The answer to one call of a step."""
        order = _ORDER.search(body)
        if not order:
            return _answer(400, b'{"error":"no order_id"}')
        key = _KEY.search(head)
        number = int(order[1])
        if not self.ledger.call(number, name, key[1].decode() if key else ""):
            return _answer(402, b'{"error":"card_declined","message":"The card was declined"}')
        return _answer(200, b'{"ok":true,"step":"%b","ref":"%d"}' % (name.encode(), number))

    def control(self, target: str, body: bytes) -> bytes:
        """The answer to the benchmark itself."""
        if target == "/ledger":
            return _answer(200, json.dumps(self.ledger.document()).encode())
        if target == "/config":
            wanted = json.loads(body)
            self.latency = wanted["latency"]
            self.ledger = Ledger(decline_every=wanted["decline_every"])
            return _answer(200, b"{}")
        return _answer(404, b'{"error":"not found"}')


class Connection(asyncio.Protocol):
    """One client's connection; requests are answered one after another."""

    transport: asyncio.Transport

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < whole:
                return
            body, self._received = self._received[end + 4 : whole], self._received[whole:]
            self._handle(head, body)

    def _handle(self, head: bytes, body: bytes) -> None:
        target = head.split(b" ", 2)[1].decode()
        if not target.startswith("/shop/"):
            self.transport.write(self._shop.control(target, body))
            return
        answer = self._shop.step(target.removeprefix("/shop/"), head, body)
        if self._shop.latency:
            asyncio.get_running_loop().call_later(self._shop.latency, self.transport.write, answer)
        else:
            self.transport.write(answer)


def _answer(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        status,
        HTTPStatus(status).phrase.encode(),
        len(body),
        body,
    )


async def serve(port: int) -> None:
    """Serve until the process is ended."""
    shop = Shop()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(shop), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
