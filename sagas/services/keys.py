"""API keys: made, revoked, and recognised."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Iterable
from datetime import timedelta

from django.db import connection
from django.db.models.functions import Now

from sagas import selectors
from sagas.engine.away import DATABASE_AWAY
from sagas.models import ApiKey
from sagas.prepared import Prepared

logger = logging.getLogger(__name__)

KEY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a client may be called: no user, whose names in histories have a colon, and one line."""

_TOKEN = re.compile(r"saga_([0-9a-f]{12})_([0-9a-f]{64})")
_NOBODYS = "0" * 64
_COLUMNS = [field.attname for field in ApiKey._meta.concrete_fields]
_BY_PREFIX = Prepared(
    lambda: ApiKey.objects.order_by().filter(prefix="").values_list(*_COLUMNS, Now()),
    ApiKey._meta.get_field("prefix"),
)
_MINUTE = 60.0
_noted: dict[str, float] = {}
"""When this process last noted the use of a key, by its prefix."""


class ApiKeyNotFound(Exception):
    """No API key has that prefix."""


def make_api_key(
    name: str, scopes: Iterable[str], *, actor: str, lasts: timedelta | None = None
) -> tuple[ApiKey, str]:
    """A new key for the client of that name, and its text, which nobody can be told again."""
    if not KEY_NAME.fullmatch(name):
        raise ValueError("a client's name has letters, digits, '.', '_' and '-', at most 64")
    secret, now = secrets.token_hex(32), selectors.database_now()
    key = ApiKey.objects.create(
        name=name,
        prefix=secrets.token_hex(6),
        digest=_digest(secret),
        scopes=" ".join(sorted(scopes)),
        created_at=now,
        created_by=actor,
        expires_at=now + lasts if lasts else None,
    )
    told = {"client": name, "prefix": key.prefix, "scopes": key.scopes, "actor": actor}
    logger.info("API key made", extra=told)
    return key, f"saga_{key.prefix}_{secret}"


def revoke_api_key(prefix: str, *, actor: str) -> tuple[ApiKey, bool]:
    """The key, of no use from now on, and whether it was not revoked before.

    Raises ApiKeyNotFound.
    """
    keys = ApiKey.objects.filter(prefix=prefix)
    now = selectors.database_now()
    done = keys.filter(revoked_at__isnull=True).update(revoked_at=now, revoked_by=actor)
    key = keys.first()
    if key is None:
        raise ApiKeyNotFound(prefix)
    if done:
        told = {"client": key.name, "prefix": prefix, "actor": actor}
        logger.info("API key revoked", extra=told)
    return key, bool(done)


def api_key_of(text: str) -> ApiKey | None:
    """The key that this is the text of; None unless it is good now. One query at most.

    It is read each time, so that a revoked one is of no use at once.
    """
    match = _TOKEN.fullmatch(text)
    if match is None:
        return None
    prefix, secret = match.groups()
    *columns, now = next(iter(_BY_PREFIX.rows(prefix)), (None,))
    key = ApiKey.from_db(connection.alias, _COLUMNS, columns) if columns else None
    known = hmac.compare_digest(_digest(secret), key.digest if key else _NOBODYS)
    if key is None or now is None or not known or key.state(now) != "active":
        return None
    if key.last_used_at is None or (now - key.last_used_at).total_seconds() >= _MINUTE:
        _note_use(key)
    return key


def _note_use(key: ApiKey) -> None:
    """Note that the key is in use; a process does so once a minute at most, and may fail to."""
    now = time.monotonic()
    if now - _noted.get(key.prefix, -_MINUTE) < _MINUTE:
        return
    _noted[key.prefix] = now
    unchanged = ApiKey.objects.filter(pk=key.pk, last_used_at=key.last_used_at)
    try:
        unchanged.update(last_used_at=Now())  # by one process, where several noted it
    except DATABASE_AWAY as error:  # it takes no writes; what is asked for may be a read
        logger.info("the use of API key %s was not noted: %s", key.prefix, error)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
