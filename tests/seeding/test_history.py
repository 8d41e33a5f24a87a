"""The long history: it is what the engine would have left, and nobody drives it."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings
from django.utils import timezone

from executors.registry import registry
from sagas import selectors, services
from sagas.models import Saga, SagaEvent, SagaStep
from sagas.seeding import make_history
from sagas.seeding.scenarios import FAILED, OPEN
from sagas.verify.program import Options, verify

SOME = 300


@pytest.mark.django_db(transaction=True)
def test_a_history(settings) -> None:
    made = make_history(SOME, seed=3)
    assert Saga.objects.count() == sum(made.counts.values()) == SOME
    names = {name for _, name in made.counts}
    assert names > {scenario.__name__ for scenario in (*FAILED, *OPEN)}
    report = verify(Options(settled=False))
    assert (report.sagas, report.violations) == (SOME, [])
    assert not selectors.due_sagas(10)
    assert set(Saga.objects.values_list("type", flat=True)) == {"purchase_saga", "return_saga"}

    now = timezone.now()
    sagas = list(Saga.objects.order_by("id"))
    assert now - sagas[0].created_at > timedelta(days=29)
    assert now - max(saga.updated_at for saga in sagas) < timedelta(hours=6)
    for saga in sagas:
        milliseconds = int(saga.created_at.timestamp() * 1000)
        assert (saga.pk.version, saga.pk.int >> 80) == (7, milliseconds)
        executor = registry.newest(saga.type)
        assert executor is not None
        assert services.validated(executor, saga.data) == saga.data

    # Another one adds to it, with other sales.
    make_history(50, seed=4)
    sales = SagaStep.objects.filter(name="create_sale", output__isnull=False)
    numbers = Counter(step.output["sale_id"] for step in sales if step.output)
    assert max(numbers.values()) == 1
    assert Saga.objects.count() == SOME + 50


@pytest.mark.django_db(transaction=True)
def test_nothing_is_left_of_what_was_only_played() -> None:
    make_history(1, seed=1)
    assert Saga.objects.count() == 1
    assert SagaEvent.objects.filter(at__year=2001).count() == 0


@pytest.mark.django_db(transaction=True)
def test_the_command() -> None:
    out = StringIO()
    call_command("seed", "--history", "40", stdout=out)
    lines = out.getvalue().splitlines()
    assert lines[-1].split()[:2] == ["40", "sagas,"]
    assert sum(int(line.split()[0]) for line in lines[:-1]) == 40


@pytest.mark.django_db
def test_the_command_says_what_it_cannot_do() -> None:
    for number in ("0", "-1", "x"):
        with pytest.raises(CommandError):
            call_command("seed", "--history", number)
    try:
        with override_settings(SAGA_EXECUTORS=[]):
            registry.load()
            with pytest.raises(CommandError, match="neither purchases nor returns"):
                call_command("seed", "--history", "3")
    finally:
        registry.load()
    assert Saga.objects.count() == 0
