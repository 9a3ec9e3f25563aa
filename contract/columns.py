"""The bytes of a batch of records to columns, without a Python object for each.

What is plain is read in place (contract/envelopes.py); every other row stays ODD and is for the general way: contract.codec.decode
and contract.values. A row that is read here has exactly the values that the general way gives, and nothing in it that would be
rejected there.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import nan
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from contract import envelopes, fields
from contract.envelopes import EVENT, HEARTBEAT, ODD
from contract.errors import Rejected
from contract.interned import Table
from contract.keys import typed
from contract.plan import Plan
from contract.scan import NULL, Ints, address
from contract.values import number, value

__all__ = ["EVENT", "HEARTBEAT", "ODD", "OPS", "Bare", "Scanned", "Scanner"]
OPS = ("insert", "update", "replace", "delete")
Pair = tuple[str, str]  # (trigger, route)
Kind = Literal["number", "flag", "value"]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
NAN = int(np.array(nan).view(np.int64))  # the bits of NaN
BASES = (fields.NUMBER, fields.FLAG, fields.VALUE)
PADDING = 64


@dataclass(frozen=True, slots=True)
class Bare:
    """How bare documents are read: as of this (trigger, route), whose time is at a path."""

    pair: int
    time: str


@dataclass(slots=True)
class Scanned:
    """n rows. Of an ODD row only its place is known; of a HEARTBEAT only cluster.

    kind int8; pair int16, an index into the scanner's pairs; op int8, an index into OPS; at (in the years 1..9999), cluster
    int64, ms. key: int32, an index into keys, which are (route, typed value), each once. document: bool, whether it has one.
    number, flag, value: by path, for the rows whose pair reads it; missing or null is NaN, -1, and the code -1. value has codes
    into `table`, which is the same list from batch to batch and only grows, until another one takes its place; entries may be
    equal to each other.
    """

    n: int
    kind: npt.NDArray[np.int8]
    pair: npt.NDArray[np.int16]
    op: npt.NDArray[np.int8]
    at: Ints
    cluster: Ints
    key: npt.NDArray[np.int32]
    keys: list[tuple[str, Hashable]]
    document: npt.NDArray[np.bool_]
    number: Mapping[str, Floats]
    flag: Mapping[str, npt.NDArray[np.int8]]
    value: Mapping[str, Ints]
    table: Sequence[Hashable]
    data: bytes
    spans: Ints
    begin: int

    def id(self, row: int) -> str:
        """The event's id; nothing for a bare document."""
        return self._at(0, row).decode()

    def doc_id(self, row: int) -> bytes:
        """The JSON of the document's id, nothing where it has none."""
        return self._at(2, row)

    def _at(self, which: int, row: int) -> bytes:
        begin, end = self.spans[which : which + 2, row].tolist()
        return self.data[begin - self.begin : end - self.begin] if begin else b""


