"""Bytes straight to columns: what reading/scanner.py and reading/lines.py stand on, compiled by numba.

Memory is looked at by address, 8 or 32 bytes at once where that is faster. Every kernel of this package says "not mine" (a negative
number) for whatever is not exactly what it knows, and leaves it to a general parser; it never guesses.

Vectors are LLVM's own, so they become whatever the machine has. Finding a byte in a word: Hacker's Delight, 6-1. Base64 by ranges:
Wojciech Mula and Daniel Lemire, Faster Base64 Encoding and Decoding Using AVX2 Instructions (2018).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils

from compiled.pointers import built

Words = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Halves = npt.NDArray[np.int32]
Shorts = npt.NDArray[np.int16]
Bytes = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float64]

NULL = np.iinfo(np.int64).min  # stands for null in a column of whole numbers
NO = -1  # "not mine"
WIDE = 32  # bytes that are looked at together
PADDING = 64  # bytes behind the last record that may be looked at, whatever they are
LOW = (1 << 32) - 1


def _load(kept: Any, given: Any) -> Any:
    def typed(typing: Any, at: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = builder.inttoptr(args[0], context.get_value_type(kept).as_pointer())
            loaded = builder.load(pointer)
            loaded.align = 1
            return loaded if kept.bitwidth == given.bitwidth else builder.zext(loaded, context.get_value_type(given))

        return given(types.intp), build

    return built(typed, kept, given)


def _store(kept: Any) -> Any:
    def typed(typing: Any, at: Any, value: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = builder.inttoptr(args[0], context.get_value_type(kept).as_pointer())
            builder.store(args[1], pointer, align=1)
            return context.get_dummy_value()

        return types.void(types.intp, kept), build

    return built(typed, kept)


def _first(typing: Any, word: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], cgutils.false_bit)

    return types.int64(types.uint64), build


def _vector(builder: Any, place: Any) -> Any:
    """32 bytes at an address."""
    loaded = builder.load(builder.inttoptr(place, ir.VectorType(ir.IntType(8), WIDE).as_pointer()))
    loaded.align = 1
    return loaded


def _each(value: int, bits: int = 8) -> Any:
    """A vector of 32 bytes, or of as many bits in larger items, that has a value everywhere."""
    count = 8 * WIDE // bits
    return ir.Constant(ir.VectorType(ir.IntType(bits), count), [value] * count)


def _flags(builder: Any, truths: Any) -> Any:
    """A vector of 32 truths as the low bits of a word."""
    return builder.zext(builder.bitcast(truths, ir.IntType(32)), ir.IntType(64))


def _equal(typing: Any, p: Any, q: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _flags(builder, builder.icmp_unsigned("==", _vector(builder, args[0]), _vector(builder, args[1])))

    return types.int64(types.intp, types.intp), build


def _marks(typing: Any, p: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        found = _vector(builder, args[0])
        hits = builder.icmp_unsigned("<", found, _each(32))
        for mark in b'"\\':
            hits = builder.or_(hits, builder.icmp_unsigned("==", found, _each(mark)))
        high = builder.shl(_flags(builder, builder.icmp_signed("<", found, _each(0))), ir.Constant(ir.IntType(64), 32))
        return builder.or_(_flags(builder, hits), high)

    return types.int64(types.intp), build


def _newlines(typing: Any, p: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _flags(builder, builder.icmp_unsigned("==", _vector(builder, args[0]), _each(10)))

    return types.int64(types.intp), build


LETTERS = ((65, 26, 0), (97, 26, 26), (48, 10, 52), (43, 1, 62), (47, 1, 63))  # of Base64: first, how many, what the first means
TRIPLES = [4 * (i // 3) + 2 - i % 3 if i < 24 else 0 for i in range(WIDE)]  # which bytes of eight 32-bit words are kept


def _unletter(typing: Any, p: Any, to: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        found = _vector(builder, args[0])
        values, known = _each(0), None
        for first, many, value in LETTERS:
            place = builder.sub(found, _each(first))
            inside = builder.icmp_unsigned("<", place, _each(many))
            values = builder.select(inside, builder.add(place, _each(value)), values)
            known = inside if known is None else builder.or_(known, inside)
        quads = builder.bitcast(values, ir.VectorType(ir.IntType(32), 8))
        packed = builder.lshr(quads, _each(24, 32))
        for right, left in ((0, 18), (8, 12), (16, 6)):
            letter = builder.and_(builder.lshr(quads, _each(right, 32)), _each(255, 32))
            packed = builder.or_(packed, builder.shl(letter, _each(left, 32)))
        mixed = builder.bitcast(packed, ir.VectorType(ir.IntType(8), WIDE))
        order = ir.Constant(ir.VectorType(ir.IntType(32), WIDE), TRIPLES)
        kept = builder.shuffle_vector(mixed, mixed, order)
        builder.store(kept, builder.inttoptr(args[1], kept.type.as_pointer()), align=1)
        return _flags(builder, known)

    return types.int64(types.intp, types.intp), build


# Of memory at an address, aligned or not: a byte, a little-endian word, a signed whole number, a double
load1 = cast("Callable[[int], int]", _load(types.uint8, types.int64))
load8 = cast("Callable[[int], np.uint64]", _load(types.uint64, types.uint64))
store8 = cast("Callable[[int, np.uint64], None]", _store(types.uint64))
get8 = cast("Callable[[int], int]", _load(types.int64, types.int64))
set8 = cast("Callable[[int, int], None]", _store(types.int64))
getf = cast("Callable[[int], float]", _load(types.float64, types.float64))
setf = cast("Callable[[int, float], None]", _store(types.float64))
first_bit = cast("Callable[[int | np.uint64], int]", built(_first))  # number of zero bits below the lowest one
# Of 32 bytes, a bit each: which are equal at two places; which are `"`, `\` or no character of a text, and, 32 bits on, which are
# not ASCII; which are newlines; which are letters of Base64, whose bytes, 3 of 4 letters, go to another place, with 8 more behind
equal = cast("Callable[[int, int], int]", built(_equal))
marks = cast("Callable[[int], int]", built(_marks))
newlines = cast("Callable[[int], int]", built(_newlines))
unletter = cast("Callable[[int, int], int]", built(_unletter))


def address(array: npt.NDArray[Any]) -> int:
    """Where an array lies. Whoever asks keeps it alive."""
    return int(array.__array_interface__["data"][0])
