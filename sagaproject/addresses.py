"""Where the database, Redis and the participants are, from environment variables.

Messages name variables and never show their values: an address may hold a password.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from sagaproject.config import Environment

PARTICIPANT_DEFAULTS = {
    "inventory": "http://127.0.0.1:8101",
    "payment": "http://127.0.0.1:8102",
    "sales": "http://127.0.0.1:8103",
}
"""Where `python -m shop` listens; used outside production only."""

_DB_NEEDED = ("DB_HOST", "DB_USERNAME", "DB_DATABASE")
_DB_KEYS = ("host", "port", "user", "password")


def database(env: Environment, state: Path) -> dict[str, Any]:
    """Django's database setting: PostgreSQL from DATABASE_URL or DB_*, else a SQLite file."""
    url = env.text("DATABASE_URL")
    # Not DB_PORT: Kubernetes sets it in every pod beside a service that is named "db".
    given = [name for name in (*_DB_NEEDED, "DB_PASSWORD") if env.text(name)]
    if url and given:
        env.problem(
            "E002",
            f"DATABASE_URL and {', '.join(given)} are both set.",
            "Keep one of them: they could name different databases.",
        )
    if url:
        return _from_url(env, url)
    if not given:
        return _sqlite(state / "sagas.sqlite3")
    missing = [name for name in _DB_NEEDED if name not in given]
    if missing:
        env.problem(
            "E003",
            f"{', '.join(missing)} missing, while other DB_ variables are set.",
            "Set DB_HOST, DB_USERNAME and DB_DATABASE together, or none of them.",
        )
    parts = {
        "host": env.text("DB_HOST"),
        "port": str(env.whole("DB_PORT", 5432, least=1, most=65535)),
        "user": env.text("DB_USERNAME"),
        "password": env.secret("DB_PASSWORD"),
    }
    return _postgresql(env.text("DB_DATABASE"), parts, {})


def _from_url(env: Environment, url: str) -> dict[str, Any]:
    parsed = _split(url)
    name = unquote(parsed.path[1:]) if parsed else ""
    if parsed and parsed.scheme == "sqlite" and name and not parsed.netloc:
        return _sqlite(Path(name))
    options = dict(parse_qsl(parsed.query)) if parsed else {}
    if (
        parsed is None
        or parsed.scheme not in ("postgres", "postgresql")
        # A password with one of these characters ends the address too early.
        or parsed.fragment
        or "/" in parsed.path[1:]
        or not name
    ):
        env.problem(
            "E004",
            "DATABASE_URL is not the address of a PostgreSQL database.",
            "It looks like postgresql://user:password@host:5432/name; in a password, "
            "characters such as / ? # @ are written as %2F %3F %23 %40.",
        )
        return _postgresql(name, dict.fromkeys(_DB_KEYS, ""), {})
    parts = {
        "host": unquote(parsed.hostname or ""),
        "port": str(parsed.port or ""),
        "user": unquote(parsed.username or ""),
        "password": unquote(parsed.password or ""),
    }
    parts |= {key: options.pop(key) for key in _DB_KEYS if key in options}
    return _postgresql(name, parts, options)


def _postgresql(name: str, parts: dict[str, str], options: dict[str, str]) -> dict[str, Any]:
    return {
        "ENGINE": "sagaproject.postgresql",
        "NAME": name,
        **{key.upper(): parts[key] for key in _DB_KEYS},
        # Each thread keeps its connection. With a pool, whoever asks for one waits for the
        # pool's time-out while the database is away, instead of being told at once.
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "connect_timeout": 3,
            # A host that vanished without a word is noticed within seconds, not hours.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,
            **options,
            # The engine's few statements are parsed and planned once for a connection, and not
            # for each value anew; Django's others have their values in their text.
            "prepare_threshold": 0,
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
        # A file for tests too: in memory, threads lock each other out at once.
        "TEST": {"NAME": str(path.with_name(f"test-{path.name}"))},
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
    if url:
        return _checked_redis(env, "REDIS_URL", url)
    if not host:
        return ""
    password = env.secret("REDIS_PASSWORD")
    login = f":{quote(password, safe='')}@" if password else ""
    port = env.whole("REDIS_PORT", 6379, least=1, most=65535)
    return _checked_redis(env, "REDIS_HOST", f"redis://{login}{_bracketed(host)}:{port}/0")


def cache_url(env: Environment, broker: str) -> str:
    """The cache's address: REDIS_CACHE_URL, or else the broker's."""
    url = env.text("REDIS_CACHE_URL")
    return (_checked_redis(env, "REDIS_CACHE_URL", url) if url else "") or broker


def _checked_redis(env: Environment, name: str, url: str) -> str:
    parsed = _split(url)
    socket = parsed is not None and parsed.scheme == "unix" and parsed.path
    server = (
        parsed is not None
        and parsed.scheme in ("redis", "rediss")
        and parsed.hostname
        and not parsed.fragment
        and (parsed.path[1:].isdecimal() or not parsed.path[1:])
    )
    if socket or server:
        return url
    env.problem(
        "E006",
        f"{name} is not the address of a Redis server.",
        "An address looks like redis://:password@host:6379/0, a host's name like redis.internal.",
    )
    return ""


def check_pair(env: Environment, *, postgresql: bool, redis: bool) -> None:
    """A database and a broker must both be shared by all processes, or neither."""
    if any(problem.id in ("sagas.E004", "sagas.E006") for problem in env.problems):
        return  # one of them is meant, but wrong, and that is told already
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
    for name in sorted(env.values):
        url = env.text(name)
        if not (name.startswith("PARTICIPANT_") and name.endswith("_URL") and url):
            continue
        parsed = _split(url)
        found[name.removeprefix("PARTICIPANT_").removesuffix("_URL").lower()] = url
        if parsed is None or parsed.scheme not in ("http", "https") or not parsed.hostname:
            env.problem(
                "E007", f"{name} is not an http or https address.", "It looks like http://host:80."
            )
        elif "@" in parsed.netloc or parsed.query or parsed.fragment:
            env.problem(
                "E007",
                f"{name} has a login, a query or a fragment, which are not sent.",
                "Leave only the scheme, the host, the port and the path before each call's own.",
            )
    return found


def _split(url: str) -> SplitResult | None:
    """The parts of the address; None if it is none, or its port is no port."""
    try:
        parsed = urlsplit(url)
        return None if parsed.port == 0 else parsed
    except ValueError:
        return None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
