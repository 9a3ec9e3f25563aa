"""Flat JSON documents, read in place by compiled loops: numbers, words, times, and what is passed over.

As in reading/kernels.py places are addresses, and NO says "not mine". A record ends with a newline: as no JSON value of a
record may hold one, every loop here stops at it by itself. Only spaces count as white space. What is passed over is checked as
JSON all the same.

Exact doubles: W. D. Clinger, How to Read Floating Point Numbers Accurately (1990), the fast path; all others are left to Python.
Days: Howard Hinnant, chrono-Compatible Low-Level Date Algorithms.
"""

from __future__ import annotations

import numpy as np

from compiled.kernel import inlined, kernel
from reading.kernels import LOW, NO, NULL, WIDE, first_bit, load1, load8, marks

FAR = 1 << 40
POWERS = 10.0 ** np.arange(23)
WHOLE, REAL, ODD = 0, 1, 2  # of a number: an int that is exact, a double that is exact, to be read by Python
DEEPEST = 60


@inlined
def spaces(p: int) -> int:
    """The next place that is no space."""
    while load1(p) == 32:
        p += 1
    return p


@inlined
def number(p: int) -> tuple[int, float, int]:
    """(place after, value, WHOLE | REAL | ODD) of a JSON number; value is only good for the first two."""
    negative = load1(p) == 45
    start = p + 1 if negative else p
    q, whole = digits(start, 0)
    count = q - start
    if count == 0 or (count > 1 and load1(start) == 48):
        return NO, 0.0, ODD
    form, power = WHOLE, 0
    if load1(q) == 46:
        point = q + 1
        q, whole = digits(point, whole)
        form, power, count = REAL, point - q, count + q - point
        if power == 0:
            return NO, 0.0, ODD
    if load1(q) | 32 == 101:
        sign = load1(q + 1)
        first = q + 2 if sign == 43 or sign == 45 else q + 1
        q, exponent = digits(first, 0)
        if q == first:
            return NO, 0.0, ODD
        form = REAL if q - first < 4 else ODD
        power += -exponent if sign == 45 else exponent
    if form == ODD or count > 18 or whole > 1 << 53 or power < -22 or power > 22 or (negative and whole == 0):
        return q, 0.0, ODD
    value = whole / POWERS[-power] if power < 0 else whole * POWERS[power]
    return q, -value if negative else value, form


@kernel
def word(p: int) -> tuple[int, int]:
    """(place after, 1 | 0 | -1) of true, false, null."""
    a, b, c, d = load1(p), load1(p + 1), load1(p + 2), load1(p + 3)
    if a == 116 and b == 114 and c == 117 and d == 101:
        return p + 4, 1
    if a == 102 and b == 97 and c == 108 and d == 115 and load1(p + 4) == 101:
        return p + 5, 0
    if a == 110 and b == 117 and c == 108 and d == 108:
        return p + 4, -1
    return NO, -1


@kernel
def scalar(p: int) -> int:
    """The place after a text, number or word; NO for what only Python can judge."""
    c = load1(p)
    if c == 34:
        q, odd = text(p + 1, p + FAR)
        return NO if q < 0 or odd & UNICODE else q + 1
    if c == 45 or 48 <= c <= 57:
        q, _, form = number(p)
        return NO if form == ODD else q
    return word(p)[0]


@kernel
def name(p: int) -> int:
    """The place of the value of a member whose name's opening quote is at p."""
    if load1(p) != 34:
        return NO
    q, odd = text(p + 1, p + FAR)
    if q < 0 or odd & UNICODE:
        return NO
    q = spaces(q + 1)
    return spaces(q + 1) if load1(q) == 58 else NO


@kernel
def skip(p: int) -> int:
    """The place after any JSON value at p, whose grammar is checked on the way."""
    depth, objects = 0, 0  # objects: a bit a level, set where it is an object
    while p > 0:
        c = load1(p)
        if c == 123 or c == 91:
            depth, objects = depth + 1, objects << 1 | (c == 123)
            p = spaces(p + 1)
            if depth > DEEPEST:
                return NO
            if load1(p) != c + 2:
                p = name(p) if c == 123 else p
                continue
        else:
            p = scalar(p)
            if depth == 0 or p < 0:
                return p
            p = spaces(p)
        while depth > 0 and load1(p) == (125 if objects & 1 else 93):
            depth, objects = depth - 1, objects >> 1
            p = spaces(p + 1) if depth > 0 else p + 1
        if depth == 0:
            return p
        if load1(p) != 44:
            return NO
        p = spaces(p + 1)
        p = name(p) if objects & 1 else p
    return NO


@kernel
def two(p: int) -> int:
    """The number of two digits, or something beyond 99."""
    a, b = load1(p) - 48, load1(p + 1) - 48
    return a * 10 + b if 0 <= a <= 9 and 0 <= b <= 9 else 1000


@kernel
def days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01."""
    y = year - (month <= 2)
    era, m = y // 400, (month + 9) % 12
    of_era = y - era * 400
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + (153 * m + 2) // 5 + day - 1 - 719_468


@kernel
def iso(p: int) -> tuple[int, int]:
    """(place after the closing quote, ms since 1970 UTC) of `2023-11-14T22:13:20.123Z"`, the fraction with 3 digits or none."""
    year, month, day = two(p) * 100 + two(p + 2), two(p + 5), two(p + 8)
    hour, minute, second = two(p + 11), two(p + 14), two(p + 17)
    marks = load1(p + 4) == 45 and load1(p + 7) == 45 and load1(p + 10) == 84 and load1(p + 13) == 58 and load1(p + 16) == 58
    if not marks or not 1 <= year <= 9999 or not 1 <= month <= 12 or hour > 23 or minute > 59 or second > 59:
        return NO, 0
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    longest = 28 + leap if month == 2 else 30 + (month + month // 8) % 2
    if not 1 <= day <= longest:
        return NO, 0
    ms, q = 0, p + 19
    if load1(q) == 46:
        third = load1(q + 3) - 48
        ms, q = two(q + 1) * 10 + third, q + 4
        if ms > 999 or not 0 <= third <= 9:
            return NO, 0
    if load1(q) != 90 or load1(q + 1) != 34:
        return NO, 0
    return q + 2, ((days(year, month, day) * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + ms


# Single words of JSON, read in place: texts, escapes, digits.
#
# As in reading/kernels.py places are addresses and NO says "not mine". A place that a caller calls `end` has SLACK readable bytes
# behind it.
#
# Eight digits at once: Johnny Lee, in Daniel Lemire, Quickly Parsing Eight Digits (2018).
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
