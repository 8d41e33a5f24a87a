"""Real servers for the tests. server_plugin.py gives the whole test run one of each; a test that
stops, kills or restarts a server starts one of its own:

    with start_postgres() as postgres:
        postgres.kill()
        postgres.restart()
"""

import atexit
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from typing import Self

import psycopg

from tests.server_binaries import (
    ServerError,
    hand_over,
    launch,
    new_folder,
    postgres_binaries,
    redis_binary,
)

START_TIMEOUT = 30


class Server:
    """A server on 127.0.0.1 with a port, a password and a folder of its own."""

    end_at_once: signal.Signals
    end_in_order: signal.Signals

    def __init__(self) -> None:
        self.port = 0
        self.password = secrets.token_hex(8)
        self.process: subprocess.Popen[bytes] | None = None
        self._starter = os.getpid()
        self.folder, self._lock = new_folder()
        self.log = self.folder / "log"
        atexit.register(self.close)
        self.prepare()
        self.start()

    @property
    def url(self) -> str:
        raise NotImplementedError

    def prepare(self) -> None:
        """What is done once, before the first start."""
        raise NotImplementedError

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        """Start, and wait until it answers; a later start keeps port and data."""
        keep_port = self.port != 0
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            self.port = self.port if keep_port else _free_port()
            self.process = self._launch(self.command())
            while self.process.poll() is None and time.monotonic() < deadline:
                if self.answers():
                    return
                time.sleep(0.02)
            # Ended again: someone took the port, or children of a killed server still linger.
            time.sleep(0.1)
        self.kill()
        raise ServerError(f"{self.command()[0]} does not start:\n{self._log_tail()}")

    def stop(self) -> None:
        """Shut down in order; the data stays for restart()."""
        self._end(self.end_in_order)

    def kill(self) -> None:
        """End it as a crash would (SIGKILL); the data stays for restart()."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        """End it and remove its data."""
        if os.getpid() != self._starter:
            return  # a forked child's atexit
        self._end(self.end_at_once)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _launch(self, argv: list[str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return launch(argv, self.folder, log, self.end_at_once)

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])


class Postgres(Server):
    end_at_once = signal.SIGQUIT  # a SIGKILL would leave its shared memory behind
    end_in_order = signal.SIGINT  # does not wait for the clients to leave
    database = "saga"
    max_connections = 200

    @property
    def url(self) -> str:
        return self._url(self.database)

    def _url(self, database: str) -> str:
        return f"postgresql://saga:{self.password}@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> None:
        self.binaries = postgres_binaries(self.folder / "binaries")
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        hand_over(password_file)
        options = "-D data -U saga -A scram-sha-256 --pwfile=password -E UTF8 --no-sync"
        # C.UTF-8 as in the usual images: upper("é") is "É". Elsewhere than on Linux it may lack.
        locale = "C.UTF-8" if os.uname().sysname == "Linux" else "en_US.UTF-8"
        initdb = [str(self.binaries / "initdb"), *options.split(), f"--locale={locale}"]
        if self._launch(initdb).wait(60):
            raise ServerError(f"initdb failed:\n{self._log_tail()}")

    def settings(self) -> dict[str, object]:
        return {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": self.max_connections,
            "fsync": "off",  # survives a killed server all the same, only not a power cut
            "full_page_writes": "off",
            "synchronous_commit": "on",
        }

    def command(self) -> list[str]:
        options = [f"--{name}={value}" for name, value in self.settings().items()]
        return [str(self.binaries / "postgres"), "-D", "data", *options]

    def answers(self) -> bool:
        try:
            with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
                known = connection.execute(
                    "select 1 from pg_database where datname = %s", [self.database]
                )
                if not known.fetchone():
                    connection.execute(f"create database {self.database}")
        except psycopg.OperationalError as error:
            # Others were quicker, and have all its connections: then it answers, too.
            return "too many clients" in str(error)
        return True


class Redis(Server):
    end_at_once = signal.SIGKILL
    end_in_order = signal.SIGTERM

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        self.binary = redis_binary(self.folder / "binaries")
        config = self.folder / "redis.conf"
        # No persistence: a restart loses everything, the worst that Redis may do to us.
        config.write_text(
            f'bind 127.0.0.1\nrequirepass {self.password}\ndatabases 64\nsave ""\nappendonly no\n'
        )
        hand_over(config)

    def command(self) -> list[str]:
        return [str(self.binary), "redis.conf", "--port", str(self.port)]

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self.password}\r\n".encode())
                return connection.recv(3) == b"+OK"
        except OSError:
            return False


def start_postgres() -> Postgres:
    return Postgres()


def start_redis() -> Redis:
    return Redis()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
