"""Columns hold what the general decoder gives, or leave the row to it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.codec import encode, pack
from contract.event import Event, Heartbeat, Op
from reading.scanner import Bare, Scanner
from tests.contract import drawn
from tests.reading.general import Needs, agree, generally

GOLDEN = Path(__file__).parents[1] / "golden"
PAIRS: Needs = {
    ("transactions", "card_id"): [("amount", "number"), ("amount", "value"), ("declined", "flag"), ("country", "value")],
    ("transactions", "terminal_id"): [("country", "value"), ("n", "number")],
    ("carts", "cart_id"): [("items.n", "number"), ("value", "number")],
}
BARE: Needs = {("t", "card_id"): [("amount", "number"), ("merchant", "value"), ("ok", "flag"), ("ts", "number")]}
AS = Bare(0, "ts")
EXAMPLES = int(os.environ.get("EDDY_EXAMPLES", "300"))


def event(
    document: Any, key: Any = "c1", pair: tuple[str, str] = ("transactions", "card_id"), op: Op = "insert", **other: Any
) -> bytes:
    given = {"id": "8265/card_id", "at": 1_700_000_000_123, "cluster": 1_700_000_000_623, "doc_id": 7, **other}
    made = Event(trigger=pair[0], route=pair[1], op=op, key=key, **given)
    return encode(made, pack(document) if document is not None else None)


def bare(**raw: str) -> bytes:
    """A bare document whose values are JSON already."""
    fields = {"_id": '"x"', "card_id": '"c1"', "amount": "1.5", "merchant": '"m1"', "ok": "true", "ts": "1700000000123", **raw}
    return ("{" + ",".join(f'"{name}":{value}' for name, value in fields.items() if value) + "}").encode()


def test_plain_events_of_several_routes_and_heartbeats() -> None:
    rows = [
        event({"amount": 12.5, "declined": False, "country": "DE"}),
        event({"n": 3, "country": "DE"}, 5, ("transactions", "terminal_id"), "update"),
        encode(Heartbeat(1_700_000_000_000)),
        event({"amount": 7, "declined": None}, 5),
        event({"value": 9.75}, True, ("carts", "cart_id"), "replace"),
        event(None, "c1", op="delete"),
    ]
    read = agree(rows, PAIRS)
    assert "odd" not in read
    assert [row[2] if row[0] == "event" else row[0] for row in read] == "insert update heartbeat insert replace delete".split()
    assert read[0][5] == ("card_id", "c1") and read[1][5] == ("terminal_id", 5)


def test_every_golden_record() -> None:
    files = sorted(GOLDEN.glob("*.json"))
    read = agree([file.read_bytes().rstrip(b"\n") for file in files], PAIRS)
    assert {f.stem: r != "odd" for f, r in zip(files, read, strict=True)} | {
        "insert": True,
        "heartbeat": True,
        "backfill": True,
    } == {f.stem: r != "odd" for f, r in zip(files, read, strict=True)}


NUMBERS = """0 -0 0.0 -0.0 1 -1 12.50 0.1 1e5 1E+2 1.5e-3 9007199254740992 9007199254740993 123456789012345678 1234567890123456789
    99999999999999999999 0.30000000000000004 1.7976931348623157e308 5e-324 1e-22 1e22 1e23 123456789.123456789 1e400 01 1. .5 +1 NaN
    Infinity 1e 0x1 -""".split()
OTHERS = """null true false "x" "" "5" "a\\n" "\\u0041" "\\ud800" "é" [] [1,2] {} {"a":1} {"$numberDecimal":"12.50"}
    {"$numberLong":"5"} {"$numberLong":"1_0"} {"$numberInt":"\u0661"} {"$numberDecimal":"NaN"}
    {"$numberDouble":"Infinity"} {"$date":"2023-11-14T22:13:20.123Z"} {"$date":"2023-11-14T22:13:20Z"}
    {"$date":{"$numberLong":"5"}} {"$oid":"65a1b2c3d4e5f60718293a4b"} {"$oid":"x"} {"$undefined":true}
    {"$date":"2023-02-29T00:00:00Z"} "2023-11-14T22:13:20.123Z" "2023-11-14T22:13:20" "2023-11-14"
    "2024-02-29T23:59:59.999Z" "1969-12-31T23:59:59Z" "0000-01-01T00:00:00Z" nul tru {"a" {"a":1,} [1,] "x 1.5.5""".split()


@pytest.mark.parametrize("name", ["_id", "card_id", "amount", "merchant", "ok", "ts", "other"])
@pytest.mark.parametrize("raw", [*NUMBERS, *OTHERS, '{"$oid": "65a1b2c3d4e5f60718293a4b"}', ""])
def test_every_spelling_of_a_value_in_every_field(name: str, raw: str) -> None:
    agree([bare(), bare(**{name: raw}), bare()], BARE, AS)


@pytest.mark.parametrize("raw", [n for n in NUMBERS if n not in "-0 -0.0 1e400 01 1. .5 +1 NaN Infinity 1e 0x1 -".split()])
def test_numbers_are_read_in_place_to_the_last_bit(raw: str) -> None:
    assert agree([bare(amount=raw)], BARE, AS) != ["odd"]


@pytest.mark.parametrize(
    "text", [b"", b" ", b"{}", b"[]", b"null", b"{", b'{"_id":1}', b'{"card_id":"c1","ts":5}', bare() + b" ", b" " + bare()]
)
def test_what_is_hardly_a_document(text: bytes) -> None:
    agree([text, bare(), text], BARE, AS)


@pytest.mark.parametrize(
    "put", ['"amount":2,', '"\\u0061mount":2,', '"nested":{"amount":[{"x":"\\"}"}]},', '"a\\tb":1,', '"amount.x":3,', " ", "\n"]
)
def test_members_beside(put: str) -> None:
    agree([b"{" + put.encode() + bare()[1:]], BARE, AS)


def test_equal_keys_of_several_spellings_are_one_key() -> None:
    rows = [bare(card_id=raw) for raw in ("5", "5.0", '{"$numberLong":"5"}', '"5"', "6", "5")]
    read = agree(rows, BARE, AS)
    assert [row[5][1] for row in read] == [5, 5, 5, "5", 6, 5]


def test_a_nested_path_is_left_to_the_general_way() -> None:
    rows = [event({"items": {"n": 3}, "value": 1}, 1, ("carts", "cart_id")), event({"value": 1}, 1, ("carts", "cart_id"))]
    assert [row == "odd" for row in agree(rows, PAIRS)] == [True, False]


def test_tables_grow_and_start_anew_and_batches_do_not_show() -> None:
    scanner = Scanner(BARE, AS)
    scanner._values._many = scanner._keys._many = 5_000
    for start in range(0, 40_000, 4_000):
        rows = [bare(card_id=f'"c{i}"', merchant=f'"m{i * 7 % 9_000}"') for i in range(start, start + 4_000)]
        assert "odd" not in agree(rows, BARE, AS, scanner)


def test_what_was_read_once_is_read_again_after_any_other_spacing() -> None:
    rows = [bare(), bare().replace(b":", b": "), bare().replace(b",", b" , "), bare().replace(b'"amount":', b'"amount"  :  ')]
    scanner = Scanner(BARE, AS)
    for first in rows:
        for second in rows:
            assert "odd" not in agree([first, second, first], BARE, AS, scanner)


def cut(rows: Sequence[bytes], at: int) -> list[Any]:
    scanner = Scanner(PAIRS)
    return agree(rows[:at], PAIRS, None, scanner) + agree(rows[at:], PAIRS, None, scanner)


@settings(max_examples=EXAMPLES)
@given(
    st.lists(
        st.tuples(drawn.documents, st.one_of(drawn.values, drawn.texts), st.sampled_from(list(PAIRS)), drawn.values), max_size=6
    ),
    st.data(),
)
def test_any_document_with_any_bson_in_it(made: list[Any], data: Any) -> None:
    rows = []
    for document, key, pair, doc_id in made:
        wanted = data.draw(
            st.dictionaries(st.sampled_from(["amount", "declined", "country", "n", "items", "value"]), drawn.scalars)
        )
        rows.append(event({**document, **wanted}, key, pair, doc_id=doc_id))
    assert cut(rows, len(rows) // 2) == agree(rows, PAIRS)


SPELLINGS = st.one_of(
    st.sampled_from([*NUMBERS, *OTHERS]),
    st.floats().map(json.dumps),
    st.integers(-(10**20), 10**20).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9).map(lambda d: f"{d:f}"),
    st.text(max_size=12).map(lambda t: json.dumps(t, ensure_ascii=False)),
)


@settings(max_examples=2 * EXAMPLES)
@given(
    st.lists(st.dictionaries(st.sampled_from(["_id", "card_id", "amount", "merchant", "ok", "ts", "x"]), SPELLINGS), max_size=4),
    st.data(),
)
def test_any_spelling_and_any_damage(drawn_rows: list[dict[str, str]], data: Any) -> None:
    rows = []
    for raw in drawn_rows:
        text = bare(**raw).decode("utf-8", "surrogatepass")
        if data.draw(st.integers(0, 3)) == 0:
            at = data.draw(st.integers(0, len(text)))
            put = data.draw(st.sampled_from(["", " ", '"', "\\", ",", "0", "}", "{", "]", ":", "\x01", "é", "\ud800"]))
            text = text[:at] + put + text[at + data.draw(st.integers(0, 2)) :]
        rows.append(text.encode("utf-8", "surrogatepass"))
    agree(rows, BARE, AS)


@settings(max_examples=EXAMPLES)
@given(st.binary(max_size=3), st.integers(0, 400), st.integers(0, 4))
def test_a_damaged_envelope(put: bytes, at: int, out: int) -> None:
    whole = event({"amount": 12.5, "declined": False, "country": "DE"}, origin="backfill")
    agree([whole[:at] + put + whole[at + out :], whole], PAIRS)


def test_the_general_way_sees_what_is_wrong() -> None:
    assert generally(bare(), BARE, AS) is not None
    assert generally(bare(amount='"x"'), BARE, AS) is None
