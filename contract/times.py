"""Event times: anything that says when, as whole milliseconds since 1970 UTC, and back to a BSON date."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any

from bson import DatetimeMS, Int64

from contract.errors import Rejected

MIN_MS = -62_135_596_800_000  # the years 1..9999, the only ones that every part of the way can hold
MAX_MS = 253_402_300_799_999
TEXT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?([Zz]|[+-][0-9]{2}:[0-5][0-9])?")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DATES = (datetime, DatetimeMS)  # the types of dates
MILLISECOND = timedelta(milliseconds=1)
CYCLE = 146_097 * 86_400_000  # ms of 400 years
NUMBERS = ("$numberDecimal", "$numberLong", "$numberInt", "$numberDouble")
WHOLE = re.compile(r"[+-]?[0-9]+")  # Python's own readers take underscores, spaces and the digits of all scripts
NUMERAL = re.compile(r"[+-]?((([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?)|inf(inity)?|s?nan[0-9]*)", re.IGNORECASE | re.ASCII)


def time_ms(v: Any) -> int | None:
    """Milliseconds since 1970 UTC of a date, a text (RFC 3339; no offset: UTC) or a number of ms, None for null.

    What is finer than a millisecond is floored. Raises Rejected("time") for what is no time, or lies outside the years 1..9999.

    >>> time_ms("1969-12-31T23:59:59.9999Z"), time_ms({"$date": {"$numberLong": "5"}})
    (-1, 5)
    """
    if v is None:
        return None
    ms = _time(v, depth=0)
    if ms is not None and not MIN_MS <= ms <= MAX_MS:
        raise Rejected("time", "a time outside the years 1 to 9999")
    return ms


def is_numeral(tag: str, text: object) -> bool:
    """Whether a text is a number as Extended JSON writes one under that tag of NUMBERS.

    >>> is_numeral("$numberDouble", "-1.5E+3"), is_numeral("$numberLong", "1_000"), is_numeral("$numberInt", "1.5")
    (True, False, False)
    """
    pattern = WHOLE if tag in ("$numberLong", "$numberInt") else NUMERAL
    return isinstance(text, str) and pattern.fullmatch(text) is not None


def date(ms: int) -> datetime | DatetimeMS:
    """A BSON date: a datetime in UTC, or a DatetimeMS where that cannot hold it."""
    return EPOCH + timedelta(milliseconds=ms) if MIN_MS <= ms <= MAX_MS else DatetimeMS(ms)


def spelled(v: datetime | DatetimeMS) -> str:
    """A date for people, whatever its year: a datetime's own years as they are, others by the calendar's cycle of 400 years.

    >>> spelled(date(8_640_000_000_000_000)), spelled(date(0)), spelled(date(MIN_MS))
    ('275760-09-13 00:00:00', '1970-01-01 00:00:00', '0001-01-01 00:00:00')
    """
    cycles, rest = divmod(date_ms(v), CYCLE)
    near = EPOCH + timedelta(milliseconds=rest)
    ms = f".{near.microsecond // 1000:03d}" if near.microsecond else ""
    year = near.year + 400 * cycles
    return f"{year:0{4 if year >= 0 else 5}}-{near:%m-%d %H:%M:%S}{ms}"


def date_ms(v: datetime | DatetimeMS) -> int:
    """Milliseconds of a BSON date; finer parts are floored, no zone is UTC."""
    if isinstance(v, DatetimeMS):
        return int(v)
    return ((v if v.tzinfo is not None else v.replace(tzinfo=UTC)) - EPOCH) // MILLISECOND


def _time(v: Any, depth: int) -> int | None:
    kind = type(v)
    if kind is str:
        return _text_time(v)
    if kind is int or kind is Int64:
        return int(v)
    if kind is float and isfinite(v):
        return int(v // 1)
    if isinstance(v, (datetime, DatetimeMS)):
        return date_ms(v)
    if kind is dict and len(v) == 1 and depth < 2:
        return _tagged_time(v, depth)
    raise Rejected("time", f"a value of type {kind.__name__} where a time must be")


def _text_time(text: str) -> int:
    """RFC 3339, with a space or no offset (UTC) if it likes. Of a fraction the milliseconds count."""
    found = TEXT.fullmatch(text)
    if found is None:
        raise Rejected("time", "a text that is no time as in 2026-01-31T12:00:00.5Z")
    day, clock, fraction, offset = found.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if offset in (None, 'Z', 'z') else offset}")
        return date_ms(moment) + int((fraction or "")[:3].ljust(3, "0"))
    except (ValueError, OverflowError):
        raise Rejected("time", "a text whose numbers are no time") from None


def _tagged_time(v: dict[str, Any], depth: int) -> int | None:
    [(tag, inner)] = v.items()
    if tag == "$date":
        return _time(inner, depth + 1)
    if tag == "$undefined":
        return None
    if tag in NUMBERS:
        try:
            if is_numeral(tag, inner):
                return int(Decimal(inner) // 1)
        except (ArithmeticError, ValueError):
            pass
        raise Rejected("time", "malformed Extended JSON where a time must be")
    raise Rejected("time", "a document where a time must be")
