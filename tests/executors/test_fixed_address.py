"""Where a call goes is the settings' to say: neither data nor an answer changes host or headers."""

from __future__ import annotations

from typing import Any

import pytest

from executors.base import Request, SagaExecutor, SagaView, Step, post
from sagas.domain.outcome import Verdict
from tests.executors.conftest import attempt, call
from tests.executors.tcp import answers, http


class Steered(SagaExecutor):
    """Puts data into the path as it is, which it should not."""

    steps = (Step("go", "partner"), Step("again", "partner"))

    def go(self, saga: SagaView) -> Request:
        return post(saga.data["path"], {"text": saga.data.get("text", "")})

    def again(self, saga: SagaView) -> Request:
        return post(f"/next/{saga.output('go')['next']}", {})


NO_PATHS = [
    "",
    "//evil.example/x",
    "http://evil.example/",
    "@evil.example/",
    ":1@evil.example",
    ".evil.example/",
    "/x\r\nHost: evil.example",
    "/x HTTP/1.1\r\nX: y\r\n\r\nGET /other",
    "/x\ny",
    "/x\ty",
    "/x y",
    "/x\0",
    "/é",
    "/../other",
    "/a/./b",
    "/x#y",
]


@pytest.mark.parametrize("path", NO_PATHS)
def test_no_such_call_is_built_or_sent(serve, path):
    server = serve(answers(http()))
    with pytest.raises(ValueError, match="not the path of a call"):
        Steered().prepare(call("go", data={"path": path}))
    recorded = {"participant": "partner", "method": "POST", "path": path, "body": "{}"}
    assert attempt(Steered, "go", request=recorded).verdict is Verdict.BROKEN
    assert server.requests == []


@pytest.mark.parametrize(
    "path", ["/@evil.example/", "/\\evil.example", "/http://evil.example/", "/;@e"]
)
def test_what_looks_like_a_host_is_a_path_at_ours(serve, path):
    server, stranger = serve(answers(http())), serve(answers(http()))
    evil = f"127.0.0.1:{stranger.port}"
    text = f"\r\nHost: {evil}\r\n\r\n"
    wanted = path.replace("evil.example", evil)
    attempt(Steered, "go", data={"path": wanted, "text": text})
    [request] = server.requests
    head = request.partition(b"\r\n\r\n")[0].decode()
    assert head.startswith(f"POST {wanted} HTTP/1.1\r\n")
    hosts = [line for line in head.split("\r\n") if line.lower().startswith("host:")]
    assert hosts == [f"Host: 127.0.0.1:{server.port}"]
    assert stranger.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 200, 101])
def test_no_answer_sends_a_call_elsewhere(serve, status):
    stranger: Any = None
    server = serve(lambda peer: (peer.read(), peer.send(away(status, stranger.port))))
    stranger = serve(answers(http()))
    attempt(Steered, "go", data={"path": "/x"})
    assert (len(server.requests), stranger.connections) == (1, 0)


def away(status: int, port: int) -> bytes:
    url = f"http://127.0.0.1:{port}/"
    return http(
        status, headers=f'Location: {url}\r\nRefresh: 0; url={url}\r\nAlt-Svc: h2=":{port}"\r\n'
    )


def test_an_output_that_a_path_is_made_of_is_held_to_the_same(serve):
    serve(answers(http()))
    for output in ("x\r\nHost: evil", "/../../admin", "x y"):
        with pytest.raises(ValueError, match="not the path of a call"):
            Steered().prepare(call("again", outputs={"go": {"next": output}}))
