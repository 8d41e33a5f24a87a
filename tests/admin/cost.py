"""What the console's pages cost on the database of the settings, by the number of its sagas.

./run manage seed --history 1000000
.venv/bin/python -m tests.admin.cost
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Iterator

import django

REPEATS = 5


def addresses() -> Iterator[tuple[str, str]]:
    """The pages that are asked for, by name."""
    from sagas.models import Saga, SagaStep

    listing = "/admin/sagas/saga/"
    newest = Saga.objects.order_by("-id")
    number = newest.count()
    deep = newest.values_list("id", flat=True)[number - number // 10]
    failed = newest.filter(status="failed").first()
    sale = SagaStep.objects.filter(name="create_sale", output__isnull=False).first()
    yield "overview, a day", "/admin/?window=24h"
    yield "overview, a week", "/admin/?window=7d"
    yield "list, first page", listing
    yield "list, a deep page", f"{listing}?after={deep}"
    for question in ("failed", "in_doubt", "retrying", "held", "compensating"):
        yield f"list, {question}", f"{listing}?is={question}"
    yield "list, ended in a week", f"{listing}?ended=7d"
    yield "list, completed", f"{listing}?status__exact=completed"
    if failed is not None:
        customer = failed.data["customer_id"]
        yield "search, a customer", f"{listing}?q=customer_id={customer}"
        yield "search, an id", f"{listing}?q={failed.pk}"
        yield "one saga", f"{listing}{failed.pk}/change/"
        yield "preview of a retry", f"{listing}{failed.pk}/retry/"
    if sale is not None and sale.output:
        yield "search, a sale", f"{listing}?q={sale.output['sale_id']}"


def main() -> None:
    """Print for each page its wall and processor time: medians, after a first look."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sagaproject.settings")
    django.setup()
    from django.contrib.auth.models import User
    from django.test import Client

    from sagas.models import Saga

    user, _ = User.objects.get_or_create(
        username="cost", defaults={"is_staff": True, "is_superuser": True}
    )
    client = Client()
    client.force_login(user)
    print(f"{Saga.objects.count()} sagas; ms of wall time, and of this process's CPU")
    for name, address in addresses():
        walls, cpus = [], []
        for _ in range(REPEATS + 1):
            wall, cpu = time.perf_counter(), time.process_time()
            assert client.get(address).status_code == 200, address
            walls.append((time.perf_counter() - wall) * 1000)
            cpus.append((time.process_time() - cpu) * 1000)
        first, wall = walls[0], statistics.median(walls[1:])
        line = f"{name:24} {wall:8.1f} {statistics.median(cpus[1:]):8.1f}"
        print(f"{line}   first look {first:.0f}")
    user.delete()


if __name__ == "__main__":
    main()
