"""The environment variables, read and checked in one place.

Nothing here stops the program: what is wrong is collected in `problems`, and the system
checks of `sagas.checks` turn each into one clear line.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_ENVIRONMENTS = ("development", "production", "test")


@dataclass(frozen=True, slots=True)
class Problem:
    """A setting that is missing, wrong, or contradicts another."""

    id: str
    message: str
    hint: str


@dataclass(slots=True)
class Environment:
    """Typed access to variables; a wrong value is a problem, and the default stands in."""

    values: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)

    def text(self, name: str, default: str = "") -> str:
        """The value; empty counts as absent."""
        return self.values.get(name, "").strip() or default

    def secret(self, name: str) -> str:
        """The value to the letter: a password may begin or end with a space."""
        return self.values.get(name, "")

    def names(self, name: str, default: str = "") -> list[str]:
        """The values between commas."""
        return [part.strip() for part in self.text(name, default).split(",") if part.strip()]

    def whole(self, name: str, default: int, *, least: int = 0, most: int = 10**9) -> int:
        """A whole number within bounds."""
        return int(self.number(name, default, least=least, most=most, whole=True))

    def number(
        self,
        name: str,
        default: float,
        *,
        least: float = 0,
        most: float = 10**9,
        whole: bool = False,
    ) -> float:
        """A number within bounds."""
        text = self.text(name)
        if not text:
            return default
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            kind = "a whole number" if whole else "a number"
            bounds = f"from {least:.10g} to {most:.10g}"
            self.problem("E001", f"{name}={_shown(text)} is not {kind} {bounds}.", "")
            return default
        return value

    def flag(self, name: str, default: bool) -> bool:
        """A yes or no."""
        text = self.text(name).lower()
        if text in ("1", "true", "yes", "on"):
            return True
        if text in ("0", "false", "no", "off"):
            return False
        if text:
            self.problem("E001", f"{name}={_shown(text)} is neither true nor false.", "")
        return default

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        """One of the choices, in lower case."""
        text = self.text(name, default).lower()
        if text in choices:
            return text
        self.problem("E001", f"{name}={_shown(text)} is not one of {', '.join(choices)}.", "")
        return default

    def problem(self, number: str, message: str, hint: str) -> None:
        """Note what is wrong."""
        self.problems.append(Problem(f"sagas.{number}", message, hint))


def environment(env: Environment) -> str:
    """Where this runs: SAGA_ENV or NODE_ENV, which may not contradict each other."""
    ours, nodes = env.text("SAGA_ENV"), env.text("NODE_ENV")
    if ours and nodes and ours.lower() != nodes.lower():
        env.problem(
            "E013",
            f"SAGA_ENV={_shown(ours)} and NODE_ENV={_shown(nodes)} contradict each other.",
            "Keep one of them: one that says development could hide that this is production.",
        )
    return env.choice("SAGA_ENV" if ours else "NODE_ENV", "development", _ENVIRONMENTS)


def api_open(env: Environment, *, production: bool) -> bool:
    """SAGA_API_OPEN: whether requests without an API key are let in, which production forbids."""
    opened = env.choice("SAGA_API_OPEN", "off", ("off", "on")) == "on"
    if opened and production:
        env.problem(
            "E016",
            "SAGA_API_OPEN is on in production: anybody who reaches the API could use it.",
            "Leave it out, and give each client a key: `manage api_key create`.",
        )
    return opened


def call_timeout(env: Environment, lease: float) -> float:
    """Seconds that a call may take: SAGA_CALL_TIMEOUT_MS, which must fit into the lease."""
    seconds = env.number("SAGA_CALL_TIMEOUT_MS", 5000, least=1) / 1000
    if seconds > lease - 1:
        env.problem(
            "E011",
            f"SAGA_CALL_TIMEOUT_MS ({seconds:g} s) and SAGA_LEASE_MS ({lease:g} s) contradict "
            "each other: a call must end a second before its lease does.",
            "Shorten the one or lengthen the other.",
        )
    return seconds


def secret_key(env: Environment, state: Path, *, production: bool) -> str:
    """DJANGO_SECRET_KEY, or outside production one that is made once and kept in a file."""
    key = env.text("DJANGO_SECRET_KEY")
    if key:
        return key
    if production:
        env.problem(
            "E008",
            "DJANGO_SECRET_KEY is not set.",
            "Give every process the same long random value.",
        )
        return "missing"
    made = secrets.token_urlsafe(50)
    try:
        return _kept(state / "secret-key", made)
    except (OSError, ValueError):
        # Sessions then last as long as the process; who starts it is told of the folder.
        return made


def _kept(path: Path, made: str) -> str:
    """What the file holds; a new one gets `made`, and of racing processes one wins."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        mine = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        mine.touch(mode=0o600)
        try:
            mine.write_text(made, encoding="utf-8")
            with suppress(FileExistsError):
                os.link(mine, path)  # unlike a rename it never takes the place of another's
        finally:
            mine.unlink()
    return path.read_text(encoding="utf-8").strip() or made


def _shown(text: str) -> str:
    """A wrong value as it is told, on one line."""
    return repr(text[:50] + "…" if len(text) > 50 else text)
