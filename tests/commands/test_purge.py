"""`manage.py purge`: what it says, its archive, and how it ends."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from fcntl import LOCK_EX, flock
from io import StringIO
from pathlib import Path
from resource import RLIMIT_FSIZE, getrlimit, setrlimit
from threading import Thread
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection

from executors.purchase import PurchaseSagaExecutor
from executors.secrets import HIDDEN
from sagas import selectors, services
from sagas.domain.state import Operation
from sagas.models import BulkOperation, Saga, SagaEvent, SagaStep
from tests.admin import staging
from tests.api.client import SAGAS, Api
from tests.api.contract import Contract
from tests.commands.test_commands import said
from tests.services.test_purge import aged, there

pytestmark = pytest.mark.django_db
OLD = ("purge", "--older-than", "90d")


def archived(path: Path) -> list[dict[str, Any]]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in data.splitlines()]


def test_it_says_what_it_did() -> None:
    aged(staging.completed(), 91)
    aged(staging.compensated(), 91)
    failed = aged(staging.failed(), 91)
    steps, events = (
        model.objects.exclude(saga_id=failed.pk).count() for model in (SagaStep, SagaEvent)
    )
    text = said(*OLD)
    assert re.match(r"2 sagas that ended before \d{4}-\d\d-\d\d \d\d:\d\d UTC deleted in ", text)
    assert f": {steps} steps, {events} events, 0 proposals; 0 bulk operations\n" in text
    assert "1 sagas" in said(*OLD, "--status", "failed")
    assert not Saga.objects.exists()


def test_a_dry_run_counts_and_deletes_nothing() -> None:
    sagas = [aged(staging.completed(), 91), aged(staging.compensated(), 92)]
    text = said(*OLD, "--dry-run")
    assert "        1  purchase_saga compensated\n        1  purchase_saga completed\n" in text
    assert f"        2  sagas that ended before {selectors.database_now():%Y}" in text
    assert "nothing was deleted" in text
    assert there(*sagas) == sagas


@pytest.mark.parametrize(
    "wrong",
    [
        ["--older-than", "0d"],
        ["--older-than", "90"],
        ["--older-than", "-1d"],
        ["--older-than", "1000000d"],
        [],
        [*OLD[1:], "--status", "pending"],
        [*OLD[1:], "--status", "in_progress"],
        [*OLD[1:], "--batch", "0"],
        [*OLD[1:], "--batch", "5001"],
        [*OLD[1:], "--limit", "0"],
    ],
)
def test_what_makes_no_sense_is_refused(wrong: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("purge", *wrong)


def test_a_purged_saga_is_unknown_and_its_key_free() -> None:
    api = Api(Contract())
    body = {"type": "purchase_saga", "data": staging.DATA, "execute": True}
    first = api.post(SAGAS, body, Idempotency_Key="k1").json["id"]
    aged(staging.drive(Saga.objects.get(pk=first)), 91)
    assert api.post(SAGAS, body, Idempotency_Key="k1").json["id"] == first
    said(*OLD)
    for path in ("", "/events"):
        assert api.get(f"{SAGAS}/{first}{path}").status == 404
    for operation in ("execute", "compensate", "retry"):
        assert api.post(f"{SAGAS}/{first}/{operation}").status == 404
    assert api.post(SAGAS, body, Idempotency_Key="k1").json["id"] != first


# --- The archive ----------------------------------------------------------------------------------


def test_the_archive_has_each_saga_with_all_that_belongs_to_it(tmp_path: Path) -> None:
    path = tmp_path / "sagas.jsonl"
    saga = aged(staging.compensated(), 91)
    whole = {"n": 0.1 + 0.2, "big": 123456789012345678901234567890, "é": "0.10", "no": None}
    Saga.objects.filter(pk=saga.pk).update(data=saga.data | whole)
    rows = Saga.objects.get(pk=saga.pk)
    steps = list(SagaStep.objects.filter(saga=saga.pk).values())
    events = list(SagaEvent.objects.filter(saga=saga.pk).values())
    assert f"archived in {path}" in said(*OLD, "--archive", str(path))
    (kept,) = archived(path)
    assert kept["saga"]["data"] == rows.data
    assert kept["saga"]["data"]["n"] == 0.30000000000000004
    assert kept["saga"]["id"] == str(saga.pk)
    assert rows.ended_at is not None
    assert kept["saga"]["ended_at"] == rows.ended_at.isoformat()
    assert [each["output"] for each in kept["steps"]] == [each["output"] for each in steps]
    assert [each["data"] for each in kept["events"]] == [each["data"] for each in events]
    assert [each["seq"] for each in kept["events"]] == [each["seq"] for each in events]
    for part, row in (("saga", rows.__dict__), ("steps", steps[0]), ("events", events[0])):
        document = kept[part] if part == "saga" else kept[part][0]
        names = {name for name in row if name not in ("_state", "id", "saga_id")}
        assert names <= set(document), part


def test_a_file_is_appended_to_and_its_owner_alone_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "sagas.jsonl"
    ids = []
    for _ in range(2):
        ids.append(str(aged(staging.completed(), 91).pk))
        said(*OLD, "--archive", str(path))
    assert [each["saga"]["id"] for each in archived(path)] == ids
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_a_crash_cut_off_spoils_no_later_line(tmp_path: Path) -> None:
    path = tmp_path / "sagas.jsonl"
    path.write_text('{"saga": {"id": "cut o')
    saga = aged(staging.completed(), 91)
    said(*OLD, "--archive", str(path))
    assert json.loads(path.read_text().splitlines()[1])["saga"]["id"] == str(saga.pk)


def test_in_a_folder_each_run_has_a_compressed_file(tmp_path: Path) -> None:
    said(*OLD, "--archive", str(tmp_path))
    assert not list(tmp_path.iterdir()), "nothing went"
    sagas = {str(aged(staging.completed(), 91).pk) for _ in range(3)}
    said(*OLD, "--archive", str(tmp_path), "--batch", "2")
    (path,) = tmp_path.iterdir()
    assert re.fullmatch(r"sagas-\d{8}T\d{6}Z-\d+\.jsonl\.gz", path.name)
    assert {each["saga"]["id"] for each in archived(path)} == sagas
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_bulk_operations_are_archived_with_their_items(tmp_path: Path) -> None:
    User.objects.create_superuser("ann")
    bulk = services.draft_bulk(Operation.RETRY, [staging.failed().pk], actor="user:ann")
    services.stop_bulk(bulk.pk, why="not today")
    then = selectors.database_now() - timedelta(days=91)
    BulkOperation.objects.update(ended_at=then)
    path = tmp_path / "sagas.jsonl"
    assert "1 bulk operations" in said(*OLD, "--archive", str(path))
    (kept,) = archived(path)
    assert kept["bulk"]["id"] == str(bulk.pk)
    assert kept["items"][0]["message"] == "not today"


def test_secrets_are_hidden_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saga = aged(staging.purchase({"process_payment": [staging.NO]}), 91)
    Saga.objects.update(data=saga.data | {"pin": "secret-7531"}, reason="pin secret-7531 is wrong")
    SagaStep.objects.update(
        output={"echo": "secret-7531"}, error="no secret-7531", request={"pin": "secret-7531"}
    )
    events = SagaEvent.objects.filter(saga=saga.pk)
    events.update(reason="with secret-7531", data={"answer": {"body": "pin secret-7531"}})
    monkeypatch.setattr(PurchaseSagaExecutor, "secrets", ("pin",))
    said(*OLD, "--archive", str(tmp_path / "a"))
    text = (tmp_path / "a").read_text()
    assert "secret-7531" not in text
    assert archived(tmp_path / "a")[0]["saga"]["data"]["pin"] == HIDDEN


@pytest.mark.parametrize("place", ["missing/sagas.jsonl", "there.gz", "full"])
def test_without_a_line_in_the_archive_nothing_goes(tmp_path: Path, place: str) -> None:
    (tmp_path / "there.gz").touch()
    path = Path("/dev/full") if place == "full" else tmp_path / place
    saga = aged(staging.completed(), 91)
    before = staging.facts(saga)
    with pytest.raises(CommandError, match=r"nothing that is not in the archive was deleted"):
        call_command(*OLD, "--archive", str(path))
    assert staging.facts(saga) == before


def test_what_was_written_of_a_batch_when_the_disk_was_full_is_taken_back(tmp_path: Path) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("the limit would be that of the database's file, too")
    path = tmp_path / "sagas.jsonl"
    aged(staging.completed(), 92)
    said(*OLD, "--archive", str(path))
    full = path.read_bytes()
    saga = aged(staging.completed(), 91)
    before = getrlimit(RLIMIT_FSIZE)
    setrlimit(RLIMIT_FSIZE, (len(full) + 1000, before[1]))
    try:
        with pytest.raises(CommandError, match="cannot be written: File too large"):
            call_command(*OLD, "--archive", str(path))
    finally:
        setrlimit(RLIMIT_FSIZE, before)
    assert path.read_bytes() == full
    assert there(saga) == [saga]


def test_what_cannot_be_read_stays_and_the_others_go(tmp_path: Path) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("a time that Python does not know, which SQLite does not store")
    odd, other = aged(staging.completed(), 91), aged(staging.completed(), 91)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE sagas_sagastep SET started_at = 'infinity' WHERE saga_id = %s", [odd.pk]
        )
    assert "1 sagas stay: their rows cannot be read" in said(*OLD, "--archive", str(tmp_path))
    assert Saga.objects.get().pk == odd.pk
    assert not there(other)
    alone = said(*OLD, "--archive", str(tmp_path), "--limit", "5")
    assert alone.startswith("0 sagas that ended before")
    assert "1 sagas stay" in alone


@pytest.mark.django_db(transaction=True)
def test_a_deletion_that_fails_leaves_all_in_the_database_and_a_copy(tmp_path: Path) -> None:
    saga = aged(staging.completed(), 91)
    before = staging.facts(saga)
    path = tmp_path / "sagas.jsonl"
    with held_by_another_table(saga):
        out = StringIO()
        with pytest.raises(CommandError, match="database"):
            call_command(*OLD, "--archive", str(path), stdout=out)
        assert out.getvalue().startswith("0 sagas")
        assert staging.facts(saga) == before
        assert there(saga) == [saga]
        assert len(archived(path)) == 1
    said(*OLD, "--archive", str(path))
    assert [each["saga"]["id"] for each in archived(path)] == [str(saga.pk)] * 2


@contextmanager
def held_by_another_table(saga: Saga) -> Iterator[None]:
    """The database refuses to delete the saga, as late as it can."""
    with connection.cursor() as cursor:
        kind = Saga._meta.pk.db_type(connection)
        cursor.execute(
            f"CREATE TABLE held (saga {kind} REFERENCES sagas_saga (id) "
            "DEFERRABLE INITIALLY DEFERRED)"
        )
        saga_id = saga.pk if connection.vendor == "postgresql" else saga.pk.hex
        cursor.execute("INSERT INTO held VALUES (%s)", [saga_id])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE held")


# --- Signals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_batch(tmp_path: Path, number: signal.Signals) -> None:
    if not Path("/proc/locks").exists():
        pytest.skip("who waits for a lock is asked of Linux")
    for _ in range(3):
        aged(staging.completed(), 91)
    path = tmp_path / "sagas.jsonl"
    file = os.open(path, os.O_CREAT | os.O_RDWR)
    flock(file, LOCK_EX)

    def send() -> None:
        until = time.monotonic() + 30
        waits = re.compile(rf"-> FLOCK +ADVISORY +WRITE {os.getpid()} ")
        while not waits.search(Path("/proc/locks").read_text()) and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(os.getpid(), number)
        time.sleep(0.05)
        os.close(file)  # only now can the batch be written

    before = signal.getsignal(number)
    thread = Thread(target=send)
    thread.start()
    try:
        with pytest.raises(SystemExit) as ended:
            said(*OLD, "--batch", "1", "--archive", str(path))
    finally:
        thread.join()
    assert ended.value.code == 128 + number
    assert Saga.objects.count() == 2
    assert len(archived(path)) == 1
    assert signal.getsignal(number) is before
