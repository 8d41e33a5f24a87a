"""`./run verify`: what it reads, what it says, and with which status it ends."""

from __future__ import annotations

import io
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection
from django.test import override_settings

from sagas import services
from sagas.models import Saga, SagaEvent, SagaStep
from sagas.verify import load, program, secrets
from sagas.verify.entry import BadEntry, entry_of
from sagas.verify.history import History
from sagas.verify.invariants import TITLES
from sagas.verify.sources import Ledger, Source
from shop import Shop
from tests.acceptance.verifier import verify
from tests.api.client import on_servers
from tests.free_port import free_port
from tests.verify import made

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.django_db(transaction=True)


def result(*arguments: str) -> dict[str, Any]:
    status, text = verify("--json", *arguments)
    found: dict[str, Any] = json.loads(text)
    assert status == (1 if found["violations"] else 0)
    return found


def numbers(found: dict[str, Any]) -> set[int]:
    return {one["invariant"] for one in found["violations"]}


def lines(path: Path, *values: Any) -> str:
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return str(path)


def ledger(shop: Shop) -> list[Any]:
    return [entry for url in shop.urls.values() for entry in Source("", url).entries()]


# --- What is found ------------------------------------------------------------------------------


def test_sagas_of_all_kinds_are_found_good_and_the_sums_agree(shop: Shop) -> None:
    for make in made.REAL.values():
        make(shop)
    found = result("--participants")
    assert found["violations"] == []
    assert (found["sagas"], found["calls"]) == (len(made.REAL), len(ledger(shop)))
    assert set(found["checked"]) == {str(n) for n in [*range(1, 14), 17, 19, 21]}
    assert set(found["not_checked"]) == {"14", "15", "16", "18", "20", "22", "23", "24"}
    assert found["checked"]["4"]["checks"] == found["calls"]


def _sale_of(saga_id: UUID) -> str:
    output = SagaStep.objects.get(saga_id=saga_id, name="create_sale").output
    assert output is not None
    return str(output["sale_id"])


def test_money_of_sagas_that_touch_each_other_adds_up(shop: Shop) -> None:
    bought, other = made.completed(shop), made.completed(shop)
    sale = _sale_of(bought)
    back = made.create(saga_type="return_saga", sale_id=sale, amount=29.99, items=[
        {"product_id": 456, "quantity": 1, "price": 29.99}
    ])  # fmt: skip
    made.drive(back)
    assert result("--participants")["violations"] == []
    # The refund of the purchase is now less than its payment, by what the return gave back.
    services.compensate(bought, actor="api")
    made.drive(bought)
    assert result("--participants")["violations"] == []
    Saga.objects.filter(pk=other).update(data=made.PURCHASE | {"amount": "59.97"})
    texts = [one["text"] for one in result("--participants")["violations"]]
    assert texts == [
        "+59.98 for the shop, not +59.97",
        "payment says that its net is 59.98, and the sagas imply 59.97",
    ]


def test_a_refund_that_falls_short_is_named(shop: Shop, tmp_path: Path) -> None:
    made.compensated(shop)
    entries = ledger(shop)
    refund = next(entry for entry in entries if entry["step"] == "refund_payment")
    refund["amount"] = "59.00"
    found = result("--ledger", lines(tmp_path / "ledger", *entries))
    assert [one["invariant"] for one in found["violations"]] == [19]
    assert "its compensation only 59.00" in found["violations"][0]["text"]


def test_the_table_has_a_line_for_each_invariant_and_for_each_violation(shop: Shop) -> None:
    saga_id = made.completed(shop)
    status, text = verify("--participants")
    assert status == 0
    assert "  1  completed: each step took effect once" in text
    assert "not checked: what clients were told is needed (--clients)" in text
    head, *rows = text.splitlines()[:-1]
    assert [int(row[:3]) for row in rows] == list(TITLES)
    ends = {len(row) for row in (head, *rows) if "not checked" not in row}
    starts = {row.index("not checked") for row in rows if "not checked" in row}
    assert (len(ends), len(starts)) == (1, 1)
    assert text.splitlines()[-1] == "1 sagas, 5 calls, 0 violations"
    SagaEvent.objects.filter(saga_id=saga_id, kind="saga_completed").delete()
    status, text = verify("--participants")
    assert status == 1
    assert f" 11  {saga_id}  the row has seen 14 events, there are 13" in text


