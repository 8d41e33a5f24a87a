"""A participant without HTTP: what one transaction means."""

from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from sqlite3 import Connection, OperationalError

import pytest

from shop.answer import Refused
from shop.body import Body
from shop.call import Call
from shop.endpoint import Action, Business, Effect
from shop.participant import Participant


def write_then_refuse(db: Connection, _: Body) -> Effect:
    db.execute("INSERT INTO things VALUES (1)")
    raise Refused(409, "no", "")


def write_then_break(db: Connection, _: Body) -> Effect:
    db.execute("INSERT INTO things VALUES (1)")
    raise OperationalError("disk I/O error")


REFUSING = Action("refuse", write_then_refuse)
BREAKING = Action("break", write_then_break)


def count(db: Connection) -> dict[str, object]:
    return {"things": db.execute("SELECT COUNT(*) FROM things").fetchone()[0]}


@pytest.fixture
def participant(tmp_path: Path) -> Iterator[Participant]:
    schema = "CREATE TABLE things (id INTEGER);"
    one = Participant(Business("things", 409, schema, {}, count), tmp_path)
    yield one
    one.close()


def call(action: Action) -> Call:
    headers = Message()
    headers["Idempotency-Key"] = "k"
    return Call.of(action, "2030-01-01T00:00:00+00:00", headers, b"{}")


def test_a_refusal_drops_what_was_written_before_it(participant: Participant) -> None:
    assert participant.answer(call(REFUSING)).status == 409
    assert participant.sums() == {"things": 0}
    assert [row["outcome"] for row in participant.ledger(None, 0)] == ["refused"]


def test_a_broken_store_leaves_nothing_and_blocks_nobody(participant: Participant) -> None:
    with pytest.raises(OperationalError):
        participant.answer(call(BREAKING))
    assert participant.sums() == {"things": 0}
    assert participant.ledger(None, 0) == []
    assert participant.answer(call(REFUSING)).status == 409
