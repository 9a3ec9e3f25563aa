"""Single words of JSON, read in place: texts, escapes, digits.

As in contract/scan.py places are addresses and NO says "not mine". A place that a caller calls `end` has SLACK readable bytes
behind it.

Eight digits at once: Johnny Lee, in Daniel Lemire, Quickly Parsing Eight Digits (2018).
"""

from __future__ import annotations

import numpy as np

from contract.scan import LOW, NO, NULL, WIDE, first_bit, inlined, kernel, load1, load8, marks

SLACK = 24
ESCAPED, FOREIGN, UNICODE = 1, 2, 4

ONES = np.uint64(0x0101010101010101)
HIGH = np.uint64(0x8080808080808080)
QUOTES = np.uint64(0x2222222222222222)
SLASHES = np.uint64(0x5C5C5C5C5C5C5C5C)
SPACES = np.uint64(0x2020202020202020)
ZEROS = np.uint64(0x3030303030303030)
BEYOND = np.uint64(0x7676767676767676)  # lifts all but digits to the high bit
TENS = 10 ** np.arange(9)


@inlined
def text(p: int, end: int) -> tuple[int, int]:
    """The place of the closing quote of a JSON text whose first byte is at p (NO if it is none), and what is odd in it: ESCAPED,
    UNICODE (by an escape with a number), FOREIGN (a byte that is not ASCII stands in it, or close behind it), as bits."""
    if p <= end - (WIDE - SLACK):
        found = marks(p)
        if found & LOW != 0:
            q = p + first_bit(found)
            if load1(q) == 34:
                return q, FOREIGN if found >> 32 != 0 else 0
    return long_text(p, end)


@kernel
def long_text(p: int, end: int) -> tuple[int, int]:
    """The same, whatever its length and whatever is in it."""
    odd = 0
    while p <= end:
        if p <= end - (WIDE - SLACK):
            found = marks(p)
            odd |= FOREIGN if found >> 32 != 0 else 0
            if found & LOW == 0:
                p += WIDE
                continue
            p += first_bit(found)
        else:
            word = load8(p)
            odd |= FOREIGN if word & HIGH else 0
            hit = disturbed(word)
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
def disturbed(word: np.uint64) -> np.uint64:
    """The high bit of each byte that is a quote, a backslash or no character; bits above the lowest one may be wrong."""
    quotes, slashes = word ^ QUOTES, word ^ SLASHES
    return (((quotes - ONES) & ~quotes) | ((slashes - ONES) & ~slashes) | ((word - SPACES) & ~word)) & HIGH


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


@inlined
def eight(digits: np.uint64) -> int:
    """The number of eight digits, given as a word of their values, the first lowest."""
    pairs = digits * np.uint64(10) + (digits >> np.uint64(8))
    low = (pairs & np.uint64(0xFF000000FF)) * np.uint64(0xF424000000064)
    high = ((pairs >> np.uint64(16)) & np.uint64(0xFF000000FF)) * np.uint64(0x271000000001)
    return int((low + high) >> np.uint64(32))


@inlined
def digits(p: int, value: int) -> tuple[int, int]:
    """(place after, value with the digits at p behind it). Wrong, but harmless, beyond 18 digits: count them. Looks 8 bytes on."""
    while True:
        word = load8(p) ^ ZEROS
        other = ((word + BEYOND) | word) & HIGH
        if other == 0:
            p, value = p + 8, value * 100_000_000 + eight(word)
            continue
        n = first_bit(other) >> 3
        if n == 0:
            return p, value
        return p + n, value * TENS[n] + eight(word << np.uint64(64 - 8 * n))


@kernel
def whole(p: int) -> tuple[int, int]:
    """(place after, value) of a number 0..10^18 - 1 in JSON's spelling or of null (NULL); (NO, 0) if it is neither."""
    first = load1(p)
    if first == 110:
        null = load1(p + 1) == 117 and load1(p + 2) == 108 and load1(p + 3) == 108
        return (p + 4, NULL) if null else (NO, 0)
    start, value = p, 0
    while p - start < 16:
        word = load8(p) ^ ZEROS
        if ((word + BEYOND) | word) & HIGH:
            break
        p, value = p + 8, value * 100_000_000 + eight(word)
    while p - start < 19 and 48 <= load1(p) <= 57:
        value = value * 10 + (load1(p) - 48)
        p += 1
    if p == start or p - start > 18 or (first == 48 and p - start > 1):
        return NO, 0
    return p, value


@inlined
def below(p: int, count: int) -> np.uint64:
    """The first 0 < count < 8 bytes at p as a word."""
    return load8(p) & ((np.uint64(1) << np.uint64(8 * count)) - np.uint64(1))


@inlined
def same(p: int, q: int, length: int) -> bool:
    """Whether two places hold the same bytes. Looks up to 7 bytes past them."""
    while length >= 8:
        if load8(p) != load8(q):
            return False
        p, q, length = p + 8, q + 8, length - 8
    return length == 0 or below(p, length) == below(q, length)