def test_without_a_ledger_only_the_database_is_looked_at(shop: Shop) -> None:
    made.completed(shop)
    found = result()
    assert found["violations"] == []
    assert not {"1", "2", "3", "4", "19"} & set(found["checked"])


def test_of_a_participant_whose_ledger_was_not_given_nothing_is_asked(shop: Shop) -> None:
    made.completed(shop)
    found = result("--ledger", f"payment={shop.urls['payment']}")
    assert found["violations"] == []
    assert found["checked"]["1"]["checks"] == 1


def test_an_empty_ledger_of_a_named_participant_lacks_its_effects(
    shop: Shop, tmp_path: Path
) -> None:
    made.completed(shop)
    assert 1 in numbers(result("--ledger", f"payment={lines(tmp_path / 'empty')}"))


def test_calls_of_no_saga_are_named(shop: Shop) -> None:
    saga_id = made.completed(shop)
    made.completed(shop)
    Saga.objects.filter(pk=saga_id).delete()
    found = result("--participants")
    assert {one["saga"] for one in found["violations"] if one["invariant"] == 4} == {str(saga_id)}


def test_calls_of_sagas_from_before_a_purge_are_passed_over(shop: Shop) -> None:
    saga_id = made.completed(shop)
    made.completed(shop)
    Saga.objects.filter(pk=saga_id).delete()
    now = datetime.now(UTC)
    for since, bad in ((now + timedelta(seconds=5), False), (now - timedelta(hours=1), True)):
        found = result("--participants", "--since", since.isoformat())
        assert ({one["saga"] for one in found["violations"]} == {str(saga_id)}) is bad
    status, text = verify("--since", "yesterday")
    assert (status, "'yesterday' is no date" in text) == (1, True)


def test_while_sagas_run_only_what_always_holds_is_asked(shop: Shop) -> None:
    saga_id = made.overdue(shop)
    assert numbers(result("--participants")) == {21}
    with override_settings(SAGA_SWEEP_INTERVAL=10):
        assert result("--participants", "--running")["violations"] == []
    due = services.get_saga(saga_id).due_at
    assert due is not None
    past = due - timedelta(minutes=1)
    Saga.objects.filter(pk=saga_id).update(due_at=past)
    assert numbers(result("--participants", "--running")) == {10, 22}


def test_a_network_that_doubles_calls_is_no_violation_when_it_is_said_so(
    shop: Shop, tmp_path: Path
) -> None:
    made.completed(shop)
    entries = ledger(shop)
    paid = next(entry for entry in entries if entry["step"] == "process_payment")
    path = lines(tmp_path / "ledger", *entries, paid | {"seq": 99, "outcome": "replayed"})
    assert numbers(result("--ledger", path)) == {4}
    assert result("--ledger", path, "--duplicating-network")["violations"] == []


def test_clocks_may_differ_by_the_skew_that_is_allowed(shop: Shop, tmp_path: Path) -> None:
    made.completed(shop)
    entries = [
        entry | {"at": entry["at"].replace("+00:00", "+00:01")} for entry in ledger(shop)
    ]  # a minute early
    path = lines(tmp_path / "ledger", *entries)
    assert {4, 6} <= numbers(result("--ledger", path))
    assert result("--ledger", path, "--skew", "61")["violations"] == []


