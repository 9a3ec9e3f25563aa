"""Reading single values: the same from plain JSON, relaxed and canonical Extended JSON, and native BSON types."""

from __future__ import annotations

import json
import math
import uuid
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from bson import Binary, DatetimeMS, Decimal128, Int64, ObjectId, json_util
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import REASONS, Rejected
from contract.extjson import TAGS
from contract.keys import typed
from contract.times import MAX_MS, MIN_MS
from contract.values import bson_value, flag, get, id_value, number, original, time_ms, to_json, value
from tests.contract.drawn import scalars, values

OID = ObjectId("65a1b2c3d4e5f60718293a4b")
UUID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
CANONICAL = json_util.JSONOptions(json_mode=json_util.JSONMode.CANONICAL)

FOREIGN = [  # numbers to Python, and to nobody else
    ("$numberLong", "1_000"), ("$numberLong", " 12 "), ("$numberLong", "\u0661\u0662"), ("$numberInt", "1\n"),
    ("$numberLong", "1.5"), ("$numberDouble", "1_0.5"), ("$numberDouble", "\t1e3"), ("$numberDouble", "\uff11"),
    ("$numberDecimal", "1_0"), ("$numberInt", ""), ("$numberDecimal", " 1"), ("$numberDecimal", "\u0665.5"),
    ("$numberDouble", "\u0131nf"), ("$numberDouble", "0x10"),
]  # fmt: skip


def rejected(read: Any, v: Any) -> str:
    with pytest.raises(Rejected) as caught:
        read(v)
    assert caught.value.reason in REASONS
    return caught.value.reason


@pytest.mark.parametrize(
    ("v", "is_"),
    [
        (None, None), (5, 5.0), (5.5, 5.5), (-0.0, 0.0), (Int64(7), 7.0), (Decimal128("12.5"), 12.5),
        ({"$numberDecimal": "12.5"}, 12.5),
        ({"$numberLong": "-9"}, -9.0), ({"$numberInt": "3"}, 3.0), ({"$numberDouble": "0.1"}, 0.1), ({"$undefined": True}, None),
        (2**63, 2.0**63),
    ],
)  # fmt: skip
def test_numbers(v: Any, is_: float | None) -> None:
    assert number(v) == is_
    assert v is None or number(v) is None or type(number(v)) is float


@pytest.mark.parametrize(
    ("v", "reason"),
    [
        (math.nan, "not_finite"), (math.inf, "not_finite"), ({"$numberDouble": "NaN"}, "not_finite"), (10**400, "not_finite"),
        ({"$numberDouble": "-Infinity"}, "not_finite"), (Decimal128("NaN"), "not_finite"), (Decimal128("1E+6000"), "not_finite"),
        (True, "type"), ("5", "type"), ([5], "type"), ({}, "type"), ({"a": 1}, "type"), ({"$date": 5}, "type"), (OID, "type"),
        *(({tag: text}, "type") for tag, text in FOREIGN),
        ({"$numberLong": 5}, "type"), ({"$numberDecimal": "five"}, "type"), (datetime(2024, 1, 1), "type"),
    ],
)  # fmt: skip
def test_no_numbers(v: Any, reason: str) -> None:
    assert rejected(number, v) == reason


@pytest.mark.parametrize(
    ("tag", "text", "is_"),
    [
        ("$numberLong", "+5", 5.0), ("$numberInt", "007", 7.0), ("$numberDouble", "-1.E+2", -100.0), ("$numberDouble", ".5", 0.5),
        ("$numberDecimal", "1E+3", 1000.0), ("$numberDouble", "5e-1", 0.5),
    ],
)  # fmt: skip
def test_numbers_in_all_their_spellings(tag: str, text: str, is_: float) -> None:
    assert number({tag: text}) == is_ == float(original(value({tag: text})) if tag != "$numberDecimal" else str(value({tag: text})))


@pytest.mark.parametrize(("tag", "text"), FOREIGN)
def test_a_key_is_no_number_that_only_python_reads(tag: str, text: str) -> None:
    assert rejected(typed, {tag: text}) == "key"


def test_flags() -> None:
    assert [flag(v) for v in (True, False, None, {"$undefined": True})] == [True, False, None, None]
    others: list[Any] = [1, 0, "true", [], {}, {"$numberInt": "1"}]
    for v in others:
        assert rejected(flag, v) == "type"


@pytest.mark.parametrize(
    "v", ["secret 5", {"secret": 1}, ["secret"], {"$secret": 1}, {"$numberDouble": "secret"}, {"$date": "secret"}]
)
def test_a_rejection_never_shows_content(v: Any) -> None:
    for read in (number, flag, time_ms):
        with pytest.raises(Rejected) as caught:
            read(v)
        assert "secret" not in str(caught.value)


