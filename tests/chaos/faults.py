"""How each fault is made, and when it counts as having struck."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.error import URLError

import psycopg
from redis.exceptions import RedisError

from tests.chaos import broker, watch
from tests.chaos.kinds import CALLS, KINDS, STUBBORN
from tests.chaos.plan import Strike
from tests.chaos.processes import Slot
from tests.chaos.struck import Struck
from tests.chaos.system import System

Undo = Callable[[], None] | None
"""What ends the fault when its time is over."""


class Faults:
    """Makes faults in one system; called from the thread that started its servers."""

    def __init__(self, system: System, struck: Struck) -> None:
        self._system = system
        self._struck = struck
        self._paused: set[int] = set()
        self._stop = threading.Event()
        self._thieves: list[threading.Thread] = []

    def make(self, strike: Strike) -> Undo:
        """Make one; what is returned ends it."""
        self._struck.plan(strike.kind)
        target = KINDS[strike.kind].target
        if target in ("shop", "network", "messages"):
            make: Callable[[Strike], Undo] = getattr(self, f"_{target}")
        else:
            make = getattr(self, f"_{strike.kind}")
        return make(strike)

    def stop(self) -> None:
        """End what goes on by itself: switches, thieves of messages, pauses."""
        self.stop_thieves()
        for pid in list(self._paused):
            self._continue(pid)
        for proxy in self._system.proxies.values():
            proxy.clear()
        for one in self._switched():
            self._struck.count(*one)
        for service in self._system.proxies:
            self._system.clear_switches(service)

    def so_far(self) -> int:
        """How many faults have struck until now, about; to be asked before `stop`."""
        total = self._struck.total
        with suppress(OSError):
            total += sum(faults for *_, faults in self._switched())
        return total

    def _switched(self) -> Iterator[tuple[str, int, str, int]]:
        """What switches did: the kind, how often it hit, more about it, and how many struck."""
        for service, proxy in self._system.proxies.items():
            for switch in self._system.switches(service):
                hits = switch["struck"]
                yield f"shop_{switch['fault']}", hits, str(switch["step"]), int(hits > 0)
            for name, hits in list(proxy.struck.items()):
                yield f"network_{name}", hits, service, proxy.faults_that_struck(name)

    def stop_thieves(self) -> None:
        """Take no more messages away; again is no error."""
        self._stop.set()
        for thief in self._thieves:
            thief.join()

    # --- Workers and API ----------------------------------------------------------------------

    def _busy(self) -> set[int]:
        """Processes that drive sagas now; waits a moment for one: to kill an idle one is easy."""
        for _ in range(20):
            if found := watch.driving(self._system):
                return found
            time.sleep(0.05)
        return set()

    def _process(self, strike: Strike) -> int | None:
        """A worker's process that is not paused, if possible one that drives sagas."""
        busy = self._busy()
        all_ = [pid for slot in self._system.workers for pid in slot.processes()]
        able = [pid for pid in all_ if pid not in self._paused]
        found = [pid for pid in able if pid in busy] or able
        return found[strike.choice % len(found)] if found else None

    def _worker(self, strike: Strike) -> Slot:
        """A worker, if possible one that drives sagas."""
        busy, slots = self._busy(), self._system.workers
        found = [slot for slot in slots if busy & set(slot.processes())] or slots
        return found[strike.choice % len(found)]

    def _worker_kill_one(self, strike: Strike) -> Undo:
        pid = self._process(strike)
        if pid is not None and _signal(pid, signal.SIGKILL):
            self._struck.killed([pid])
            self._struck.count(strike.kind, note=str(pid))
        return None

    def _worker_kill_all(self, strike: Strike) -> Undo:
        slot = self._worker(strike)
        pids = slot.kill()
        self._paused -= set(pids)
        if pids:
            self._struck.killed(pids)
            self._struck.count(strike.kind, note=f"{slot.name} {pids}")
        return slot.start

    def _worker_restart(self, strike: Strike) -> Undo:
        slot = self._worker(strike)
        self._struck.count(strike.kind, slot.replace(), note=slot.name)
        return None

    def _worker_pause(self, strike: Strike) -> Undo:
        pid = self._process(strike)
        if pid is None or not _signal(pid, signal.SIGSTOP):
            return None
        self._paused.add(pid)

        def resume() -> None:
            # Only a process that is still there was really stopped for so long.
            self._struck.count("worker_pause", self._continue(pid), note=str(pid))

        return resume

    def _continue(self, pid: int) -> bool:
        was = pid in self._paused
        self._paused.discard(pid)
        return was and _signal(pid, signal.SIGCONT)

    def _api_kill(self, strike: Strike) -> Undo:
        self._struck.count(strike.kind, bool(self._system.api.kill()))
        return self._system.api.start

    # --- PostgreSQL ---------------------------------------------------------------------------

    def _postgres_restart(self, strike: Strike) -> Undo:
        self._system.postgres.stop()
        self._struck.count(strike.kind)
        return self._system.postgres.start

    def _postgres_kill(self, strike: Strike) -> Undo:
        self._system.postgres.kill()
        self._struck.count(strike.kind)
        return self._system.postgres.start

    def _postgres_cut_all(self, strike: Strike) -> Undo:
        return self._cut(strike, 1)

    def _postgres_cut_some(self, strike: Strike) -> Undo:
        return self._cut(strike, 3)

    def _cut(self, strike: Strike, of: int) -> Undo:
        sql = (
            "select count(pg_terminate_backend(pid)) from pg_stat_activity"
            " where backend_type = 'client backend' and pid <> pg_backend_pid() and pid %% %s = 0"
        )
        with suppress(psycopg.Error), self._system.database() as database:
            row = database.execute(sql, [of]).fetchone()
            self._struck.count(strike.kind, bool(row and row[0]), note=f"{row} connections")
        return None

    # --- Redis --------------------------------------------------------------------------------

    def _redis_flush(self, strike: Strike) -> Undo:
        with suppress(RedisError):
            client: Any = self._system.redis_client()
            keys = client.dbsize()
            client.flushall()
            client.close()
            self._struck.count(strike.kind, bool(keys), note=f"{keys} keys")
        return None

    def _redis_restart(self, strike: Strike) -> Undo:
        self._system.redis.restart()
        self._struck.count(strike.kind)
        return None

    def _redis_hang(self, strike: Strike) -> Undo:
        process = self._system.redis.process
        if process is None or not _signal(process.pid, signal.SIGSTOP):
            return None
        self._struck.count(strike.kind, note=f"{strike.seconds} s")

        def resume() -> None:
            _signal(process.pid, signal.SIGCONT)

        return resume

    def _redis_away(self, strike: Strike) -> Undo:
        self._system.redis.kill()
        self._struck.count(strike.kind, note=f"{strike.seconds} s")
        return self._system.redis.start

    def _messages(self, strike: Strike) -> Undo:
        arguments = (self._system.redis_client, strike.kind, strike.seconds, self._stop)
        thief = threading.Thread(target=broker.steal, args=(*arguments, self._struck.count))
        self._thieves.append(thief)
        thief.start()
        return None

    # --- Participants -------------------------------------------------------------------------

    def _shop(self, strike: Strike) -> Undo:
        service, step = CALLS[strike.choice % len(CALLS)]
        fields: dict[str, Any] = {"times": strike.times, "step": step}
        if strike.choice % 3 == 0 and (saga_id := watch.early_purchase(self._system)):
            # All attempts of one call: its retries are exhausted, perhaps with the step in doubt.
            service, step = STUBBORN[strike.choice % len(STUBBORN)]
            fields = {"times": 8, "step": step, "match": {"saga_id": saga_id}}
        fields |= {"fault": KINDS[strike.kind].fault, "seconds": strike.seconds}
        if strike.kind == "shop_error":
            fields |= {"status": 503, "retry_after": str(1 + strike.choice % 3)}
        with suppress(URLError):
            self._system.switch(service, **fields)
        return None

    def _network(self, strike: Strike) -> Undo:
        service, step = CALLS[strike.choice % len(CALLS)]
        fault = KINDS[strike.kind].fault
        # Kept connections and refusals are no single step's.
        match = b"" if fault == "close_idle" else f"Saga-Step: {step}\r\n".encode()
        self._system.proxies[service].fault(
            fault, times=strike.times, seconds=strike.seconds, match=match
        )
        return None


def _signal(pid: int, number: signal.Signals) -> bool:
    """Whether there was such a process to be told."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
