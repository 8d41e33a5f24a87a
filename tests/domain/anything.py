"""Any definition and any outcome, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from sagas.domain.definition import Definition, RetryPolicy, StepDefinition, problems
from sagas.domain.outcome import Outcome, Verdict
from tests.domain.given import seconds

waits = st.sampled_from([0.0, 0.5, 7.0, 1000.0]).map(seconds)
json_objects = st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=2)


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    """One to four steps; a compensation on any up to the pivot, which is any step or none."""
    size = draw(st.integers(1, 4))
    pivot = draw(st.none() | st.integers(0, size - 1))
    retry = RetryPolicy(max_retries=draw(st.integers(0, 3)))
    definition = Definition(
        type="random",
        version=1,
        steps=tuple(
            StepDefinition(
                name=f"step{i}",
                compensation=f"undo{i}"
                if (pivot is None or i <= pivot) and draw(st.booleans())
                else "",
                pivot=i == pivot,
                retry=retry,
            )
            for i in range(size)
        ),
        deadline=draw(st.none() | st.sampled_from([3.0, 50.0]).map(seconds)),
    )
    assert problems(definition) == []
    return definition


@st.composite
def outcomes(draw: st.DrawFn) -> Outcome:
    weighted = [Verdict.SUCCEEDED, Verdict.IN_DOUBT, *Verdict]
    return Outcome(
        verdict=draw(st.sampled_from(weighted)),
        output=draw(st.none() | json_objects),
        error=draw(st.sampled_from(["", "no"])),
        retry_after=draw(st.none() | waits),
        answer=draw(st.none() | json_objects),
    )
