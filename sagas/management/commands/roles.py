"""The console's roles at the shell."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from sagas.roles import ROLES, reset_group


class Command(BaseCommand):
    """`./run manage roles [--give ROLE --to USER]`."""

    help = "Set the groups viewer, operator and administrator back to their permissions."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--give", choices=list(ROLES), help="a role, in place of the other two")
        parser.add_argument("--to", help="the user who gets it, and may then log in to the console")

    def handle(self, *args: Any, **options: Any) -> None:
        role, name = options["give"], options["to"]
        if bool(role) != bool(name):
            raise CommandError("--give and --to go together")
        if role:
            self._give(role, name)
            return
        for each in ROLES:
            group = reset_group(each)
            self.stdout.write(f"{group.name}: {', '.join(sorted(ROLES[each]))}")

    def _give(self, role: str, name: str) -> None:
        user = User.objects.filter(username=name).first()
        if user is None:
            raise CommandError(f"there is no user {name!r}; make one in the console first")
        user.groups.remove(*Group.objects.filter(name__in=ROLES))
        user.groups.add(Group.objects.get(name=role))
        user.is_staff = True
        user.save(update_fields=["is_staff"])
        self.stdout.write(f"{name} is {role} now")
