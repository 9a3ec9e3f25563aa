"""What KCL starts for a shard: asks the nursery for a child, hands it its own pipes, and ends as the child ends.

`python -I -S relay.py ROOT`, in the run directory; nothing but the standard library, so that it is there in no time. Without a
nursery it becomes the child itself.
"""

from __future__ import annotations

import os
import socket
import sys

SOCKET = "nursery"  # in the run directory, which is where KCL runs: a path may be too long for a socket's name, this is not
WORDS = 200  # bytes in a start's name, at most
FAILED = 70


def main(root: str) -> int:
    """The child's exit status. Does not return without a nursery."""
    with socket.socket(socket.AF_UNIX) as nursery:
        try:
            nursery.connect(SOCKET)
        except OSError:
            os.chdir(root)
            os.execv(sys.executable, [sys.executable, "-m", "consumer", "shard"])
        daemon = os.pidfd_open(os.getppid())
        socket.send_fds(nursery, [os.environ.get("EDDY_START", "").encode() or b"-"], [0, 1, 2, daemon])
        away = os.open(os.devnull, os.O_RDWR)
        os.dup2(away, 0)  # the pipes are the child's alone: when it ends KCL sees it
        os.dup2(away, 1)
        try:
            said = nursery.recv(16)
        except OSError:
            said = b""
    return int(said) if said else FAILED  # the nursery is no more, and so is the child


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