SAME: list[list[Any]] = [
    [5, 5.0, Int64(5), Decimal128("5.00"), {"$numberDecimal": "5"}, {"$numberLong": "5"}, {"$numberInt": "5"},
    {"$numberDouble": "5.0"}],
    [0.5, Decimal128("0.5"), {"$numberDecimal": "0.50"}],
    [0, -0.0],
    [1],
    [True],
    ["1"],
    ["true"],
    [False],
    [OID, {"$oid": str(OID)}],
    [str(OID)],
    [UUID, Binary.from_uuid(UUID), {"$uuid": str(UUID)}, {"$binary": {"base64": "ABEiM0RVZneImaq7zN3u/w==", "subType": "04"}}],
    [UUID.hex],
    [Binary(UUID.bytes, 3)],
    [datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1), {"$date": "2024-01-01T00:00:00Z"}, {"$date": 1_704_067_200_000},
     {"$date": {"$numberLong": "1704067200000"}}, datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))],
    [1_704_067_200_000],
    ["2024-01-01T00:00:00Z"],
    [DatetimeMS(MAX_MS + 1), {"$date": {"$numberLong": str(MAX_MS + 1)}}],
    [math.nan, {"$numberDouble": "NaN"}],
    [math.inf, {"$numberDouble": "Infinity"}],
    [[1, 2], [1.0, Int64(2)], (1, 2)],
    [[2, 1]],
    ["[1,2]"],
    [{"a": 1, "b": OID}, {"a": 1.0, "b": {"$oid": str(OID)}}],
    [{"b": {"$oid": str(OID)}, "a": 1}],
    [[]],
    [{}],
]  # fmt: skip


def test_what_is_the_same_compares_equal_and_nothing_else_does() -> None:
    """Each line holds one value in all its forms; across lines nothing is equal."""
    forms = [(line, value(v)) for line, group in enumerate(SAME) for v in group]
    for line_a, a in forms:
        for line_b, b in forms:
            assert (a == b) == (line_a == line_b), (SAME[line_a], SAME[line_b])
            assert a != b or hash(a) == hash(b)


def test_null_is_none() -> None:
    assert value(None) is None
    assert value({"$undefined": True}) is None


@given(values)
def test_a_value_gives_its_original_back(v: Any) -> None:
    typed = value(v)
    back = original(typed)
    assert value(back) == typed
    if not isinstance(v, (list, dict)):
        assert back == bson_value(v)


@given(scalars)
def test_a_value_is_plain_data(v: Any) -> None:
    typed = value(v)
    parts = typed if isinstance(typed, tuple) else (typed,)
    assert all(type(p) in (str, int, float, bool, Decimal, type(None)) for p in parts)


@given(values)
def test_json_and_native_forms_read_alike(v: Any) -> None:
    """Canonical and relaxed Extended JSON of a value, and the value itself."""
    assert value(to_json(v)) == value(v)
    assert value(json.loads(json_util.dumps(v, json_options=CANONICAL))) == value(v)


@given(values)
def test_bson_comes_back_from_json(v: Any) -> None:
    assert bson_value(to_json(v)) == bson_value(v)


@pytest.mark.parametrize(
    "v",
    [{"$oid": "zz"}, {"$date": "soon"}, {"$date": None}, {"$date": True}, {"$numberLong": "x"}, {"$uuid": 5},
    {"$binary": {"base64": 5}},
     *({tag: text} for tag, text in FOREIGN), {"$date": {"$numberLong": "1_0"}}, {"$date": {"$numberLong": 1.5}},
     {"$numberLong": 1.5},
     {"$timestamp": 5}, {"$oid": 5, "x": 1}, {"$date": {"$numberLong": "x"}}, {"$numberDecimal": 5}, {"$oid": "order-17"}],
)  # fmt: skip
def test_what_only_looks_like_extended_json_is_a_document(v: Any) -> None:
    """MongoDB stores names that begin with `$`: such a document comes back as it was. In a configuration it is a slip."""
    assert bson_value(v) == v
    assert to_json(bson_value({"meta": v})) == {"meta": v}
    assert original(value(v)) == v
    with pytest.raises(Rejected):
        bson_value(v, strict=True)


@pytest.mark.parametrize("v", [[], [1], {"$regex": "a"}, {"$oid": "order-17"}, {"$a": 1}, {"k": {"$oid": "z"}}, {"k": [{"$a": 1}]}])
def test_what_no_document_can_have_as_its_id(v: Any) -> None:
    assert rejected(id_value, v) == "type"


@pytest.mark.parametrize(
    "v", [None, {}, {"": 1}, {"a.b": 1}, {"k": [1]}, {"k": {"$regex": "a"}}, {"$oid": str(OID)}, {"$code": "x"}]
)
def test_what_a_document_may_have_as_its_id(v: Any) -> None:
    assert id_value(v) == bson_value(v)


