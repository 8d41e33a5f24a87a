"""What a saga leaves of spans, whoever drove it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from sagas import selectors
from sagas.domain import trace
from sagas.domain import triggers as tr
from sagas.domain.outcome import Outcome, Verdict
from sagas.engine.engine import Engine
from sagas.models import Saga
from sagas.spans import Span, spans_of
from tests.engine.stage import AWAY, LEASE, LOST, NO, OK, Stage, let_lease_end

pytestmark = pytest.mark.django_db(transaction=True)

CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 a=1"
HELD = Outcome(verdict=Verdict.NOT_SENT, error="open", retry_after=timedelta(0))


class TracedStage(Stage):
    """Whose engines collect spans."""

    def __init__(self) -> None:
        super().__init__()
        self.spans: list[Span] = []

    def engine(self, owner: str = "worker-1", lease: timedelta = LEASE) -> Engine:
        made = super().engine(owner, lease)
        made.observers.append(lambda recorded: self.spans.extend(spans_of(recorded)))
        return made

    def sent(self) -> list[str]:
        """The spans that the participants were told of, in order."""
        return [attempt.span for attempt in self.attempts]

    def calls(self) -> list[Span]:
        return [span for span in self.spans if span.calls]

    def runs(self) -> list[Span]:
        return [span for span in self.spans if "saga.status" in span.attributes]


@pytest.fixture
def stage() -> TracedStage:
    return TracedStage()


def outcomes(stage: TracedStage) -> list[tuple[str, object, list[str]]]:
    return [(s.name, s.attributes["saga.outcome"], list(s.events)) for s in stage.calls()]


def nested(stage: TracedStage) -> None:
    """Each call is within its run."""
    runs = {run.id: run for run in stage.runs()}
    for span in stage.spans:
        assert span.start <= span.end
        if span.id not in runs:
            run = runs[span.parent]
            assert run.start <= span.start, span
            assert span.end <= run.end, span
    assert len({span.id for span in stage.spans}) == len(stage.spans)


def test_a_run_and_its_calls(stage: TracedStage) -> None:
    saga_id = stage.create()
    stage.engine().drive(saga_id)
    assert [span.id for span in stage.calls()] == stage.sent()
    assert outcomes(stage) == [(name, "succeeded", []) for name in ("look", "book", "pay")]
    [run] = stage.runs()
    assert run.parent == ""
    assert {span.parent for span in stage.calls()} == {run.id}
    assert run.attributes["saga.status"] == "completed"
    assert run.attributes["saga.id"] == str(saga_id)
    assert not run.failed
    row = Saga.objects.get(pk=saga_id)
    assert (run.start, run.end) == (row.started_at, row.ended_at)
    nested(stage)


def test_retries_and_a_compensation_are_one_run(stage: TracedStage) -> None:
    stage.script = {"book": [AWAY, LOST], "pay": [NO], "unbook": [LOST]}
    saga_id = stage.create()
    for _ in range(4):
        stage.engine().drive(saga_id)
    assert [span.id for span in stage.calls()] == stage.sent()
    assert outcomes(stage) == [
        ("look", "succeeded", []),
        ("book", "not_applied", ["retry"]),
        ("book", "in_doubt", ["in doubt", "retry"]),
        ("book", "succeeded", []),
        ("pay", "refused", ["compensation triggered"]),
        ("book compensation", "in_doubt", ["in doubt", "retry"]),
        ("book compensation", "succeeded", []),
    ]
    assert [run.attributes["saga.status"] for run in stage.runs()] == ["compensated"]
    nested(stage)


def test_what_people_start_is_a_run_of_its_own(stage: TracedStage) -> None:
    """A retry counts attempts anew: they are other spans all the same."""
    stage.script = {"pay": [NO], "unbook": [NO]}
    saga_id = stage.create()
    stage.engine().drive(saga_id)
    stage.engine().command(saga_id, tr.Retry(), actor="anna", reason="")
    stage.engine().drive(saga_id)
    stage.engine().command(saga_id, tr.Retry(), actor="anna", reason="")
    stage.engine().drive(saga_id)
    stage.engine().command(saga_id, tr.Compensate(), actor="anna", reason="")
    stage.engine().drive(saga_id)
    assert [span.id for span in stage.calls()] == stage.sent()
    statuses = [(run.attributes["saga.run"], run.attributes["saga.status"]) for run in stage.runs()]
    assert statuses == [(1, "failed"), (1, "compensated"), (2, "completed"), (2, "compensated")]
    assert [run.failed for run in stage.runs()] == [True, False, False, False]
    # Turned round by a person, and by no answer: a moment of the last run.
    [moment] = [s for s in stage.spans if s.name == "compensation triggered"]
    assert moment.parent == stage.runs()[-1].id
    nested(stage)


def test_a_vanished_worker_s_call_is_told_of_by_its_successor(stage: TracedStage) -> None:
    saga_id = stage.create()

    class Killed(BaseException):
        pass

    def dies(call: object) -> Outcome:
        raise Killed

    stage.script = {"pay": [dies]}
    with pytest.raises(Killed):
        stage.engine().drive(saga_id)
    let_lease_end(saga_id)
    stage.engine("worker-2").drive(saga_id)
    assert sorted(span.id for span in stage.calls()) == sorted(stage.sent())
    lost, again = stage.calls()[2:]
    assert lost.id == stage.sent()[2]
    assert (lost.attributes["saga.outcome"], lost.attributes["saga.attempt"]) == ("interrupted", 1)
    assert list(lost.events) == ["in doubt", "retry"]
    assert lost.start < lost.end <= again.end
    assert again.attributes["saga.attempt"] == 2
    nested(stage)


def test_another_claim_in_between_changes_no_span(stage: TracedStage) -> None:
    """The code was away when the dead worker's lease ended: the saga was parked meanwhile."""
    saga_id = stage.create()

    class Killed(BaseException):
        pass

    def dies(call: object) -> Outcome:
        raise Killed

    stage.script = {"look": [dies]}
    with pytest.raises(Killed):
        stage.engine().drive(saga_id)
    let_lease_end(saga_id)
    stage.known = False
    stage.engine("worker-2").drive(saga_id)
    stage.known = True
    stage.engine("worker-3").drive(saga_id)
    assert stage.calls()[0].attributes["saga.outcome"] == "interrupted"
    assert [span.id for span in stage.calls()] == stage.sent()
    nested(stage)


