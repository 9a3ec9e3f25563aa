"""Bytes straight to columns: the words and loops that contract/columns.py and consumer/protocol.py stand on, compiled by numba.

Eight bytes are looked at as one word where that is faster. Every function here says "not mine" (a negative number) for whatever is
not exactly what it knows, and leaves it to a general parser; it never guesses. A buffer needs SLACK readable bytes behind `end`.

Base64 with four tables: modp_b64 (Nick Galbreath). Finding a byte in a word: Hacker's Delight, 6-1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

Words = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
F = TypeVar("F", bound=Callable[..., Any])

SLACK = 24
NULL = np.iinfo(np.int64).min  # stands for null in a column of whole numbers
NO = -1  # "not mine"
ESCAPED, FOREIGN, UNICODE = 1, 2, 4

ONES = np.uint64(0x0101010101010101)
HIGH = np.uint64(0x8080808080808080)
QUOTES = np.uint64(0x2222222222222222)
SLASHES = np.uint64(0x5C5C5C5C5C5C5C5C)
SPACES = np.uint64(0x2020202020202020)
BYTE = np.uint64(255)
AAAA = np.uint64(0x41414141)  # four Base64 letters of zero bits
BAD = np.uint64(1 << 31)


KERNELS = (
    "documents.py",
    "envelopes.py",
    "fields.py",
    "interned.py",
    "multilang.py",
    "scan.py",
)  # the files with kernels that are built from one another
STAMP = hashlib.sha256(b"".join(path.read_bytes() for path in map(Path(__file__).with_name, KERNELS) if path.exists())).digest()


def kernel(function: F) -> F:
    """Compiled at its first call, and kept on disk. numba asks only whether the function's own file has changed; kernels here are
    built from those of other files, so the stamp on what is kept is that of all of KERNELS."""
    compiled: Any = numba.njit(cache=True, nogil=True)(function)
    compiled._cache._cache_file._source_stamp = STAMP
    return cast(F, compiled)


def _load(kept: Any, given: Any) -> Any:
    def typed(typing: Any, at: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = builder.inttoptr(args[0], context.get_value_type(kept).as_pointer())
            loaded = builder.load(pointer)
            loaded.align = 1
            return loaded if kept.bitwidth == given.bitwidth else builder.zext(loaded, context.get_value_type(given))

        return given(types.intp), build

    return intrinsic(typed)


def _store(kept: Any) -> Any:
    def typed(typing: Any, at: Any, value: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = builder.inttoptr(args[0], context.get_value_type(kept).as_pointer())
            builder.store(args[1], pointer, align=1)
            return context.get_dummy_value()

        return types.void(types.intp, kept), build

    return intrinsic(typed)


def _first(typing: Any, word: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], cgutils.false_bit)

    return types.int64(types.uint64), build


# Of memory at an address, aligned or not: a byte, a little-endian word, a signed whole number, a double
load1 = cast("Callable[[int], int]", _load(types.uint8, types.int64))
load8 = cast("Callable[[int], np.uint64]", _load(types.uint64, types.uint64))
store8 = cast("Callable[[int, np.uint64], None]", _store(types.uint64))
get8 = cast("Callable[[int], int]", _load(types.int64, types.int64))
set8 = cast("Callable[[int, int], None]", _store(types.int64))
setf = cast("Callable[[int, float], None]", _store(types.float64))
first_bit = cast("Callable[[np.uint64], int]", intrinsic(_first))  # number of zero bits below the lowest one


def address(array: npt.NDArray[Any]) -> int:
    """Where an array lies. Whoever asks keeps it alive."""
    return int(array.__array_interface__["data"][0])


def _base64_tables() -> npt.NDArray[np.uint32]:
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    tables = np.full((4, 256), BAD, np.uint32)
    for value, letter in enumerate(letters):
        for place in range(4):
            bits = value << (18 - 6 * place)
            tables[place, letter] = (bits >> 16) | (bits & 0xFF00) | (bits & 0xFF) << 16
    return tables.reshape(-1)


BASE64 = _base64_tables()


@kernel
def quad(word: np.uint64) -> np.uint64:
    """Three bytes, first lowest, of the four Base64 letters in the low half of a word; BAD is set if one is none."""
    a, b = BASE64[word & BYTE], BASE64[np.uint64(256) + ((word >> np.uint64(8)) & BYTE)]
    c, d = BASE64[np.uint64(512) + ((word >> np.uint64(16)) & BYTE)], BASE64[np.uint64(768) + ((word >> np.uint64(24)) & BYTE)]
    return np.uint64(a | b | c | d)


@kernel
def base64(p: int, end: int, o: int) -> tuple[int, int]:
    """Decodes a text from p to its closing quote to o. Gives (place of the quote, o after), or (NO, o)."""
    while p <= end:
        word = load8(p)
        low, high = quad(word), quad(word >> np.uint64(32))
        if (low | high) & BAD:
            break
        store8(o, low | (high << np.uint64(24)))
        p += 8
        o += 6
    while p <= end:
        if load1(p) == 34:
            return p, o
        word = load8(p)
        low = quad(word)
        if low & BAD:
            return _padding(p, o)
        store8(o, low)
        p += 4
        o += 3
    return NO, o


@kernel
def _padding(p: int, o: int) -> tuple[int, int]:
    """The last quad of Base64: two or three letters, `=` for the rest, and the closing quote."""
    if load1(p + 3) != 61 or load1(p + 4) != 34:
        return NO, o
    letters = 2 if load1(p + 2) == 61 else 3
    kept = np.uint64((1 << 16) - 1) if letters == 2 else np.uint64((1 << 24) - 1)
    low = quad((load8(p) & kept) | (AAAA & ~kept))
    if low & BAD:
        return NO, o
    store8(o, low)
    return p + 4, o + letters - 1


@kernel
def text(p: int, end: int) -> tuple[int, int]:
    """The place of the closing quote of a JSON text whose first byte is at p (NO if it is none), and what is odd in it: ESCAPED,
    UNICODE (by an escape with a number), FOREIGN (a byte that is not ASCII stands in it, or close behind it), as bits."""
    odd = 0
    while p <= end:
        word = load8(p)
        quotes, slashes = word ^ QUOTES, word ^ SLASHES
        hit = (((quotes - ONES) & ~quotes) | ((slashes - ONES) & ~slashes) | ((word - SPACES) & ~word)) & HIGH
        if word & HIGH:
            odd |= FOREIGN
        if hit == 0:
            p += 8
            continue
        p += first_bit(hit) >> 3
        if load1(p) == 34:
            return (p if p <= end else NO), odd
        step = escape(p) if p <= end else 0
        if step == 0:
            return NO, odd
        odd |= ESCAPED if step == 2 else ESCAPED | UNICODE
        p += step
    return NO, odd


@kernel
def escape(p: int) -> int:
    """The length of the JSON escape at p, 0 if it is none."""
    if load1(p) != 92:
        return 0
    letter = load1(p + 1)
    if letter == 117:  # u and four hexadecimal digits
        for i in range(2, 6):
            c = load1(p + i) | 32
            if not (48 <= load1(p + i) <= 57 or 97 <= c <= 102):
                return 0
        return 6
    known = letter == 34 or letter == 92 or letter == 47 or letter == 98
    return 2 if known or letter == 102 or letter == 110 or letter == 114 or letter == 116 else 0


@kernel
def whole(p: int) -> tuple[int, int]:
    """(place after, value) of a number 0..10^18 - 1 in JSON's spelling or of null (NULL); (NO, 0) if it is neither."""
    first = load1(p)
    if first == 110:
        null = load1(p + 1) == 117 and load1(p + 2) == 108 and load1(p + 3) == 108
        return (p + 4, NULL) if null else (NO, 0)
    start, value = p, 0
    while p - start < 19 and 48 <= load1(p) <= 57:
        value = value * 10 + (load1(p) - 48)
        p += 1
    if p == start or p - start > 18 or (first == 48 and p - start > 1):
        return NO, 0
    return p, value


@kernel
def literal(p: int, row: int, words: Words, masks: Words, length: int) -> bool:
    """Whether the bytes at p are those of a literal, given as a row of words. Looks up to 7 bytes past the literal."""
    differ = np.uint64(0)
    for i in range((length + 7) >> 3):
        differ |= (load8(p + 8 * i) ^ words[row, i]) & masks[row, i]
    return bool(differ == 0)


@kernel
def below(p: int, count: int) -> np.uint64:
    """The first 0 < count < 8 bytes at p as a word."""
    return load8(p) & ((np.uint64(1) << np.uint64(8 * count)) - np.uint64(1))


@kernel
def same(p: int, q: int, length: int) -> bool:
    """Whether two places hold the same bytes. Looks up to 7 bytes past them."""
    while length >= 8:
        if load8(p) != load8(q):
            return False
        p, q, length = p + 8, q + 8, length - 8
    return length == 0 or below(p, length) == below(q, length)
