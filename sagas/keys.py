"""API keys: who may call the API, and what with it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class Scope(StrEnum):
    """What a key lets its client do."""

    READ = "read"
    CREATE = "create"
    EXECUTE = "execute"
    COMPENSATE = "compensate"
    RETRY = "retry"


PERMISSIONS: Mapping[Scope, str] = {
    Scope.READ: "sagas.view_saga",
    Scope.CREATE: "sagas.add_saga",
    Scope.EXECUTE: "sagas.execute",
    Scope.COMPENSATE: "sagas.compensate",
    Scope.RETRY: "sagas.retry",
}
"""What a user of the console needs in place of a scope, or to give it to a key."""


class ApiKey(models.Model):
    """A client's key. Several may carry one name, so that a key can be rotated: one client.

    Only a digest of the secret is kept. A plain SHA-256 does: the secret is 32 random bytes, which
    nobody can try out, unlike a password; and a slow hash would have to be paid by each request.
    """

    name = models.CharField(max_length=64)
    prefix = models.CharField(max_length=12, unique=True)
    """The public part of the key, by which it is found and spoken of."""

    digest = models.CharField(max_length=64)
    scopes = models.CharField(max_length=100)
    """Names of scopes with spaces between them."""

    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.CharField(max_length=200, blank=True, default="")
    last_used_at = models.DateTimeField(null=True, blank=True)
    """To the minute, about."""

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name = _("API key")
        default_permissions: ClassVar = ()
        permissions: ClassVar = [("manage_api_keys", _("Can make and revoke API keys"))]

    def __str__(self) -> str:
        return f"{self.name} {self.prefix}"

    @property
    def granted(self) -> frozenset[str]:
        """The scopes."""
        return frozenset(self.scopes.split())

    def state(self, now: datetime) -> str:
        """`active`, `revoked` or `expired`."""
        if self.revoked_at is not None:
            return "revoked"
        expired = self.expires_at is not None and self.expires_at <= now
        return "expired" if expired else "active"
