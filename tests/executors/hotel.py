"""A third saga type, as somebody would write it who has read no more than README.md."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from executors.base import Refusal, Request, SagaExecutor, SagaView, Step, post


class TripData(serializers.Serializer[Any]):
    guest = serializers.CharField(max_length=100)
    nights = serializers.IntegerField(min_value=1, max_value=30)


class Room(serializers.Serializer[Any]):
    free = serializers.BooleanField()

    def validate_free(self, value: bool) -> bool:
        if not value:
            raise Refusal("the hotel is full")
        return value


class Booking(serializers.Serializer[Any]):
    booking_id = serializers.CharField(max_length=50)


class HotelSagaExecutor(SagaExecutor):
    """A guest books a room and is told so."""

    saga_type = "hotel_saga"
    data = TripData
    deadline = 60
    steps = (
        Step("check_room", "hotel", answer=Room),
        Step("book_room", "hotel", compensation="cancel_room", answer=Booking, pivot=True),
        Step("send_mail", "mailer", timeout=2, max_retries=10, retry_delay=0.5),
    )

    def check_room(self, saga: SagaView) -> Request:
        return post("/rooms/check", {"nights": saga.data["nights"]})

    def book_room(self, saga: SagaView) -> Request:
        return post("/rooms", {"guest": saga.data["guest"], "nights": saga.data["nights"]})

    def cancel_room(self, saga: SagaView) -> Request:
        return post("/rooms/cancel", {"booking_id": saga.output("book_room").get("booking_id")})

    def send_mail(self, saga: SagaView) -> Request:
        return post("/mails", {"booking": saga.output("book_room")["booking_id"]})
