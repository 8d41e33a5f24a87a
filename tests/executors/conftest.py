"""One participant that a test scripts, and a saga type that calls it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import UUID

import pytest
from django.test import override_settings

from executors.base import SagaExecutor
from executors.participants import participants
from sagas.domain.outcome import Outcome
from sagas.domain.state import CallKind, Json
from sagas.domain.trace import of_saga
from sagas.engine.ports import Attempt, StepCall
from tests.executors.tcp import Script, Server

SAGA_ID = UUID("0192f1aa-0000-7000-8000-000000000001")


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start servers; the first is the participant `partner`, the next ones `partner2` …"""
    servers: list[Server] = []
    addresses: dict[str, str] = {}

    def start(*scripts: Script) -> Server:
        servers.append(Server(*scripts))
        name = "partner" if len(servers) == 1 else f"partner{len(servers)}"
        addresses[name] = servers[-1].url
        return servers[-1]

    with override_settings(SAGA_PARTICIPANTS=addresses, SAGA_SHARED_STATE=False):
        participants.cache_clear()
        yield start
        participants.cache_clear()
    for server in servers:
        server.close()


WORKER = "host:1:aabbccdd"


def call(
    step: str,
    kind: CallKind = CallKind.ACTION,
    *,
    data: Json | None = None,
    outputs: Mapping[str, Json] | None = None,
    run: int = 1,
    saga_id: UUID = SAGA_ID,
) -> StepCall:
    """A call as the engine asks for it."""
    return StepCall(
        saga_id=saga_id,
        saga_type="any",
        run=run,
        data=data or {},
        outputs=outputs or {},
        step=step,
        kind=kind,
    )


def perform(
    executor: SagaExecutor, call: StepCall, *, request: Json | None = None, lease: float = 5
) -> Outcome:
    """The outcome of an attempt with this request, or with the one that is built for it."""
    request = request or executor.prepare(call)
    expires = time.monotonic() + lease
    return executor.perform(
        Attempt(
            call=call,
            number=1,
            request=request,
            expires=expires,
            worker=WORKER,
            trace=of_saga(call.saga_id, ""),
            span="00f067aa0ba902b7",
        )
    )


def attempt(
    cls: type[SagaExecutor],
    step: str,
    *args: Any,
    request: Json | None = None,
    lease: float = 5,
    **kwargs: Any,
) -> Outcome:
    return perform(cls(), call(step, *args, **kwargs), request=request, lease=lease)
