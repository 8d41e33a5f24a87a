"""What participants and clients say appears as text: in the console's pages and in the log."""

from __future__ import annotations

import html
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.acceptance.service import PURCHASE, ROOT, Service, eventually
from tests.input.guard import BODY, Guard
from tests.input.people import log_in, token
from tests.input.wire import SAGAS, request

pytestmark = pytest.mark.xdist_group("input")

SCRIPT = '<script>alert(1)</script>"\'><img src=x onerror=alert(2)><a href="javascript:alert(3)">'
FORGED = (
    'no\r\n{"level": "error", "message": "forged"}\n2026-01-01T00:00:00Z [error    ] forged'
    "\x1b[2J\x1b[31mred\x07\x85\u2028\u202e"
)
EVIL = SCRIPT + FORGED


class Liar(BaseHTTPRequestHandler):
    """Reserves the stock, and refuses the payment with what nobody should repeat raw."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        refuses = self.path == "/payments"
        answer: dict[str, Any] = {"available": True, "reservation_id": EVIL[:200]}
        if refuses:
            answer = {"detail": EVIL, "error": EVIL, SCRIPT: SCRIPT}
        body = json.dumps(answer).encode()
        self.send_response(409 if refuses else 200, SCRIPT)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        return


@pytest.fixture(scope="module")
def liar() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def work(service: Service, liar: str, style: str, saga_id: str, log: Path) -> str:
    """What a worker logs, in that style, while it drives the saga to its end."""
    everything, service.log = service.log, log
    try:
        participants = {
            f"PARTICIPANT_{name}_URL": liar for name in ("INVENTORY", "PAYMENT", "SALES")
        }
        worker = service.start_worker(
            LOG_FORMAT=style, LOG_LEVEL="debug", SAGA_WORKER_THREADS="2", **participants
        )
    finally:
        service.log = everything
    eventually(lambda: service.get(f"/{saga_id}")["status"] == "compensated", 30, "it is done")
    worker.terminate()
    worker.wait(20)
    return log.read_text()


@pytest.fixture(scope="module")
def logs(guard: Guard, liar: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The logs of a worker in each style, and the saga that one of them drove."""
    folder, found = tmp_path_factory.mktemp("logs"), {}
    for style in ("json", "text"):
        saga_id = guard.service.create(payment_method=EVIL[:50], customer_id=666)
        found[style] = work(guard.service, liar, style, saga_id, folder / style)
        found["saga"] = saga_id
    return found


def test_nothing_forges_a_line_of_json(logs: dict[str, Any]) -> None:
    lines = [json.loads(line) for line in logs["json"].splitlines()]
    assert logs["json"].isascii()
    assert not {character for character in logs["json"] if character < " "} - {"\n"}
    assert any(line.get("step") == "process_payment" for line in lines)
    assert any("forged" in line.get("error", "") for line in lines), "the liar was not quoted"
    assert not any(line["message"] == "forged" for line in lines)


def test_nothing_forges_a_line_of_text(logs: dict[str, Any]) -> None:
    lines = logs["text"].split("\n")
    assert any("forged" in line and "process_payment" in line for line in lines)
    for line in lines:
        assert line.isprintable(), line
        assert not line.startswith(("{", "2026-01-01")), line


def test_the_pages_show_it_as_text(guard: Guard, logs: dict[str, Any]) -> None:
    root = log_in(guard.service.url, "root")
    saga_id = logs["saga"]
    console = f"{guard.service.url}/admin/sagas/saga"
    pages = {
        "page": f"{console}/{saga_id}/change/",
        "list": f"{console}/?q={saga_id}",
        "confirmation": f"{console}/{saga_id}/retry/",
        "history": f"{console}/{saga_id}/history/",
    }
    for name, url in pages.items():
        text = root.get(url).text
        assert_escaped(text, name)
        assert "&lt;script&gt;alert(1)" in text, name


def assert_escaped(text: str, where: str) -> None:
    assert "<script>alert" not in text, where
    assert "<img src=x" not in text, where
    assert 'href="javascript:' not in text, where
    assert "\"'><" not in text, where