@pytest.mark.parametrize("v", [{"a\0b": 1}, {"$oid": {"a\0b": 1}}, {"$date": {"a\0b": 1}}])
def test_what_bson_cannot_hold(v: Any) -> None:
    assert rejected(bson_value, v) == "type"
    assert rejected(value, [v]) == "type"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["00", "5", "2024-01-01"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*sorted(TAGS), "$scope", "$id", "a", "base64"]), inner)
    ),
    max_leaves=6,
)


@given(anything)
def test_any_json_is_read_or_rejected(v: Any) -> None:
    """Also Extended JSON that only looks like it: no other error than Rejected gets out."""
    for read in (number, flag, value, time_ms, bson_value, typed):
        try:
            read(v)
        except Rejected as error:
            assert error.reason in REASONS


def test_too_deep_nesting() -> None:
    deep: Any = 5
    for _ in range(90):
        deep = [deep]
    assert bson_value(deep) == deep
    for _ in range(20):
        deep = {"a": deep}
    assert rejected(bson_value, deep) == "type"


def test_integers_beyond_64_bits() -> None:
    assert bson_value(2**64) == Decimal128(str(2**64))
    assert value(2**64) == 2**64
    assert isinstance(bson_value(10**40), float)


@pytest.mark.parametrize(
    ("v", "ms"),
    [
        (None, None), ({"$undefined": True}, None), (0, 0), (-1, -1), (1_700_000_000_123.9, 1_700_000_000_123), (Int64(5), 5),
        (-0.5, -1), ("1970-01-01 00:00:00", 0), ("1970-01-01t00:00:00z", 0),
        ("1970-01-01T00:00:01", 1_000), ("1970-01-01T00:00:01Z", 1_000),
        ("1970-01-01T01:00:01+01:00", 1_000), ("1970-01-01 00:00:00.0019Z", 1), ("1969-12-31T23:59:59.9999Z", -1),
        ("1969-12-31T23:59:59.9990001Z", -1), ("0001-01-01T00:00:00", MIN_MS), ("9999-12-31T23:59:59.999Z", MAX_MS),
        (datetime(1970, 1, 1), 0), (datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), -1), (DatetimeMS(7), 7),
        ({"$date": "1970-01-01T00:00:00.007Z"}, 7), ({"$date": 7}, 7), ({"$date": {"$numberLong": "-7"}}, -7),
        ({"$numberLong": "7"}, 7),
        ({"$numberDouble": "7.9"}, 7),
    ],
)  # fmt: skip
def test_times(v: Any, ms: int | None) -> None:
    assert time_ms(v) == ms


@pytest.mark.parametrize(
    "text",
    [
        "1764121530123", "1764121530", "2025", "2025-11", "2025-11-26", "20251126", "20251126T100000Z", "2025-W48-3",
        "2025-W48-3T10:00:00",
        "2025-330T10:00:00", "2025-11-26T10", "2025-11-26T10:00", "2025-11-26T10:00:00,5Z", "2025-11-26T10:00:00.Z",
        "2025-11-26T10:00:00+01", "2025-11-26T10:00:00+0100", "2025-11-26T10:00:00 Z", "2025-11-26_10:00:00",
        " 2025-11-26T10:00:00",
        "2025-11-26T24:00:00", "2025-11-26T10:00:60", "2025-02-29T10:00:00", "2025-11-26T10:00:00+24:00",
        "2025-11-26T10:00:00+00:60", "2025-11-26T10:00:00-12:99", "２025-11-26T10:00:00",
        "",
        "now",
    ],
)  # fmt: skip
def test_every_other_text_is_no_time(text: str) -> None:
    assert rejected(time_ms, text) == "time"


@pytest.mark.parametrize(
    "v",
    ["", "yesterday", "1700000000", "2024-13-01", "2023-02-29", True, False, [], {}, {"a": 1}, OID, {"$oid": str(OID)},
    math.nan, math.inf,
     MAX_MS + 1, MIN_MS - 1, DatetimeMS(MAX_MS + 1), {"$date": {"$date": {"$date": 5}}}, {"$date": True}, {"$numberLong": "x"},
     *({tag: text} for tag, text in FOREIGN), {"$date": {"$numberLong": "1_0"}}, {"$numberDecimal": "1E+400"},
     "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", 10**30, {"$numberDecimal": "NaN"}, Decimal128("5"), b"2024"],
)  # fmt: skip
def test_no_times(v: Any) -> None:
    assert rejected(time_ms, v) == "time"


@given(st.integers(MIN_MS, MAX_MS))
def test_any_time_in_any_form(ms: int) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    for form in (ms, at, at.isoformat(), to_json(at), {"$date": {"$numberLong": str(ms)}}, DatetimeMS(ms)):
        assert time_ms(form) == ms


def test_paths() -> None:
    document = {"a": {"b": {"c": 5}}, "l": [{"x": 1}], "n": None}
    assert get(document, "a.b.c") == 5
    assert get(document, "a.b") == {"c": 5}
    assert [get(document, path) for path in ("z", "a.z", "l.x", "n.x", "a.b.c.d")] == [None] * 5