def test_many_sagas_are_read_in_batches(shop: Shop) -> None:
    ids = [made.cancelled(shop) for _ in range(5)]
    batches = list(load.histories(batch=2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    read = [one for batch in batches for one in batch if isinstance(one, History)]
    assert [one.saga_id for one in read] == [str(saga_id) for saga_id in ids]


def test_a_saga_that_moves_while_it_is_read_is_read_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    saga_id, reads = made.create(execute=False), []
    read = load._read

    def moving(ids: Any) -> Any:
        found = read(ids)
        reads.append(ids)
        if len(reads) == 1:
            services.execute(saga_id, actor="api")
        return found

    monkeypatch.setattr(load, "_read", moving)
    history = load.one(saga_id)
    assert history is not None
    assert (len(reads), history.status, len(history.facts)) == (2, "in_progress", 2)


def test_a_saga_that_never_stops_moving_is_left_out_and_its_calls_are_known(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    saga_id = made.completed(shop)
    read = load._read

    def moving(ids: Any) -> Any:
        found = read(ids)
        for pk in ids:
            Saga.objects.filter(pk=pk).update(seq=services.get_saga(saga_id).seq + 1)
        return found

    monkeypatch.setattr(load, "_read", moving)
    found = result("--participants")
    assert (found["moving"], found["sagas"], found["violations"]) == (1, 0, [])


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE sagas_sagaevent SET data = '[]' WHERE saga_id = %s AND seq = 4",
        "UPDATE sagas_sagaevent SET data = '5' WHERE saga_id = %s AND seq = 4",
        "UPDATE sagas_saga SET data = '[]' WHERE id = %s",
        "UPDATE sagas_saga SET deadline = 'infinity' WHERE id = %s",
    ],
)
@on_servers
def test_what_makes_no_sense_is_that_saga_s_violation_alone(shop: Shop, change: str) -> None:
    odd, fine = made.completed(shop), made.completed(shop)
    with connection.cursor() as cursor:
        cursor.execute(change, [odd])
    found = result("--participants")
    assert found["sagas"] == 2
    named = {violation["saga"] for violation in found["violations"]}
    assert str(odd) in named
    assert named <= {str(odd), ""}, "the sums over all may not be known either"
    assert str(fine) not in str(found["violations"])


def test_rows_that_cannot_be_read_are_named(shop: Shop) -> None:
    saga_id = made.completed(shop)
    SagaStep.objects.filter(saga_id=saga_id, position=1).update(effect="perhaps")
    found = result("--participants")
    assert numbers(found) == {10, 21}
    assert "its rows cannot be read" in found["violations"][0]["text"]


# --- Clients ------------------------------------------------------------------------------------


def told(op: str = "create", **fields: Any) -> dict[str, Any]:
    none = {"key": None, "body_sha256": None, "status": 201, "saga_id": None}
    return {"op": op} | none | fields


def keyed(key: str) -> str:
    saga = services.create_saga(
        "purchase_saga", made.PURCHASE, execute=True, actor="api", idempotency_key=key
    ).saga
    return str(saga.id)


NONE = "0190e5a0-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("wrong", "requests"),
    [
        (set(), lambda saga: [told(key="k", body_sha256="a", saga_id=saga)] * 2),
        (set(), lambda saga: [told(key="k", status=0), told(key="k", status=503)]),
        (
            set(),
            lambda saga: [
                told(key="k", body_sha256="a", saga_id=saga),
                told(key="k", body_sha256="b", status=422),
            ],
        ),
        (set(), lambda saga: [told(key="other", status=0), told(key="another", status=422)]),
        (
            set(),
            lambda saga: (
                [told("compensate", saga_id=saga, status=202)]
                + [told("compensate", saga_id=saga, status=409)] * 3
            ),
        ),
        (set(), lambda saga: [told("compensate", saga_id=saga, status=0)]),
        (set(), lambda saga: [told("execute", saga_id=saga, status=409)]),
        ({14, 15}, lambda saga: [told(key="k", saga_id=saga), told(key="k", saga_id=NONE)]),
        ({14}, lambda saga: [told(key="k", body_sha256=b, saga_id=saga) for b in "ab"]),
        (
            {14},
            lambda saga: [
                told(key="k", body_sha256="a", saga_id=saga, status=status) for status in (201, 422)
            ],
        ),
        ({14}, lambda saga: [told(key="k", status=422)]),
        ({15}, lambda saga: [told(saga_id=NONE)]),
        ({16}, lambda saga: [told("compensate", saga_id=saga, status=202)] * 2),
        ({16}, lambda saga: [told("compensate", saga_id=saga, status=409)]),
        ({16}, lambda saga: [told("retry", saga_id=saga, status=202)]),
    ],
)
def test_what_clients_were_told_is_held_against_the_database(
    shop: Shop, tmp_path: Path, wrong: set[int], requests: Callable[[str], list[Any]]
) -> None:
    saga = keyed("k")
    services.compensate(Saga.objects.get().pk, actor="api")
    path = lines(tmp_path / "clients", *requests(saga))
    assert numbers(result("--running", "--clients", path)) == wrong


