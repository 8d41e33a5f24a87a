"""What a participant's answer means: the table of verdicts."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from executors import credentials
from executors.answer_reader import Answer
from executors.base import Refusal, Step
from executors.retry_after import parse_retry_after
from executors.secrets import Redactor
from sagas.domain import strictjson
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.state import CallKind, Json

logger = logging.getLogger(__name__)

_EXCERPT = 2000
"""Characters of an answer that are kept to show why an attempt went as it did."""

_LONGEST_REASON = 200
_REASONS = ("detail", "code", "title", "message", "error")
"""Where the body of an error says what is wrong; the first two are RFC 9457's and our shop's."""

_ASKS_TO_COME_BACK = frozenset({408, 425, 429})


class _Unusable(Exception):
    """A success whose body cannot be used: the effect is in doubt."""


def verdict_on(status: int, overrides: Mapping[int, Verdict]) -> Verdict:
    """The verdict on an answer's status alone; a success still needs its body read."""
    if status in overrides:
        return Verdict(overrides[status])
    if 200 <= status < 300:
        return Verdict.SUCCEEDED
    if 400 <= status < 500 and status not in _ASKS_TO_COME_BACK:
        return Verdict.REFUSED
    # Also a redirect: following it could carry the key and the body to another host.
    return Verdict.IN_DOUBT


def outcome_of(
    step: Step,
    kind: CallKind,
    participant: str,
    answer: Answer,
    hide: Redactor,
    duration: timedelta,
) -> Outcome:
    """What the answer to that call of the step means; but for the output, without its secrets."""
    hide = _knowing_too(hide, answer)
    verdict, output, error = verdict_on(answer.status, step.verdicts), None, ""
    if verdict is Verdict.SUCCEEDED:
        try:
            output = credentials.removed(_output(step, kind, answer, hide))
        except Refusal as refusal:
            verdict = Verdict.REFUSED
            error = f"{participant} said no: {_plain(hide.text(str(refusal)))}"
        except _Unusable as why:
            verdict = Verdict.IN_DOUBT
            error = f"{participant} answered {answer.status}, but {_plain(hide.text(str(why)))}"
    else:
        error = f"{participant} answered {answer.status}{_reason(answer, hide)}"
    kept: dict[str, Any] = {"status": answer.status}
    if verdict is not Verdict.SUCCEEDED:
        kept["body"] = _excerpt(answer, hide)
    retry_after = None
    if wish := answer.headers.get("retry-after"):
        retry_after = parse_retry_after(wish, datetime.now(UTC))
    if retry_after is not None:
        kept["retry_after"] = retry_after.total_seconds()  # so that the wait can be checked later
    return Outcome(
        verdict=verdict,
        output=output,
        error=error,
        answer=kept,
        retry_after=retry_after,
        duration=duration,
    )


def _knowing_too(hide: Redactor, answer: Answer) -> Redactor:
    """What also hides the secrets that the answer itself brings, such as a token."""
    if not hide.learns:
        return hide
    try:
        return hide.knowing(_json(answer))
    except _Unusable:
        return hide


def _output(step: Step, kind: CallKind, answer: Answer, hide: Redactor) -> Json:
    """The validated content of a success. Raises _Unusable or Refusal."""
    value = _json(answer)
    if kind is CallKind.COMPENSATION or step.answer is None:
        return value
    try:
        serializer = step.answer(data=value)
        if serializer.is_valid():
            return dict(serializer.to_representation(serializer.validated_data))
    except Refusal:
        raise
    except Exception as error:
        # The call has had its effect; a bug in our reading of the answer does not undo it.
        shown = hide.error(error)
        logger.error("the answer to step %s could not be checked", step.name, exc_info=shown)
        raise _Unusable(f"checking its body failed: {type(error).__name__}: {error}") from error
    raise _Unusable(f"its body is not valid: {'; '.join(_sentences(serializer.errors))}")


def _json(answer: Answer) -> dict[str, Any]:
    if _is_compressed(answer):
        raise _Unusable("its body is compressed, which was not asked for")
    try:
        value = strictjson.loads(answer.body) if answer.body.strip() else {}
    except ValueError as error:
        raise _Unusable(f"its body is not usable JSON: {error}") from error
    if not isinstance(value, dict):
        raise _Unusable("its body is not a JSON object")
    return value


def _is_compressed(answer: Answer) -> bool:
    return answer.headers.get("content-encoding", "identity").lower() not in ("identity", "")


def _reason(answer: Answer, hide: Redactor) -> str:
    """What the body of an error says is wrong, as the end of a sentence."""
    try:
        value = _json(answer)
    except _Unusable:
        return ""
    texts = (value[name] for name in _REASONS if isinstance(value.get(name), str))
    text = next((plain for text in texts if (plain := _plain(hide.document(text)))), "")
    return f": {text}" if text else ""


def _plain(text: str) -> str:
    """One line of printable text, not too long: it goes to logs and to operators."""
    line = " ".join(text.split())[:_LONGEST_REASON]
    return "".join(character if character.isprintable() else "�" for character in line)


def _sentences(errors: Any, where: str = "") -> Iterator[str]:
    """A serializer's errors, each with the path of its field."""
    if isinstance(errors, Mapping):
        for name, below in errors.items():
            yield from _sentences(below, f"{where}.{name}" if where else str(name))
    elif isinstance(errors, list):
        for below in errors:
            yield from _sentences(below, where)
    else:
        yield f"{where}: {errors}" if where else str(errors)


def _excerpt(answer: Answer, hide: Redactor) -> str:
    """The beginning of a body as text that the database can hold."""
    if _is_compressed(answer):
        return "(compressed)"
    text = answer.body[: _EXCERPT * 4].decode("utf-8", "replace").replace("\0", "�")
    shown: str = hide.document(text)  # before it is cut: half a secret would not be found
    return shown[:_EXCERPT]
