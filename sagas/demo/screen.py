"""Plain aligned text for a terminal of 100 columns, in colour where that is welcome."""

from __future__ import annotations

import codecs
import os
import textwrap
from collections.abc import Mapping
from typing import TextIO

WIDTH = 100

_CODES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "blue": 34, "cyan": 36}
_ASCII = {"✓": "+", "✗": "x", "·": "-", "…": "...", "→": "->", "←": "<-", "×": "x", "─": "-"}


def printable(text: str) -> str:
    """The text without what could move a terminal's cursor: others may have written it."""
    return "".join(char if char.isprintable() else " " for char in text)


def _as_ascii(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    found = error.object[error.start : error.end]
    return "".join(_ASCII.get(char, "?") for char in found), error.end


codecs.register_error("demo", _as_ascii)


class Screen:
    """Lines that stay, and on a terminal one that goes on changing below them."""

    def __init__(self, out: TextIO, environ: Mapping[str, str]) -> None:
        self._out = out
        self._terminal = out.isatty() and environ.get("TERM") != "dumb"
        wanted = self._terminal or bool(environ.get("FORCE_COLOR"))
        self._coloured = wanted and not environ.get("NO_COLOR")
        self._passing = False
        if hasattr(out, "reconfigure"):
            out.reconfigure(errors="demo", line_buffering=True)

    def line(self, text: str = "") -> None:
        """Write a line that stays."""
        self._out.write(f"{self._wipe()}{text.rstrip()}\n")
        self._out.flush()

    def passing(self, text: str) -> None:
        """Show what goes on right now, until the next line; only on a terminal."""
        if not self._terminal:
            return
        self._out.write(f"{self._wipe()}{self.paint(text[: WIDTH - 1], 'dim')}")
        self._out.flush()
        self._passing = True

    def wrapped(self, text: str, indent: int, *styles: str) -> None:
        """Write lines that stay, all behind the same indent."""
        for part in textwrap.wrap(printable(text), WIDTH - indent) or [""]:
            self.line(" " * indent + self.paint(part, *styles))

    def paint(self, text: str, *styles: str) -> str:
        """The text in these styles, where there is colour."""
        if not (self._coloured and styles):
            return text
        codes = ";".join(str(_CODES[style]) for style in styles)
        return f"\x1b[{codes}m{text}\x1b[0m"

    def close(self) -> None:
        """Leave nothing half-written; a reader that went away is no error."""
        try:
            self._out.write(self._wipe())
            self._out.flush()
        except OSError:
            # Python would complain once more when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())

    def _wipe(self) -> str:
        wipe = "\r\x1b[2K" if self._passing else ""
        self._passing = False
        return wipe