def test_a_reason_and_its_message_are_text(guard: Guard) -> None:
    root = log_in(guard.service.url, "root")
    saga_id = guard.service.create(execute=False, payment_method=SCRIPT[:50])
    url = f"{guard.service.url}/admin/sagas/saga/{saga_id}"
    for reason in (SCRIPT, SCRIPT):  # done, then refused with a message
        data = {
            "reason": reason,
            "csrfmiddlewaretoken": token(root, guard.service.url, "/admin/password_change/"),
        }
        page = root.post(f"{url}/compensate/", data=data).text
        assert_escaped(page, "answer")
        assert html.escape(SCRIPT) in page
    wrong = root.post(f"{url}/compensate/", data={**data, "reason": SCRIPT * 20}).text
    assert_escaped(wrong, "form")


@pytest.mark.parametrize(
    "address",
    [
        "/admin/sagas/saga/?q={}",
        "/admin/sagas/saga/?type={}",
        "/admin/sagas/saga/{}/change/",
        "/admin/login/?next={}",
        "/admin/?{}={}",
        "/admin/{}/",
        "/admin/search/?s={}",
        "/admin/jsi18n/?language={}",
    ],
)
def test_an_address_is_text(guard: Guard, address: str) -> None:
    root = log_in(guard.service.url, "root")
    for session in (root, requests.Session()):
        quoted = quote(SCRIPT, safe="")
        page = session.get(guard.service.url + address.replace("{}", quoted))
        assert_escaped(page.text, address)


def test_what_clients_send_forges_no_line(guard: Guard) -> None:
    mark = guard.mark()
    evil = json.dumps(FORGED).encode()
    encoded = quote(FORGED, safe="").encode()
    saga_id = guard.service.create(payment_method=FORGED[:50])
    body = b'{"reason": %s}' % evil
    for sent in (
        request("POST", f"{SAGAS}/{saga_id}/compensate", body),
        request("POST", f"{SAGAS}/{saga_id}/compensate", body),
        request("POST", SAGAS, json.dumps({**BODY, "type": FORGED}).encode()),
        request("POST", SAGAS, json.dumps({**BODY, "data": {**PURCHASE, FORGED: 1}}).encode()),
        request("GET", SAGAS.encode() + b"/" + encoded),
        request("GET", SAGAS.encode() + b"?search=" + encoded),
        request("POST", b"/admin/" + encoded + b"/"),
        request("GET", SAGAS, b"", b"X-Request-Id: a\x1b[31m"),
        request("GET", SAGAS, b"", b"Host: a\x1b[31m b").replace(b"Host: 127.0.0.1\r\n", b""),
        request("GET", SAGAS, b"", b"Cookie: sessionid=\x1b[31m"),
        request("B\x1b[31m", SAGAS),
        request("GET", b"/\x1b[31m"),
    ):
        guard.send(sent)
    with ThreadPoolExecutor(1) as pool:  # as another client, so that the log has both
        pool.submit(guard.still_serves).result()
    said = guard.since(mark)
    assert said.isascii()
    assert not {character for character in said if character < " "} - {"\n"}
    for line in said.splitlines():
        assert json.loads(line)["message"] != "forged"
    assert "compensation triggered" in said


LOGGING = """
import logging, sys
from sagaproject import logs
logs.configure({"level": "info", "format": sys.argv[1]})
log, evil = logging.getLogger("sagas"), sys.argv[2]
log.warning("lost: %s", evil, extra={"error": evil, "short": evil.split()[-1]})
try:
    raise ValueError(evil)
except ValueError:
    log.exception("went wrong")
"""


@pytest.mark.parametrize("style", ["json", "text"])
def test_no_message_nor_error_forges_a_line(style: str) -> None:
    said = subprocess.run(
        [sys.executable, "-c", LOGGING, style, FORGED],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    ).stderr
    lines = said.rstrip("\n").split("\n")
    begun = [line for line in lines if not line.startswith("    ")]
    assert len(begun) == 2, said
    assert said.count("forged") >= 6
    for line in lines:
        assert line.isprintable(), line
    if style == "json":
        assert [json.loads(line)["message"][:5] for line in lines] == ["lost:", "went "]
