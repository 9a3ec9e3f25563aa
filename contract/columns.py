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
from contract.scan import NULL, Ints
from contract.values import number, value

__all__ = ["EVENT", "HEARTBEAT", "ODD", "OPS", "Bare", "Scanned", "Scanner"]
OPS = ("insert", "update", "replace", "delete")
Pair = tuple[str, str]  # (trigger, route)
Kind = Literal["number", "flag", "value"]
Floats = npt.NDArray[np.float64]
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
    table: Sequence[Hashable | None]
    data: bytes
    spans: Ints

    def id(self, row: int) -> str:
        """The event's id; nothing for a bare document."""
        return self.data[self.spans[0, row] : self.spans[1, row]].decode()

    def doc_id(self, row: int) -> bytes:
        """The JSON of the document's id, nothing where it has none."""
        return self.data[self.spans[2, row] : self.spans[3, row]]


class Scanner:
    """Reads batches by what is needed of each (trigger, route): pairs of a path and a kind."""

    def __init__(self, needs: Mapping[Pair, Sequence[tuple[str, Kind]]], bare: Bare | None = None) -> None:
        self.pairs = list(needs)
        every = list(dict.fromkeys(need for pair in needs.values() for need in pair))
        self._paths = {kind: [path for path, k in every if k == kind] for kind in ("number", "flag", "value")}
        self._values = Table[Hashable](lambda raw: value(_json(raw)), Rejected)
        self._keys = {route: Table[tuple[str, Hashable]](partial(_key, route), Rejected) for _, route in self.pairs}
        self._plan = Plan(self.pairs, needs, self._paths, None if bare is None else (bare.pair, bare.time))
        self._box = np.zeros(fields.BOX, np.int64)
        self._padded = np.zeros(1 << 16, np.uint8)
        self._later = np.zeros((0, 4), np.int64)
        self._bare = -1 if bare is None else bare.pair

    def read(self, data: bytes, places: Ints) -> Scanned:
        """Record i is data[places[i] : places[i + 1] - 1], and a newline stands behind it."""
        n = len(places) - 1
        numbers = np.full((len(self._paths["number"]), n), nan)
        flags, values = (np.full((len(self._paths[kind]), n), -1, np.int64) for kind in ("flag", "value"))
        fixed = np.zeros((fields.COLUMNS, n), np.int64)
        fixed[fields.KEY], fixed[fields.AT] = -1, NULL
        begin = self._ready(data, n, numbers, flags, values, fixed)
        if self._plan.fits:
            envelopes.read_rows(begin, np.ascontiguousarray(places, np.int64), int(self._box.ctypes.data))
        odd = fixed[fields.KIND] == ODD
        self._foreign(data, places, odd)
        self._finish(begin, data, numbers, values, fixed, odd)
        numbers[:, odd], flags[:, odd], values[:, odd] = nan, -1, -1
        return self._scanned(data, begin, numbers, flags, values, fixed, odd)

    def _ready(self, data: bytes, n: int, numbers: Floats, flags: Ints, values: Ints, fixed: Ints) -> int:
        """Fills the box; the address of the data, with room behind it."""
        if len(data) + PADDING > self._padded.size:
            self._padded = np.zeros(2 * len(data) + PADDING, np.uint8)
        self._padded[: len(data)] = np.frombuffer(data, np.uint8)
        if n * max(len(numbers), 1) > len(self._later):
            self._later = np.zeros((2 * n * max(len(numbers), 1), 4), np.int64)
        self._values.room(n * len(values), len(data) * max(len(values), 1))
        for table in self._keys.values():
            table.room(n, len(data))
        self._plan.tables([self._keys[route].head for _, route in self.pairs])
        self._box[:] = 0
        for place, at in (
            (fields.STRIDE, n), (fields.VALUES, self._values.head), (fields.LATER, self._later.ctypes.data),
            (fields.NAMES, self._plan.names.ctypes.data), (fields.PAIRS, self._plan.entries.ctypes.data),
            (fields.PAIRS_N, len(self.pairs)), (fields.NUMBER, numbers.ctypes.data), (fields.FLAG, flags.ctypes.data),
            (fields.VALUE, values.ctypes.data), (fields.FIXED, fixed.ctypes.data), (fields.BARE, self._bare),
        ):  # fmt: skip
            self._box[place] = at
        return int(self._padded.ctypes.data)

    def _foreign(self, data: bytes, places: Ints, odd: npt.NDArray[np.bool_]) -> None:
        """Rows that are not UTF-8 are odd."""
        if data.isascii():
            return
        try:
            data.decode()
        except UnicodeDecodeError:
            at = places.tolist()
            for row in range(len(odd)):
                odd[row] |= not _is_utf8(data[at[row] : at[row + 1] - 1])

    def _finish(self, begin: int, data: bytes, numbers: Floats, values: Ints, fixed: Ints, odd: npt.NDArray[np.bool_]) -> None:
        """What only Python can read: rare numbers, and each spelling of a value or key that is new."""
        for row, which, p, q in self._later[: self._box[fields.LATER_N]].tolist():
            try:
                found = number(_json(data[p - begin : q - begin])) if not odd[row] else None
            except Rejected:
                odd[row] = True
            else:
                numbers[which, row] = nan if found is None else found
        self._values.resolve()
        for codes in values:
            odd |= self._values.is_bad(codes)
        routes = self._plan.routes[fixed[fields.PAIR]]
        for i, table in enumerate(self._keys.values()):
            table.resolve()
            mine = routes == i
            codes = np.where(mine, fixed[fields.KEY], -1)
            odd |= table.is_bad(codes)
            if table.aliased:
                known = codes >= 0
                fixed[fields.KEY][known] = np.array(table.first)[codes[known]]

    def _scanned(
        self, data: bytes, begin: int, numbers: Floats, flags: Ints, values: Ints, fixed: Ints, odd: npt.NDArray[np.bool_]
    ) -> Scanned:
        fixed[fields.KIND][odd] = ODD
        events = fixed[fields.KIND] == EVENT
        routes = self._plan.routes[fixed[fields.PAIR]]
        key, keys = np.full(len(odd), -1, np.int64), list[tuple[str, Hashable]]()
        for i, table in enumerate(self._keys.values()):
            mine = events & (routes == i)
            codes = fixed[fields.KEY][mine]
            order = table.distinct(codes)
            key[mine] = codes + len(keys)
            keys += [key for key in order if key is not None]
        return Scanned(
            n=len(odd),
            kind=fixed[fields.KIND].astype(np.int8),
            pair=np.where(events, fixed[fields.PAIR], -1).astype(np.int16),
            op=fixed[fields.OP].astype(np.int8),
            at=fixed[fields.AT],
            cluster=fixed[fields.CLUSTER],
            key=key.astype(np.int32),
            keys=keys,
            document=fixed[fields.HAS] == fields.DOCUMENT,
            number=dict(zip(self._paths["number"], numbers, strict=True)),
            flag=dict(zip(self._paths["flag"], flags.astype(np.int8), strict=True)),
            value=dict(zip(self._paths["value"], values, strict=True)),
            table=self._values.values,
            data=data,
            spans=np.maximum(fixed[fields.ID : fields.DOC_END + 1] - begin, 0),
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
