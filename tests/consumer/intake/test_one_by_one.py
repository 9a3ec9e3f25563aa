"""A record to a row: what is checked of it by itself, and what is kept of one that fails."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from bson import Decimal128, Int64, ObjectId

from config.load import parse
from config.specs import Trigger
from consumer.intake.batch import Batch, Raw, Reader
from consumer.intake.judge import asked, letter, old_time
from contract.codec import encode
from contract.errors import Rejected
from contract.event import Event
from contract.times import date
from tests.consumer.stream import SHARD, SPEC, S, beat, change, raws, run
from windows.engine import BY_HEARTBEAT, CHANGE, NEVER, TIME, VOID

PAIRS = [("pay", "card"), ("carts", "cart")]


def read(*lines: bytes, arrived: int | None = None) -> Batch:
    return Reader(SPEC, PAIRS).read([Raw(data, "p", n, 0, arrived) for n, data in enumerate(lines)])


def pay(n: int = 1, key: Any = "a", at: int | None = S, **fields: Any) -> bytes:
    return change(n, "pay", "card", key, at, **fields)


def test_good_rows_become_columns() -> None:
    batch = read(pay(1, "a", 5 * S, amount=2, shop="x"), change(1, "pay", "shop", "a", 5 * S, amount=1.5), beat(9 * S))
    c = batch.columns
    assert c.kind.tolist() == [CHANGE, CHANGE, TIME]
    assert c.mark.tolist() == [5 * S, 5 * S, 9 * S]
    assert c.cause.tolist()[2] == BY_HEARTBEAT
    assert [c.keys[i] for i in c.key.tolist()[:2]] == [("card", "a"), ("shop", "a")]
    assert c.stream.tolist()[0] != c.stream.tolist()[1]
    assert c.number["amount"].tolist()[:2] == [2.0, 1.5]
    assert c.value["shop"] == ["x", None, None]
    assert (c.put.tolist(), c.take.tolist()) == ([True, True, False], [False] * 3)
    assert batch.verdicts == [None, None, "control"]
    assert [c.mark.dtype, c.kind.dtype, c.key.dtype, c.put.dtype] == [np.int64, np.int8, np.int32, np.bool_]


def test_a_missing_number_is_nan_and_all_kinds_of_numbers_are_numbers() -> None:
    given = [None, 1, 1.5, {"$numberLong": "7"}, {"$numberDecimal": "2.5"}, {"$numberDouble": "3"}]
    batch = read(pay(0), *(pay(n, amount=v) for n, v in enumerate(given, start=1)))
    found = batch.columns.number["amount"].tolist()
    assert math.isnan(found[0]) and math.isnan(found[1])
    assert found[2:] == [1.0, 1.5, 7.0, 2.5, 3.0]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "json"),
        (b"{", "json"),
        (b"\xff\xfe", "json"),
        (b"null", "envelope"),
        (b"{}", "envelope"),
        (b'{"kind":"strange"}', "envelope"),
        (pay().replace(b'"v":1', b'"v":2'), "envelope"),
        (change(1, "nobody", "card", "a", S), "trigger"),
        (change(1, "pay", "terminal", "a", S), "trigger"),
        (pay(key=None), "key"),
        (pay(key=[1]), "key"),
        (pay(key={"a": 1}), "key"),
        (pay(at=None), "time"),
        (pay(at=253_402_300_800_000), "time"),
        (pay(at=-62_135_596_800_001), "time"),
        (change(1, "pay", "card", "a", 7_200 * S, "insert", None, None, 3_599 * S), "future"),
        (change(1, "pay", "card", "a", S, "insert", None, None, 253_402_300_800_000), "time"),
        (change(1, "pay", "card", "a", S, "insert", None, None, 1 << 62).replace(b'"000001/card"', b'""'), "time"),
        (pay(amount="1"), "type"),
        (pay(amount=True), "type"),
        (pay(amount={"$numberLong": "1_000"}), "type"),
        (pay(amount={"$numberInt": "\u0661\u0662"}), "type"),
        (pay(key={"$numberLong": " 12 "}), "key"),
        (pay(amount={"$numberDouble": "NaN"}), "not_finite"),
        (pay(amount={"$numberDouble": "-Infinity"}), "not_finite"),
        (pay(amount={"$numberDecimal": "NaN"}), "not_finite"),
        (change(1, "pay", "card", "a", S, "insert", None, {"$oid": "not one"}), "type"),  # no _id of a document, nor of its score
        (change(1, "pay", "card", "a", S, "insert", None, [1]), "type"),
        (pay(amount={"$numberDouble": "many"}), "type"),  # which looks like a number, and is a document
        (b'{"kind":"heartbeat","v":1,"cluster":253402300800000}', "time"),
        (encode(Event("1/card", "pay", "card", "insert", "a", S, S, 1)), "envelope"),
    ],
)
def test_a_record_that_cannot_be_used_is_void_and_says_why(line: bytes, reason: str) -> None:
    batch = read(line, pay())
    assert batch.rejected[0].reason == reason
    assert batch.verdicts == ["dead_letter", None]
    assert (batch.columns.kind.tolist(), batch.columns.mark.tolist()[0]) == ([VOID, CHANGE], NEVER)


def test_a_bad_field_that_no_window_set_of_the_route_reads_is_no_reason() -> None:
    assert read(change(1, "pay", "shop", "x", S, amount=2, card=5, other={"$oid": "zz"})).verdicts == [None]


def test_a_bad_field_is_found_whatever_where_says() -> None:
    assert read(change(1, "pay", "shop", "x", S, amount="0")).rejected[0].reason == "type"


@pytest.mark.parametrize(("arrived", "at", "fine"), [(S, 3_601 * S, True), (S, 3_601 * S + 1, False), (None, 3_601 * S, True)])
def test_an_event_may_lie_only_so_far_ahead_of_its_arrival(arrived: int | None, at: int, fine: bool) -> None:
    batch = read(change(1, "pay", "card", "a", at, "insert", None, None, S), arrived=arrived)
    assert batch.verdicts == [None if fine else "dead_letter"]


def test_keys_of_equal_value_are_one_and_true_is_not_one() -> None:
    oid = {"$oid": "64b64b64b64b64b64b64b64b"}
    batch = read(*(pay(n, k) for n, k in enumerate([5, 5.0, {"$numberLong": "5"}, "5", True, 1, oid, oid])))
    assert batch.columns.key.tolist() == [0, 0, 0, 1, 2, 3, 4, 4]
    assert len(set(batch.hashes)) == 5


def test_models_see_bson_types_and_only_rows_that_they_read() -> None:
    line = change(
        1, "pay", "card", "a", S, "insert", None, {"$oid": "64b64b64b64b64b64b64b64b"}, when={"$date": "1970-01-01T00:00:05Z"}
    )
    batch = read(line, change(2, "pay", "shop", "x", S), beat(S))
    [happening] = batch.happenings.values()
    assert happening.document["when"] == date(5 * S)
    assert happening.doc_id == ObjectId("64b64b64b64b64b64b64b64b")
    assert (happening.token, happening.at, happening.key) == ("000001", S, "a")


PLAIN = Trigger("t", "d", "c", ("k",))
VERSIONS = Trigger("t", "d", "c", ("k",), updates="new_event")
IMAGES = Trigger("t", "d", "c", ("k",), time="at", before=True)
NO_DELETES = Trigger("t", "d", "c", ("k",), before=True, deletes="ignore")
DOCUMENT = {"k": 1}


def event(op: Any, document: Any = None, before: Any = None) -> Event:
    return Event("1/k", "t", "k", op, 1, S, 7 * S, 1, document, before)


@pytest.mark.parametrize(
    ("trigger", "op", "has", "had", "put", "take"),
    [
        (PLAIN, "insert", True, False, True, False),
        (PLAIN, "update", True, False, False, False),
        (PLAIN, "replace", True, False, False, False),
        (PLAIN, "delete", False, False, False, False),
        (VERSIONS, "update", True, False, True, False),
        (VERSIONS, "replace", True, False, True, False),
        (VERSIONS, "update", False, False, False, False),  # a look-up that found nothing
        (VERSIONS, "delete", False, False, False, False),
        (IMAGES, "update", True, True, True, True),
        (IMAGES, "update", False, True, False, True),  # the half on the old key
        (IMAGES, "update", True, False, True, False),  # the half on the new one
        (IMAGES, "replace", True, True, True, True),
        (IMAGES, "delete", False, True, False, True),
        (IMAGES, "delete", False, False, False, False),
        (NO_DELETES, "delete", False, True, False, False),
        (NO_DELETES, "update", True, True, True, True),
        (PLAIN, "delete", False, True, False, False),
    ],
)
def test_what_an_operation_asks_for(trigger: Trigger, op: str, has: bool, had: bool, put: bool, take: bool) -> None:
    assert asked(trigger, event(op, DOCUMENT if has else None, DOCUMENT if had else None)) == (put, take)


@pytest.mark.parametrize(
    ("before", "at"), [({"at": 5}, 5), ({"at": {"$date": "1970-01-01T00:00:01Z"}}, S), ({}, 7 * S), ({"at": "soon"}, 7 * S)]
)
def test_the_time_of_the_old_value(before: dict[str, Any], at: int) -> None:
    assert old_time(IMAGES, event("delete", None, before)) == at


@pytest.mark.parametrize(
    ("data", "record", "binary"), [(b"{", "{", None), (b"\xff\x00", None, b"\xff\x00"), ("ß".encode(), "ß", None), (b"", "", None)]
)
def test_a_dead_letter_keeps_the_record_whole(data: bytes, record: str | None, binary: bytes | None) -> None:
    name, document = letter(SHARD, Raw(data, "p", 10**40, 2, 5 * S), None, Rejected("json", "why"))
    assert name == "dead_letters"
    assert document == {
        "_id": {"stream": "stream", "created": 1, "shard": "shard-0", "sequence": str(10**40), "sub": 2},
        "reason": "json",
        "why": "why",
        "trigger": None,
        "route": None,
        "record": record,
        "binary": binary,
        "partition_key": "p",
        "arrived_at": date(5 * S),
    }


def test_dead_letters_and_ignored_records_touch_nothing() -> None:
    good = [pay(1, "a", S, amount=1), pay(3, "a", 2 * S, amount=1)]
    strange = [b"{", pay(2, "a", 900 * S, amount="x"), change(4, "carts", "cart", "c", 900 * S, "update"), pay(5, "a", None)]
    strange.append(change(6, "pay", "card", "a", 90_000 * S, "insert", None, None, S, amount=1))
    alone, among = run(good, end=False), run([good[0], *strange, good[1]], end=False)
    assert among.watermark == alone.watermark
    assert {k: v for k, v in among.documents.items() if k != "dead_letters"} == {
        k: v for k, v in alone.documents.items() if k != "dead_letters"
    }
    assert [d["reason"] for d in among.documents["dead_letters"]] == ["json", "type", "time", "future"]
    assert dict(among.counters.classes) == {"counted": 2, "repeat": 0, "late": 0, "ignored": 1, "control": 0, "dead_letter": 4}


def test_late_events_are_dead_letters_unless_every_set_drops_them() -> None:
    #  shop route: `load` drops; card route: `minute` keeps for 20 s, then it is a dead letter (the rolling sets are behind, too)
    late = [change(1, "pay", "shop", "x", S, amount=2), change(2, "pay", "card", "a", S, amount=2, shop="x")]
    found = run([beat(600 * S), *late, change(3, "carts", "cart", "k", S, action="add")])
    assert found.counters.classes["late"] == 3
    assert [(d["reason"], d["trigger"], d["route"]) for d in found.documents["dead_letters"]] == [
        ("late", "pay", "card"),
        ("late", "carts", "cart"),
    ]
    assert dict(found.counters.late_by_set) == {"load": 1, "minute": 1, "recent": 1, "habit": 1, "visits": 1}
    assert found.counters.dead_by_reason == {"late": 2}
    [score] = found.documents["fraud_scores"]
    assert score["features"] == {"recent": {"n": None, "spend": None}, "habit": {"n": None, "mean": None}}


def test_out_of_order_holds_the_watermark_back() -> None:
    spec = parse(
        '[stream]\nname = "s"\nout_of_order = "2s"\n[[trigger]]\nname = "t"\ndatabase = "d"\ncollection = "c"\nroutes = ["k"]\n'
    )
    batch = Reader(spec).read(raws([change(1, "t", "k", 1, 5 * S)]))
    assert batch.columns.mark.tolist() == [3 * S]
    assert batch.columns.stream.tolist() == [-1]


def test_a_document_that_looks_like_a_type_is_a_document() -> None:
    odd = {"$oid": "order-17"}
    batch = read(pay(note=odd, amount=2))
    assert batch.verdicts == [None]
    [happening] = batch.happenings.values()
    assert happening.document["note"] == odd


@pytest.mark.parametrize("ways", [1, 50])  # read one by one, and in place
def test_an_event_ahead_of_when_it_was_written_takes_the_watermark_no_further_than_that(ways: int) -> None:
    #  written, arrived        its clock: half an hour ahead
    #  10                      1810          the watermark is 10
    ahead = change(1, "pay", "card", "a", 1_810 * S, "insert", None, None, 10 * S, amount=1)
    batch = Reader(SPEC).read([Raw(ahead, "p", n, 0, 10 * S) for n in range(ways)])
    assert batch.verdicts == [None] * ways
    assert batch.columns.mark.tolist() == [10 * S] * ways
    assert batch.columns.at.tolist() == [1_810 * S] * ways


@pytest.mark.parametrize(("ahead", "reason"), [(3_600 * S, None), (3_600 * S + 1, "future"), (86_400 * S, "future")])
@pytest.mark.parametrize("ways", [1, 50])
def test_a_heartbeat_may_lie_only_so_far_ahead_of_its_arrival(ahead: int, reason: str | None, ways: int) -> None:
    batch = Reader(SPEC).read([Raw(beat(ahead - 2 * S), "p", n, 0, 0) for n in range(ways)])
    assert [batch.rejected[n].reason if n in batch.rejected else None for n in range(ways)] == [reason] * ways
    assert batch.verdicts == ["dead_letter" if reason else "control"] * ways
    assert batch.columns.mark.tolist() == [NEVER if reason else ahead - 2 * S] * ways


def test_values_of_first_and_last_come_back_with_their_types() -> None:
    lines = [pay(1, amount=1, shop={"$numberDecimal": "1.50"}), pay(2, at=2 * S, amount=1, shop={"$date": "1970-01-01T00:00:05Z"})]
    for way in ({}, {"cuts": [1], "cap": 0}):
        [document] = run(lines[:1], **way).documents["minute"]  # type: ignore[arg-type]
        assert document["last"] == Decimal128("1.50")
        [document] = run(lines, **way).documents["minute"]  # type: ignore[arg-type]
        assert document["last"] == date(5 * S)
    assert isinstance(run([pay(1, {"$numberLong": "5"}, shop=7)]).documents["minute"][0]["last"], (int, Int64))
