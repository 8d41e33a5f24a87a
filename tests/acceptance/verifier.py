"""`manage.py verify` for tests that call it often, without the start of a process each time.

Reads a JSON list of arguments a line, and answers a line `[status, output]` for each.
"""

from __future__ import annotations

import io
import json
import sys

import django
from django.core.management import CommandError, call_command
from django.db import connections


def main() -> None:
    """Answer until there are no more lines."""
    django.setup()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(verify(*json.loads(line))) + "\n")
        sys.stdout.flush()
        connections.close_all()  # the next time there may be another server


def verify(*arguments: str) -> tuple[int, str]:
    """Exit status and output; what stands on the error output when it could not check."""
    out = io.StringIO()
    try:
        call_command("verify", *arguments, stdout=out)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    except CommandError as error:
        return error.returncode, str(error)
    return 0, out.getvalue()


if __name__ == "__main__":
    main()
