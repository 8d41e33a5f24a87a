"""Become a command that the kernel ends with its starter: python -m tests.chaos.tied PID COMMAND…

So nothing is left behind, not even when the run itself is killed. Elsewhere than on Linux it only
becomes the command.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the starter is gone already")
    os.execv(sys.argv[2], sys.argv[2:])