def test_two_clients_may_use_one_key(shop: Shop, tmp_path: Path) -> None:
    one, two = (
        services.create_saga(
            "purchase_saga", made.PURCHASE, execute=True, actor="api", client=c, idempotency_key="k"
        ).saga
        for c in "ab"
    )
    good = [told(key="k", saga_id=str(saga.pk), client=saga.client) for saga in (one, two)]
    assert numbers(result("--running", "--clients", lines(tmp_path / "good", *good))) == set()
    wrong = [told(key="k", saga_id=str(one.pk), client="b")]
    assert numbers(result("--running", "--clients", lines(tmp_path / "wrong", *wrong))) == {14}
    status, said = verify("--clients", lines(tmp_path / "odd", told(client=1)))
    assert (status, "client is not a text" in said) == (2, True)


# --- Secrets ------------------------------------------------------------------------------------


def test_a_secret_is_named_by_its_place_and_never_shown(shop: Shop, tmp_path: Path) -> None:
    saga_id = made.completed(shop)
    keys = tmp_path / "secrets"
    keys.write_text('open sesame\n\nquote"d\n')
    log = tmp_path / "log"
    log.write_text("all is well\n")
    scan = ("--secrets", str(keys), "--scan", str(log))
    assert result(*scan)["violations"] == []
    log.write_text(json.dumps({"said": 'quote"d'}))
    Saga.objects.filter(pk=saga_id).update(waiting="open sesame")
    status, text = verify(*scan)
    assert status == 1
    assert f" 20  {saga_id}  its row has secret 1" in text
    assert f" 20  -  {log} has secret 2" in text
    assert "sesame" not in text.replace("has waiting 'open sesame'", "")


def test_a_secret_is_found_where_two_pieces_of_a_file_meet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(secrets, "_CHUNK", 8)
    for before in range(20):
        file = io.BytesIO(b"." * before + b"sesame" + b"." * 9)
        assert secrets.secrets_in(file, ("other", "sesame")) == {2}


# --- What cannot be checked ---------------------------------------------------------------------


def test_nothing_to_check_is_no_success() -> None:
    assert verify() == (2, "there are no sagas, no calls and nothing that clients were told")


def test_calls_and_no_saga_at_all_mean_the_wrong_database(shop: Shop) -> None:
    made.completed(shop)
    Saga.objects.all().delete()
    status, text = verify("--participants")
    assert status == 2
    assert re.fullmatch(r"this database holds no sagas \(.+\): is it the right one\?", text)
    assert str(connection.settings_dict["NAME"]) in text


