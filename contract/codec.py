"""Bytes of a record and the message in them: one JSON object, its documents in relaxed Extended JSON.

The wire format is held by golden files (tests/golden). A change of it is a new VERSION beside the old one, never an edit.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from contract.errors import Rejected
from contract.event import VERSION, Event, Gap, Heartbeat, Message, Op
from contract.values import to_json

# An escape, from left to right: a character that is written as two halves; one half, its other one missing and not merely cut off
# with the end of the data; anything else, an escaped backslash before all.
ESCAPE = re.compile(
    rb"""\\(?:
      u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}
    | (?P<half>u[dD][89abAB][0-9a-fA-F]{2}(?!(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?\Z) | u[dD][c-fC-F][0-9a-fA-F]{2})
    | .
    )""",
    re.VERBOSE | re.DOTALL,
)
Packed = msgspec.Raw  # the JSON of a document, serialised once for several routes


class _Change(msgspec.Struct, tag_field="kind", tag="change", omit_defaults=True):
    """An Event as it is written: the version always there, the documents already bytes."""

    v: int
    id: str
    trigger: str
    route: str
    op: Op
    key: Any
    at: int | None
    cluster: int
    doc_id: Any
    document: msgspec.Raw | None = None
    before: msgspec.Raw | None = None
    origin: str = "stream"


class _Beat(msgspec.Struct, tag_field="kind", tag="heartbeat"):
    v: int
    cluster: int


class _Gap(msgspec.Struct, tag_field="kind", tag="gap"):
    v: int
    begin: int
    end: int
    triggers: tuple[str, ...]


_json = msgspec.json.Encoder()
_messages = msgspec.json.Decoder(Event | Heartbeat | Gap)
_anything = msgspec.json.Decoder()


def pack(document: Any) -> Packed:
    """A document (native BSON, or JSON already) as the bytes that `encode` sets in, so that several routes share the work."""
    return msgspec.Raw(_json.encode(to_json(document)))


def encode(message: Message, document: Packed | None = None, before: Packed | None = None) -> bytes:
    """The record's bytes. document and before, where given, stand for the message's own, which may then be left out.

    >>> encode(Heartbeat(5))
    b'{"kind":"heartbeat","v":1,"cluster":5}'
    """
    if isinstance(message, Heartbeat):
        return _json.encode(_Beat(message.v, message.cluster))
    if isinstance(message, Gap):
        return _json.encode(_Gap(message.v, message.begin, message.end, message.triggers))
    if document is None and message.document is not None:
        document = pack(message.document)
    if before is None and message.before is not None:
        before = pack(message.before)
    wire = _Change(
        message.v,
        message.id,
        message.trigger,
        message.route,
        message.op,
        to_json(message.key),
        message.at,
        message.cluster,
        to_json(message.doc_id),
        document,
        before,
        message.origin,
    )
    return _json.encode(wire)


def decode(data: bytes) -> Message:
    """The message in a record; its documents stay plain JSON. Raises Rejected: "json", "envelope", "not_finite"."""
    try:
        message: Message = _messages.decode(data)
    except msgspec.ValidationError as error:
        raise Rejected("envelope", _version_of(_parse(data)) or f"not an event of ours: {_place(error)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_json(error, data) from None
    if message.v != VERSION:
        raise Rejected("envelope", _version_of({"v": message.v}))
    return message


def decode_document(data: bytes) -> dict[str, Any]:
    """A bare document (`format = "document"`). Raises Rejected: "json", "not_finite", or "envelope" where the JSON is no object."""
    document = _parse(data)
    if not isinstance(document, dict):
        raise Rejected("envelope", "JSON, but not an object")
    return document


def _parse(data: bytes) -> Any:
    try:
        return _anything.decode(data)
    except msgspec.ValidationError:
        raise Rejected("not_finite", "a number that is larger than any double") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_json(error, data) from None


def _version_of(message: Any) -> str:
    """What to say of a record that carries a version which is not ours."""
    version = message.get("v", VERSION) if isinstance(message, dict) else VERSION
    return f"version {version} is not known here, only {VERSION}" if type(version) is int and version != VERSION else ""


def _place(error: msgspec.ValidationError) -> str:
    """msgspec's message names types and the place, but may quote a tag's or an enum's value: that is cut off."""
    text = str(error)
    if text.startswith(("Invalid value", "Invalid enum value")) and " - at " in text:
        return f"unknown value at {text.rsplit(' - at ', 1)[1]}"
    return text


def _not_json(error: Exception, data: bytes) -> Rejected:
    if isinstance(error, UnicodeDecodeError):
        return Rejected("json", "not UTF-8")
    if isinstance(error, RecursionError):
        return Rejected("json", "nested too deep")
    return Rejected("json", "a text that is no Unicode" if _half(data) else str(error))


def _half(data: bytes) -> bool:
    """Whether half a character stands in it."""
    return any(found["half"] for found in ESCAPE.finditer(data))
