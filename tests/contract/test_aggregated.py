"""KPL's aggregated record, against bytes made by hand from the published format, and against itself."""

from __future__ import annotations

import hashlib

import hypothesis.strategies as st
import pytest
from hypothesis import given

from contract.aggregated import MAGIC, UserRecord, added_size, aggregate, base_size, user_records


def framed(body: bytes) -> bytes:
    return MAGIC + body + hashlib.md5(body).digest()


TWO = (
    b"\x0a\x02\xc3\xa4"  # partition_key_table: "ä"
    b"\x1a\x06\x08\x00\x1a\x02hi"  # records: key 0, data "hi"
    b"\x1a\x87\x01\x08\x00\x1a\x82\x01" + b"z" * 130  # records: key 0, 130 bytes, whose lengths take two bytes each
)
OF_OTHERS = (
    b"\x0a\x01a\x0a\x01b"  # two partition keys
    b"\x12\x03120"  # one explicit hash key, "120"
    b"\x1a\x10\x08\x01\x10\x00\x1a\x01x\x22\x07\x0a\x01t\x12\x02vv"  # key 1, hash key 0, data "x", a tag t = vv
    b"\x1a\x05\x1a\x01y\x08\x00"  # data "y" before key 0: fields come in any order
    b"\x20\x05\x29\0\0\0\0\0\0\0\0\x35\0\0\0\0"  # fields 4, 5, 6 that nobody knows yet: a number, 8 bytes, 4 bytes
)


def test_what_is_written_is_the_published_format_byte_by_byte() -> None:
    assert aggregate("ä", [b"hi", b"z" * 130]) == framed(TWO)


def test_hand_made_bytes_are_read() -> None:
    assert user_records("?", framed(TWO)) == [UserRecord("ä", b"hi"), UserRecord("ä", b"z" * 130)]
    assert user_records("?", framed(OF_OTHERS)) == [UserRecord("b", b"x", "120"), UserRecord("a", b"y")]


@given(st.text(max_size=30), st.lists(st.binary(max_size=300), max_size=5))
def test_what_is_written_is_read_and_its_size_is_known_before(key: str, datas: list[bytes]) -> None:
    made = aggregate(key, datas)
    assert user_records("?", made) == [UserRecord(key, data) for data in datas]
    assert len(made) == base_size(len(key.encode())) + sum(added_size(len(data)) for data in datas)


@pytest.mark.parametrize("size", [127, 128, 124, 125, 16_383, 16_384, 16_379, 16_380, 2_097_151, 2_097_152])
def test_sizes_are_right_where_a_length_takes_one_byte_more(size: int) -> None:
    assert len(aggregate("k", [b"x" * size])) == base_size(1) + added_size(size)


@pytest.mark.parametrize(
    "data",
    [
        b'{"kind":"change"}',
        b"",
        MAGIC,
        framed(TWO)[:-1] + b"!",  # another MD5
        framed(b"\x1a\x05\x08\x07\x1a\x01x"),  # a key that no table has
        framed(b"\x0a\x01a\x1a\x03\x1a\x01x"),  # a record without a key
        framed(b"\x0a\x01a\x1a\x02\x08\x00"),  # a record without data
        framed(b"\x0a\x05a"),  # a length beyond the end
        framed(b"\x0a"),  # ends in the middle of a number
        framed(b"\x0a\x01\xff"),  # a key that is no UTF-8
        framed(b"\x0b"),  # a wire type of old
        framed(b"\xff" * 11),  # a number of more than 64 bits
    ],
)
def test_all_else_is_one_record_as_it_stands(data: bytes) -> None:
    assert user_records("k", data) == [UserRecord("k", data)]