class Scanner:
    """Reads batches by what is needed of each (trigger, route): pairs of a path and a kind."""

    def __init__(self, needs: Mapping[Pair, Sequence[tuple[str, Kind]]], bare: Bare | None = None) -> None:
        self.pairs = list(needs)
        every = list(dict.fromkeys(need for pair in needs.values() for need in pair))
        self._paths = {kind: [path for path, k in every if k == kind] for kind in ("number", "flag", "value")}
        self._values = Table[Hashable](lambda raw: value(_json(raw)), Rejected, None)
        self._keys = {route: Table[tuple[str, Hashable]](partial(_key, route), Rejected, (route, None)) for _, route in self.pairs}
        self._plan = Plan(self.pairs, needs, self._paths, None if bare is None else (bare.pair, bare.time))
        self._tables = list(self._keys.values())
        self._plan.tables([self._keys[route].head for _, route in self.pairs])
        self._sizes = [len(self._paths[kind]) for kind in ("number", "flag", "value")]
        self._fresh = np.array([0] * fields.COLUMNS + [NAN] * self._sizes[0] + [-1] * sum(self._sizes[1:]), np.int64)[:, None]
        self._fresh[[fields.KEY, fields.AT], 0] = -1, NULL
        self._box = np.zeros(fields.BOX, np.int64)
        self._box[fields.NAMES], self._box[fields.PAIRS] = address(self._plan.names), address(self._plan.entries)
        self._box[fields.PAIRS_N], self._box[fields.VALUES] = len(self.pairs), self._values.head
        self._box[fields.BARE] = -1 if bare is None else bare.pair
        self._box_at = address(self._box)
        self._room(1 << 12, 1 << 16)

    def read(self, data: bytes, places: Ints) -> Scanned:
        """Record i is data[places[i] : places[i + 1] - 1], and a newline stands behind it."""
        n = len(places) - 1
        block = np.empty((len(self._fresh), n), np.int64)
        block[:] = self._fresh
        self._ready(data, n, block)
        begin = self._begin
        if self._plan.fits:
            envelopes.read_rows(begin, np.ascontiguousarray(places, np.int64), self._box_at)
        odd = block[fields.KIND] == ODD
        numbers, values = block[fields.COLUMNS :][: self._sizes[0]].view(np.float64), block[len(block) - self._sizes[2] :]
        self._foreign(data, places, odd)
        self._finish(begin, data, numbers, values, block, odd)
        if odd.any():
            block[:, odd] = self._fresh
        return self._scanned(data, begin, block)

    def _room(self, rows: int, length: int) -> None:
        """Memory for batches of so many rows and bytes."""
        self._padded = np.zeros(length, np.uint8)
        self._later = np.zeros((rows * max(self._sizes[0], 1), 4), np.int64)
        self._begin, self._box[fields.LATER] = address(self._padded), address(self._later)

    def _ready(self, data: bytes, n: int, block: Ints) -> None:
        """Fills the box, copies the data to where there is room behind it, and makes room in the tables."""
        if len(data) + PADDING > self._padded.size or n * self._sizes[0] > len(self._later):
            self._room(2 * n, 2 * len(data) + PADDING)
        self._padded[: len(data)] = np.frombuffer(data, np.uint8)
        self._values.room(n * self._sizes[2], len(data) * max(self._sizes[2], 1))
        for table in self._tables:
            table.room(n, len(data))
        at, row = address(block), 8 * n
        self._box[fields.STRIDE], self._box[fields.LATER_N], self._box[fields.FIXED] = n, 0, at
        for base, columns in zip(BASES, (fields.COLUMNS, *self._sizes), strict=False):
            at += columns * row
            self._box[base] = at

    def _foreign(self, data: bytes, places: Ints, odd: Bools) -> None:
        """Rows that are not UTF-8 are odd."""
        if data.isascii():
            return
        try:
            data.decode()
        except UnicodeDecodeError:
            at = places.tolist()
            for row in range(len(odd)):
                odd[row] |= not _is_utf8(data[at[row] : at[row + 1] - 1])

    def _finish(self, begin: int, data: bytes, numbers: Floats, values: Ints, fixed: Ints, odd: Bools) -> None:
        """What only Python can read: rare numbers, and each spelling of a value or key that is new."""
        for row, which, p, q in self._later[: self._box[fields.LATER_N]].tolist() if self._box[fields.LATER_N] else ():
            try:
                found = number(_json(data[p - begin : q - begin])) if not odd[row] else None
            except Rejected:
                odd[row] = True
            else:
                numbers[which, row] = nan if found is None else found
        self._values.resolve()
        if self._values.bad:
            for codes in values:
                odd |= self._values.is_bad(codes)
        for i, table in enumerate(self._tables):
            table.resolve()
            if table.bad or table.aliased:
                codes = np.where(self._plan.routes[fixed[fields.PAIR]] == i, fixed[fields.KEY], -1)
                odd |= table.is_bad(codes)
                known = codes >= 0
                fixed[fields.KEY][known] = np.array(table.first)[codes[known]]

    def _local(self, fixed: Ints, events: Bools) -> tuple[Ints, list[tuple[str, Hashable]]]:
        """(places in the keys of this batch, those keys)."""
        if len(self._tables) == 1:
            codes = np.where(events, fixed[fields.KEY], -1)
            return codes, self._tables[0].distinct(codes)
        routes = self._plan.routes[fixed[fields.PAIR]]
        places, keys = np.full(len(events), -1, np.int64), list[tuple[str, Hashable]]()
        for i, table in enumerate(self._tables):
            mine = events & (routes == i)
            codes = fixed[fields.KEY][mine]
            order = table.distinct(codes)
            places[mine] = codes + len(keys)
            keys += order
        return places, keys

    def _scanned(self, data: bytes, begin: int, block: Ints) -> Scanned:
        fixed, columns = block[: fields.COLUMNS], block[fields.COLUMNS :]
        numbers, flags = self._sizes[0], self._sizes[0] + self._sizes[1]
        events = fixed[fields.KIND] == EVENT
        places, keys = self._local(fixed, events)
        return Scanned(
            n=len(events),
            kind=fixed[fields.KIND].astype(np.int8),
            pair=np.where(events, fixed[fields.PAIR], -1).astype(np.int16),
            op=fixed[fields.OP].astype(np.int8),
            at=fixed[fields.AT],
            cluster=fixed[fields.CLUSTER],
            key=places.astype(np.int32),
            keys=keys,
            document=fixed[fields.HAS] == fields.DOCUMENT,
            number=dict(zip(self._paths["number"], columns[:numbers].view(np.float64), strict=True)),
            flag=dict(zip(self._paths["flag"], columns[numbers:flags].astype(np.int8), strict=True)),
            value=dict(zip(self._paths["value"], columns[flags:], strict=True)),
            table=self._values.values,
            data=data,
            spans=fixed[fields.ID : fields.DOC_END + 1],
            begin=begin,
        )


def _json(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Rejected("json", str(error)) from None


def _key(route: str, raw: bytes) -> tuple[str, Hashable]:
    return route, typed(_json(raw))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
