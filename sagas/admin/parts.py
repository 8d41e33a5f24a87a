"""Parts of a page that fail by themselves, and figures that many viewers share."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import RLock
from typing import Any, Generic, TypeVar

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from sagas.admin.words import span

logger = logging.getLogger(__name__)

T = TypeVar("T")

_kept: dict[Hashable, tuple[float, Any]] = {}
_lock = RLock()


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """A part of a page, or why it is not there."""

    value: T | None = None
    trouble: Promise | str = ""


def part(make: Callable[[], T]) -> Part[T]:
    """What `make` gives; what it raises is logged and said in the part's place."""
    try:
        return Part(make())
    except Exception:
        logger.exception("a part of the overview failed")
        return Part(trouble=_("This could not be read; the log says why."))


def remembered(key: Hashable, seconds: float, make: Callable[[], T]) -> T:
    """What `make` gave this process within that time; only one thread makes it anew.

    In this process and not in the cache: it costs each process little, however many look, and
    the cache may be away just when somebody looks why.
    """
    with _lock:
        until, value = _kept.get(key, (0.0, None))
        if time.monotonic() < until:
            found: T = value
            return found
        made = make()
        _kept[key] = (time.monotonic() + seconds, made)
        return made


def forget() -> None:
    """Make everything anew: something was changed on purpose."""
    with _lock:
        _kept.clear()


def ago(at: datetime, now: datetime) -> str:
    """How long ago that was, in whole minutes: a page that is shown live changes no sooner."""
    minutes = int((now - at).total_seconds() // 60)
    return str(_("under 1 min")) if minutes < 1 else span(timedelta(minutes=minutes))
