"""The lines of a file as records: events as relayed, or bare documents, one record for each route of their trigger."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np

from config.specs import Trigger
from consumer.intake.records import UNKNOWN, Format, Ints, Raw, Records, bare, joined
from contract.codec import decode, decode_document
from contract.errors import Rejected

BOM = b"\xef\xbb\xbf"
EVENT, HEARTBEAT = {"kind", "id", "trigger", "route", "op", "cluster"}, {"kind", "v", "cluster"}  # names that they have


def holds_envelopes(lines: Iterable[bytes]) -> tuple[bool | None, Iterator[bytes]]:
    """(whether the first line that is a JSON object is an event or a heartbeat as relayed, None where no line is one; all lines,
    also those that were looked at: they may come from a pipe, which is read but once)."""
    rest, seen = iter(lines), []
    for line in rest:
        seen.append(line)
        try:
            found = decode_document(line.removeprefix(BOM).strip())
        except Rejected:
            continue
        names = found.keys()  # a heartbeat has no others; a document that only looks like one has at least an `_id`
        like = names >= EVENT if found.get("kind") == "change" else names == HEARTBEAT and found["kind"] == "heartbeat"
        return like, chain(seen, rest)
    return None, iter(seen)


def numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """(number from 1 on, line) of the lines that are not blank."""
    for number, line in enumerate(lines, start=1):
        text = line.removeprefix(BOM).strip() if number == 1 else line.strip()
        if text:
            yield number, text


class Relayed(Records):
    """Lines with events and heartbeats as records; a record's sequence is its line's number."""

    def __init__(self, lines: Sequence[tuple[int, bytes]]) -> None:
        self._lines = lines
        self.format: Format = "event"
        self.data, self.places = joined([line for _, line in lines])

    @property
    def arrived(self) -> Ints:
        return np.full(len(self._lines), UNKNOWN, np.int64)

    def raw(self, i: int) -> Raw:
        number, line = self._lines[i]
        return Raw(line, None, number, message=_read(line, decode))

    def position(self, i: int) -> tuple[int, int]:
        return self._lines[i][0], 0

    def rest(self, first: int) -> Records:
        return Relayed(self._lines[first:])


def relayed(lines: Iterable[bytes], size: int) -> Iterator[Relayed]:
    """The lines of a file as batches of records."""
    rest = numbered(lines)
    while batch := list(islice(rest, size)):
        yield Relayed(batch)


def documents(lines: Iterable[bytes], trigger: Trigger) -> Iterator[Raw]:
    """Bare documents as records, one for each route: `sub` is the route's place. A line that is no document is one record."""
    for number, line in numbered(lines):
        found = _read(line, _document)
        if isinstance(found, Rejected):
            yield Raw(line, None, number, message=found)
            continue
        for sub, route in enumerate(trigger.routes):
            yield Raw(line, None, number, sub, message=bare(trigger, route, found, number))


def _read(line: bytes, read: Callable[[bytes], Any]) -> Any:
    """What is in a line, or why it cannot be used."""
    try:
        return read(line)
    except Rejected as cause:
        if cause.reason == "json" and _lenient(line) is not None:
            return Rejected("not_finite", "NaN, an infinity, or a number too large for one")
        return cause


def _document(line: bytes) -> dict[str, Any]:
    """NaN and infinities are no JSON, but many write them. Such a document is read all the same: it is for the routes that read
    the field to refuse it, as they do where it comes from MongoDB."""
    try:
        return decode_document(line)
    except Rejected as cause:
        found = _lenient(line) if cause.reason in ("json", "not_finite") else None
        if isinstance(found, dict):
            return found
        raise


def _lenient(line: bytes) -> Any:
    """The JSON in a line that is JSON but for NaN, infinities or numbers too large for a float; None for any other line, and for
    one that is no UTF-8: given bytes, json.loads would guess their encoding."""
    strange: list[str] = []

    def number(text: str) -> float:
        value = float(text)
        if not math.isfinite(value):
            strange.append(text)
        return value

    def constant(text: str) -> float:
        strange.append(text)
        return float(text)

    try:
        found = json.loads(line.decode(), parse_float=number, parse_constant=constant)
        json.dumps(found, ensure_ascii=False).encode()  # half a character is no text
    except (ValueError, RecursionError):
        return None
    return found if strange else None
