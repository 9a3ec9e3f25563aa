"""One message of each shape that crosses the stream, in Python; tests/golden holds their bytes."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from bson import Binary, Code, DatetimeMS, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp

from contract.event import Event, Gap, Heartbeat, Message

OID = ObjectId("65a1b2c3d4e5f60718293a4b")
AT = 1_700_000_000_123
TOKEN = "8265A1B2C3000000012B022C0100296E5A1004"
PAYMENT: dict[str, Any] = {
    "_id": OID, "card_id": "card-0001", "terminal_id": "term-07", "amount": 12.5, "country": "DE", "declined": False,
    "at": datetime(2023, 11, 14, 22, 13, 20, 123_000, tzinfo=UTC),
}  # fmt: skip
CHANGED = {**PAYMENT, "amount": 99, "card_id": "card-0002"}

EVERY_TYPE: dict[str, Any] = {
    "text": 'Grüße, "quoted" \\ \n 👋', "empty": "", "true": True, "null": None, "int": 5, "negative": -7, "long": Int64(2**40),
    "largest": Int64(2**63 - 1), "double": 0.1, "whole_double": 5.0, "huge_double": 1e300, "nan": float("nan"), "inf": float("inf"),
    "minus_inf": float("-inf"), "decimal": Decimal128("12.50"), "oid": OID, "date": datetime(2024, 2, 29, tzinfo=UTC),
    "date_ms": datetime(2024, 2, 29, 1, 2, 3, 4_000, tzinfo=UTC), "before_1970": datetime(1960, 1, 1, tzinfo=UTC),
    "far_date": DatetimeMS(300_000_000_000_000), "uuid": Binary.from_uuid(uuid.UUID(int=1)), "bytes": b"\x00\xff",
    "binary": Binary(b"abc", 128), "regex": Regex("^a.*", "im"), "timestamp": Timestamp(5, 6), "min": MinKey(), "max": MaxKey(),
    "code": Code("x => x"), "scoped": Code("x => y", {"y": 1}), "ref": DBRef("cards", OID), "list": [1, [2, {"a": None}], []],
    "document": {"a": {"b": {"c": 1}}, "": 0},
}  # fmt: skip


def _event(op: Any, route: str = "card_id", key: Any = "card-0001", **more: Any) -> Event:
    fields = {"at": AT, "cluster": AT + 500, "doc_id": OID, **more}
    return Event(id=f"{TOKEN}/{route}", trigger="transactions", route=route, op=op, key=key, **fields)


SHAPES: dict[str, Message] = {
    "insert": _event("insert", document=PAYMENT),
    "insert_other_route": _event("insert", "terminal_id", "term-07", document=PAYMENT),
    "update_lookup": _event("update", document=CHANGED),
    "update_lookup_too_late": _event("update", key=None),
    "update_before": _event("update", before=PAYMENT, document={**PAYMENT, "amount": 99}),
    "replace": _event("replace", document=CHANGED),
    "replace_before": _event("replace", before=PAYMENT, document={**PAYMENT, "amount": 99}),
    "delete": _event("delete", key=None),
    "delete_before": _event("delete", before=PAYMENT),
    "route_changed_out": _event("update", before=PAYMENT),
    "route_changed_in": _event("update", key="card-0002", document=CHANGED),
    "key_missing": _event("insert", key=None, document={"_id": 5}, doc_id=5),
    "key_oid": _event("insert", key=OID, document={"card_id": OID}),
    "key_number": _event("insert", key=Int64(17), document={"card_id": Int64(17)}),
    "time_unreadable": _event("insert", at=None, document={**PAYMENT, "at": "yesterday"}),
    "time_before_1970": _event("insert", at=-1, document=PAYMENT),
    "backfill": _event("insert", document=PAYMENT, origin="backfill"),
    "every_type": _event("insert", document=EVERY_TYPE),
    "heartbeat": Heartbeat(cluster=AT),
    "gap": Gap(AT, AT + 60_000, ("transactions", "carts")),
}
