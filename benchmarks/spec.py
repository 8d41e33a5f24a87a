"""Lets a benchmark of several engines drive this project as its contender.

The harness brings PostgreSQL, Redis, a shop and a client that speaks REST; `contender.Rest` is
its base class. Here is only how the project is started and asked.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from contender import Rest, wait_port

HERE = Path(__file__).resolve().parent.parent
PYTHON = os.environ.get("PEERS_OURS_PYTHON") or str(HERE / ".venv/bin/python")
PORT = 18900


class Ours(Rest):  # type: ignore[misc]
    """The API and the workers on their default settings, with all guarantees on.

    But for the API's threads: half of them may wait for a saga's end, and 32 clients want to.
    """

    __module__ = "spec_ours"  # the harness takes its contender's class from that module alone
    title = "Saga orchestrator (Django, Dramatiq): API and workers, PostgreSQL, Redis"
    python = None
    postgres = redis = True
    opts = {
        "workers": "2",
        "threads": "16",
        "api": "2",
        "api_threads": "64",
        "wait": "30",
        "poll": "0.25",
        "drives": "off",
    }
    durability = "PostgreSQL; the start and the answer of every call"

    @property
    def rest(self) -> dict[str, Any]:
        """How sagas are created, started and read: create with `execute` starts them at once."""
        return {
            "host": "127.0.0.1",
            "port": PORT,
            "create_path": "/api/v1/sagas",
            "create_body": {"type": "bench_purchase", "data": "$PAYLOAD", "execute": True},
            "id_field": "id",
            "get_path": "/api/v1/sagas/{id}",
            "status_field": "status",
            "headers": {"Prefer": f"wait={self._wait}"} if self._wait != "0" else {},
            "poll_s": self._poll,
            "poll_max_s": max(self._poll, 1.0),
        }

    _wait = "30"
    _poll = 0.25

    def start(self, env: Any) -> None:
        """Migrate, then start the API and the workers."""
        self._wait, self._poll = env.opts["wait"], float(env.opts["poll"])
        variables = {
            "DATABASE_URL": env.pg_dsn,
            "REDIS_URL": env.redis_url,
            "PORT": str(PORT),
            "SAGA_EXECUTORS": "benchmarks.purchase",
            "PARTICIPANT_SHOP_URL": env.shop_url,
            "SAGA_API_OPEN": "on",
            "SAGA_API_RATE": "0",
            "SAGA_API_DRIVES": env.opts["drives"],
            "SAGA_STATE_DIR": f"{env.tmp}/state",
            "SAGA_WORKER_PROCESSES": env.opts["workers"],
            "SAGA_WORKER_THREADS": env.opts["threads"],
            "SAGA_API_PROCESSES": env.opts["api"],
            "SAGA_API_THREADS": env.opts["api_threads"],
            "PYTHONPATH": str(HERE),
        }
        manage = [PYTHON, str(HERE / "manage.py")]
        subprocess.run(
            [*manage, "migrate", "--verbosity", "0"],
            check=True,
            env=env.environ(variables),
            cwd=HERE,
        )
        api = env.spawn("api", [*manage, "api"], env=variables, cwd=HERE)
        env.spawn("worker", [*manage, "worker"], env=variables, cwd=HERE)
        wait_port(PORT, 60, api)
