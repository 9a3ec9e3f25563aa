"""Keys: what is one key and what is two, and where Kinesis puts them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Any

import pytest
from bson import Binary, Decimal128, Int64, ObjectId, decode, encode
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import Rejected
from contract.keys import (
    EXACT,
    MAX_PARTITION_KEY,
    dump_key,
    kinesis_hash,
    load_key,
    partition_key,
    stray_partition_key,
    typed,
    untyped,
)
from contract.values import to_json
from tests.contract.drawn import dates, integers, oids, texts, uuids

OID = ObjectId("65a1b2c3d4e5f60718293a4b")
UUID = uuid.UUID(int=7)
keys = st.one_of(texts, integers, st.floats(allow_nan=False, allow_infinity=False), st.booleans(), oids, uuids, dates)


@pytest.mark.parametrize(
    ("v", "partition"),
    [
        ("5", "card:t:5"), ("", "card:t:"), (5, "card:n:5"), (5.0, "card:n:5"), (Int64(5), "card:n:5"),
        (Decimal128("5.0"), "card:n:5"),
        ({"$numberLong": "5"}, "card:n:5"), (-0.0, "card:n:0"), (0.5, "card:f:0.5"), ({"$numberDecimal": "0.5"}, "card:f:0.5"),
        (2.0**63, "card:f:9.223372036854776e+18"), (True, "card:b:true"), (False, "card:b:false"),
        (OID, f"card:o:{OID}"), ({"$oid": str(OID)}, f"card:o:{OID}"), (UUID, f"card:u:{UUID.hex}"),
        (Binary.from_uuid(UUID), f"card:u:{UUID.hex}"), (datetime(1970, 1, 1, 0, 0, 1), "card:d:1000"),
        ({"$date": "1970-01-01T00:00:01Z"}, "card:d:1000"),
    ],
)  # fmt: skip
def test_partition_keys(v: Any, partition: str) -> None:
    assert partition_key("card", typed(v)) == partition


@pytest.mark.parametrize(
    "v", [None, {}, {"a": 1}, [], [5], float("nan"), float("inf"), b"x", {"$date": "soon"}, {"$undefined": True}, Decimal128("NaN")]
)
def test_no_keys(v: Any) -> None:
    with pytest.raises(Rejected) as caught:
        typed(v)
    assert caught.value.reason == "key"


def test_card_5_and_card_text_5_and_true_and_1_are_different_keys() -> None:
    assert len({typed(v) for v in (5, "5", True, 1, "true", "1", False, 0, str(OID), OID)}) == 10


@given(st.integers(1 - 10**34, 10**34 - 1), st.integers(-40, 40), st.integers(0, 3))
def test_equal_numbers_are_one_key_of_one_form(digits: int, exponent: int, zeros: int) -> None:
    """So which of them an event brought, and which one a process met first, shows in no document."""
    exact = Decimal(digits).scaleb(exponent, Context(prec=50))
    padded = Decimal(f"{digits}{'0' * zeros}E{exponent - zeros}")
    ways: list[Any] = [Decimal128(d) for d in (exact, padded) if len(d.as_tuple().digits) <= EXACT.prec]
    ways += [n for n in (float(exact), int(exact)) if n == exact and (type(n) is float or -(1 << 63) <= n < 1 << 63)]
    shown = {repr((key, untyped(key), partition_key("card", key))) for key in map(typed, ways)}
    assert len(shown) == 1


@given(keys)
def test_a_key_comes_back_from_its_document(v: Any) -> None:
    """Through BSON as any client reads it: aware or naive dates."""
    key = ("card_id", typed(v))
    assert load_key(decode(encode(dump_key(key)))) == key
    assert typed(untyped(key[1])) == key[1] == typed(to_json(v))


@given(keys, keys)
def test_equal_keys_have_equal_partition_keys_and_others_have_not(a: Any, b: Any) -> None:
    assert (typed(a) == typed(b)) == (partition_key("r", typed(a)) == partition_key("r", typed(b)))


def test_a_uuid_is_written_as_a_binary_that_every_client_takes() -> None:
    assert untyped(typed(UUID)) == Binary(UUID.bytes, 4)
    assert untyped(typed(datetime(2024, 1, 1))) == datetime(2024, 1, 1, tzinfo=UTC)


def test_long_keys_are_hashed_and_stay_apart() -> None:
    a, b = (partition_key("card", "x" * 300 + end) for end in "ab")
    assert len(a) == len(b) == 64
    assert a != b
    assert len(partition_key("card", "é" * (MAX_PARTITION_KEY - 7))) == MAX_PARTITION_KEY
    assert len(partition_key("card", "é" * (MAX_PARTITION_KEY - 6))) == 64


def test_a_document_without_a_key_has_a_place_of_its_own() -> None:
    strays = {stray_partition_key("card", v) for v in (1, "1", OID, {"a": 1}, None)}
    assert len(strays) == 5
    assert all(1 <= len(s) <= MAX_PARTITION_KEY for s in strays)
    assert stray_partition_key("card", OID) == stray_partition_key("card", {"$oid": str(OID)})


def test_the_hash_is_the_md5_that_kinesis_takes() -> None:
    assert kinesis_hash("a") == int("0cc175b9c0f1b6a831c399e269772661", 16)


@pytest.mark.parametrize(
    "numbers",
    [
        [2**63, {"$numberDecimal": str(2**63 + 1)}, {"$numberDecimal": str(2**63 + 2)}],
        [{"$numberDecimal": "12345678901234567890"}, {"$numberDecimal": "12345678901234567891"}],
        [{"$numberDecimal": "1.000000000000000000000000000001"}, 1],
        [{"$numberDecimal": "0.1"}, 0.1],
        [{"$numberDecimal": "1E+400"}, {"$numberDecimal": "1E+401"}],
    ],
)
def test_numbers_that_differ_anywhere_are_different_keys(numbers: list[Any]) -> None:
    keys = [typed(n) for n in numbers]
    assert len(set(keys)) == len(keys)
    assert len({partition_key("k", key) for key in keys}) == len(keys)
    assert [typed(untyped(key)) for key in keys] == keys


@pytest.mark.parametrize(
    "numbers",
    [
        [1, 1.0, {"$numberDecimal": "1"}, {"$numberDecimal": "1.000"}, {"$numberLong": "1"}],
        [float(2**63), {"$numberDecimal": str(2**63)}, {"$numberDouble": "9223372036854775808"}],
        [{"$numberDecimal": "0.5"}, 0.5, {"$numberDecimal": "5E-1"}],
        [{"$numberDecimal": "12345678901234567890.10"}, {"$numberDecimal": "12345678901234567890.1"}],
        [0, -0.0, {"$numberDecimal": "-0"}, {"$numberDecimal": "0E+5"}],
    ],
)
def test_numbers_that_mongodb_holds_equal_are_one_key(numbers: list[Any]) -> None:
    keys = [typed(n) for n in numbers]
    assert len(set(keys)) == 1
    assert len({(type(key), partition_key("k", key)) for key in keys}) == 1


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("12345678901234567890", "12345678901234567890"),
        ("12345678901234567890.00", "12345678901234567890"),
        ("1.234567890123456789E+19", "12345678901234567890"),
        ("0.10", "0.1"),
        ("1E+400", "1E+400"),
    ],
)
def test_a_decimal_is_shown_as_people_write_it_and_lies_where_it_always_did(written: str, shown: str) -> None:
    key = typed({"$numberDecimal": written})
    assert str(untyped(key)) == shown
    assert partition_key("k", key) == f"k:m:{EXACT.normalize(Decimal(written))}"
