"""Long lines from a file descriptor.

KCL writes a line for each batch, of up to some megabytes, and a pipe gives them in pieces. Python's own buffer copies each piece
three times and asks for one after the other; here they are read to where they stay, and a line is copied once.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

FIRST = 1 << 18  # bytes of the buffer before it has seen a longer line
PIPE = 1 << 20  # bytes that the writer may be ahead of us: what Linux lets anybody have


class Lines:
    """Lines with their newlines. The descriptor is read from nowhere else, and stays open."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._kept = bytearray(FIRST)
        self._begin = self._end = 0
        with suppress(OSError):  # no pipe, or one that may not grow
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE)

    def readline(self) -> bytes:
        """The next line; the rest at the end of the file, b"" behind it. Waits for it."""
        seen = self._begin
        while (at := self._kept.find(b"\n", seen, self._end)) < 0:
            unseen = self._end - self._begin
            if not self._read():
                at = self._end - 1
                break
            seen = self._begin + unseen
        line = bytes(memoryview(self._kept)[self._begin : at + 1])
        self._begin = at + 1
        return line

    def _read(self) -> int:
        """Some more bytes behind those that are there: how many, 0 at the end of the file."""
        if self._begin == self._end:
            self._begin = self._end = 0
        elif self._end == len(self._kept) and self._begin > 0:
            self._kept[: self._end - self._begin] = self._kept[self._begin : self._end]
            self._begin, self._end = 0, self._end - self._begin
        if self._end == len(self._kept):
            self._kept.extend(bytes(len(self._kept)))
        with memoryview(self._kept) as whole, whole[self._end :] as free:
            n = os.readv(self._descriptor, [free])
        self._end += n
        return n
