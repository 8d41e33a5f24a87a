"""Real processes, and a participant that repeats all that it is sent: no secret is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from executors.secrets import HIDDEN
from tests.acceptance.service import Service, eventually
from tests.executors.card import CVV, HOLDER, NUMBER, TOLD
from tests.executors.tcp import Peer, Server, http
from tests.free_port import free_port
from tests.input.people import PEOPLE, log_in, token

pytestmark = [pytest.mark.xdist_group("acceptance"), pytest.mark.timeout(180)]

TOKEN = "tok-20260101-zzz"
MOODS = ("fine", "refused", "failing", "cut", "tokenless", "broken", "lost")
STORED = {
    "sagas_saga": ("data",),
    "sagas_sagastep": ("output", "request", "compensation_request"),
}
PAGES = (
    "/admin/sagas/saga/",
    "/admin/sagas/saga/?q={}",
    "/admin/",
    "/admin/sagas/saga/{}/change/?all=1",
    *(
        f"/admin/sagas/saga/{{}}/{operation}/"
        for operation in ("execute", "retry", "compensate", "resolve", "skip", "edit_data")
    ),
)


def echo(peer: Peer) -> None:
    """Answers as the saga's mood wants, with all that it was sent."""
    while True:
        head, _, body = peer.read().partition(b"\r\n\r\n")
        sent = body.decode()
        said = {
            "detail": f"{NUMBER} {CVV} {HOLDER}: {sent}",
            "echo": json.loads(sent),
            "again": sent,
        }
        said |= {"token": TOKEN, "head": head.decode()}
        asked = json.dumps(said).encode()
        headers = f"X-Echo: {json.dumps(sent)}\r\nX-Path: {head.split(b' ')[1].decode()}\r\n"
        mood = next((each for each in MOODS if f'"mood":"{each}"' in sent), "fine")
        match mood:
            case "refused":
                peer.send(http(402, asked, headers))
            case "failing":
                peer.send(http(500, asked, headers))
            case "cut":
                peer.send(http(402, asked[:150], headers))
            case "tokenless":
                del said["token"]
                peer.send(http(200, json.dumps(said).encode(), headers))
            case _:
                peer.send(http(200, asked, headers))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("secrets")
    with Server(echo) as partner:
        running = Service(
            folder,
            free_port(),
            SAGA_EXECUTORS="executors.purchase,tests.executors.card",
            PARTICIPANT_PARTNER_URL=partner.url,
            LOG_LEVEL="debug",
            SAGA_RETRY_DELAY_MS="50",
            SAGA_MAX_RETRIES="1",
            SAGA_FAILURE_THRESHOLD="1000",
        )
        running.log = folder / "log"
        with running:
            assert running.run("shell", "-v0", "-c", PEOPLE).wait() == 0
            running.start_api()
            running.start_worker(LOG_FORMAT="text")
            running.start_worker(LOG_FORMAT="json")
            yield running


def silent(text: str, where: str) -> None:
    for match in filter(None, (TOLD.search(text), re.search(TOKEN, text))):
        raise AssertionError(where, text[max(0, match.start() - 300) :][:600])


@pytest.fixture(scope="module")
def told(service: Service) -> tuple[dict[str, str], list[str], dict[str, str]]:
    """The sagas by mood, driven to their ends, all that the API answered meanwhile; the ends."""
    url, ids, answers = f"{service.url}/api/v1/sagas", {}, []
    card = {"card_number": NUMBER, "cvv": int(CVV)}

    def ask(method: str, path: str = "", **how: Any) -> requests.Response:
        answer = service.http.request(method, url + path, **how)
        answers.append(f"{answer.headers} {answer.text}")
        return answer

    for mood in MOODS:
        data = card | {"holder": HOLDER, "mood": mood}
        body = {"type": "card_saga", "data": data, "execute": mood != "fine"}
        made = ask("POST", json=body, headers={"Idempotency-Key": mood})
        assert made.status_code == 201, made.text
        ids[mood] = made.json()["id"]
        assert ask("POST", json=body, headers={"Idempotency-Key": mood}).ok
        other = body | {"data": data | {"cvv": 999}}
        assert ask("POST", json=other, headers={"Idempotency-Key": mood}).status_code == 422
    ask("POST", f"/{ids['fine']}/execute", json={"reason": f"{NUMBER} called"})
    under_way = "?type=card_saga&status=in_progress&limit=1"
    eventually(lambda: service.get(under_way)["count"] == 0, 60, "all are done")
    for mood in ("fine", "refused"):
        operation = "compensate" if mood == "fine" else "retry"
        sent = {"reason": f"for {HOLDER}, {NUMBER}"}
        done = ask("POST", f"/{ids[mood]}/{operation}", json=sent, headers={"Prefer": "wait=20"})
        assert done.status_code == 200, done.text
    for changes in ({"wallet": NUMBER}, {"mood": "wrong"}, {"mood": "odd"}, {"cvv": NUMBER + "x"}):
        data = card | {"holder": HOLDER} | changes
        refused = ask("POST", json={"type": "card_saga", "data": data})
        assert refused.status_code == (500 if changes == {"mood": "odd"} else 400)
    ask("GET", f"?search={NUMBER}")
    for saga_id in ids.values():
        for path in (f"/{saga_id}", f"/{saga_id}", f"/{saga_id}/events"):
            assert ask("GET", path).ok
    # Now, as the tests run in any order, and one of them starts a saga again.
    return ids, answers, {mood: service.status(saga_id) for mood, saga_id in ids.items()}


