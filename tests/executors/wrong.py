"""Saga types that are each wrong in one way (two of them in being two)."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from executors.base import Request, SagaExecutor, SagaView, Step, post
from sagas.domain.outcome import Verdict


class Data(serializers.Serializer[Any]):
    a = serializers.IntegerField()


class Base(SagaExecutor):
    data = Data

    def act(self, saga: SagaView) -> Request:
        return post("/act", {})

    undo = act2 = undo2 = act


class NoSteps(Base):
    saga_type = "no_steps"


class SameStepTwice(Base):
    saga_type = "same_step_twice"
    steps = (Step("act", "partner"), Step("act", "partner"))


class SameNameForBoth(Base):
    saga_type = "same_name_for_both"
    steps = (Step("act", "partner", compensation="act"),)


class UnknownCompensation(Base):
    saga_type = "unknown_compensation"
    steps = (Step("act", "partner", compensation="take_back"),)


class MissingMethod(Base):
    saga_type = "missing_method"
    steps = (Step("fly", "partner"),)


class NameTaken(Base):
    saga_type = "name_taken"
    steps = (Step("perform", "partner"),)


class NoArgument(Base):
    saga_type = "no_argument"
    steps = (Step("alone", "partner"),)

    def alone(self) -> Request:
        return post("/alone", {})


class CompensationAfterPivot(Base):
    saga_type = "compensation_after_pivot"
    steps = (Step("act", "partner", pivot=True), Step("act2", "partner", compensation="undo2"))


class TwoPivots(Base):
    saga_type = "two_pivots"
    steps = (Step("act", "partner", pivot=True), Step("act2", "partner", pivot=True))


class TooSlow(Base):
    saga_type = "too_slow"
    steps = (Step("act", "partner", timeout=8),)


class NoTime(Base):
    saga_type = "no_time"
    steps = (Step("act", "partner", timeout=0),)


class NegativeRetries(Base):
    saga_type = "negative_retries"
    steps = (Step("act", "partner", max_retries=-1),)


class NoData(SagaExecutor):
    saga_type = "no_data"
    steps = (Step("act", "partner"),)

    def act(self, saga: SagaView) -> Request:
        return post("/act", {})


class DataIsNoClass(Base):
    saga_type = "data_is_no_class"
    data = Data(data={})  # type: ignore[assignment]
    steps = (Step("act", "partner"),)


class AnswerIsNoSerializer(Base):
    saga_type = "answer_is_no_serializer"
    steps = (Step("act", "partner", answer=dict),)  # type: ignore[arg-type]


class NoAddress(Base):
    saga_type = "no_address"
    steps = (Step("act", "nowhere"), Step("act2", "nowhere"))


class BadName(Base):
    saga_type = "bad name"
    steps = (Step("act", "Partner-1"),)


class VersionZero(Base):
    saga_type = "version_zero"
    version = 0
    steps = (Step("act", "partner"),)


class VersionIsText(Base):
    saga_type = "version_is_text"
    version = "2"  # type: ignore[assignment]
    steps = (Step("act", "partner"),)


class TimeoutIsText(Base):
    saga_type = "timeout_is_text"
    steps = (Step("act", "partner", timeout="5"),)  # type: ignore[arg-type]


class BadVerdict(Base):
    saga_type = "bad_verdict"
    steps = (Step("act", "partner", verdicts={404: Verdict.BROKEN}),)


class SecretsAreText(Base):
    saga_type = "secrets_are_text"
    secrets = "card_number"  # type: ignore[assignment]
    steps = (Step("act", "partner"),)


class SecretIsNoName(Base):
    saga_type = "secret_is_no_name"
    secrets = ("card_number", 7)  # type: ignore[assignment]
    steps = (Step("act", "partner"),)


class SecretIsBlank(Base):
    saga_type = "secret_is_blank"
    secrets = ("card_number", "-")
    steps = (Step("act", "partner"),)


class Twin(Base):
    saga_type = "twin"
    steps = (Step("act", "partner"),)


class TwinToo(Base):
    saga_type = "twin"
    steps = (Step("act2", "partner"),)
