"""A process that calls a participant through the breaker of its fleet, as it is told to.

It reads one JSON object a line: the breaker's name, the participant's URL, and either nothing
more, for a single call, or how many `threads` are to ask without a pause until `seconds` are over.
It answers each with a line: how many calls were sent, and how often it was told to wait.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import redis

from executors.breaker import Limits
from executors.redis_breaker import RedisBreaker
from executors.transport import Connections, NoAnswer, NotReached

_DEADLINE = 10.0


class Caller:
    """Calls one participant as workers do: ask the breaker, send, tell the breaker."""

    def __init__(self, client: Any, order: dict[str, Any]) -> None:
        self._breaker = RedisBreaker(order["name"], Limits(**order["limits"]), lambda: client)
        self._connections = Connections(urlsplit(order["url"]), keep=32, max_body=1000)

    def call(self) -> bool:
        """Make one call; whether it was sent."""
        permit = self._breaker.enter()
        if permit.wait is not None:
            return False
        headers = {"Pid": str(os.getpid()), "Probe": permit.probe or "none"}
        try:
            answer = self._connections.send(
                "POST", "/", b"{}", headers, deadline=time.monotonic() + _DEADLINE
            )
        except (NotReached, NoAnswer):
            self._breaker.failed(permit)
        else:
            told = self._breaker.succeeded if answer.status < 300 else self._breaker.failed
            told(permit)
        return True

    def flood(self, threads: int, seconds: float) -> list[bool]:
        """Ask from many threads again and again."""
        until = time.monotonic() + seconds

        def ask(_: int) -> list[bool]:
            found = []
            while time.monotonic() < until:
                found.append(self.call())
                time.sleep(0.01)
            return found

        with ThreadPoolExecutor(threads) as pool:
            return [sent for found in pool.map(ask, range(threads)) for sent in found]


def main() -> None:
    with redis.Redis.from_url(sys.argv[1]) as client:
        client.ping()
        print("ready", flush=True)  # noqa: T201
        for line in sys.stdin:
            order = json.loads(line)
            caller = Caller(client, order)
            if "threads" in order:
                found = caller.flood(order["threads"], order["seconds"])
            else:
                found = [caller.call()]
            print(json.dumps({"sent": sum(found), "held": found.count(False)}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
