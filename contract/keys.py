"""Keys: typed values, so that card 5 and card "5" never meet, and where Kinesis puts them.

A Key of the engine is (route, typed value). A typed value is a text, an int within 64 bits, a float that is no such int, a Decimal
that is no float either, or a pair as `contract.values.value` gives it: ("b", bool) ("o", hex of an ObjectId) ("u", hex of a UUID)
("d", ms of a date). Two keys are one where MongoDB holds their values equal (True is not 1, and 0.1 is not the decimal 0.1), and a
key is plain data. `untyped` gives the BSON value for documents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from decimal import Context, Decimal
from typing import Any

from contract.errors import Rejected
from contract.extjson import INT64
from contract.values import original, value

EXACT = Context(prec=34)  # digits of a Decimal128
MAX_PARTITION_KEY = 256  # characters; Kinesis takes no longer one


def typed(v: Any) -> Hashable:
    """The typed value of a route field (JSON or BSON). Raises Rejected("key") for null, documents, arrays and NaN.

    >>> typed(5.0), typed({"$numberLong": "5"}), typed(True)
    (5, 5, ('b', True))
    """
    kind = type(v)
    if kind is str or (kind is int and -INT64 <= v < INT64):
        return v  # type: ignore[no-any-return]
    try:
        result = value(v)
    except Rejected as error:
        raise Rejected("key", error.why) from None
    if isinstance(result, (float, Decimal, int)):
        return _whole(result)
    if result is None:
        raise Rejected("key", "the key is missing or null")
    if isinstance(result, tuple) and result[0] not in ("b", "o", "u", "d"):
        raise Rejected("key", "a document, an array or another type that cannot be a key")
    return result


def untyped(key: Hashable) -> Any:
    """The BSON value of a typed one. A UUID is a Binary of subtype 4, as any client writes and reads it."""
    return original(key)


def partition_key(route: str, key: Hashable) -> str:
    """`<route>:<type letter>:<text>`; a sha256 in hex where that would be longer than Kinesis takes.

    >>> partition_key("card_id", 5), partition_key("card_id", "5")
    ('card_id:n:5', 'card_id:t:5')
    """
    letter, value = _text(key)
    text = f"{route}:{letter}:{value}"
    if len(text) > MAX_PARTITION_KEY:
        return hashlib.sha256(text.encode()).hexdigest()
    return text


def _text(key: Hashable) -> tuple[str, str]:
    """(type letter, the value)."""
    if isinstance(key, str):
        return "t", key
    if isinstance(key, Decimal):
        return "m", str(EXACT.normalize(key))
    if isinstance(key, tuple):
        return key[0], str(key[1]).lower()
    return "n" if isinstance(key, int) else "f", repr(key)


def bare_partition_key(key: Hashable) -> str:
    """What the sender of a bare document has to give as its partition key: the route's value as text, as JavaScript writes it.

    >>> bare_partition_key("c1"), bare_partition_key(5), bare_partition_key(("b", True))
    ('c1', '5', 'true')
    """
    return _text(key)[1][:MAX_PARTITION_KEY]


def stray_partition_key(route: str, doc_id: Any) -> str:
    """Where to send a document whose key is no key: it is to become a dead letter somewhere, always at the same place."""
    return f"{route}:!:{hashlib.sha256(repr(value(doc_id)).encode()).hexdigest()}"[:MAX_PARTITION_KEY]


def kinesis_hash(text: str) -> int:
    """The 128-bit hash by which Kinesis chooses a partition key's shard: its MD5."""
    return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest())


def dump_key(key: tuple[str, Hashable]) -> dict[str, Any]:
    """A key as a BSON document, for an `_id`."""
    return {"r": key[0], "v": untyped(key[1])}


def load_key(document: Mapping[str, Any]) -> tuple[str, Hashable]:
    """Inverse of dump_key, whatever codec options the document was read with."""
    return document["r"], typed(document["v"])


def _whole(v: float | int | Decimal) -> Hashable:
    """A number in the one form that all numbers equal to it have: an int within 64 bits, else a float, else a Decimal."""
    if v == int(v) and -INT64 <= v < INT64:
        return int(v)
    near = float(v)
    if near == v:
        return near
    plain = EXACT.normalize(Decimal(v))
    whole = plain.as_tuple().exponent > 0 and plain.adjusted() < EXACT.prec  # type: ignore[operator]
    return plain.quantize(Decimal(1), context=EXACT) if whole else plain  # 12345678901234567890 is not shown as 1.2E+19
