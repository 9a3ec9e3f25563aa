"""The distinct values in the bytes of records: each spelling gets a small number once, and is read by Python once.

A table is a hash map from (tag, bytes) to codes 0, 1, 2 .. in order of first sight, in memory that kernels reach by addresses. An
entry has 32 bytes, so that one look at memory is enough for a short spelling: code + 1 with the tag above it (0: free), the hash,
and two words that are the spelling itself, its length in the last byte, or, where that is longer than 15 bytes, the place where it
is kept and its length.

Whoever writes documents must not be able to choose spellings that all hash alike: each would be compared with all before it.
So each table has a seed and a factor that nobody knows, and no difference of two words gets through both products to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from os import urandom
from typing import Any, Generic, TypeVar, overload

import numpy as np
import numpy.typing as npt

from compiled.kernel import kernel
from reading.documents import below, same
from reading.kernels import Ints, Words, address, get8, load8, set8, store8

T = TypeVar("T", bound=Hashable)
MASK, SLOTS, PLACES, NAMES, COUNT, USED, FIRST, BAD, ALIASED, ANY_BAD, SEED, FACTOR, HEAD = range(13)  # of a head, 8 bytes each
MANY = 1 << 18  # spellings that are remembered; with more, a table starts anew between two batches
STEP, NEXT = np.uint64(0xD6E8FEB86659FD93), np.uint64(1)
HALF, NONE, LONG = np.uint64(32), np.uint64(0), np.uint64(0xFF00000000000000)
INLINE = 15  # bytes of a spelling that stands in its entry
QUOTE, SLASH = b'"', b"\\"


@kernel
def hashed(h: np.uint64, word: np.uint64, factor: np.uint64) -> np.uint64:
    """A hash that has one more word in it."""
    h = (h ^ word) * STEP
    h = (h ^ (h >> HALF)) * factor
    return h ^ (h >> HALF)


@kernel
def code(head: int, p: int, length: int, tag: int) -> int:
    """The code of some bytes in the table at `head`, a new one if need be. The table has room: see Table.room."""
    h, factor = load8(head + 8 * SEED) ^ np.uint64(tag << 8 | length), load8(head + 8 * FACTOR)
    low, high = NONE, np.uint64(length << 56)
    if length <= INLINE:
        low = load8(p) if length >= 8 else below(p, length) if length > 0 else NONE
        high |= below(p + 8, length - 8) if length > 8 else NONE
        h = hashed(hashed(h, low, factor), high, factor)
    else:
        high, i = LONG, 0
        while i + 8 <= length:
            h, i = hashed(h, load8(p + i), factor), i + 8
        h = hashed(h, below(p + i, length - i), factor) if i < length else h
        low = h
    mask, slots = load8(head), get8(head + 8 * SLOTS)
    at = h & mask
    while True:
        slot = slots + 32 * int(at)
        kept = get8(slot)
        if kept == 0:
            return added(head, slot, p, length, tag, h, low, high)
        if load8(slot + 8) == h and kept >> 32 == tag:
            other = load8(slot + 24)
            if high != LONG:
                if other == high and load8(slot + 16) == low:
                    return (kept & 0xFFFFFFFF) - 1
            elif other == np.uint64(length) | LONG and same(get8(head + 8 * NAMES) + get8(slot + 16), p, length):
                return (kept & 0xFFFFFFFF) - 1
        at = (at + NEXT) & mask


@kernel
def added(head: int, slot: int, p: int, length: int, tag: int, h: np.uint64, low: np.uint64, high: np.uint64) -> int:
    """A new code for some bytes, in a free entry."""
    new, begin = get8(head + 8 * COUNT), get8(head + 8 * USED)
    names, place = get8(head + 8 * NAMES) + begin, get8(head + 8 * PLACES) + 16 * new
    for i in range(0, length, 8):
        store8(names + i, load8(p + i))
    set8(head + 8 * COUNT, new + 1)
    set8(head + 8 * USED, begin + length)
    set8(place + 8, tag)
    set8(place + 16, begin + length)
    set8(slot, (new + 1) | tag << 32)
    store8(slot + 8, h)
    if high == LONG:
        set8(slot + 16, begin)
        store8(slot + 24, np.uint64(length) | LONG)
    else:
        store8(slot + 16, low)
        store8(slot + 24, high)
    return new


@kernel
def _move(old: Words, new: Words) -> None:
    """Every entry of a hash map to a larger one."""
    mask = np.uint64(new.shape[0] - 1)
    for i in range(old.shape[0]):
        if old[i, 0] != 0:
            at = old[i, 1] & mask
            while new[at, 0] != 0:
                at = (at + NEXT) & mask
            new[at] = old[i]


class Picked(Sequence[T]):
    """Some entries of a table, as codes into it: item i is table[codes[i]]."""

    __slots__ = ("codes", "table")

    def __init__(self, codes: Ints, table: Sequence[T]) -> None:
        self.codes, self.table = codes, table

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return Picked(self.codes[index], self.table)
        return self.table[int(self.codes[index])]

    def __iter__(self) -> Any:
        return map(self.table.__getitem__, self.codes.tolist())


class Table(Generic[T]):
    """Codes for bytes with a tag, and what `read` makes of them: `values[code]`. `text` makes it of a JSON text without escapes.

    Where `read` raises `wrong` the code is bad, and stands for `none` of the tag. `values` only grows; when it has become too long,
    `room` starts another list, and all codes of before are void. Equal values of several spellings have several codes; the head's
    FIRST has the least of them for each.
    """

    def __init__(
        self,
        read: Callable[[bytes, int], T],
        text: Callable[[str, int], T],
        wrong: type[Exception],
        none: Callable[[int], T],
        many: int = MANY,
    ) -> None:
        self._read, self._text, self._wrong, self._none, self._many = read, text, wrong, none, many
        self._slots = np.zeros((1 << 12, 4), np.uint64)
        self._places, self._names = np.zeros((1 << 11, 2), np.int64), np.zeros(1 << 16, np.uint8)
        self._first, self._bad = np.arange(1 << 11), np.zeros(1 << 11, np.uint8)
        self._head = np.zeros(HEAD, np.int64)
        self._counts = self._head.data  # a look at a single item costs half through it
        self.head = address(self._head)  # where the table is, for `code`
        self._escaped = False
        self._forget()

    def room(self, more: int, length: int) -> int:
        """Makes room for so many new spellings of so many bytes in all, if there is none yet. Codes are below what it gives."""
        count, used = self._counts[COUNT], self._counts[USED]
        if count > self._many:
            self._forget()
            count = used = 0
        count, used = count + more + 2, used + length + 16
        if count > len(self._places) or used > self._names.size:
            self._grow(max(len(self._places), count + count // 2), max(self._names.size, used + used // 2))
        return len(self._places)

    def resolve(self) -> None:
        """Reads what is new."""
        known, count = len(self.values), self._counts[COUNT]
        if known == count:
            return
        flat = self._places[known : count + 1].ravel().tolist()
        places, tags = flat[::2], flat[1:-1:2]
        names = self._names[places[0] : places[-1]].tobytes()
        quick = names.isascii() and SLASH not in names and not self._escaped
        text, of_text, add, base = names.decode() if quick else "", self._text, self.values.append, places[0]
        for (begin, end), tag in zip(pairwise(places), tags, strict=True):
            if quick and text[begin - base] == '"':
                add(of_text(text[begin - base + 1 : end - base - 1], tag))
            else:
                self._take(names[begin - base : end - base], tag)

    def _take(self, raw: bytes, tag: int) -> None:
        """Reads a new spelling. A text without escapes is spelled in no other way, unless one with escapes has been seen."""
        new, plain = len(self.values), raw[:1] == QUOTE and SLASH not in raw
        try:
            value = self._text(raw[1:-1].decode(), tag) if plain else self._read(raw, tag)
        except (self._wrong, UnicodeDecodeError):
            value = self._none(tag)
            self._bad[new] = self._head[ANY_BAD] = 1
        self.values.append(value)
        if plain and not self._escaped:
            return
        if raw[:1] == QUOTE and not self._escaped:
            self._escaped = True
            for earlier, other in enumerate(self.values[:-1]):
                self._codes.setdefault(other, earlier)
        first = self._codes.setdefault(value, new)
        if first != new:
            self._first[new], self._head[ALIASED] = first, 1

    def _forget(self) -> None:
        self.values: list[T] = []
        self._codes: dict[Any, int] = {}
        self._escaped = False
        self._head[:] = 0
        self._head[[SEED, FACTOR]] = np.frombuffer(urandom(16), np.int64) | [0, 1]
        self._places[0] = 0
        self._slots.fill(0)
        self._bad.fill(0)
        self._first[:] = np.arange(len(self._first))
        self._point()

    def _point(self) -> None:
        self._head[MASK] = len(self._slots) - 1
        arrays: Sequence[npt.NDArray[Any]] = (self._slots, self._places, self._names, self._first, self._bad)
        for at, array in zip((SLOTS, PLACES, NAMES, FIRST, BAD), arrays, strict=True):
            self._head[at] = address(array)

    def _grow(self, count: int, length: int) -> None:
        self._places, self._names = _longer(self._places, count), _longer(self._names, length)
        self._first, self._bad = np.arange(count), _longer(self._bad, count)
        for new, value in enumerate(self.values if self._head[ALIASED] else ()):
            self._first[new] = self._codes.get(value, new)
        if len(self._slots) < count + count // 2:
            slots = np.zeros((1 << (count + count // 2).bit_length(), 4), np.uint64)
            _move(self._slots, slots)
            self._slots = slots
        self._point()


def _longer(array: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    longer = np.zeros((size, *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer
