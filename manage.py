#!/usr/bin/env python
"""Django's command line."""

import os
import sys


def main() -> None:
    """Run the command that the arguments name."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sagaproject.settings")
    if sys.argv[1:2] not in (["api"], ["worker"], ["serve_embedded"]):
        # A person at a shell wants the command's own words, and only what is amiss beside them.
        os.environ.setdefault("LOG_LEVEL", "warning")
        os.environ.setdefault("LOG_FORMAT", "text")
    if sys.argv[1:2] == ["verify"]:
        # It only reads, and signs nothing: no key is to be made and kept for it.
        os.environ.setdefault("DJANGO_SECRET_KEY", "unused")
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell says of a program that Ctrl-C ended
    except BrokenPipeError:  # whoever read the output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


if __name__ == "__main__":
    main()
