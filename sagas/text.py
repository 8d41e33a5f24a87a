"""Text from outside, made fit for lines that people and programs read: logs and terminals."""

from __future__ import annotations


def one_line(text: str) -> str:
    r"""The text with everything that does not print as an escape, such as `\n` and `\x1b`.

    Line ends would forge lines, escape sequences rewrite a terminal, and marks of direction
    turn what is read.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
