"""Make example sagas."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError

from sagas import seeding, services
from sagas.management import processes


class Command(BaseCommand):
    """`./run manage seed`."""

    help = "Make example sagas in every state, for both types; what is there stays as it is."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = seeding.seed()
        except DatabaseError as error:
            raise processes.database_trouble(error) from error
        for name, saga_id in made:
            status = services.get_saga(saga_id).status
            self.stdout.write(f"{saga_id}  {status:<12} {name}")
