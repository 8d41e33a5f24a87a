"""The kinds of faults: what each hits, and for how long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault."""

    target: str
    """Strikes at one target follow each other; those at different ones may overlap."""

    words: str
    seconds: tuple[float, float] = (0.0, 0.0)
    """The shortest and the longest that it lasts."""

    times: tuple[int, int] = (1, 1)
    """How many calls at least and at most it may hit, where it hits calls."""

    fault: str = ""
    """The name of the shop's or the proxy's switch."""


GAPS = {
    "worker": (6.0, 12.0),
    "pause": (6.0, 12.0),
    "api": (20.0, 35.0),
    "postgres": (10.0, 20.0),
    "redis": (4.0, 8.0),
    "messages": (5.0, 10.0),
    "shop": (1.5, 4.0),
    "network": (1.5, 4.0),
}
"""Seconds from the end of one strike at a target to the next one."""


def _shop(fault: str, words: str, seconds: tuple[float, float] = (0.0, 0.0)) -> Kind:
    return Kind("shop", words, seconds, (1, 3), fault)


def _network(fault: str, words: str, seconds: tuple[float, float] = (0.0, 0.0)) -> Kind:
    return Kind("network", words, seconds, (1, 3), fault)


# A call's deadline is 5 s and a lease 7 s: what is to outlast them is longer.
KINDS: dict[str, Kind] = {
    "worker_kill_one": Kind("worker", "kill -9 of one process of a worker"),
    "worker_kill_all": Kind("worker", "kill -9 of a worker with all its processes", (1, 4)),
    "worker_restart": Kind("worker", "SIGTERM of a worker; another one takes its place"),
    "worker_pause": Kind("pause", "SIGSTOP of a worker's process for longer than a lease", (8, 11)),
    "api_kill": Kind("api", "kill -9 of the API with all its processes", (0.5, 3)),
    "postgres_restart": Kind("postgres", "PostgreSQL: fast shutdown, started again", (0.2, 3)),
    "postgres_kill": Kind("postgres", "PostgreSQL: kill -9, recovers from the crash", (0.2, 3)),
    "postgres_cut_all": Kind("postgres", "PostgreSQL ends all connections"),
    "postgres_cut_some": Kind("postgres", "PostgreSQL ends a third of the connections"),
    "redis_flush": Kind("redis", "Redis: FLUSHALL"),
    "redis_restart": Kind("redis", "Redis: restarted, empty"),
    "redis_hang": Kind("redis", "Redis: SIGSTOP", (2, 6)),
    "redis_away": Kind("redis", "Redis: killed and away, then back and empty", (2, 6)),
    "messages_dropped": Kind("messages", "broker messages taken away", (1, 3)),
    "messages_doubled": Kind("messages", "broker messages put in twice", (1, 3)),
    "messages_delayed": Kind("messages", "broker messages kept back", (1, 3)),
    "shop_decline": _shop("decline", "participant: refuses"),
    "shop_delay": _shop("delay", "participant: effect after the call's deadline", (5.5, 6.5)),
    "shop_late": _shop("late", "participant: answer after the call's deadline", (5.5, 6.5)),
    "shop_error": _shop("error", "participant: 503 with Retry-After, no effect"),
    "shop_error_after": _shop("error_after", "participant: 500 after the effect"),
    "shop_reset_before": _shop("reset_before", "participant: reset before the effect"),
    "shop_reset_after": _shop("reset_after", "participant: reset after the effect"),
    "shop_garbage": _shop("garbage", "participant: garbage after the effect"),
    "shop_truncated": _shop("truncated", "participant: half an answer"),
    "shop_hang": _shop("hang", "participant: no answer, no effect", (5.5, 6.5)),
    "network_delay": _network("delay", "network: request after the call's deadline", (5.5, 8)),
    "network_late": _network("late", "network: answer after the call's deadline", (5.5, 8)),
    "network_reset_before": _network("reset_before", "network: reset before the request"),
    "network_close_idle": _network("close_idle", "network: kept connection closed under a request"),
    "network_half_open": _network("half_open", "network: the answer never comes"),
    "network_reset_after": _network("reset_after", "network: reset in place of the answer"),
    "network_truncate": _network("truncate", "network: half an answer"),
    "network_drip": _network("drip", "network: the answer byte by byte", (0.05, 0.2)),
    "network_duplicate": _network("duplicate", "network: the request arrives twice"),
    "network_refuse": _network("refuse", "network: connections refused", (0.5, 2)),
}

_STEPS = {
    "inventory": (
        "validate_inventory", "reserve_inventory", "release_inventory", "update_inventory",
        "restore_inventory", "reverse_inventory_restore",
    ),
    "payment": ("process_payment", "refund_payment", "process_refund", "reverse_refund"),
    "sales": (
        "create_sale", "cancel_sale", "validate_return", "update_sale", "reverse_sale_update",
    ),
}  # fmt: skip
_OFTEN = ("reserve_inventory", "process_payment", "create_sale", "refund_payment")
CALLS = [
    (service, step)
    for service, steps in _STEPS.items()
    for step in steps
    for _ in range(3 if step in _OFTEN else 1)
]
"""Where a switch may be set; the steps that are called most come up most."""

STUBBORN = [("payment", "process_payment"), ("sales", "create_sale")]
"""Where a switch strikes every attempt of one saga."""
