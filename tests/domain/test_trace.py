"""W3C trace context: which headers name a trace, and the ids that are derived."""

import itertools
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from sagas.domain import trace
from sagas.domain.trace import Trace, read

ID, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{ID}-{SPAN}-01"
SAGA = UUID("0192f1aa-0000-7000-8000-000000000001")


def test_a_traceparent_is_read_and_written_as_it_was() -> None:
    found = read(GOOD)
    assert found == Trace(trace_id=ID, parent=SPAN, flags=1)
    assert found.header("00f067aa0ba902b7") == f"00-{ID}-00f067aa0ba902b7-01"
    assert found.sampled
    assert trace.of_saga(SAGA, found.stored) == found


@pytest.mark.parametrize(
    ("flags", "kept"), [("00", "00"), ("01", "01"), ("02", "02"), ("ff", "03"), ("fc", "00")]
)
def test_flags_that_are_known_are_kept_and_no_others(flags: str, kept: str) -> None:
    found = read(f"00-{ID}-{SPAN}-{flags}")
    assert found is not None
    assert found.header(SPAN) == f"00-{ID}-{SPAN}-{kept}"
    assert found.sampled is (kept in ("01", "03"))
    assert found.unsampled.header(SPAN)[-2:] == ("02" if kept in ("02", "03") else "00")


@pytest.mark.parametrize("more", ["", "-", "-what-the-future-may-bring"])
def test_of_a_future_version_what_is_known_is_read(more: str) -> None:
    found = read(f"cc-{ID}-{SPAN}-01{more}")
    assert found is not None
    assert found.header(SPAN) == GOOD


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "garbage",
        f"ff-{ID}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{ID}-{'0' * 16}-01",
        GOOD.upper(),
        f"00-{ID.upper()}-{SPAN}-01",
        f"00-{ID}-{SPAN.upper()}-01",
        f"0A-{ID}-{SPAN}-01",
        f"00-{ID}-{SPAN}-0A",
        f"{GOOD}-more",
        f"{GOOD}-",
        f"{GOOD}0",
        f"cc-{ID}-{SPAN}-01more",
        f"00-{ID[1:]}-{SPAN}-01",
        f"00-{ID}0-{SPAN}-01",
        f"00-{ID}-{SPAN[1:]}-01",
        f"00-{ID}-{SPAN}",
        f"00-{ID}-{SPAN}-1",
        f"0-{ID}-{SPAN}-01",
        f"00-{ID}-{SPAN}-zz",
        f"00_{ID}_{SPAN}_01",
        f"{GOOD},{GOOD}",
        f"{GOOD}, {GOOD}",
        f" {GOOD}",
        f"{GOOD}\n",
        f"00-{'é' * 32}-{SPAN}-01",
        f"00-{'１' * 32}-{SPAN}-01",
        GOOD * 100,
    ],
)
def test_a_wrong_traceparent_names_no_trace(wrong: str) -> None:
    assert read(wrong, "a=1") is None


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("", ""),
        ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        (" a=1 ,\tb=2\t, ,c=3,", "a=1,b=2,c=3"),
        ("tenant@system=x,0key=y,a_-*/@=z", "tenant@system=x,0key=y,a_-*/@=z"),
        ("a=with space", "a=with space"),
        ("a=!\"#$%&'()*+-./:;<>?@[]^_`{|}~", "a=!\"#$%&'()*+-./:;<>?@[]^_`{|}~"),
        (",".join(f"k{i}=1" for i in range(32)), ",".join(f"k{i}=1" for i in range(32))),
        (f"{'k' * 256}=1", f"{'k' * 256}=1"),
        (f"a={'v' * 256}", f"a={'v' * 256}"),
    ],
)
def test_a_tracestate_is_passed_on(given: str, kept: str) -> None:
    found = read(GOOD, given)
    assert found is not None
    assert found.state == kept
    assert trace.of_saga(SAGA, found.stored) == found


@pytest.mark.parametrize(
    "wrong",
    [
        "a",
        "a=",
        "=1",
        "A=1",
        "a =1",
        "a=1=2",
        "a=é",
        "a=\x01",
        "a=1\nb=2",
        "_a=1",
        "@a=1",
        f"{'k' * 257}=1",
        f"a={'v' * 257}",
        ",".join(f"k{i}=1" for i in range(33)),
        "good=1,BAD=1",
    ],
)
def test_a_wrong_tracestate_is_left_out_and_spoils_nothing(wrong: str) -> None:
    assert read(GOOD, wrong) == read(GOOD)


def test_of_a_tracestate_that_is_too_long_the_long_members_go_first_then_the_last() -> None:
    long, short = f"long={'v' * 200}", [f"k{i}={'v' * 60}" for i in range(9)]
    found = read(GOOD, ",".join([short[0], long, *short[1:]]))
    assert found is not None
    assert found.state == ",".join(short[:8])
    assert len(found.state) <= trace.MOST_STATE < len(",".join(short))
    fits = ",".join([*short[:4], long])
    kept = read(GOOD, fits)
    assert kept is not None
    assert kept.state == fits
    assert len(kept.stored) <= trace.LONGEST


def test_without_a_client_s_trace_the_saga_s_id_gives_one() -> None:
    found = trace.of_saga(SAGA, "")
    assert found == trace.of_saga(SAGA, "")
    assert (found.parent, found.stored, found.sampled) == ("", "", True)
    assert read(found.header(SPAN)) is not None
    assert trace.of_saga(UUID(int=SAGA.int + 1), "").trace_id != found.trace_id


def test_samplers_that_go_by_the_id_find_it_random() -> None:
    """OpenTelemetry's compares the lower 64 bits with a share of their range."""
    ids = [int(trace.of_saga(uuid7(), "").trace_id, 16) for _ in range(2000)]
    for share in (0.1, 0.5, 0.9):
        chosen = sum(each % 2**64 < share * 2**64 for each in ids) / len(ids)
        assert abs(chosen - share) < 0.06


def test_spans_have_ids_of_their_own() -> None:
    keys = [f"{SAGA}:{run}:pay:{kind}" for run in (1, 2) for kind in ("action", "compensation")]
    spans = [trace.attempt_span(*each) for each in itertools.product(keys, (1, 2, 3), range(1, 4))]
    now = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    spans += [trace.run_span(SAGA, now + timedelta(microseconds=i)) for i in range(3)]
    spans += [trace.event_span(SAGA, seq) for seq in range(3)]
    assert len(set(spans)) == len(spans)
    assert all(read(f"00-{ID}-{span}-01") for span in spans)
    assert trace.attempt_span(keys[0], 1, 1) == trace.attempt_span(keys[0], 1, 1)
    elsewhere = now.astimezone(timezone(timedelta(hours=5)))
    assert trace.run_span(SAGA, now) == trace.run_span(SAGA, elsewhere)
