"""The folder in which the demo keeps everything, and the lock that makes it one demo's own."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sagas.demo.stop import DemoError

_PATIENCE = 10.0
"""Seconds for the children of a demo that was killed to notice it and end."""


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The demo's files, while this process holds the lock on them."""

    path: Path
    lock: int
    """The lock's descriptor. Children inherit it, so that it is free only when all have ended."""

    @property
    def shop(self) -> Path:
        """The shop's stores."""
        return self.path / "shop"

    def log(self, name: str) -> Path:
        """The log of one of the processes."""
        return self.path / f"{name}.log"

    def empty(self) -> None:
        """Forget everything that earlier demos left; nothing else is ever deleted."""
        shutil.rmtree(self.shop, ignore_errors=True)
        for pattern in ("sagas.sqlite3*", "*.log", "secret-key", "admin-password"):
            for file in self.path.glob(pattern):
                file.unlink()

    def password(self) -> str:
        """The password of the demo's login: made once, then always the same."""
        path = self.path / "admin-password"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(4), encoding="utf-8")
        return path.read_text(encoding="utf-8").strip()


@contextmanager
def state_folder(path: Path) -> Iterator[StateFolder]:
    """Make the folder and lock it. Raises DemoError if it cannot be written or is in use."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DemoError(
            f"cannot keep state in {path}: {error.strerror}; "
            "name a folder that can be written with --state or SAGA_STATE_DIR"
        ) from error
    try:
        _take(lock, path)
        os.truncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
        yield StateFolder(path, lock)
    finally:
        os.close(lock)


def _take(lock: int, path: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(lock, 20, 0).decode().strip()
            if _alive(owner) or time.monotonic() > until:
                raise DemoError(
                    f"another demo (process {owner or '?'}) uses {path}; stop it first, "
                    "or name another folder with --state or SAGA_STATE_DIR"
                ) from None
        time.sleep(0.05)


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        pass
    return True
