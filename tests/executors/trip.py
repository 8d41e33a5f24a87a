"""A saga type whose participant a test scripts."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from executors.base import Refusal, Request, SagaExecutor, SagaView, Step, post
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.state import CallKind
from tests.executors.conftest import attempt
from tests.executors.tcp import (
    Server,
    answers,
    http,
)

COMPENSATION = CallKind.COMPENSATION


class Booking(serializers.Serializer[Any]):
    booking_id = serializers.CharField()
    price = serializers.DecimalField(max_digits=9, decimal_places=2, required=False)
    free = serializers.BooleanField(default=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["booking_id"] == "bug":
            raise KeyError("no_such_field")
        if not attrs["free"]:
            raise Refusal("no room is free")
        return attrs


class Trip(SagaExecutor):
    saga_type = "trip"
    steps = (
        Step("book", "partner", compensation="unbook", answer=Booking, timeout=0.3),
        Step("notify", "partner"),
        Step(
            "choosy",
            "partner",
            verdicts={
                404: Verdict.SUCCEEDED,
                409: Verdict.IN_DOUBT,
                503: Verdict.NOT_APPLIED,
                200: Verdict.REFUSED,
            },
        ),
    )

    def book(self, saga: SagaView) -> Request:
        return post("/bookings", {"guest": saga.data.get("guest"), "nights": 2})

    def unbook(self, saga: SagaView) -> Request:
        return post("/bookings/cancel", {"id": saga.output("book").get("booking_id")})

    def notify(self, saga: SagaView) -> Request:
        return post("/notes", {})

    def choosy(self, saga: SagaView) -> Request:
        return post("/choosy", {})


BOOKED = http(201, b'{"booking_id":"b1"}')


def outcome_of(serve, *texts: bytes, step: str = "notify", kind=CallKind.ACTION) -> Outcome:
    server: Server = serve(answers(*texts))
    outcome = attempt(Trip, step, kind)
    assert len(server.requests) == 1
    return outcome
