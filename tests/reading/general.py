"""The general way of reading a record, by contract.codec and contract.values alone: what the columns must agree with."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from contract.codec import decode, decode_document
from contract.errors import Rejected
from contract.event import Heartbeat
from contract.keys import typed
from contract.times import time_ms
from contract.values import flag, get, number, value
from reading import scanner as module
from reading.kernels import PADDING
from reading.scanner import EVENT, HEARTBEAT, OPS, Bare, Scanned, Scanner

READ = {"number": number, "flag": flag, "value": value}
Needs = Mapping[tuple[str, str], Sequence[tuple[str, Any]]]


def plain(v: Any) -> Any:
    """A value with its type and all of its bits, so that 1, 1.0 and True, or 0.0 and -0.0, differ; nan is missing."""
    if isinstance(v, float):
        return None if math.isnan(v) else ("float", struct.pack("d", v))
    return (type(v).__name__, repr(v)) if v is not None else None


def fields_of(document: Any, needs: Sequence[tuple[str, Any]]) -> dict[Any, Any]:
    return {(path, kind): plain(READ[kind](get(document or {}, path))) for path, kind in needs}


def generally(data: bytes, needs: Needs, bare: Bare | None) -> Any:
    """What a record holds, or None where something about it would be rejected, or needs more than columns hold."""
    try:
        if bare is not None:
            pair = list(needs)[bare.pair]
            document = decode_document(data)
            at = time_ms(get(document, bare.time))
            key = (pair[1], typed(get(document, pair[1])))
            doc_id = document.get("_id")
            return None if at is None else ("event", pair, "insert", at, 0, key, True, "", doc_id, fields_of(document, needs[pair]))
        message = decode(data)
        if isinstance(message, Heartbeat):
            return ("heartbeat", message.cluster)
        pair = (message.trigger, message.route)
        if pair not in needs or message.at is None or message.before is not None:
            return None
        key = (pair[1], typed(message.key))
        there = message.document is not None
        found = fields_of(message.document, needs[pair])
        return ("event", pair, message.op, message.at, message.cluster, key, there, message.id, message.doc_id, found)
    except Rejected:
        return None


def scanned(rows: Sequence[bytes], needs: Needs, bare: Bare | None, scanner: Scanner) -> list[Any]:
    """The same of a batch, by the scanner; "odd" for what it leaves alone. Whatever stands behind the records does not matter."""
    places = np.cumsum([0, *(len(row) + 1 for row in rows)]).astype(np.int64)
    data = b"".join(row + b"\n" for row in rows)
    copied = _read(data, places, scanner, needs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FEW", 0)
        assert copied == _read(data + b'0"}\n' * PADDING, places, scanner, needs)
    return copied


def _read(data: bytes, places: npt.NDArray[np.int64], scanner: Scanner, needs: Needs) -> list[Any]:
    found = scanner.read(data, places)
    assert len(set(found.keys)) == len(found.keys), "each key once"
    return [_row(found, i, scanner, needs) for i in range(found.n)]


def _row(found: Scanned, i: int, scanner: Scanner, needs: Needs) -> Any:
    if found.kind[i] == HEARTBEAT:
        return ("heartbeat", int(found.cluster[i]))
    if found.kind[i] != EVENT:
        return "odd"
    pair, fields = scanner.pairs[found.pair[i]], {}
    for path, kind in needs[pair]:
        if kind == "number":
            fields[path, kind] = plain(float(found.number[path][i]))
        elif kind == "flag":
            fields[path, kind] = plain({-1: None, 0: False, 1: True}[int(found.flag[path][i])])
        else:
            code = int(found.value[path][i])
            fields[path, kind] = plain(None if code < 0 else found.table[code])
    doc_id = found.doc_id(i)
    key, there = found.keys[found.key[i]], bool(found.document[i])
    head = ("event", pair, OPS[found.op[i]], int(found.at[i]), int(found.cluster[i]), key, there, found.id(i))
    return (*head, msgspec.json.decode(doc_id) if doc_id else None, fields)


def agree(rows: Sequence[bytes], needs: Needs, bare: Bare | None = None, scanner: Scanner | None = None) -> list[Any]:
    """Asserts that what the scanner reads is what the general way reads; gives what the scanner read."""
    read = scanned(rows, needs, bare, scanner or Scanner(needs, bare))
    for row, ours in zip(rows, read, strict=True):
        if ours != "odd":
            assert ours == generally(row, needs, bare), row
    return read
