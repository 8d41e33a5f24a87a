"""Where a Chromium is; if there is none, the attempts to install one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_INSTALL_SECONDS = 75


class NoChromium(Exception):
    """There is no Chromium, and none can be installed; why."""


def executable(playwright: Playwright) -> str:
    """The path of a Chromium, installed now if need be. Raises NoChromium."""
    if named := os.environ.get("SAGA_TEST_CHROMIUM"):
        if not shutil.which(named):
            raise NoChromium(f"SAGA_TEST_CHROMIUM names no program: {named}")
        return named
    if path := _found(playwright):
        return path
    tried = [_run(*command) for command in _installers()]
    if path := _found(playwright):
        return path
    raise NoChromium("no Chromium, and none could be installed (" + "; ".join(tried) + ")")


def _found(playwright: Playwright) -> str | None:
    on_path = (shutil.which(name) for name in _NAMES)
    downloaded = playwright.chromium.executable_path
    return next(filter(None, on_path), downloaded if Path(downloaded).exists() else None)


def _installers() -> list[list[str]]:
    commands = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        install = "apt-get install -y --no-install-recommends chromium"
        commands.append(["sh", "-c", f"{install} || {{ apt-get update && {install}; }}"])
    return commands


def _run(*command: str) -> str:
    """The command's end in a few words."""
    name = " ".join(command)[-40:]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_INSTALL_SECONDS,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
    except subprocess.TimeoutExpired:
        return f"{name}: took more than {_INSTALL_SECONDS} s"
    return f"{name}: status {done.returncode}"
