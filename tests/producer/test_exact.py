"""What MongoDB holds is what the consumer reads: each type of value and kind of change, through a real mongod and emulator."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bson import Binary, Code, DatetimeMS, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.binary import UuidRepresentation

from config.load import parse
from contract.values import bson_value
from tests.conftest import Client
from tests.producer.conftest import Start, Stream, pipeline, soon
from tests.producer.consumed import consume
from tests.producer.test_producer import relayed

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
VALUES: dict[str, Any] = {
    "decimal": Decimal128("12345678901234567890.1234567890123"), "decimal_zeros": Decimal128("1.500"),
    "oid": ObjectId("65a1b2c3d4e5f60718293a4b"), "uuid": Binary.from_uuid(uuid.UUID(int=5), UuidRepresentation.STANDARD),
    "bytes": Binary(b"\x00\xff", 128), "long": Int64(2**53 + 1), "longest": Int64(-(2**63)), "int": 7, "double": 0.1, "whole": 3.0,
    "minus": -0.0, "nested": [1, [2, [{"a": [None, True]}]], {"b": {"c": [[]]}}], "empty": {},
    "größe": "naïve ☃ 𝄞",
    "日付": {"ключ": 1},
    "early": datetime(1, 1, 1, tzinfo=UTC), "late": datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
    "beyond": DatetimeMS(300_000_000_000_000), "before": DatetimeMS(-200_000_000_000_000),
    "stamp": Timestamp(2**32 - 1, 2**32 - 1), "regex": Regex("^a.*", "i"), "code": Code("f()"), "least": MinKey(), "most": MaxKey(),
    "dollars": {"$oid": "no id", "$set": 1, "$numberLong": "nor a number", "$date": {"$x": 1}}, "text": "\x00\u2028\\\"",
}  # fmt: skip
KEYS = [
    Int64(2**53 + 1),
    Int64(2**53),
    Decimal128("0.1234567890123456789012345678901234"),
    ObjectId("65a1b2c3d4e5f60718293a4b"),
    "ключ",
    True,
]
WINDOWS = """
[[windows]]
name = "hourly"
trigger = "pay"
key = "card"
tumbling = { size = "1h" }
measures = { n = "count()", total = "sum(amount)" }
"""


def spelled(value: Any) -> Any:
    """Comparable, with its type."""
    if isinstance(value, dict):
        return {name: spelled(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [spelled(inner) for inner in value]
    if isinstance(value, Regex):
        return "Regex", value.pattern, value.flags
    kind = "int" if type(value) in (int, Int64) else "bytes" if isinstance(value, (bytes, Binary)) else type(value).__name__
    return kind, repr(value) if isinstance(value, float) else str(value)


def test_values_and_changes_come_to_the_consumer_as_they_are(
    start: Start, stream: Stream, mongo: Client, database_name: str, tmp_path: Path
) -> None:
    more = (
        WINDOWS
        + f"""
[[trigger]]
name = "imaged"
database = "{database_name}"
collection = "imaged"
routes = ["card"]
before = true
"""
    )
    text = pipeline(stream.name, database_name, more, 'time = "at"')
    running = start(text).ready()
    database = mongo[database_name]
    at = datetime.now(UTC).replace(microsecond=0)
    documents = [{"_id": n, "card": key, "at": at, "amount": 1} for n, key in enumerate(KEYS)]
    documents.append({"_id": VALUES["uuid"], "card": "all", "at": at, "amount": 1, **VALUES})
    database.payments.insert_many(documents)
    database.imaged.insert_one({"_id": 1, "card": "c", **VALUES})
    database.imaged.delete_one({"_id": 1})  # with a pre-image
    database.payments.delete_one({"_id": 0})  # without one
    soon(lambda: relayed(mongo, database_name) == len(documents) + 3)
    database.payments.rename("paid")
    database.paid.insert_one({"_id": "elsewhere", "card": "c", "at": at})
    database.imaged.drop()
    database.create_collection("imaged", changeStreamPreAndPostImages={"enabled": True})
    database.payments.insert_one({"_id": "again", "card": "c", "at": at, "amount": 1})
    database.imaged.insert_one({"_id": "again", "card": "c"})
    soon(lambda: relayed(mongo, database_name) == len(documents) + 5)
    assert running.end() == 0
    assert running.said("namespace changed", operation="rename", triggers=["pay"])
    assert running.said("namespace changed", operation="drop", triggers=["imaged"])
    events = [event for _, event in stream.events()]
    inserted = {spelled(bson_value(e.doc_id)): e for e in events if e.trigger == "pay" and e.op == "insert"}
    assert inserted.keys() == {spelled(d["_id"]) for d in documents} | {spelled("again")}
    for document in documents:
        event = inserted[spelled(document["_id"])]
        assert spelled(bson_value(event.document)) == spelled(document), document
        assert spelled(bson_value(event.key)) == spelled(document["card"])
    [gone] = [event for event in events if event.trigger == "imaged" and event.op == "delete"]
    assert gone.document is None and spelled(bson_value(gone.before)) == spelled({"_id": 1, "card": "c", **VALUES})
    [bare] = [event for event in events if event.trigger == "pay" and event.op == "delete"]
    assert (bare.document, bare.before, bare.key, bson_value(bare.doc_id)) == (None, None, None, 0)
    views, counters = consume(parse(text), stream, tmp_path)
    assert not views["dead_letters"], [(one["reason"], one["why"]) for one in views["dead_letters"]]
    keys = [spelled(bson_value(view["key"])) for view in views["hourly"]]
    assert sorted(keys) == sorted(spelled(key) for key in [*KEYS, "all", "c"]) and {v["n"] for v in views["hourly"]} == {1}
    assert sum(one.classes["dead_letter"] for one in counters) == 0


def test_bare_documents_are_what_the_classic_function_puts_and_the_consumer_counts_them(
    start: Start, stream: Stream, mongo: Client, database_name: str, tmp_path: Path
) -> None:
    """As `PutRecord({Data: JSON.stringify(event.fullDocument), PartitionKey: fullDocument.card})`."""
    text = pipeline(stream.name, database_name, WINDOWS, 'time = "at"\nenvelope = false')
    text = text.replace('heartbeat = "200ms"', 'format = "document"')
    running = start(text).ready()
    payments = mongo[database_name].payments
    payments.insert_many([{"_id": n, "card": f"c{n % 3}", "at": AT, "amount": Decimal128(f"{n}.5"), "ß": n} for n in range(30)])
    payments.delete_one({"_id": 0})
    payments.insert_one({"_id": 30, "card": "c0", "at": AT, "amount": 1})
    soon(lambda: relayed(mongo, database_name) == 31)
    assert running.end() == 0
    views, counters = consume(parse(text), stream, tmp_path)
    found = {view["key"]: (view["n"], view["total"]) for view in views["hourly"]}
    sums = {f"c{k}": sum(n + 0.5 for n in range(k, 30, 3)) for k in range(3)}
    assert found == {"c0": (11, sums["c0"] + 1), "c1": (10, sums["c1"]), "c2": (10, sums["c2"])}
    assert sum(one.classes["counted"] for one in counters) == sum(one.records for one in counters) == 31
