"""Relaxed Extended JSON and BSON's types, a whole subtree at a time. What is JSON or BSON already may stand anywhere in it."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from bson import Binary, DatetimeMS, Decimal128, ObjectId, Regex, encode, json_util
from bson.errors import BSONError

from contract.errors import Rejected
from contract.times import NUMBERS, date, date_ms, is_numeral, time_ms

INT64 = 1 << 63
MAX_DEPTH = 100  # MongoDB holds no deeper nesting
OPTIONS = json_util.JSONOptions(json_mode=json_util.JSONMode.RELAXED, tz_aware=True)
TAGS = frozenset(
    "$oid $ref $date $regex $minKey $maxKey $binary $code $uuid $undefined $numberLong $timestamp $numberDecimal "
    "$dbPointer $regularExpression $symbol $numberInt $numberDouble".split()
)
_PLAIN = frozenset({str, int, float, bool, type(None)})


def bson_value(v: Any, depth: int = 0, strict: bool = False) -> Any:
    """Native BSON types for a whole subtree of JSON (or of native values). Dates are aware, UUIDs are Binary of subtype 4.

    What only looks like Extended JSON, `{"$oid": "order-17"}`, is a document: MongoDB stores names that begin with `$`. strict: it
    is a mistake. Raises Rejected("type") for what BSON cannot hold: too deep nesting, a zero byte in a name.
    """
    kind = type(v)
    if kind is int and not -INT64 <= v < INT64:
        return _wide(v)
    if kind in _PLAIN:
        return v
    if depth > MAX_DEPTH:
        raise Rejected("type", f"nested deeper than {MAX_DEPTH} levels")
    if kind is list or kind is tuple:
        return [bson_value(e, depth + 1, strict) for e in v]
    if kind is dict or isinstance(v, Mapping):
        tag = next(iter(v), None)
        if tag in TAGS:
            inner = {k: bson_value(e, depth + 1, strict) if k != "$date" else e for k, e in v.items()}
            try:
                return _tagged(str(tag), inner)
            except Rejected:
                if strict:
                    raise
                return _named(inner, depth)
        if "\0" in "".join(v):
            raise Rejected("type", "a field name holds a zero byte")
        return {k: e if type(e) is str or type(e) is float else bson_value(e, depth + 1, strict) for k, e in v.items()}
    return _native(v)


def unheld(v: Any) -> str | None:
    """Why BSON cannot hold a native value after all, None if it can: a number beyond 64 bits that says it has them, a zero byte."""
    try:
        encode({"": v})
    except (BSONError, OverflowError, UnicodeError, ValueError, RecursionError) as error:
        return f"no value of BSON: {error}"
    return None


def id_value(v: Any) -> Any:
    """The same of a document's `_id`. Raises Rejected("type") also for what MongoDB takes for no `_id`: an array, a regular
    expression, names in it that begin with `$`."""
    found = bson_value(v)
    if isinstance(found, (list, Regex)) or _operators(found):
        raise Rejected("type", "an _id that MongoDB does not take: an array, a regular expression, or names that begin with $")
    return found


def _operators(v: Any) -> bool:
    """Whether a name within begins with `$`."""
    if isinstance(v, dict):
        return any(name.startswith("$") or _operators(inner) for name, inner in v.items())
    return isinstance(v, list) and any(map(_operators, v))


def _named(v: dict[str, Any], depth: int) -> dict[str, Any]:
    """A document whose names begin with `$`; the value of "$date" is not native yet."""
    if "\0" in "".join(v):
        raise Rejected("type", "a field name holds a zero byte")
    return {k: bson_value(e, depth + 1) if k == "$date" else e for k, e in v.items()}


AS_IT_IS = frozenset((str, int, bool, type(None)))  # types that JSON has; looked up in front of a call, as most values are of them


def to_json(v: Any) -> Any:
    """Relaxed Extended JSON of a native BSON value, as bson.json_util writes it; what is JSON already stays as it is."""
    kind = type(v)
    if kind in AS_IT_IS:
        return v
    if kind is float:
        return v if math.isfinite(v) else json_util.default(v, OPTIONS)
    if kind is dict:
        return {k: e if type(e) in AS_IT_IS else to_json(e) for k, e in v.items()}
    if kind is list or kind is tuple:
        return [e if type(e) in AS_IT_IS else to_json(e) for e in v]
    if kind is ObjectId:
        return {"$oid": str(v)}
    if kind is datetime:
        return _date_json(v)
    if isinstance(v, Mapping):
        return {k: to_json(e) for k, e in v.items()}
    if isinstance(v, Decimal):
        v = Decimal128(v)
    return json_util.default(Binary.from_uuid(v) if isinstance(v, uuid.UUID) else v, OPTIONS)


def _tagged(tag: str, v: dict[str, Any]) -> Any:
    """The BSON value of one Extended JSON object, its inner values being native already."""
    if tag in ("$ref", "$regex") and not isinstance(v[tag], str):
        return v
    try:
        if tag == "$date":
            return _date(v)
        if tag == "$oid" and len(v) == 1:
            return ObjectId(v[tag])
        if tag in NUMBERS and type(v[tag]) is not int and not is_numeral(tag, v[tag]):
            raise ValueError("malformed")
        result = json_util.object_hook(v, OPTIONS)
    except (ValueError, TypeError, KeyError, ArithmeticError, AttributeError, BSONError, Rejected):
        raise Rejected("type", f"malformed Extended JSON: {tag}") from None
    return _native(result)


def _native(v: Any) -> Any:
    if isinstance(v, uuid.UUID):
        return Binary.from_uuid(v)
    if isinstance(v, Decimal):
        return Decimal128(v)
    if isinstance(v, datetime):
        return date(date_ms(v))
    if isinstance(v, DatetimeMS):
        return date(int(v))
    return v


def _wide(v: int) -> Any:
    """An integer beyond BSON's 64 bits: exact as a Decimal128 where that has the digits, else the nearest float."""
    if abs(v) < 10**34:
        return Decimal128(str(v))
    return float(v) if abs(v) < 1 << 1023 else math.inf


def _date_json(v: datetime) -> Any:
    if v.year < 1970 or (v.tzinfo is not None and v.utcoffset()):
        return json_util.default(v, OPTIONS)
    ms = v.microsecond // 1000
    return {"$date": f"{v.isoformat()[:19]}.{ms:03d}Z" if ms else f"{v.isoformat()[:19]}Z"}


def _date(v: dict[str, Any]) -> datetime | DatetimeMS:
    """{"$date": ISO text, ms or {"$numberLong": ms}}; unlike an event time it may lie in any year."""
    inner = v["$date"]
    if isinstance(inner, dict) and len(v) == len(inner) == 1:
        ms = inner["$numberLong"]
        if type(ms) is not int and not is_numeral("$numberLong", ms):
            raise ValueError("malformed")
        return date(int(ms))
    ms = date_ms(inner) if isinstance(inner, (datetime, DatetimeMS)) else inner
    ms = time_ms(ms) if isinstance(ms, str) else ms
    if len(v) != 1 or not isinstance(ms, (int, float)) or isinstance(ms, bool):
        raise ValueError("malformed")
    return date(int(ms // 1))
