"""Base64 to bytes, 32 letters at a time. As in reading/kernels.py places are addresses and NO says "not mine".

What is accepted is what Python's base64.b64decode reads as it stands: whole quads, at the end with `=`; bits behind the last byte
are passed over.
"""

from __future__ import annotations

from compiled.kernel import inlined, kernel
from reading.documents import SLACK
from reading.kernels import LOW, NO, WIDE, first_bit, load1, set8, unletter

ROOM = 40  # bytes beyond the decoded ones that must be there to be written


@inlined
def base64(p: int, end: int, o: int) -> tuple[int, int]:
    """Decodes a text from p to its closing quote to o. Gives (place of the quote, o after), or (NO, o)."""
    while p <= end - (WIDE - SLACK):
        known = unletter(p, o)
        if known == LOW:
            p, o = p + 32, o + 24
            continue
        letters = first_bit(~known)
        return ending(p + (letters & 28), end, o + 3 * (letters >> 2), letters & 3)
    return slowly(p, end, o)


@kernel
def slowly(p: int, end: int, o: int) -> tuple[int, int]:
    """The same, a letter at a time, where less than 32 bytes may be looked at."""
    while p <= end:
        n, bits = 0, 0
        while n < 4 and letter(load1(p + n)) >= 0:
            bits |= letter(load1(p + n)) << (18 - 6 * n)
            n += 1
        set8(o, (bits >> 16) | (bits & 0xFF00) | (bits & 0xFF) << 16)
        if n < 4:
            return ending(p, end, o, n)
        p, o = p + 4, o + 3
    return NO, o


@kernel
def letter(c: int) -> int:
    """What a letter of Base64 means, NO if it is none."""
    if 65 <= c <= 90:
        return c - 65
    if 97 <= c <= 122:
        return c - 71
    if 48 <= c <= 57:
        return c + 4
    return 62 if c == 43 else 63 if c == 47 else NO


@kernel
def ending(p: int, end: int, o: int, letters: int) -> tuple[int, int]:
    """The closing quote behind whole quads, or behind a last one of two or three letters, whose bytes are at o already."""
    if p > end:
        return NO, o
    if letters == 0:
        return (p, o) if load1(p) == 34 else (NO, o)
    padded = load1(p + 3) == 61 and load1(p + 4) == 34 and (letters == 3 or load1(p + 2) == 61)
    return (p + 4, o + letters - 1) if letters > 1 and padded else (NO, o)
