"""API keys at the shell."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from sagas import services
from sagas.keys import ApiKey

pytestmark = pytest.mark.django_db


def said(*command: str) -> tuple[str, str]:
    """What the command prints, and what it says beside it."""
    out, beside = StringIO(), StringIO()
    call_command("api_key", *command, stdout=out, stderr=beside)
    return out.getvalue(), beside.getvalue()


def test_a_key_is_all_that_is_printed() -> None:
    args = ("create", "shop", "--scope", "read", "--scope", "create", "--expires", "90d")
    out, beside = said(*args)
    key = services.api_key_of(out.removesuffix("\n"))
    assert key is not None
    assert key.granted == {"read", "create"}
    assert key.created_by.startswith("shell:")
    assert key.expires_at is not None
    assert key.expires_at - key.created_at == timedelta(days=90)
    assert "shop may create read, until" in beside
    assert out.strip().rpartition("_")[2] not in beside


def test_keys_are_listed_and_revoked() -> None:
    text = said("create", "shop", "--scope", "read")[0].strip()
    prefix = text.split("_")[1]
    line, _ = said("list")
    assert line.split()[:4] == [prefix, "active", "shop", "read"]
    assert "used never" in line
    assert text.rpartition("_")[2] not in line
    assert "revoked" in said("revoke", prefix)[1]
    assert services.api_key_of(text) is None
    assert "before" in said("revoke", prefix)[1]
    assert said("list")[0].split()[:2] == [prefix, "revoked"]


@pytest.mark.parametrize(
    "wrong",
    [
        ("create", "shop"),
        ("create", "a b", "--scope", "read"),
        ("create", "shop", "--scope", "all"),
        ("create", "shop", "--scope", "read", "--expires", "90"),
        ("create", "shop", "--scope", "read", "--expires", "0d"),
        ("revoke", "nothing"),
    ],
)
def test_what_is_refused_makes_nothing(wrong: Any) -> None:
    with pytest.raises(CommandError):
        said(*wrong)
    assert not ApiKey.objects.exists()
