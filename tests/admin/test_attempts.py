"""What was sent, shown and as a command; secrets stay hidden, and nothing of it runs."""

import http.server
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client
from django.utils.html import escape

from executors.purchase import PurchaseSagaExecutor
from sagas import services
from sagas.admin.attempts import curl
from sagas.domain.outcome import Outcome, Verdict
from sagas.domain.state import Json
from sagas.models import Saga, SagaEvent
from tests.admin import staging
from tests.admin.staging import html, page_of

pytestmark = pytest.mark.django_db

SENT: Json = {
    "participant": "payment",
    "method": "POST",
    "path": "/payments?a=[1-3]&b={x,y}",
    "body": '{"it\'s":"\\"$(id)\\" `id` \\\\ @/etc/passwd !! \\n </pre>"}',
}
Received = tuple[str, list[tuple[str, dict[str, str], str]]]


def command(text: str) -> str:
    """The first command on the page."""
    return next(pre for pre in pres(text) if pre.startswith("curl "))


def pres(text: str) -> list[str]:
    return [unescape(pre) for pre in re.findall(r"<pre[^>]*>(.*?)</pre>", text, re.DOTALL)]


@pytest.fixture
def received() -> Iterator[Received]:
    """A participant's address, and what arrives there: path, headers and body."""
    calls: list[tuple[str, dict[str, str], str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            calls.append((self.path, dict(self.headers), body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/base/", calls
        server.shutdown()
        thread.join()


def test_the_command_sends_what_was_sent(
    viewer: Client,
    settings: Any,
    received: tuple[str, list[tuple[str, dict[str, str], str]]],
) -> None:
    address, calls = received
    settings.SAGA_PARTICIPANTS = {"payment": address}
    saga = staging.purchase(
        {"process_payment": [staging.NO]}, requests={"validate_inventory": SENT}
    )
    line = command(html(viewer, saga))
    subprocess.run(["/bin/sh", "-c", f"{line} --silent --noproxy '*'"], check=True, timeout=20)
    [(path, headers, body)] = calls
    assert path == "/base" + SENT["path"]
    assert body == SENT["body"]
    assert headers["Idempotency-Key"] == f"{saga.pk}:1:validate_inventory:action"
    assert headers["Saga-Step"] == "validate_inventory"
    assert headers["Content-Type"] == "application/json"


def test_a_credential_is_a_variable_of_whoever_runs_the_command(
    viewer: Client, settings: Any, received: Any
) -> None:
    address, calls = received
    settings.SAGA_PARTICIPANTS = {"payment": address}
    settings.SAGA_AUTHORIZATIONS = {"payment": "Bearer tok-4f9a-77e1"}
    saga = staging.purchase(
        {"process_payment": [staging.NO]}, requests={"validate_inventory": SENT}
    )
    page = html(viewer, saga)
    assert "tok-4f9a" not in page
    assert "Authorization: $PARTICIPANT_PAYMENT_AUTHORIZATION" in unescape(page)
    line = f"{command(page)} --silent --noproxy '*'"
    own = {**os.environ, "PARTICIPANT_PAYMENT_AUTHORIZATION": "Bearer `id` my $(own)"}
    subprocess.run(["/bin/sh", "-c", line], check=True, timeout=20, env=own)
    [(_, headers, _)] = calls
    assert headers["Authorization"] == "Bearer `id` my $(own)"


def test_nothing_in_a_command_is_read_by_the_shell() -> None:
    evil = "'; touch /tmp/never; echo '"
    line = curl("POST", f"http://x/{evil}", {"A": evil}, f"@{evil}")
    tricked = line.replace("curl ", "printf '%s\\n' ", 1)
    out = subprocess.run(["/bin/sh", "-c", tricked], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines() == [
        *("--globoff", "-X", "POST", f"http://x/{evil}", "-H", f"A: {evil}", "--data-raw"),
        f"@{evil}",
    ]


def test_a_call_with_its_key_headers_and_body(viewer: Client) -> None:
    sent = {"participant": "payment", "method": "POST", "path": "/refunds", "body": '{"a":[1]}'}
    saga = staging.purchase(
        {"create_sale": [staging.NO], "refund_payment": [staging.NO]},
        requests={"process_payment": sent},
    )
    text = html(viewer, saga)
    part = text.split('id="call-3-compensation"', 1)[1].split("</section>")[0]
    shown = pres(part)
    assert f"{saga.pk}:1:process_payment:compensation" in shown
    assert any(f"Compensates: {saga.pk}:1:process_payment:action" in pre for pre in shown)
    assert any("Saga-Step: refund_payment" in pre for pre in shown)
    assert '{\n  "a": [\n    1\n  ]\n}' in shown
    assert "no money" in part
    assert "HTTP 402" in part


def test_a_participant_without_an_address(viewer: Client, settings: Any) -> None:
    settings.SAGA_PARTICIPANTS = {}
    text = html(viewer, staging.purchase(requests={"validate_inventory": SENT}))
    assert "The address of payment is not known here." in text
    assert "http://payment.invalid/payments" in command(text)


def test_attempts_of_a_history_that_is_cut(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request is then the one that the step's row keeps."""
    monkeypatch.setattr("sagas.admin.detail.MAX_EVENTS", 2)
    saga = staging.purchase({"process_payment": [staging.LOST]}, requests={"process_payment": SENT})
    assert "http://127.0.0.1:8102/payments" in command(html(viewer, saga))


# --- Secrets ----------------------------------------------------------------------------------

HUSH = "4111-1111-hush"


def test_secrets_are_hidden_wherever_they_could_be(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PurchaseSagaExecutor, "secrets", ("payment_method", "token"))
    answer = {"status": 402, "body": f'{{"token": "{HUSH}", "why": "seen"}}'}
    fine = Outcome(verdict=Verdict.SUCCEEDED, output={"token": HUSH, "id": "seen"}, answer=answer)
    body = f'{{"payment_method":"{HUSH}","amount":"seen"}}'
    sent = {"participant": "payment", "method": "POST", "path": "/payments", "body": body}
    saga = staging.purchase(
        {"process_payment": [fine], "create_sale": [staging.NO], "refund_payment": [staging.NO]},
        requests={"process_payment": sent},
        payment_method=HUSH,
    )
    text = html(viewer, saga) + viewer.get(f"{page_of(saga)}?all=1").content.decode()
    assert HUSH not in text
    assert "•••" in text
    assert "seen" in text
    part = text.split('id="call-3-action"', 1)[1].split("</section>")[0]
    assert "Secrets are hidden in it" in part
    line = next(pre for pre in pres(part) if pre.startswith("curl "))
    assert '"amount":"seen"' in line
    other = text.split('id="call-4-action"', 1)[1].split("</section>")[0]
    assert "Secrets are hidden" not in other


# --- Markup from outside ----------------------------------------------------------------------

EVIL = (
    "</pre></title></text></svg></details><script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
    "<svg onload=alert(3)>{{ 7|add:7 }}{% now 'Y' %}<a href=\"javascript:alert(4)\">"
)


class Spy(HTMLParser):
    """Collects what a browser would run or fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            runs = name.startswith("on") and "alert" in (value or "")
            leads = name in ("href", "src", "action") and "alert" in (value or "")
            if runs or leads or value == "x":
                self.found.append(f"{tag} {name}={value}")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script" and "alert" in data:
            self.found.append(data)


def evil_saga() -> Saga:
    no = Outcome(
        verdict=Verdict.REFUSED,
        error=f"error {EVIL}",
        answer={"status": 402, "body": f"answer {EVIL}", EVIL: EVIL},
    )
    lost = Outcome(verdict=Verdict.IN_DOUBT, error=f"lost {EVIL}", answer={"body": {EVIL: [EVIL]}})
    fine = Outcome(verdict=Verdict.SUCCEEDED, output={"id": f"output {EVIL}", EVIL: 1})
    request = {
        "participant": f"whom {EVIL}",
        "method": f"POST {EVIL}",
        "path": f"path {EVIL}",
        "body": f"request {EVIL}",
    }
    saga = staging.purchase(
        {"validate_inventory": [fine], "create_sale": [no], "refund_payment": [no]},
        requests={"create_sale": request, "process_payment": request},
    )
    services.retry(saga.pk, actor=f"user:actor {EVIL}"[:200], reason=f"reason {EVIL}")
    saga = staging.drive(saga, {"refund_payment": [lost]}, {"process_payment": request})
    last = SagaEvent.objects.filter(saga=saga.pk).latest("seq")
    rows = [
        ("parked", "", {"reason": f"parked {EVIL}", "due_at": EVIL}),
        (f"kind {EVIL}"[:40], EVIL[:100], {EVIL: EVIL, "call": EVIL, "attempt": 1}),
        ("attempt_started", EVIL[:100], {"call": EVIL, "attempt": 1, "request": {EVIL: EVIL}}),
        ("attempt_failed", EVIL[:100], {"call": EVIL, "error": EVIL, "in_doubt": True}),
        ("attempt_failed", EVIL[:100], {"call": "action", "error": EVIL, "retry_at": EVIL}),
    ]
    for seq, (kind, step, data) in enumerate(rows, last.seq + 1):
        event = SagaEvent(saga_id=saga.pk, seq=seq, kind=kind, step=step, data=data)
        event.at, event.actor, event.epoch = last.at, f"user:who {EVIL}"[:200], 1
        SagaEvent.objects.bulk_create([event])
    Saga.objects.filter(pk=saga.pk).update(
        seq=last.seq + len(rows),
        owner=f"w {EVIL}"[:100],
        waiting=f"waiting {EVIL}",
        idempotency_key=f"key {EVIL}"[:255],
        data={f"name {EVIL}": f"data {EVIL}"},
        reason=f"because {EVIL}",
    )
    return saga


def test_nothing_from_outside_runs(root: Client) -> None:
    saga, plain = evil_saga(), Spy()
    plain.feed(html(root, staging.failed()))
    live = root.get(page_of(saga), headers={"X-Live": "1"}).content.decode()
    for text in (html(root, saga), live):
        spy = Spy()
        spy.feed(text)
        assert spy.found == []
        assert "img" not in spy.tags
        assert spy.tags.count("script") in (0, plain.tags.count("script"))
        for word in (
            *("error", "answer", "output", "path", "request", "whom", "POST", "reason", "actor"),
            *("lost", "parked", "kind", "who", "w", "waiting", "key", "name", "data", "because"),
        ):
            assert f"{word} {escape(EVIL)[:30]}" in text, word


def test_what_looks_like_a_template_is_shown_as_it_is(root: Client) -> None:
    text = html(root, staging.purchase(payment_method="{{ saga.pk }}{% now 'Y' %}"))
    assert escape("{{ saga.pk }}{% now 'Y' %}") in text
