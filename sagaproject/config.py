"""The environment variables, read and checked in one place.

Nothing here stops the program: what is wrong is collected in `problems`, and the system
checks of `sagas.checks` turn each into one clear line.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

PARTICIPANT_DEFAULTS = {
    "inventory": "http://127.0.0.1:8101",
    "payment": "http://127.0.0.1:8102",
    "sales": "http://127.0.0.1:8103",
}
"""Where `python -m shop` listens; used outside production only."""


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
            self.problem("E001", f"{name}={text!r} is not {kind} from {least:g} to {most:g}.", "")
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
            self.problem("E001", f"{name}={text!r} is neither true nor false.", "")
        return default

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        """One of the choices, in lower case."""
        text = self.text(name, default).lower()
        if text in choices:
            return text
        self.problem("E001", f"{name}={text!r} is not one of {', '.join(choices)}.", "")
        return default

    def problem(self, number: str, message: str, hint: str) -> None:
        """Note what is wrong."""
        self.problems.append(Problem(f"sagas.{number}", message, hint))


def database(env: Environment, state: Path) -> dict[str, Any]:
    """Django's database setting: PostgreSQL from DATABASE_URL or DB_*, else a SQLite file."""
    url = env.text("DATABASE_URL")
    parts = {name: env.text(name) for name in ("DB_HOST", "DB_USERNAME", "DB_DATABASE")}
    if url and parts["DB_HOST"]:
        env.problem(
            "E002",
            "DATABASE_URL and DB_HOST are both set.",
            "Keep one of them: they could name different databases.",
        )
    if url:
        return _from_url(env, url)
    if not any(parts.values()):
        return _sqlite(state / "sagas.sqlite3")
    missing = [name for name, value in parts.items() if not value]
    if missing:
        env.problem(
            "E003",
            f"{', '.join(missing)} missing, while other DB_ variables are set.",
            "Set DB_HOST, DB_USERNAME and DB_DATABASE together, or none of them.",
        )
    return _postgresql(
        env,
        host=parts["DB_HOST"],
        port=str(env.whole("DB_PORT", 5432, least=1, most=65535)),
        user=parts["DB_USERNAME"],
        password=env.text("DB_PASSWORD"),
        name=parts["DB_DATABASE"],
    )


def _from_url(env: Environment, url: str) -> dict[str, Any]:
    parsed = urlsplit(url)
    if parsed.scheme == "sqlite":
        return _sqlite(Path(parsed.path))
    try:
        port = parsed.port
    except ValueError:
        port = 0
    if parsed.scheme not in ("postgres", "postgresql") or port == 0:
        env.problem(
            "E004",
            "DATABASE_URL is not the address of a PostgreSQL database.",
            "It looks like postgresql://user:password@host:5432/name.",
        )
        return _sqlite(Path(":memory:"))
    options = dict(parse_qsl(parsed.query))
    return _postgresql(
        env,
        host=options.pop("host", unquote(parsed.hostname or "")),
        port=str(port or ""),
        user=unquote(parsed.username or ""),
        password=unquote(parsed.password or ""),
        name=unquote(parsed.path.lstrip("/")),
        **options,
    )


def _postgresql(env: Environment, *, name: str, **parts: str) -> dict[str, Any]:
    keys = ("user", "password", "host", "port")
    options = {key: value for key, value in parts.items() if key not in keys}
    # A thread that finds no connection waits; better room for each thread and the sweeper.
    size = env.whole("DB_POOL_SIZE", 12, least=2, most=1000)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        **{key.upper(): parts.get(key, "") for key in keys},
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "connect_timeout": 5,
            **options,
            "pool": {"min_size": 1, "max_size": size, "timeout": 5},
        },
    }


def _sqlite(path: Path) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        # WAL lets readers and the one writer be; IMMEDIATE makes writers queue, not fail.
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        },
    }


def redis_url(env: Environment) -> str:
    """The broker's address from REDIS_URL or REDIS_HOST and REDIS_PORT; empty without Redis."""
    url, host = env.text("REDIS_URL"), env.text("REDIS_HOST")
    if url and host:
        env.problem(
            "E005",
            "REDIS_URL and REDIS_HOST are both set.",
            "Keep one of them: they could name different servers.",
        )
    if host and not url:
        password = env.text("REDIS_PASSWORD")
        login = f":{quote(password, safe='')}@" if password else ""
        port = env.whole("REDIS_PORT", 6379, least=1, most=65535)
        url = f"redis://{login}{host}:{port}/0"
    if url and urlsplit(url).scheme not in ("redis", "rediss", "unix"):
        env.problem(
            "E006",
            "REDIS_URL is not the address of a Redis server.",
            "It looks like redis://host:6379/0.",
        )
        return ""
    return url


def check_pair(env: Environment, *, postgresql: bool, redis: bool) -> None:
    """A database and a broker must both be shared by all processes, or neither."""
    if postgresql and not redis:
        env.problem(
            "E009",
            "PostgreSQL is set, but no Redis: API and workers could not wake each other.",
            "Set REDIS_URL, or REDIS_HOST and REDIS_PORT.",
        )
    if redis and not postgresql:
        env.problem(
            "E010",
            "Redis is set, but no PostgreSQL: a SQLite file serves a single process only.",
            "Set DATABASE_URL or the DB_ variables, or take Redis away.",
        )


def participants(env: Environment, *, production: bool) -> dict[str, str]:
    """Participants' addresses from PARTICIPANT_<NAME>_URL."""
    found = {} if production else dict(PARTICIPANT_DEFAULTS)
    for name, value in env.values.items():
        if name.startswith("PARTICIPANT_") and name.endswith("_URL") and value.strip():
            participant = name.removeprefix("PARTICIPANT_").removesuffix("_URL").lower()
            parsed = urlsplit(value.strip())
            if parsed.scheme not in ("http", "https") or not parsed.hostname:
                env.problem("E007", f"{name} is not an http or https address.", "")
            found[participant] = value.strip()
    return found


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
    path = state / "secret-key"
    try:
        if not path.exists():
            state.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(50), encoding="utf-8")
        return path.read_text(encoding="utf-8")
    except OSError:
        # Sessions then last as long as the process; who starts it is told of the folder.
        return secrets.token_urlsafe(50)
