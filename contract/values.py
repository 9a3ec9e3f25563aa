"""Single values of a document, read by what is wanted of them: a number, a flag, a time, or something to compare.

Every reader takes both forms in which a value reaches us: parsed JSON (plain, or relaxed or canonical Extended JSON) and native
BSON types. What cannot be read raises Rejected, with a `why` that names types and never shows content.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Any

from bson import Binary, DatetimeMS, Decimal128, Int64, ObjectId

from contract.errors import Rejected
from contract.extjson import INT64, TAGS, bson_value, id_value, to_json
from contract.times import NUMBERS, date, date_ms, is_numeral, time_ms

__all__ = ["bson_value", "date", "flag", "get", "id_value", "number", "original", "time_ms", "to_json", "value"]
UUID_SUBTYPE = 4


def get(document: Mapping[str, Any], path: str) -> Any:
    """The value at a name or a dotted path; None where there is none.

    >>> get({"a": {"b": 5}}, "a.b"), get({"a": [1]}, "a.b")
    (5, None)
    """
    if "." not in path:
        return document.get(path)
    value: Any = document
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def number(v: Any) -> float | None:
    """A finite number as a float, None for null. Raises Rejected: "type", or "not_finite"."""
    kind = type(v)
    if kind is float:
        if isfinite(v):
            return v  # type: ignore[no-any-return]
        raise Rejected("not_finite", "NaN or infinity where a number must be")
    if kind is int:
        return _to_float(v)
    if v is None:
        return None
    if kind is dict and len(v) == 1:
        [(tag, inner)] = v.items()
        if tag in NUMBERS:
            return _to_float(inner if is_numeral(tag, inner) else None)
    if kind in (Int64, Decimal128):
        return _to_float(str(v))
    if _untagged(v) is None:  # {"$undefined": true}
        return None
    raise _wrong(v, "a number")


def flag(v: Any) -> bool | None:
    """True or false, None for null. Raises Rejected("type")."""
    if v is None or v is True or v is False:
        return v
    if _untagged(v) is None:
        return None
    raise _wrong(v, "true or false")


def value(v: Any) -> Hashable | None:
    """Anything in a form that compares as it should, None for null; `original` gives the BSON value back.

    Texts, ints and floats stay what they are, a Decimal128 is a Decimal (so numbers are equal by value), and all else is a pair
    of a letter and plain data: ("b", bool), ("o", hex of an ObjectId), ("u", hex of a UUID), ("d", ms of a date), ("f", "nan" |
    "inf" | "-inf"), ("j", relaxed Extended JSON of anything that is no scalar here). Raises Rejected("type") for what BSON cannot
    hold.

    >>> value(5) == value(5.0) == value({"$numberDecimal": "5"}), value(True) == value(1)
    (True, False)
    """
    kind = type(v)
    if kind is str:
        return v  # type: ignore[no-any-return]
    if kind is float:
        return v if isfinite(v) else ("f", repr(v))
    if kind is int:
        return v if -INT64 <= v < INT64 else _typed(bson_value(v))
    return None if v is None else _typed(bson_value(v))


def original(typed: Hashable | None) -> Any:
    """The BSON value behind what `value` gave; inverse of it, but for the spelling of numbers within documents and arrays."""
    if isinstance(typed, Decimal):
        return Decimal128(typed)
    if not isinstance(typed, tuple):
        return typed
    letter, data = typed
    if letter == "d":
        return date(data)
    if letter == "o":
        return ObjectId(data)
    if letter == "u":
        return Binary(bytes.fromhex(data), UUID_SUBTYPE)
    if letter == "f":
        return float(data)
    return bson_value(json.loads(data)) if letter == "j" else data


def _to_float(v: int | str | None) -> float:
    try:
        result = float(v)  # type: ignore[arg-type]
    except OverflowError:
        result = float("inf")
    except (ValueError, TypeError):
        raise Rejected("type", "malformed Extended JSON where a number must be") from None
    if isfinite(result):
        return result
    raise Rejected("not_finite", "NaN or infinity where a number must be")


def _untagged(v: Any) -> Any:
    """None if v is Extended JSON's undefined, else v."""
    return None if type(v) is dict and "$undefined" in v and len(v) == 1 else v


def _wrong(v: Any, wanted: str) -> Rejected:
    name = {dict: "a document", list: "an array", str: "a text", bool: "true or false"}.get(type(v), f"a {type(v).__name__}")
    if isinstance(v, dict) and next(iter(v), None) in TAGS:
        name = f"a {next(iter(v))}"
    return Rejected("type", f"{name} where {wanted} must be")


def _typed(v: Any) -> Hashable | None:
    """A native BSON value as `value` gives it."""
    if v is None or type(v) in (str, int):
        return v  # type: ignore[no-any-return]
    if isinstance(v, bool):
        return ("b", v)
    if isinstance(v, float):
        return float(v) if isfinite(v) else ("f", repr(float(v)))
    if isinstance(v, int):
        return int(v)
    if isinstance(v, ObjectId):
        return ("o", str(v))
    if isinstance(v, (datetime, DatetimeMS)):
        return ("d", date_ms(v))
    if isinstance(v, Decimal128):
        plain = v.to_decimal()
        return plain if plain.is_finite() else ("f", repr(float(str(v).lower().removeprefix("s"))))
    if isinstance(v, Binary) and v.subtype == UUID_SUBTYPE and len(v) == 16:
        return ("u", v.hex())
    return ("j", json.dumps(_same(to_json(v)), ensure_ascii=False, separators=(",", ":")))


def _same(v: Any) -> Any:
    """JSON in which equal numbers are spelled alike."""
    if isinstance(v, dict):
        return {k: _same(e) for k, e in v.items()}
    if isinstance(v, list):
        return [_same(e) for e in v]
    return int(v) if isinstance(v, float) and v.is_integer() and abs(v) < INT64 else v
