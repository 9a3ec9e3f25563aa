"""Several user records in one Kinesis record, in the format of Amazon's producer library (KPL), which KCL takes apart.

    F3 89 9A C2 | protobuf AggregatedRecord | MD5 of the protobuf

    message AggregatedRecord {                  message Record {
      repeated string partition_key_table = 1;    required uint64 partition_key_index = 1;
      repeated string explicit_hash_key_table = 2;  optional uint64 explicit_hash_key_index = 2;
      repeated Record records = 3;                required bytes data = 3;
    }                                             repeated Tag tags = 4;
                                                }

(https://github.com/awslabs/amazon-kinesis-producer, aggregation-format.md). We write records of one partition key only: KCL drops
what hashes outside of the shard, and an aggregate lies where its one key does. What is read may hold several keys, hash keys and
tags. The place of a user record in its aggregate is the sub-sequence number that KCL gives it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

MAGIC = b"\xf3\x89\x9a\xc2"
TRAILER = 16  # bytes of an MD5
BASE = len(MAGIC) + TRAILER
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # protobuf's wire types
MOST_BITS = 64


class UserRecord(NamedTuple):
    """One record as a producer gave it. hash_key: where it was put by an explicit hash key, as decimal text."""

    key: str
    data: bytes
    hash_key: str | None = None


class _Broken(Exception):
    """No protobuf of this form; such a record is taken as it stands, as KCL does."""


def aggregate(key: str, datas: Sequence[bytes]) -> bytes:
    """One record's bytes that hold all of these, in this order, each under the same partition key.

    >>> aggregate("a", [b"x"])[:-16].hex(" ")
    'f3 89 9a c2 0a 01 61 1a 05 08 00 1a 01 78'
    """
    name = key.encode()
    parts = [b"\x0a", _varint(len(name)), name]
    for data in datas:
        length = _varint(len(data))
        parts += (b"\x1a", _varint(3 + len(length) + len(data)), b"\x08\x00\x1a", length, data)
    body = b"".join(parts)
    return b"".join((MAGIC, body, hashlib.md5(body, usedforsecurity=False).digest()))


def base_size(key_bytes: int) -> int:
    """Bytes of an aggregate of nothing under a key of so many bytes."""
    return BASE + 1 + _length(key_bytes) + key_bytes


def added_size(data_bytes: int) -> int:
    """Bytes that a user record of so many bytes adds to its aggregate.

    >>> len(aggregate("a", [b"x", b"y" * 300])) == base_size(1) + added_size(1) + added_size(300)
    True
    """
    inner = 3 + _length(data_bytes) + data_bytes
    return 1 + _length(inner) + inner


def user_records(key: str, data: bytes) -> list[UserRecord]:
    """What a Kinesis record holds: its user records where it is an aggregate, else itself alone, whatever its bytes are."""
    if data[: len(MAGIC)] != MAGIC or len(data) < BASE:
        return [UserRecord(key, data)]
    body = data[len(MAGIC) : -TRAILER]
    if hashlib.md5(body, usedforsecurity=False).digest() != data[-TRAILER:]:
        return [UserRecord(key, data)]
    try:
        return _records(body)
    except (_Broken, UnicodeDecodeError):
        return [UserRecord(key, data)]


def _records(body: bytes) -> list[UserRecord]:
    keys: list[str] = []
    hash_keys: list[str] = []
    found: list[tuple[int, int | None, bytes]] = []
    for field, value in _fields(body):
        if isinstance(value, int):
            continue
        if field == 1:
            keys.append(value.decode())
        elif field == 2:
            hash_keys.append(value.decode())
        elif field == 3:
            found.append(_record(value))
    try:
        return [UserRecord(keys[k], data, None if h is None else hash_keys[h]) for k, h, data in found]
    except IndexError:
        raise _Broken from None


def _record(body: bytes) -> tuple[int, int | None, bytes]:
    key: int | None = None
    hash_key: int | None = None
    data: bytes | None = None
    for field, value in _fields(body):
        if field == 1 and isinstance(value, int):
            key = value
        elif field == 2 and isinstance(value, int):
            hash_key = value
        elif field == 3 and isinstance(value, bytes):
            data = value
    if key is None or data is None:
        raise _Broken
    return key, hash_key, data


def _fields(body: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of each field; unknown ones too."""
    at, end = 0, len(body)
    while at < end:
        tag, at = _read_varint(body, at)
        kind = tag & 7
        if kind == VARINT:
            value, at = _read_varint(body, at)
            yield tag >> 3, value
            continue
        if kind == BYTES:
            size, at = _read_varint(body, at)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise _Broken
        if at + size > end:
            raise _Broken
        yield tag >> 3, body[at : at + size]
        at += size


def _read_varint(body: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, MOST_BITS, 7):
        if at >= len(body):
            raise _Broken
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _Broken


def _varint(n: int) -> bytes:
    """Seven bits a byte, the lowest first; the high bit says that more follow."""
    if n < 0x80:
        return bytes((n,))
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def _length(n: int) -> int:
    """Bytes of a varint."""
    return max(1, (n.bit_length() + 6) // 7)
