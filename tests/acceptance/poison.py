"""Saga types whose code does its worst to the worker; SAGA_EXECUTORS loads them there."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any, ClassVar, cast

from executors.base import Request, SagaExecutor, SagaView, Step
from executors.purchase import PurchaseData


class _Poison(SagaExecutor):
    """One step, whose method does what the subclass says."""

    data = PurchaseData
    steps: ClassVar = (Step("look", "inventory"),)

    def look(self, saga: SagaView) -> Request:
        self.strike()
        raise AssertionError("it went on")

    def strike(self) -> Any:
        raise NotImplementedError


class Raises(_Poison):
    saga_type = "raises"

    def strike(self) -> None:
        raise RuntimeError("a bug")


class Exits(_Poison):
    saga_type = "exits"

    def strike(self) -> None:
        sys.exit(3)


class ExitsAtOnce(_Poison):
    saga_type = "exits_at_once"

    def strike(self) -> None:
        os._exit(1)


class Kills(_Poison):
    saga_type = "kills"

    def strike(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Recurses(_Poison):
    saga_type = "recurses"

    def strike(self) -> None:
        self.strike()


class Nonsense(_Poison):
    saga_type = "nonsense"

    def look(self, saga: SagaView) -> Request:
        return cast(Request, {"path": "/"})


class Sleeps(_Poison):
    saga_type = "sleeps"

    def strike(self) -> None:
        time.sleep(20)


class Gluttonous(_Poison):
    saga_type = "gluttonous"

    def strike(self) -> bytearray:
        return bytearray(1 << 60)
