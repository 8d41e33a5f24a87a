"""The three roles of the console, as groups that a team may change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db.models import Q

_LOOK = ("sagas.view_saga",)
_OPERATE = (
    *_LOOK,
    "sagas.execute",
    "sagas.compensate",
    "sagas.retry",
    "sagas.resolve",
    "sagas.skip",
    "sagas.approve",
    "sagas.reset_breaker",
)
# Who leaves is deactivated: with a user the log of what they did would be deleted.
_ADMINISTER = (
    *_OPERATE,
    "sagas.edit_data",
    "sagas.add_saga",  # over the API; the console makes none
    "sagas.manage_api_keys",
    *(f"auth.{verb}_{what}" for verb in ("view", "add", "change") for what in ("user", "group")),
)

ROLES: Mapping[str, tuple[str, ...]] = {
    "viewer": _LOOK,
    "operator": _OPERATE,
    "administrator": _ADMINISTER,
}
"""The permissions of each role."""


def make_groups(**kwargs: Any) -> None:
    """Make the groups that are not there; what a team made of those that are stays."""
    for role in ROLES:
        if not Group.objects.filter(name=role).exists():
            reset_group(role)


def reset_group(role: str) -> Group:
    """The role's group, with exactly the role's permissions."""
    group, _ = Group.objects.get_or_create(name=role)
    wanted = Q(pk__in=[])
    for permission in ROLES[role]:
        app, _, name = permission.partition(".")
        wanted |= Q(content_type__app_label=app, codename=name)
    group.permissions.set(Permission.objects.filter(wanted))
    return group
