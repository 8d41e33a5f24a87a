"""Print the transition table of ARCHITECTURE.md."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from sagas.domain.table import markdown


class Command(BaseCommand):
    """`./run manage transitions`."""

    help = "Print the table of transitions, as the code decides them."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(markdown())
