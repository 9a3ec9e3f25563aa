"""A record as it is read from a shard or a file, and the message in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from config.specs import Pipeline, Trigger
from contract.codec import decode, decode_document
from contract.errors import Rejected
from contract.event import Event, Message
from contract.times import time_ms
from contract.values import get


@dataclass(frozen=True, slots=True)
class Raw:
    """One record. arrived: ms, None where nobody knows. message: what is in it, where its maker has read it already."""

    data: bytes
    partition_key: str | None
    sequence: int
    sub: int = 0
    arrived: int | None = None
    message: Message | Rejected | None = None


class Opener:
    """Opens records by the stream's format."""

    def __init__(self, spec: Pipeline) -> None:
        self._bare = spec.triggers[0] if spec.stream.format == "document" else None

    def open(self, raw: Raw) -> Message:
        """The message in a record. Raises Rejected: "json", "envelope", or what its maker found."""
        if isinstance(raw.message, Rejected):
            raise raw.message
        if raw.message is not None:
            return raw.message
        if self._bare is None:
            return decode(raw.data)
        return bare(self._bare, self._bare.routes[0], decode_document(raw.data), str(raw.sequence))


def bare(trigger: Trigger, route: str, document: dict[str, Any], number: str | int) -> Event:
    """A bare document as an insert without a token. Its id is its `_id`, or its number in the stream."""
    try:
        at = time_ms(get(document, trigger.time)) if trigger.time is not None else None
    except Rejected:
        at = None
    doc_id = document.get("_id")
    return Event("", trigger.name, route, "insert", get(document, route), at, 0, number if doc_id is None else doc_id, document)
