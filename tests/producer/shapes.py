"""Change documents as a change stream gives them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bson import ObjectId, Timestamp

from config.specs import Trigger

TOKEN = "8265A1B2C3000000012B022C0100296E5A1004"
OID = ObjectId("65a1b2c3d4e5f60718293a4b")
CLUSTER = Timestamp(1_700_000_000, 7)
AT = datetime(2023, 11, 14, 22, 13, 19, 123_000)  # a date as pymongo gives it: without zone, in UTC
AT_MS = 1_699_999_999_123
PAYMENT: dict[str, Any] = {"_id": OID, "card_id": "c1", "terminal_id": 7, "amount": 12.5, "at": AT}


def trigger(**more: Any) -> Trigger:
    fields: dict[str, Any] = {"routes": ("card_id", "terminal_id"), "time": "at"}
    return Trigger("pay", "shop", "payments", **(fields | more))


def change(op: str = "insert", document: dict[str, Any] | None = None, before: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "_id": {"_data": TOKEN}, "operationType": op, "clusterTime": CLUSTER, "ns": {"db": "shop", "coll": "payments"},
        "documentKey": {"_id": (document or before or {"_id": OID})["_id"]}, "fullDocument": document,
        **({"fullDocumentBeforeChange": before} if before is not None else {}),
    }  # fmt: skip
