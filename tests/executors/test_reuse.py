"""Serializers that are made once: only those whose validation leaves nothing behind."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework import serializers

from executors.fields import OrderSerializer, StrictSerializer, Text
from executors.reuse import checked


class Note(StrictSerializer):
    text = Text(max_length=5)
    kind = serializers.CharField(default="note", help_text="What it is.")


class Notes(serializers.Serializer[Any]):
    notes = Note(many=True, max_length=2)  # type: ignore[call-arg]
    tags = serializers.ListField(child=serializers.CharField(), required=False)

    class Meta:
        about = "notes"


class Validating(Notes):
    def validate_notes(self, value: Any) -> Any:
        return value


class Initialised(Notes):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["notes"].required = False


class Mixin:
    def validate(self, attrs: Any) -> Any:
        return attrs


class Mixed(Mixin, Notes):
    pass


class Nesting(serializers.Serializer[Any]):
    inner = Validating(required=False)
    notes = Note(many=True)


class Field(serializers.CharField):
    def to_internal_value(self, data: Any) -> str:
        return super().to_internal_value(data)


class OwnField(Notes):
    name = Field(required=False)


class Filled(Notes):
    names = serializers.ListField(default=[])


class Handed:
    requires_context = True

    def __call__(self, value: Any, field: Any) -> None:
        pass


class Handing(Notes):
    name = serializers.CharField(required=False, validators=[Handed()])


class Inherited(OrderSerializer):
    note = Text(required=False)


VALID = {"notes": [{"text": "a"}]}


@pytest.mark.parametrize("kind", [Notes, Note, Inherited])
def test_what_only_declares_fields_is_made_once(kind: Any) -> None:
    order = {
        "store_id": 1,
        "customer_id": 1,
        "amount": "1.00",
        "items": [{"product_id": 1, "quantity": 1, "price": "1.00"}],
    }
    data = {Notes: VALID, Note: {"text": "a"}, Inherited: order}[kind]
    assert checked(kind, data)[0] is checked(kind, data)[0]


@pytest.mark.parametrize(
    "kind", [Validating, Initialised, Mixed, Nesting, OwnField, Filled, Handing]
)
def test_what_may_keep_something_is_made_anew(kind: Any) -> None:
    (first, given), (second, again) = checked(kind, VALID), checked(kind, VALID)
    assert first is not second
    assert given == again == first.validated_data


@pytest.mark.parametrize(
    "data", [None, [], {}, {"notes": 1}, {"notes": [{}]}, {"notes": [{"text": "a", "x": 1}] * 3}]
)
def test_errors_are_those_of_a_new_one(data: Any) -> None:
    new = Notes(data=data)
    assert not new.is_valid()
    with pytest.raises(serializers.ValidationError) as refused:
        checked(Notes, data)
    assert refused.value.detail == new.errors
    assert checked(Notes, VALID)[1] == {"notes": [{"text": "a", "kind": "note"}]}