def alone(state: Path) -> tuple[int, str]:
    """Exit status and error output of a process with nothing set but its state folder."""
    done = subprocess.run(
        [sys.executable, "manage.py", "verify"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "SAGA_STATE_DIR": str(state)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_no_database_is_said_and_none_is_made(tmp_path: Path) -> None:
    state = tmp_path / "state"
    status, text = alone(state)
    assert status == 2
    assert f"there is no database {state / 'sagas.sqlite3'}: set SAGA_STATE_DIR" in text
    assert "DATABASE_URL" in text
    assert not state.exists()


def test_a_database_without_tables_says_what_to_run(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "sagas.sqlite3")) as db:
        db.execute("CREATE TABLE other (id)")
    status, text = alone(tmp_path)
    assert status == 2
    assert "run `./run manage migrate` first" in text
    assert "Traceback" not in text


ENTRY: dict[str, Any] = {
    "service": "payment",
    "seq": 1,
    "at": "2026-01-01T00:00:00+00:00",
    "key": "k",
    "saga_id": None,
    "run": "1",
    "step": "pay",
    "kind": "action",
    "outcome": "applied",
    "compensates": None,
    "body_sha256": None,
    "amount": "1.00",
}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in ENTRY.items() if key != name}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([], "an entry is a JSON object"),
        (without("amount"), "it lacks amount"),
        (ENTRY | {"colour": "red"}, "it has unknown fields: colour"),
        (ENTRY | {"kind": "undo"}, "kind cannot be 'undo'"),
        (ENTRY | {"outcome": "done"}, "the outcome 'done' is none of applied, "),
        (ENTRY | {"at": "2026-01-01T00:00:00"}, "at cannot be '2026-01-01T00:00:00'"),
        (ENTRY | {"at": 7}, "at cannot be 7"),
        (ENTRY | {"seq": True}, "seq cannot be True"),
        (ENTRY | {"run": "first"}, "run cannot be 'first'"),
        (ENTRY | {"amount": 1.5}, "amount cannot be 1.5"),
        (ENTRY | {"amount": "NaN"}, "amount cannot be 'NaN'"),
        (ENTRY | {"status": "ok"}, "status cannot be 'ok'"),
        (ENTRY | {"key": 7}, "key is neither a text nor null"),
        (ENTRY | {"service": ""}, "service is not a text"),
    ],
)
def test_what_is_no_entry_says_why(tmp_path: Path, value: Any, why: str) -> None:
    with pytest.raises(BadEntry, match="^" + why.replace("[", r"\[")):
        entry_of(value)
    path = lines(tmp_path / "ledger", ENTRY, value)
    status, text = verify("--ledger", path)
    assert status == 2
    assert text.startswith(f"{path}, entry 2: {why}")


def test_an_entry_may_leave_out_only_its_status() -> None:
    assert entry_of(ENTRY).status is None
    assert entry_of(ENTRY | {"status": 201}).status == 201
    assert entry_of(ENTRY).run == 1


def test_ledgers_that_cannot_be_used_are_a_line_each(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("{]\n")
    nobody = f"http://127.0.0.1:{free_port()}"
    for source, why in (
        (str(broken), "line 1: "),
        (str(tmp_path / "absent"), "cannot be read: No such file"),
        (nobody, f"{nobody} cannot be reached: connection refused"),
        (f"sales={lines(tmp_path / 'other', ENTRY)}", "is the ledger of payment, sales"),
    ):
        status, text = verify("--ledger", source)
        assert (status, why in text, "\n" in text) == (2, True, False), text


def test_an_address_that_is_no_participant_is_said_to_be_none(shop: Shop) -> None:
    status, text = verify("--ledger", f"{shop.urls['payment']}/payments")
    assert status == 2
    assert text.endswith("answered 404: it offers no ledger; use --ledger FILE")


@pytest.mark.parametrize("option", ["--clients", "--secrets"])
def test_other_files_that_cannot_be_used_are_a_line_each(tmp_path: Path, option: str) -> None:
    bad = tmp_path / "bad"
    bad.write_text("{}\n" if option == "--clients" else "\n")
    for path in (bad, tmp_path / "absent"):
        status, text = verify(option, str(path))
        assert status == 2
        assert text.startswith(str(path))


def test_a_scan_needs_secrets_and_files(shop: Shop, tmp_path: Path) -> None:
    made.completed(shop)
    assert verify("--scan", str(tmp_path)) == (2, "--scan looks for secrets: --secrets says which")


def test_a_database_that_is_away_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise OperationalError("connection refused\n\tIs the server running?")

    monkeypatch.setattr(program, "database_now", away)
    what = "the database cannot be read: connection refused Is the server running?"
    assert verify() == (2, what)


def test_the_same_ledger_twice_counts_once_and_two_that_differ_are_refused(
    tmp_path: Path,
) -> None:
    path = lines(tmp_path / "one", ENTRY)
    with Ledger() as ledger:
        ledger.read(Source.of(path))
        ledger.read(Source.of(f"payment={path}"))
        assert (ledger.calls, ledger.services) == (1, {"payment"})
    other = lines(tmp_path / "other", ENTRY | {"key": "l"})
    status, text = verify("--ledger", path, "--ledger", other)
    assert (status, "two different entries have number 1 of payment" in text) == (2, True)
