"""A saga type that declares secrets, and whose own code tells them when it breaks."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from rest_framework import serializers

from executors.base import Request, SagaExecutor, SagaView, Step, post

NUMBER = "4929123456781234"
CVV = "837"
HOLDER = 'Zoë "Zed" O\'Neill'
TOLD = re.compile(
    # What is short also turns up within times, ids and tokens, and as a length of time.
    rf"{NUMBER[:8]}|{NUMBER[-8:]}|\b(Neill|Zed)\b|(?<![\w.+]){CVV}(?!\w|\.\d| ms)"
)
"""Finds what tells of these secrets in a text."""


class CardData(serializers.Serializer[Any]):
    card_number = serializers.CharField(max_length=30)
    cvv = serializers.IntegerField()
    holder = serializers.CharField(max_length=50)
    wallet = serializers.ChoiceField(["none", "phone"], default="none")
    mood = serializers.CharField(default="")

    def validate_mood(self, mood: str) -> str:
        if mood == "odd":
            raise RuntimeError(f"odd: {self.initial_data}")
        if mood == "wrong":
            raise serializers.ValidationError(f"not with {self.initial_data['card_number']}")
        return mood


class Held(serializers.Serializer[Any]):
    token = serializers.CharField(max_length=30)
    state = serializers.ChoiceField(["held"], default="held")

    def validate_token(self, token: str) -> str:
        if token.startswith("bug"):
            raise KeyError(token)
        return token


class CardSagaExecutor(SagaExecutor):
    """A card is held, then charged."""

    saga_type = "card_saga"
    data = CardData
    secrets = ("card_number", "cvv", "holder", "token")
    example = {"card_number": NUMBER, "cvv": 837, "holder": HOLDER}
    steps = (
        Step("hold", "partner", compensation="let_go", answer=Held, retry_delay=0.05),
        Step("charge", "partner", retry_delay=0.05, max_retries=1),
    )

    def hold(self, saga: SagaView) -> Request:
        card = {name: saga.data[name] for name in ("card_number", "cvv", "holder")}
        if saga.data["mood"] == "broken":
            raise ValueError(f"no such card: {card}") from KeyError(saga.data["card_number"])
        if saga.data["mood"] == "lost":
            return {}[saga.data["card_number"]]
        path = f"/holds?card-number={quote(saga.data['card_number'])}&for=1"
        note = "for " + saga.data["holder"]
        return post(path, {"card": card, "note": note, "mood": saga.data["mood"]})

    def let_go(self, saga: SagaView) -> Request:
        return post("/let-go", {"token": saga.output("hold").get("token")})

    def charge(self, saga: SagaView) -> Request:
        return post("/charges", {"token": saga.output("hold")["token"], "pan": self.pan(saga)})

    @staticmethod
    def pan(saga: SagaView) -> str:
        """Under a name that is not declared."""
        return str(saga.data["card_number"])
