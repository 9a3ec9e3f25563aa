"""Records by the hash of their key, in parts of which each fits into memory: in files that nobody else sees where they are many.

A part that is too large is dealt out again, by the next bits of the hash. One key that is too large by itself cannot be.

    hash bits   0..5      6..11                    (Kitsuregawa, Tanaka, Moto-oka: Application of hash to data base machine, 1983)
    part 17 ──► part 17.3, part 17.40, …
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import IO, NamedTuple

BITS = 6
PARTS = 1 << BITS
SPARE = -128 % BITS  # so that the last level has as many bits as the others
HEAD = struct.Struct("<16sHI")  # hash, what the record is, its length
WEIGHT, STRETCH = (
    700,
    5,
)  # a document in memory: so many bytes, and so many for each of its bytes in BSON (measured: 650 and 3 to 5)


class Record(NamedTuple):
    """what: a number that says what the document is; data: its BSON."""

    hash: int
    what: int
    data: bytes


class TooLarge(NamedTuple):
    """A key that does not fit into memory. counts: how many records of each `what`."""

    hash: int
    counts: dict[int, int]


class Spill:
    """memory: bytes that a part may take once it is read, and about a quarter of it that all parts take while they are written."""

    def __init__(self, memory: int, level: int = 0) -> None:
        self._memory, self._level = memory, level
        most = max(memory // (4 * PARTS), 4096)
        self._files: list[IO[bytes]] = [SpooledTemporaryFile(max_size=most) for _ in range(PARTS)]  # noqa: SIM115 (closed by `close`)
        self._weights, self._lows, self._highs = [0] * PARTS, [1 << 128] * PARTS, [-1] * PARTS

    def add(self, record: Record) -> None:
        """One more."""
        part = record.hash << SPARE >> (128 + SPARE - BITS * (self._level + 1)) & (PARTS - 1)
        file = self._files[part]
        file.write(HEAD.pack(record.hash.to_bytes(16, "big"), record.what, len(record.data)))
        file.write(record.data)
        self._weights[part] += WEIGHT + STRETCH * len(record.data)
        self._lows[part] = min(self._lows[part], record.hash)
        self._highs[part] = max(self._highs[part], record.hash)

    def parts(self) -> Iterator[list[Record] | TooLarge]:
        """Each part once, all records of a key in the same one, in the order in which they came. A part's file ends with it."""
        for part in range(PARTS):
            records = self._records(part)
            if self._weights[part] <= self._memory:
                yield list(records)
            elif self._lows[part] == self._highs[part]:
                counts: dict[int, int] = {}
                for record in records:
                    counts[record.what] = counts.get(record.what, 0) + 1
                yield TooLarge(self._lows[part], counts)
            else:
                with Spill(self._memory, self._level + 1) as finer:
                    for record in records:
                        finer.add(record)
                    self._files[part].close()
                    yield from finer.parts()
            self._files[part].close()

    def _records(self, part: int) -> Iterator[Record]:
        file = self._files[part]
        file.seek(0)
        while head := file.read(HEAD.size):
            hash, what, length = HEAD.unpack(head)
            yield Record(int.from_bytes(hash, "big"), what, file.read(length))

    def __enter__(self) -> Spill:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the files up."""
        for file in self._files:
            file.close()