def test_it_went_as_it_was_meant_to(service: Service, told: Any) -> None:
    assert told[2] == {
        "fine": "compensated",
        "refused": "compensated",
        "failing": "compensated",
        "cut": "compensated",
        "tokenless": "compensated",
        "broken": "failed",
        "lost": "failed",
    }
    assert "•••" in service.get(f"/{told[0]['fine']}")["data"]["card_number"]
    assert any(
        "••• called" in event["reason"] for event in service.get(f"/{told[0]['fine']}/events")
    )


def test_the_api_answers_no_secret(told: Any) -> None:
    for answer in told[1]:
        silent(answer, "API")


def test_the_list_and_metrics_have_none(service: Service, told: Any) -> None:
    for path in ("/api/v1/sagas?limit=200", "/metrics", "/health/ready"):
        silent(service.http.get(service.url + path).text, path)


def test_the_log_has_none(service: Service, told: Any) -> None:
    assert service.log is not None
    log = service.log.read_text(errors="replace")
    assert "compensation triggered" in log
    assert "could not be built" in log
    assert "in hold" in log, "the place of the error is not told"
    silent(log, "log")


def test_the_shell_shows_none(service: Service, told: Any) -> None:
    assert service.log is not None
    before = service.log.stat().st_size
    for mood in ("refused", "broken"):
        assert service.run("saga", "show", told[0][mood]).wait() == 0
    assert service.run("saga", "list").wait() == 0
    shown = service.log.read_bytes()[before:].decode()
    assert "•••" in shown
    silent(shown, "shell")


def test_the_console_s_pages_have_none(service: Service, told: Any) -> None:
    root = log_in(service.url, "root")
    for saga_id in told[0].values():
        for page in PAGES:
            silent(root.get(service.url + page.format(saga_id)).text, page)
    url = f"{service.url}/admin/sagas/saga/{told[0]['broken']}/retry/"
    preview = re.search(r'name="fingerprint" value="(\w+)"', root.get(url).text)
    assert preview
    data = {
        "reason": NUMBER,
        "fingerprint": preview[1],
        "csrfmiddlewaretoken": token(root, service.url, "/admin/password_change/"),
    }
    assert root.post(url, data=data, allow_redirects=False).status_code == 302


def test_data_is_edited_without_being_shown(service: Service, told: Any) -> None:
    root = log_in(service.url, "root")
    saga_id = told[0]["refused"]
    url = f"{service.url}/admin/sagas/saga/{saga_id}/edit_data/"
    edited = {"card_number": HIDDEN, "cvv": HIDDEN, "holder": "Ann Other", "mood": "fine"}
    data = {
        "edited": json.dumps(edited),
        "preview": "1",
        "csrfmiddlewaretoken": token(root, service.url, "/admin/password_change/"),
    }
    page = root.post(url, data=data).text
    preview = re.search(r'name="fingerprint" value="(\w+)"', page)
    assert preview, page
    silent(page, "preview")
    del data["preview"]
    more = {"fingerprint": preview[1], "reason": f"not {HOLDER}"}
    assert root.post(url, data=data | more, allow_redirects=False).status_code == 302
    ((stored,),) = service.sql(f"SELECT data FROM sagas_saga WHERE id = '{saga_id}'")
    assert (stored["card_number"], str(stored["cvv"])) == (NUMBER, CVV)
    assert stored["holder"] == "Ann Other"
    for page in PAGES:
        silent(root.get(service.url + page.format(saga_id)).text, page)
    silent(json.dumps(service.get(f"/{saga_id}/events")), "events")


def test_only_data_requests_and_outputs_store_them(service: Service, told: Any) -> None:
    held = 0
    for table in ("sagas_saga", "sagas_sagastep", "sagas_sagaevent", "django_admin_log"):
        for (row,) in service.sql(f"SELECT row_to_json(t) FROM {table} t"):
            kept = {name: row.pop(name, None) for name in STORED.get(table, ())}
            if table == "sagas_sagaevent":
                stored = ("request", "output", "data", "before")
                kept = {name: row["data"].pop(name, None) for name in stored}
            held += NUMBER in json.dumps(kept)
            silent(json.dumps(row, ensure_ascii=False), f"{table} {row}")
    assert held > len(MOODS), "nothing was searched"
