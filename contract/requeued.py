"""A record that became a dead letter and is put into the stream again: whole, and with the letter's `_id`, by which it counts once.

On the wire it is a JSON object of one field, whose name no field of an event has, nor, as it begins with `$`, one of a document at
its top: {"$requeued": {"v": 1, "letter": {...}, "text": "..."}}, or "binary" in base64 where the record was no text.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from contract.errors import Rejected

VERSION = 1
BEGINS = b'{"$requeued":'


Letter = dict[
    Annotated[str, msgspec.Meta(pattern=r"^[a-z_]+$")], str | Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
]


class Requeued(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """letter: the dead letter's `_id`, and nothing that a query could take for more. text, binary: the record as the letter
    kept it, one of both."""

    v: int = VERSION
    letter: Letter
    text: str | None = None
    binary: bytes | None = None

    @property
    def record(self) -> bytes:
        """The bytes that became a dead letter."""
        return (self.text or "").encode() if self.binary is None else self.binary


class _Written(Requeued, frozen=True, kw_only=True):
    """The version is always there."""

    v: int


class _Whole(msgspec.Struct, rename={"requeued": "$requeued"}):
    requeued: Requeued


_json = msgspec.json.Encoder()
_wholes = msgspec.json.Decoder(_Whole)


def encode(letter: dict[str, Any], text: str | None, binary: bytes | None) -> bytes:
    """The record's bytes. letter: a dead letter's `_id`. Raises Rejected("envelope") where it is not that of a record.

    >>> encode({"stream": "a", "created": 1, "shard": "s", "sequence": "5", "sub": 0}, "{", None)
    b'{"$requeued":{"v":1,"letter":{"stream":"a","created":1,"shard":"s","sequence":"5","sub":0},"text":"{"}}'
    """
    try:
        id = msgspec.convert(letter, Letter)
    except msgspec.ValidationError as error:
        raise Rejected("envelope", f"no dead letter of a record: {error}") from None
    return BEGINS + _json.encode(_Written(v=VERSION, letter=id, text=text, binary=binary)) + b"}"


def decode(data: bytes) -> Requeued:
    """Inverse of encode, of bytes that begin as ours do. Raises Rejected("envelope")."""
    try:
        found = _wholes.decode(data).requeued
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("envelope", f"no requeued record of ours: {error}") from None
    if found.v != VERSION or (found.text is None) == (found.binary is None):
        raise Rejected("envelope", f"no requeued record of ours: version {found.v}, and one of text and binary")
    return found
