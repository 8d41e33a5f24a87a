"""HTTP in front of a participant."""

import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from shop.answer import Answer, Refused
from shop.body import LIMIT, Body
from shop.call import Call
from shop.fault import Fault
from shop.reply import Reply

if TYPE_CHECKING:
    from shop.server import ParticipantServer

_DRAINED = 16 * LIMIT


class Handler(BaseHTTPRequestHandler):
    """Reads requests, one after another on a connection, and sends the participant's answers."""

    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.1"  # answer a broken request line with a whole head
    disable_nagle_algorithm = True
    wbufsize = -1
    server: "ParticipantServer"

    def do_POST(self) -> None:
        """Pass a call on to the participant."""
        self._serve(self._call)

    def do_GET(self) -> None:
        """Show the ledger, the sums, the fault switches or that the service is up."""
        self._serve(self._show)

    def do_PUT(self) -> None:
        """Set a fault switch."""
        self._serve(self._set_fault)

    def do_DELETE(self) -> None:
        """Clear the fault switches."""
        self._serve(self._clear_faults)

    def _serve(self, respond: Callable[[bytes | None], Reply]) -> None:
        try:
            reply = respond(self._read())
        except Refused as refusal:
            reply = Reply(refusal.answer)
        except ConnectionError:
            raise
        except Exception:
            traceback.print_exc()
            detail = "the participant has a bug or a broken store; see its log"
            reply = Reply(Answer.of(500, {"code": "internal", "detail": detail}))
        reply.send(self, self.server.pause)

    def _call(self, raw: bytes | None) -> Reply:
        at = datetime.now(UTC).isoformat(timespec="microseconds")
        participant = self.server.participant
        endpoint = participant.endpoint(self._path)
        if endpoint is None:
            raise self._unknown()
        call = Call.of(endpoint, at, self.headers, raw)
        fault = participant.switches.strike(call)
        if fault is None:
            return Reply(participant.answer(call))
        if fault.prevents:
            return participant.prevent(call, fault)
        if fault.name == "delay":
            self.server.pause(fault.seconds)
        return fault.distort(participant.answer(call))

    def _show(self, _: bytes | None) -> Reply:
        participant = self.server.participant
        match self._path:
            case "/ledger":
                return _ok({"entries": self._ledger()})
            case "/state":
                return _ok(participant.sums())
            case "/faults":
                return _ok({"faults": participant.switches.show()})
            case "/health":
                return _ok({"service": participant.name, "status": "ok"})
        raise self._unknown()

    def _ledger(self) -> list[dict[str, object]]:
        query = parse_qs(self.path.partition("?")[2])
        after = query.get("after", ["0"])[-1]
        if not (after.isascii() and after.isdecimal() and len(after) < 19):
            raise Refused(400, "malformed_query", "after must be a whole number")
        return self.server.participant.ledger(query.get("saga_id", [None])[-1], int(after))

    def _set_fault(self, raw: bytes | None) -> Reply:
        if self._path != "/faults":
            raise self._unknown()
        switch = self.server.participant.switches.add(Fault.parse(Body.parse(raw)))
        return Reply(Answer.of(201, switch))

    def _clear_faults(self, _: bytes | None) -> Reply:
        if self._path != "/faults":
            raise self._unknown()
        return _ok({"cleared": self.server.participant.switches.clear()})

    @property
    def _path(self) -> str:
        return self.path.partition("?")[0]

    def _unknown(self) -> Refused:
        return Refused(404, "not_found", f"there is no {self.command} {self._path}")

    def _read(self) -> bytes | None:
        """Return the whole body, or None if it is over the limit."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers:
            self.close_connection = True
            raise Refused(411, "length_missing", "a Content-Length is needed")
        if not (length.isascii() and length.isdecimal() and len(length) < 19):
            self.close_connection = True
            raise Refused(400, "malformed_length", "the Content-Length is not a number")
        if int(length) > LIMIT:
            self._drain(int(length))
            return None
        raw = self.rfile.read(int(length))
        if len(raw) < int(length):
            raise ConnectionAbortedError("the caller went away before its body was here")
        return raw

    def _drain(self, length: int) -> None:
        # A caller that is still sending would meet a reset instead of the answer.
        self.close_connection = True
        left = min(length, _DRAINED)
        while left > 0 and (chunk := self.rfile.read(min(left, 65536))):
            left -= len(chunk)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what the standard library refuses (a bad request line, say) in JSON as well."""
        self.close_connection = True
        detail = message or self.responses.get(code, ("", ""))[0]
        refusal = Refused(code, "malformed_request", detail)
        Reply(refusal.answer).send(self, self.server.pause)

    def log_message(self, format: str, *args: object) -> None:
        """Keep no access log: the ledger has every call."""


def _ok(fields: Mapping[str, object]) -> Reply:
    return Reply(Answer.of(200, fields))