def test_what_was_not_sent_is_no_call(stage: TracedStage) -> None:
    stage.script = {"look": [HELD, HELD, OK]}
    saga_id = stage.create()
    for _ in range(3):
        stage.engine().drive(saga_id)
        Saga.objects.filter(due_at__isnull=False).update(due_at=selectors.database_now())
    assert len(stage.sent()) == len(set(stage.sent())) == 5
    assert [span.id for span in stage.calls()] == stage.sent()[2:]
    nested(stage)


def test_a_saga_without_anything_to_call_is_a_moment(stage: TracedStage) -> None:
    saga_id = stage.create(execute=False)
    stage.engine().command(saga_id, tr.Compensate(), actor="anna", reason="")
    [run] = stage.spans
    assert run.start == run.end
    assert run.attributes["saga.status"] == "compensated"


def test_the_client_s_span_is_what_runs_are_part_of(stage: TracedStage) -> None:
    saga_id = stage.create()
    Saga.objects.filter(pk=saga_id).update(trace=CLIENT)
    stage.engine().drive(saga_id)
    [run] = stage.runs()
    assert run.parent == "b7ad6b7169203331"
    traces = {attempt.trace for attempt in stage.attempts}
    assert traces == {trace.of_saga(saga_id, CLIENT)}
    assert {each.state for each in traces} == {"a=1"}


def test_spans_tell_no_data(stage: TracedStage) -> None:
    said = "PAN 4111111111111111"
    refused = Outcome(verdict=Verdict.REFUSED, error=said, answer={"status": 402, "body": said})
    doubt = Outcome(verdict=Verdict.IN_DOUBT, error=said, answer={"status": 500, "body": said})
    stage.build = lambda call: {
        "participant": "bank", "method": "POST", "path": f"/{said}", "body": said
    }  # fmt: skip
    stage.script = {"book": [doubt], "pay": [refused]}
    saga_id = stage.create()
    stage.engine().drive(saga_id)
    stage.engine().drive(saga_id)
    assert "4111" not in repr(stage.spans)
    statuses = [span.attributes.get("http.response.status_code") for span in stage.calls()]
    assert statuses == [None, 500, None, 402, None]
    assert {span.attributes["saga.participant"] for span in stage.calls()} == {"bank"}


def test_a_call_took_as_long_as_was_measured(stage: TracedStage) -> None:
    slow = Outcome(verdict=Verdict.SUCCEEDED, output={}, duration=timedelta(milliseconds=1))
    stage.script = {"look": [slow]}
    stage.engine().drive(stage.create())
    first = stage.calls()[0]
    assert first.end - first.start == timedelta(milliseconds=1)
    assert isinstance(first.end, datetime)
