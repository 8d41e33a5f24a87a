"""Make example sagas."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from sagas import seeding, services


class Command(BaseCommand):
    """`./run manage seed`."""

    help = "Make example sagas in every state, for both types; what is there stays as it is."

    def handle(self, *args: Any, **options: Any) -> None:
        for name, saga_id in seeding.seed():
            status = services.get_saga(saga_id).status
            self.stdout.write(f"{saga_id}  {status:<12} {name}")
