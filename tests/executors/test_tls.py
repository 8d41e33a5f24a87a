"""The transport over TLS."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from executors.transport import NoAnswer
from tests.executors.sending import (
    OK,
    SLOW,
    TIMEOUT,
    connections,
    ends_by_the_deadline,
    not_reached,
    send,
)
from tests.executors.tcp import (
    Peer,
    Server,
    answers,
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test"
    name = ["-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run(
            ["openssl", *request.split(), *name, "-keyout", path, "-out", f"{path}.crt"],
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("openssl makes the certificate")
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.fixture
def tls_server(certificate: Path) -> Iterator[Callable[..., Server]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    servers: list[Server] = []

    def start(*scripts: Any) -> Server:
        servers.append(Server(*scripts, tls=context))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")


@pytest.mark.usefixtures("trusted")
def test_tls_answers_and_keeps_the_connection(tls_server):
    server = tls_server(answers(OK))
    line = connections(server.url)
    assert [send(line, body=b"x" * 500_000).status for _ in range(3)] == [200] * 3
    assert server.connections == 1


def test_a_certificate_that_nobody_vouches_for_is_refused_before_anything_is_sent(tls_server):
    server = tls_server(answers(OK))
    why = not_reached(server.url, timeout=2)
    assert why.startswith("was not reached: its certificate is not valid: self")
    assert server.settle(0) == []


@pytest.mark.usefixtures("trusted")
def test_a_certificate_for_another_name_is_refused_before_anything_is_sent(tls_server):
    server = tls_server(answers(OK))
    why = not_reached(server.url.replace("127.0.0.1", "localhost"), timeout=2)
    assert "its certificate is not valid" in why or "refused" in why
    assert server.settle(0) == []


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("name", ["silence", "headers", "body", "chunks"])
def test_the_total_deadline_holds_under_tls(tls_server, name):
    server = tls_server(SLOW[name])
    with ends_by_the_deadline(), pytest.raises(NoAnswer, match="did not answer within"):
        send(server, timeout=TIMEOUT)


@pytest.mark.usefixtures("trusted")
def test_the_total_deadline_holds_while_sending_under_tls(tls_server):
    def sips(peer: Peer) -> None:
        while True:
            peer.sip(100_000)
            peer.wait(0.01)

    server = tls_server(sips)
    with ends_by_the_deadline(), pytest.raises(NoAnswer, match="did not answer within"):
        send(server, timeout=TIMEOUT, body=b"x" * 30_000_000)
