"""Flat JSON documents, read in place by compiled loops: numbers, words, times, and what is passed over.

As in contract/scan.py places are addresses, and NO says "not mine". A record ends with a newline: as no JSON value of a record may
hold one, every loop here stops at it by itself. Only spaces count as white space. What is passed over is checked as JSON all the
same.

Exact doubles: W. D. Clinger, How to Read Floating Point Numbers Accurately (1990), the fast path; all others are left to Python.
Days: Howard Hinnant, chrono-Compatible Low-Level Date Algorithms.
"""

from __future__ import annotations

import numpy as np

from contract.scan import NO, inlined, kernel, load1
from contract.texts import UNICODE, digits, text

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
