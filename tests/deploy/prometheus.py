"""A real Prometheus: found, or fetched without being installed; started with the own rules."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Self

import pytest
import requests
import yaml

from tests.acceptance.service import ROOT, eventually
from tests.conftest import NO_PROMETHEUS
from tests.free_port import free_port

DEPLOY = ROOT / "deploy"
CONFIG = DEPLOY / "prometheus" / "prometheus.yml"
RULES = sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))

_FETCH_SECONDS = 75


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`, fetched now if need be; else the test is skipped."""
    if found := shutil.which(name):
        return found
    fetched = _cache() / "prometheus" / "usr" / "bin" / name
    if not fetched.exists() and (why := _fetch(_cache())):
        pytest.skip(f"{NO_PROMETHEUS} {why}")
    return str(fetched)


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "saga-orchestrator"


@functools.cache  # what cannot be fetched is not waited for again
def _fetch(cache: Path) -> str:
    """Unpack Debian's package in the folder; of racing processes one wins. Why not, or empty."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        return "no prometheus on PATH, and no apt-get to fetch it with"
    mine = cache / f"fetching-{os.getpid()}"
    mine.mkdir(parents=True)
    script = (
        "apt-get -q download prometheus || { apt-get -q update && apt-get -q download prometheus; }"
        " && dpkg-deb -x prometheus_*.deb unpacked"
    )
    try:
        done = subprocess.run(
            ["sh", "-c", script],
            cwd=mine,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_FETCH_SECONDS,
        )
        if done.returncode:
            why = (done.stderr.strip().splitlines() or ["?"])[-1]
            return f"no prometheus on PATH, and apt-get cannot fetch it: {why}"
        if not (cache / "prometheus").exists():
            (mine / "unpacked").rename(cache / "prometheus")
    except subprocess.TimeoutExpired:
        return f"fetching prometheus took more than {_FETCH_SECONDS} s"
    finally:
        shutil.rmtree(mine, ignore_errors=True)
    return ""


def config(targets: dict[str, list[str]], rules: list[Path]) -> dict[str, Any]:
    """The project's own configuration, with other targets and every second."""
    made: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    made["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    made["rule_files"] = [str(path) for path in rules]
    for job in made["scrape_configs"]:
        job.pop("dns_sd_configs", None)
        job["static_configs"] = [{"targets": targets[job["job_name"]]}]
    return made


class Prometheus:
    """A server on a port of its own; a context manager."""

    def __init__(self, folder: Path, targets: dict[str, list[str]]) -> None:
        self._program = program("prometheus")
        self._folder = folder
        self._targets = targets
        self.url = f"http://127.0.0.1:{free_port()}"

    def __enter__(self) -> Self:
        path = self._folder / "prometheus.yml"
        path.write_text(yaml.safe_dump(config(self._targets, RULES)))
        with (self._folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    self._program,
                    f"--config.file={path}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address={self.url.removeprefix('http://')}",
                ],
                stdout=log,
                stderr=log,
            )
        eventually(self._ready, 30, "Prometheus is ready")
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.terminate()
        self._process.wait(30)

    def _ready(self) -> bool:
        assert self._process.poll() is None, (self._folder / "prometheus.log").read_text()[-2000:]
        try:
            return requests.get(f"{self.url}/-/ready", timeout=5).ok
        except requests.RequestException:
            return False

    def get(self, path: str, **parameters: object) -> Any:
        """The data of an answer of its API; a query that is none fails."""
        answer = requests.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=20)  # type: ignore[arg-type]
        assert answer.ok, f"{parameters}: {answer.text}"
        return answer.json()["data"]

    def values(self, expression: str, *labels: str) -> dict[tuple[str, ...], float]:
        """What an expression gives now, by these labels."""
        found = self.get("query", query=expression)["result"]
        return {
            tuple(each["metric"].get(label, "") for label in labels): float(each["value"][1])
            for each in found
        }

    def over_time(self, expression: str, seconds: int) -> list[float]:
        """All values that it gave within the last seconds, of all series."""
        now = time.time()
        found = self.get("query_range", query=expression, start=now - seconds, end=now, step=1)
        return [float(value) for each in found["result"] for _, value in each["values"]]
