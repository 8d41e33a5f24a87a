"""What more worker processes and threads bring: `.venv/bin/python -m tests.deploy.scale`.

For each setting a backlog of purchases is driven by one `./run worker`, with participants that
take 50 ms for each of the five calls. Everything shares this machine, the participants too.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from tests.acceptance.service import Service, children, eventually
from tests.free_port import free_port

SETTINGS = ((1, 8), (2, 8), (1, 16), (2, 16), (1, 32), (4, 8))
"""Processes, and threads of each."""

NUMBER = 150
DELAY = 0.05
CALLS = {
    "inventory": ("validate_inventory", "reserve_inventory", "update_inventory"),
    "payment": ("process_payment",),
    "sales": ("create_sale",),
}
_TICK = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print a line for each setting."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Service(Path(folder), free_port(), SAGA_API_OPEN="on") as service,
    ):
        service.start_api()
        for participant, steps in CALLS.items():
            for step in steps:
                service.fault(participant, step=step, fault="delay", seconds=DELAY)
        print("processes × threads  sagas/s  worker's CPU ms/saga  MB (PSS)  connections")
        for processes, threads in SETTINGS:
            print(measured(service, processes, threads), flush=True)


def measured(service: Service, processes: int, threads: int) -> str:
    """The line of one setting: from the moment a tenth of the sagas has ended."""
    before = done(service)
    for _ in range(NUMBER):
        service.create()
    worker = service.start_worker(
        SAGA_WORKER_PROCESSES=str(processes), SAGA_WORKER_THREADS=str(threads)
    )
    eventually(lambda: done(service) - before >= NUMBER // 10, 60, "they are driven")
    first, started, used = done(service), time.monotonic(), cpu(worker.pid)
    connections = len(service.sql("SELECT 1 FROM pg_stat_activity WHERE datname = 'saga'"))
    memory = sum(pss(pid) for pid in (worker.pid, *children(worker.pid)))
    eventually(lambda: done(service) - before >= NUMBER, 120, "all have ended")
    number, took = NUMBER - (first - before), time.monotonic() - started
    each = (cpu(worker.pid) - used) / number * 1000
    service.end(worker)
    return (
        f"{processes:9} × {threads:<7}  {number / took:7.1f}  {each:20.1f}"
        f"  {memory:8.0f}  {connections:11}"
    )


def done(service: Service) -> int:
    """How many sagas have completed."""
    number: int = service.sql("SELECT count(*) FROM sagas_saga WHERE status = 'completed'")[0][0]
    return number


def cpu(pid: int) -> float:
    """Seconds that the processes of the worker have used."""
    total = 0
    for each in (pid, *children(pid)):
        fields = Path(f"/proc/{each}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICK


def pss(pid: int) -> float:
    """Megabytes of a process, where what several share counts once for all of them."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(text.split("\nPss:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
