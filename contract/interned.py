"""The distinct values in the bytes of records: each spelling gets a small number once, and is read by Python once.

A table is a hash map from bytes to codes 0, 1, 2 .. in order of first sight, in memory that kernels reach by addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from contract.scan import Ints, Words, address, below, get8, kernel, load8, same, set8, store8

T = TypeVar("T", bound=Hashable)
MASK, SLOTS, PLACES, NAMES, COUNT, USED, HEAD = range(7)  # of a table's head, 8 bytes each
MANY = 1 << 18  # spellings that are remembered; with more, a table starts anew between two batches
SEED, STEP, NEXT = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93), np.uint64(1)
HALF = np.uint64(32)


@kernel
def hashed(p: int, length: int) -> np.uint64:
    """A hash of some bytes, never 0."""
    h = (SEED ^ np.uint64(length)) * STEP
    while length >= 8:
        h = (h ^ (h >> HALF) ^ load8(p)) * STEP
        p, length = p + 8, length - 8
    if length > 0:
        h = (h ^ (h >> HALF) ^ below(p, length)) * STEP
    h ^= h >> HALF
    return h if h != 0 else SEED


@kernel
def code(head: int, p: int, length: int) -> int:
    """The code of some bytes in the table at `head`, a new one if need be. The table has room: see Table.room."""
    h = hashed(p, length)
    mask, slots, places, names = load8(head), get8(head + 8 * SLOTS), get8(head + 8 * PLACES), get8(head + 8 * NAMES)
    at = h & mask
    while True:
        slot = slots + 16 * int(at)
        kept = load8(slot)
        if kept == 0:
            break
        if kept == h:
            found = get8(slot + 8)
            begin = get8(places + 8 * found)
            if get8(places + 8 * found + 8) - begin == length and same(names + begin, p, length):
                return found
        at = (at + NEXT) & mask
    new, begin = get8(head + 8 * COUNT), get8(head + 8 * USED)
    store8(slot, h)
    set8(slot + 8, new)
    for i in range(0, length, 8):
        store8(names + begin + i, load8(p + i))
    set8(head + 8 * COUNT, new + 1)
    set8(head + 8 * USED, begin + length)
    set8(places + 8 * new + 8, begin + length)
    return new


@kernel
def _move(old: Words, new: Words) -> None:
    """Every entry of a hash map to a larger one."""
    mask = np.uint64(new.shape[0] - 1)
    for i in range(old.shape[0]):
        if old[i, 0] != 0:
            at = old[i, 0] & mask
            while new[at, 0] != 0:
                at = (at + NEXT) & mask
            new[at, 0], new[at, 1] = old[i, 0], old[i, 1]


@kernel
def distinct(codes: Ints, place: Ints, order: Ints) -> int:
    """The codes of a batch as places in the order of their first sight: rewrites `codes`, fills `order`, gives how many there are.
    place: -1 for every code, and so again afterwards. Negative codes stay."""
    n = 0
    for i in range(codes.size):
        c = codes[i]
        if c >= 0:
            if place[c] < 0:
                place[c] = n
                order[n] = c
                n += 1
            codes[i] = place[c]
    for i in range(n):
        place[order[i]] = -1
    return n


class Table(Generic[T]):
    """Codes for bytes, and what `read` makes of them: `values[code]`; `bad` has the codes at which it raised `wrong`,
    which stand for `none`.

    `values` only grows; when it has become too long, `room` starts another list, and all codes of before are void. Equal values of
    several spellings have several codes; `first[code]` is the least of them.
    """

    def __init__(self, read: Callable[[bytes], T], wrong: type[Exception], none: T, many: int = MANY) -> None:
        self._read, self._wrong, self._none, self._many = read, wrong, none, many
        self._slots = np.zeros((1 << 12, 2), np.uint64)
        self._places, self._names = np.zeros(1 << 11, np.int64), np.zeros(1 << 16, np.uint8)
        self._place = np.zeros(0, np.int64)
        self.values: list[T] = []
        self.first: list[int] = []
        self.bad: set[int] = set()
        self.aliased = False
        self._codes: dict[Any, int] = {}
        self._head = np.zeros(HEAD, np.int64)
        self.head = address(self._head)  # where the table is, for `code`
        self._point()

    def room(self, more: int, length: int) -> None:
        """Makes room for so many new spellings of so many bytes in all."""
        if self._head[COUNT] > self._many:
            self._forget()
        count, used = int(self._head[COUNT]) + more + 2, int(self._head[USED]) + length + 16
        if count > self._places.size or used > self._names.size:
            self._grow(max(self._places.size, 2 * count), max(self._names.size, 2 * used))

    def resolve(self) -> None:
        """Reads what is new."""
        known, count = len(self.values), int(self._head[COUNT])
        if known == count:
            return
        places = self._places[known : count + 1].tolist()
        for new in range(known, count):
            try:
                value = self._read(self._names[places[new - known] : places[new - known + 1]].tobytes())
            except self._wrong:
                value = self._none
                self.bad.add(new)
            self.values.append(value)
            first = self._codes.setdefault(value, new)
            self.aliased = self.aliased or first != new
            self.first.append(first)

    def is_bad(self, codes: Ints) -> npt.NDArray[np.bool_]:
        """Which of these codes are bad. Negative ones are not."""
        return np.isin(codes, list(self.bad)) if self.bad else np.zeros(codes.size, np.bool_)

    def distinct(self, codes: Ints) -> list[T]:
        """The values behind some codes, in order of first sight; the codes become places in that."""
        if len(self._place) < len(self.values):
            self._place = np.full(2 * len(self.values), -1, np.int64)
        order = np.empty(codes.size, np.int64)
        n = distinct(codes, self._place, order)
        return [self.values[c] for c in order[:n].tolist()]

    def _forget(self) -> None:
        self.values, self.first, self.bad, self.aliased, self._codes = [], [], set(), False, {}
        self._head[:] = 0
        self._slots.fill(0)
        self._point()

    def _point(self) -> None:
        self._head[MASK] = len(self._slots) - 1
        self._head[SLOTS], self._head[PLACES], self._head[NAMES] = (address(a) for a in (self._slots, self._places, self._names))

    def _grow(self, count: int, length: int) -> None:
        places, names = np.zeros(count, np.int64), np.zeros(length, np.uint8)
        places[: self._places.size], names[: self._names.size] = self._places, self._names
        self._places, self._names = places, names
        if len(self._slots) < 2 * count:
            slots = np.zeros((1 << (2 * count).bit_length(), 2), np.uint64)
            _move(self._slots, slots)
            self._slots = slots
        self._point()
