"""The bytes of a batch of records to columns, without a Python object for each.

What is plain is read in place (reading/envelope.py); every other row stays ODD and is for the general way: contract.codec.decode
and contract.values. A row that is read here has exactly the values that the general way gives, and nothing in it that would be
rejected there.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from contract.errors import Rejected
from contract.keys import typed
from contract.values import number, value
from reading import fields, rows
from reading.envelope import EVENT, HEARTBEAT, ODD
from reading.kernels import NULL, PADDING, Floats, Ints, address
from reading.memory import keep_memory
from reading.names import Plan
from reading.spellings import Picked, Table

__all__ = ["EVENT", "HEARTBEAT", "ODD", "OPS", "Bare", "Scanned", "Scanner", "lines"]
OPS = ("insert", "update", "replace", "delete")
Pair = tuple[str, str]  # (trigger, route)
Kind = Literal["number", "flag", "value"]
NAN = int(np.array(nan).view(np.int64))  # the bits of NaN
FIRST_ROW = {"number": 0, "flag": rows.SMALL, "value": rows.WORDS}  # rows of the arrays that columns of a kind are in
MANY_KEYS = 1 << 20  # spellings of keys that are remembered
FEW = 1 << 15  # bytes that are copied sooner than numpy tells where they are


@dataclass(frozen=True, slots=True)
class Bare:
    """How bare documents are read: as of this (trigger, route), whose time is at a path."""

    pair: int
    time: str


class Scanned(msgspec.Struct, eq=False):  # made once a batch: a third of a dataclass's time
    """n rows. Of an ODD row only its place is known; of a HEARTBEAT only cluster. What few ask for is made when it is
    asked for, of `small` and `words` (reading/rows.py).

    kind int8; pair int16, an index into the scanner's pairs; op int8, an index into OPS; at (in the years 1..9999), cluster
    int64, ms. key: int32, an index into keys, which are (route, typed value), each once, as codes into a table like that of the
    values. document: bool, whether it has one. number, flag, value: by path, for the rows whose pair reads it; missing or null is
    NaN, -1, and the code -1. value has codes into `table`, which is the same list from batch to batch and only grows, until another
    one takes its place; entries may be equal to each other.
    """

    n: int
    kind: npt.NDArray[np.int8]
    pair: npt.NDArray[np.int16]
    at: Ints
    key: npt.NDArray[np.int32]
    keys: Picked[tuple[str, Hashable]]
    document: npt.NDArray[np.bool_]
    number: Mapping[str, Floats]
    flag: Mapping[str, npt.NDArray[np.int8]]
    value: Mapping[str, Ints]
    table: Sequence[Hashable]
    data: bytes
    begin: int
    small: npt.NDArray[np.int8]
    words: Ints

    @property
    def op(self) -> npt.NDArray[np.int8]:
        """What was done."""
        op: npt.NDArray[np.int8] = self.small[rows.SMALL_OP]
        return op

    @property
    def cluster(self) -> Ints:
        """When the database says that it was done."""
        cluster: Ints = self.words[rows.WORDS_CLUSTER]
        return cluster

    @property
    def spans(self) -> Ints:
        """Where the event's id begins and ends, and the document's."""
        return self.words[rows.WORDS_ID : rows.WORDS]

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
        keep_memory()
        self.pairs = list(needs)
        every = list(dict.fromkeys(need for pair in needs.values() for need in pair))
        paths = {kind: [path for path, k in every if k == kind] for kind in ("number", "flag", "value")}
        self._places = [[(p, first + i) for i, p in enumerate(paths[kind])] for kind, first in FIRST_ROW.items()]
        self._plan = Plan(self.pairs, needs, paths, None if bare is None else (bare.pair, bare.time))
        routes = self._plan.routes
        self._values = Table[Hashable](lambda raw, tag: value(_json(raw)), lambda text, tag: text, Rejected, lambda tag: None)
        self._keys = Table[tuple[str, Hashable]](
            lambda raw, tag: (routes[tag], typed(_json(raw))),
            lambda text, tag: (routes[tag], text),
            Rejected,
            lambda tag: (routes[tag], None),
            MANY_KEYS,
        )
        self._sizes = [len(of_kind) for of_kind in self._places]
        self._fresh = np.array([0] * fields.FIXED + [NAN] * self._sizes[0] + [-1] * sum(self._sizes[1:]), np.int64)
        self._fresh[[fields.KEY, fields.PAIR, fields.AT]] = -1, -1, NULL
        self._box = np.zeros(fields.CELLS + len(self._fresh), np.int64)
        self._fill(-1 if bare is None else bare.pair)
        self._place = np.full(1 << 11, -1, np.int32)
        self._room(1 << 12, 1 << 16)

    def read(self, data: bytes, places: Ints) -> Scanned:
        """Record i is data[places[i] : places[i + 1] - 1], and a newline stands behind it. Where there are PADDING bytes behind the
        last one, many are read where they are."""
        n = len(places) - 1
        numbers, flags, values = self._sizes
        places = np.ascontiguousarray(places, np.int64)
        begin = self._ready(data, n, int(places[n]))
        small, pair, key = np.empty((rows.SMALL + flags, n), np.int8), np.empty(n, np.int16), np.empty(n, np.int32)
        words, floats = np.empty((rows.WORDS + values, n), np.int64), np.empty((numbers, n))
        columns = (small, pair, key, words, floats)
        if self._plan.fits:
            rows.read_rows(begin, places, self._box_at, *columns)
        else:
            small[0], key[:] = ODD, -1
            words[rows.WORDS :] = -1
        if not data.isascii():
            _foreign(data, places, small[0])
        if self._box[fields.LATER_N]:
            self._numbers(data, begin, small[0], floats)
        self._values.resolve()
        self._keys.resolve()
        return self._scanned(data, begin, columns)

    def _fill(self, bare: int) -> None:
        """The parts of the box that stay."""
        box, plan = self._box, self._plan
        box[fields.NAMES], box[fields.PAIRS], box[fields.LAYOUT] = address(plan.names), address(plan.entries), plan.layout
        box[fields.PAIRS_N], box[fields.BARE] = len(self.pairs), bare
        box[fields.KEYS], box[fields.VALUES] = self._keys.head, self._values.head
        box[fields.FRESH], box[fields.CELLS_N] = address(self._fresh), len(self._fresh)
        box[[fields.NUMBERS, fields.FLAGS, fields.VALUES_N]] = self._sizes
        self._box_at = address(box)

    def _room(self, n: int, length: int) -> None:
        """Memory for batches of so many rows and bytes."""
        self._padded = np.zeros(length, np.uint8)
        self._room_for = self._padded.data
        self._later = np.zeros((n * max(self._sizes[0], 1), 4), np.int64)
        self._begin, self._box[fields.LATER] = address(self._padded), address(self._later)

    def _ready(self, data: bytes, n: int, length: int) -> int:
        """Makes room in the tables. Where the data lies, which is copied if there is no room behind it."""
        if length + PADDING > self._padded.size or n * self._sizes[0] > len(self._later):
            self._room(2 * n, 2 * length + PADDING)
        begin = self._begin
        if length > FEW and len(data) - length >= PADDING:
            begin = address(np.frombuffer(data, np.uint8))
        else:
            self._room_for[:length] = memoryview(data)[:length]
        self._box[fields.LATER_N] = 0
        self._values.room(n * self._sizes[2], length * max(self._sizes[2], 1))
        if (most := self._keys.room(n, length)) > len(self._place):
            self._place = np.full(most, -1, np.int32)
        return begin

    def _numbers(self, data: bytes, begin: int, kind: npt.NDArray[np.int8], numbers: Floats) -> None:
        """Rare numbers, which only Python can read."""
        for row, which, p, q in self._later[: self._box[fields.LATER_N]].tolist():
            try:
                found = number(_json(data[p - begin : q - begin])) if kind[row] != ODD else None
            except Rejected:
                kind[row] = ODD
            else:
                numbers[which, row] = nan if found is None else found

    def _scanned(self, data: bytes, begin: int, columns: Any) -> Scanned:
        small, pair, key, words, floats = columns
        order = np.empty(len(key), np.int64)
        found = rows.settle(self._box_at, small, pair, key, words, floats, self._place, order)
        return Scanned(
            n=len(key),
            kind=small[rows.SMALL_KIND],
            pair=pair,
            at=words[rows.WORDS_AT],
            key=key,
            keys=Picked(order[:found], self._keys.values),
            document=small[rows.SMALL_HAS].view(np.bool_),
            number={path: floats[i] for path, i in self._places[0]},
            flag={path: small[i] for path, i in self._places[1]},
            value={path: words[i] for path, i in self._places[2]},
            table=self._values.values,
            data=data,
            begin=begin,
            small=small,
            words=words,
        )


def lines(data: bytes) -> Ints:
    """The places of the lines in some bytes, for `Scanner.read`: what stands behind the last newline is no line."""
    places = np.empty(len(data) + 1, np.int64)  # memory that is never looked at costs nothing
    places[0] = 0
    return places[: 1 + rows.line_ends(address(np.frombuffer(data, np.uint8)), len(data), places[1:])]


def _foreign(data: bytes, places: Ints, kind: npt.NDArray[np.int8]) -> None:
    """Rows that are not UTF-8 are odd."""
    try:
        data.decode()
    except UnicodeDecodeError:
        at = places.tolist()
        for row in range(len(kind)):
            if not _is_utf8(data[at[row] : at[row + 1] - 1]):
                kind[row] = ODD


def _json(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Rejected("json", str(error)) from None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
