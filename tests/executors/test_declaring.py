"""Saga types as they are declared: a right one runs, a wrong one is told of before the start."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import override_settings

from executors.registry import Registry
from sagas import checks
from sagas.domain.outcome import Verdict
from sagas.domain.state import CallKind
from sagas.services import InvalidData, validated
from tests.executors import hotel
from tests.executors.conftest import call, perform
from tests.executors.tcp import answers, http

ROOT = Path(__file__).resolve().parents[2]
ADDRESSES = dict.fromkeys(("partner", "hotel", "mailer"), "http://127.0.0.1:1")


def load(*modules: str) -> Registry:
    registry = Registry()
    with override_settings(SAGA_EXECUTORS=modules):
        registry.load()
    return registry


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, list[tuple[str, str, str]]]]:
    """What the checks say of tests/executors/wrong.py, by the name of the class it is about."""
    monkeypatch.setattr(checks, "registry", load("tests.executors.wrong"))
    with override_settings(SAGA_PARTICIPANTS=ADDRESSES, SAGA_LEASE=8):
        found: dict[str, list[tuple[str, str, str]]] = {}
        for message in checks.check_executors(None):
            name = re.split(r"\W", message.msg)[0]
            found.setdefault(name, []).append((message.id or "", message.msg, message.hint or ""))
        yield found


# --- A right one ------------------------------------------------------------------------------


def test_a_third_saga_type_is_one_small_file_and_passes_all_checks(monkeypatch):
    assert len(Path(hotel.__file__).read_text().splitlines()) <= 55
    registry = load("tests.executors.hotel")
    monkeypatch.setattr(checks, "registry", registry)
    with override_settings(SAGA_PARTICIPANTS=ADDRESSES):
        assert checks.check_executors(None) == []
    assert registry.types() == ["hotel_saga"]


def test_its_definition_is_what_the_table_says():
    executor = load("tests.executors.hotel").newest("hotel_saga")
    assert executor is not None
    definition = executor.definition
    assert [step.name for step in definition.forward()] == ["check_room", "book_room", "send_mail"]
    assert [step.compensation for step in definition.backward()] == ["cancel_room"]
    assert (definition.pivot, definition.version) == ("book_room", 1)
    assert definition.deadline is not None
    assert definition.deadline.total_seconds() == 60
    mail, book = definition.step("send_mail"), definition.step("book_room")
    assert (mail.timeout.total_seconds(), mail.retry.max_retries) == (2, 10)
    assert mail.retry.delay.total_seconds() == 0.5
    assert (book.timeout.total_seconds(), book.retry.max_retries) == (5, 3)
    assert book.retry.delay.total_seconds() == 1


def test_it_validates_its_data():
    executor = load("tests.executors.hotel").newest("hotel_saga")
    assert executor is not None
    assert validated(executor, {"guest": "Zoë", "nights": 2}) == {"guest": "Zoë", "nights": 2}
    with pytest.raises(InvalidData) as caught:
        validated(executor, {"guest": "Zoë", "nights": 0})
    assert set(caught.value.errors) == {"nights"}


def test_it_calls_its_participants(serve):
    server = serve(
        answers(
            http(body=b'{"free":false}'),
            http(body=b'{"free":true}'),
            http(201, b'{"booking_id":7}'),
            http(204, b""),
        )
    )
    executor = hotel.HotelSagaExecutor()
    data = {"guest": "Zoë", "nights": 2}
    with override_settings(SAGA_PARTICIPANTS={"hotel": server.url}):
        full = perform(executor, call("check_room", data=data))
        free = perform(executor, call("check_room", data=data))
        booked = perform(executor, call("book_room", data=data))
        assert booked.output is not None
        outputs = {"book_room": booked.output}
        undo = call("book_room", CallKind.COMPENSATION, outputs=outputs)
        cancelled = perform(executor, undo)
    assert (full.verdict, full.error) == (Verdict.REFUSED, "hotel said no: the hotel is full")
    assert (free.verdict, free.output) == (Verdict.SUCCEEDED, {"free": True})
    assert booked.output == {"booking_id": "7"}
    assert cancelled.verdict is Verdict.SUCCEEDED
    assert server.requests[-1].endswith(b'{"booking_id":"7"}')


def test_versions_live_side_by_side_and_the_newest_is_taken():
    class Second(hotel.HotelSagaExecutor):
        version = 2

    registry = load("tests.executors.hotel")
    registry.register(Second)
    assert registry.misfits == []
    assert type(registry.newest("hotel_saga")) is Second
    assert type(registry.find("hotel_saga", 1)) is hotel.HotelSagaExecutor
    assert registry.find("hotel_saga", 3) is None
    assert registry.newest("motel_saga") is None


def test_loading_again_forgets_what_was_known():
    registry = load("tests.executors.hotel", "tests.executors.absent")
    with override_settings(SAGA_EXECUTORS=["executors.purchase"]):
        registry.load()
    assert registry.types() == ["purchase_saga"]
    assert registry.misfits == []


# --- Wrong ones -------------------------------------------------------------------------------

WRONG = [
    ("NoSteps", "E020", "NoSteps: it has no steps."),
    ("SameStepTwice", "E020", "SameStepTwice: the name 'act' is used more than once."),
    ("SameNameForBoth", "E020", "SameNameForBoth: the name 'act' is used more than once."),
    ("CompensationAfterPivot", "E020", "'act2' comes after the pivot 'act' and so cannot have a"),
    ("TwoPivots", "E020", "TwoPivots: it has more than one pivot: act, act2."),
    ("NoData", "E021", "NoData has no serializer for its data."),
    ("DataIsNoClass", "E021", "DataIsNoClass has no serializer for its data."),
    ("AnswerIsNoSerializer", "E021", "the answer of step 'act' is not a serializer class."),
    ("UnknownCompensation", "E022", "UnknownCompensation names 'take_back', but has no method"),
    ("MissingMethod", "E022", "MissingMethod names 'fly', but has no method of that name"),
    ("NoArgument", "E022", "NoArgument names 'alone', but has no method of that name that takes"),
    ("NameTaken", "E022", "NameTaken: 'perform' is a name that every saga type has already."),
    ("NoAddress", "E023", "NoAddress: the participant 'nowhere' has no address."),
    ("NoTime", "E020", "NoTime: step 'act' has no time to be answered in."),
    ("NegativeRetries", "E020", "step 'act' has retries or a delay below zero."),
    ("TooSlow", "E024", "step 'act' may take longer than the 7 s that are allowed."),
    ("TimeoutIsText", "E026", "TimeoutIsText cannot be read: TypeError: "),
    ("VersionIsText", "E026", "VersionIsText cannot be read: TypeError: "),
    ("Twin", "E027", "Twin and TwinToo both declare version 1 of 'twin'."),
    ("VersionZero", "E028", "VersionZero: 0 is not a version."),
    ("BadVerdict", "E029", "step 'act' takes the status 404 for broken."),
    ("SecretsAreText", "E030", "`secrets` is not a tuple of names of fields."),
    ("SecretIsNoName", "E030", "`secrets` is not a tuple of names of fields."),
    ("SecretIsBlank", "E030", "`secrets` is not a tuple of names of fields."),
]


@pytest.mark.parametrize(("name", "number", "text"), WRONG, ids=[name for name, *_ in WRONG])
def test_a_wrong_declaration_is_refused_with_one_message(refused, name, number, text):
    [(found_number, message, hint)] = refused[name]
    assert found_number == f"sagas.{number}"
    assert text in message
    assert len(hint) > 10
    assert "\n" not in message + hint


def test_names_are_fit_for_headers_columns_and_methods(refused):
    assert [(number, message) for number, message, _ in refused["BadName"]] == [
        ("sagas.E028", "BadName: 'bad name' is not a name."),
        ("sagas.E028", "BadName: 'Partner-1' is not a name."),
    ]


def test_every_wrong_class_is_refused_and_nothing_else(refused):
    assert set(refused) == {name for name, *_ in WRONG} | {"BadName"}


@pytest.mark.parametrize(
    ("module", "why"),
    [
        ("executors.purchas", "ModuleNotFoundError: No module named 'executors.purchas'"),
        ("tests.executors.unreadable", "SyntaxError: "),
        ("no module", "ModuleNotFoundError: "),
        (".", "does not load"),
        ("executors.fields", "which declares no saga type"),
        ("executors.base", "which declares no saga type"),
    ],
)
def test_a_wrong_module_is_one_message(tmp_path, monkeypatch, module, why):
    (tmp_path / "unreadable.py").write_text("class {")
    monkeypatch.setattr("tests.executors.__path__", [str(tmp_path)])
    [misfit] = load(module).misfits
    assert misfit.id == "sagas.E025"
    assert misfit.message.startswith(f"SAGA_EXECUTORS names {module!r}, which")
    assert why in misfit.message
    assert misfit.hint


def test_a_saga_type_that_is_only_imported_is_not_declared_again(tmp_path, monkeypatch):
    (tmp_path / "importing.py").write_text("from executors.purchase import PurchaseSagaExecutor")
    monkeypatch.setattr("tests.executors.__path__", [str(tmp_path)])
    registry = load("tests.executors.importing")
    assert registry.types() == []
    assert "declares no saga type" in registry.misfits[0].message


def test_manage_py_check_shows_each_as_one_clear_message():
    environ = {
        "PATH": os.environ["PATH"],
        "SAGA_EXECUTORS": "executors.purchase, tests.executors.wrong, executors.purchas",
        "PARTICIPANT_PARTNER_URL": "http://127.0.0.1:1",
        "SAGA_STATE_DIR": "/nonexistent",
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    shown = re.findall(r"^\?: \(sagas\.(E\d+)\) (.*)\n\tHINT: \S", done.stderr, re.MULTILINE)
    expected = [*(number for _, number, _ in WRONG), "E028", "E028", "E025"]
    assert sorted(number for number, _ in shown) == sorted(expected)
    assert "System check identified 27 issues" in done.stderr
