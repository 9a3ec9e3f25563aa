"""KCL's MultiLang lines of records, straight to columns.

KCL writes every record of a line with the same words around the values. The words are learnt from a line's first record; a
compiled loop then checks them and decodes the Base64 of all records into one buffer. What differs in anything (another field,
another order, a broken text) is not read here at all: `Reader.read` gives None, and the caller's general parser says what it is.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from compiled.kernel import inlined, kernel
from reading import base64, documents, kernels
from reading.kernels import NO, Ints
from reading.memory import keep_memory

Spans = np.ndarray[tuple[int, int], np.dtype[np.int64]]

FIELDS = (b"data", b"partitionKey", b"sequenceNumber", b"subSequenceNumber", b"approximateArrivalTimestamp")
DATA, KEY, SEQUENCE, SUB, ARRIVED = range(5)
ROW = (0, 2, 5, 8, 9)  # of `spans`, where a field begins: (begin, end), twice (begin, end, what is odd), value, value; then offsets
FOREIGN_ROWS = [ROW[KEY] + 2, ROW[SEQUENCE] + 2]
OFFSETS, ROWS = 10, 11
LENGTHS, PLACES = 5, 12  # within a layout
LAST_YEAR = 253_370_764_800_000  # 9999-01-01: an arrival behind it has no datetime

WS = rb"[ \t\r\n]*"
PAIR = rb'"(\w+)"%s:%s("(?:[^"\\]|\\.)*"|\d+|null)' % (WS, WS)
ONE_PAIR = re.compile(PAIR)
OBJECT = re.compile(rb"\{%s%s(?:%s,%s%s)*%s\}" % (WS, PAIR, WS, WS, PAIR, WS))
HEAD = re.compile(rb'%s\{%s(?:"\w+"%s:%s["\w]+%s,%s)*"records"%s:%s\[%s' % ((WS,) * 9))
COMMA = re.compile(rb"%s,%s" % (WS, WS))
TAIL = re.compile(rb"%s\]" % WS)
TOP = {"action", "records", "millisBehindLatest"}
TOP_QUOTES = 8  # around these and "processRecords": with so many, none is there twice


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The records of one line. data: the bytes of all, a newline behind each, then PADDING; record i is data[offsets[i] :
    offsets[i + 1] - 1]."""

    line: bytes
    data: bytes
    spans: Spans
    millis_behind_latest: int | None

    def __len__(self) -> int:
        return int(self.spans.shape[1]) - 1

    @property
    def offsets(self) -> Ints:
        """(n + 1,), places in data."""
        offsets: Ints = self.spans[OFFSETS]
        return offsets

    @property
    def subs(self) -> Ints:
        """(n,), places within aggregated records; NULL for null."""
        return self.spans[ROW[SUB], :-1]

    @property
    def arrived(self) -> Ints:
        """(n,), arrival at Kinesis in ms since 1970 UTC."""
        return self.spans[ROW[ARRIVED], :-1]

    def datas(self) -> list[bytes]:
        """The bytes of each record."""
        datas = self.data[: int(self.offsets[-1])].split(b"\n")[:-1]
        if len(datas) != len(self):  # a record has newlines of its own
            at = self.offsets.tolist()
            return [self.data[a : b - 1] for a, b in pairwise(at)]
        return datas

    def text(self, field: int, i: int) -> str:
        """DATA (as Base64), KEY or SEQUENCE of record i."""
        row = ROW[field]
        begin, end = int(self.spans[row, i]), int(self.spans[row + 1, i])
        if field != DATA and self.spans[row + 2, i] & documents.ESCAPED:
            escaped: str = json.loads(self.line[begin - 1 : end + 1])
            return escaped
        return self.line[begin:end].decode("utf-8", "surrogatepass")

    def position(self, i: int) -> tuple[int, int]:
        """(sequence number, sub) of record i, to be compared. ValueError where the sequence number is none."""
        return int(self.text(SEQUENCE, i)), max(int(self.subs[i]), 0)

    def after(self, sequence: int, sub: int) -> int:
        """The first record behind a position; positions grow within a line."""
        return bisect_right(range(len(self)), (sequence, sub), key=self.position)


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """The words around the values of a record: one literal before each value, one after the last; then the first one again as it
    stands between two records. order: which field each value is, then the literals' lengths, then their places in memory."""

    order: Ints
    blob: npt.NDArray[np.uint8]
    shortest: int
    literals: tuple[bytes, ...]


class Reader:
    """Reads lines of one daemon, whose layout it remembers. Fresh memory costs more than all else here, so it keeps its own."""

    def __init__(self) -> None:
        keep_memory()
        self._layout: _Layout | None = None
        self._spans = np.empty((ROWS, 0), np.int64)
        self._out = np.empty(0, np.uint8)

    def read(self, line: bytes) -> Batch | None:
        """The records of a line, or None where it is not a line of records just as KCL writes it."""
        head = HEAD.match(line)
        if head is None:
            return None
        batch = self._scan(line, head.end(), self._layout) if self._layout is not None else None
        if batch is None:
            layout = _learn(line, head.end())
            if layout is None or (self._layout is not None and layout.literals == self._layout.literals):
                return None
            self._layout = layout
            batch = self._scan(line, head.end(), layout)
        return batch

    def _scan(self, line: bytes, begin: int, layout: _Layout) -> Batch | None:
        most = len(line) // layout.shortest + 2
        if most > self._spans.shape[1] or len(line) + base64.ROOM > self._out.size:
            self._spans = np.empty((ROWS, most + most // 4), np.int64)
            self._out = np.empty(len(line) + len(line) // 4 + base64.ROOM, np.uint8)
        spans, out, at = self._spans, self._out, kernels.address(np.frombuffer(line, np.uint8))
        n, after = _records(at, at + begin, at + len(line) - documents.SLACK, layout.order, spans, kernels.address(out))
        if n < 1 or TAIL.match(line, after) is None:
            return None
        top = _top(line[:begin] + line[after:])
        foreign = (spans[FOREIGN_ROWS, :n] & documents.FOREIGN).any()
        if top is None or (foreign and not _is_utf8(line)):
            return None
        data = out[: spans[OFFSETS, n] + kernels.PADDING]
        data[-kernels.PADDING :] = 0
        return Batch(line, data.tobytes(), spans[:, : n + 1].copy(), top["millisBehindLatest"])


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8", "surrogatepass")  # as json.loads reads bytes
    except UnicodeDecodeError:
        return False
    return True


def _learn(line: bytes, begin: int) -> _Layout | None:
    """The layout of the record at a place, if it has just the fields that KCL writes."""
    found = OBJECT.match(line, begin)
    if found is None:
        return None
    order, literals, after = [], [], begin
    pairs = list(ONE_PAIR.finditer(line, begin, found.end()))
    for pair in pairs:
        name, value = pair[1], pair[2]
        if name == b"action" and value == b'"record"':
            continue
        quoted = value[:1] == b'"'
        if name not in FIELDS or quoted != (FIELDS.index(name) < SUB):
            return None
        order.append(FIELDS.index(name))
        literals.append(line[after : pair.start(2) + quoted])
        after = pair.end(2) - quoted
    if sorted(order) != list(range(5)) or len(pairs) != 6:
        return None
    comma = COMMA.match(line, found.end())
    return _layout(order, (*literals, line[after : found.end()], (comma[0] if comma else b",") + literals[0]))


def _layout(order: Sequence[int], literals: tuple[bytes, ...]) -> _Layout:
    """The literals in one piece of memory, with room to look 32 bytes at a time."""
    blob = np.frombuffer(b"".join(literals) + bytes(kernels.WIDE), np.uint8)
    lengths = [len(text) for text in literals]
    places = [kernels.address(blob) + sum(lengths[:i]) for i in range(len(literals))]
    return _Layout(np.array([*order, *lengths, *places], np.int64), blob, sum(lengths[:6]), literals)


def _top(rest: bytes) -> dict[str, Any] | None:
    """A line without its records, if it says just what KCL says."""
    try:
        top: dict[str, Any] = json.loads(rest)
    except ValueError:
        return None
    known = top.keys() == TOP and rest.count(b'"') == TOP_QUOTES and top["action"] == "processRecords"
    return top if known and isinstance(top["millisBehindLatest"], int | None) else None


@inlined
def literal(p: int, end: int, layout: Ints, which: int) -> bool:
    """Whether a literal of a layout stands at p, and ends in front of `end`."""
    length, at = layout[LENGTHS + which], layout[PLACES + which]
    if p + length > end:
        return False
    if length <= kernels.WIDE and p <= end - (kernels.WIDE - documents.SLACK):
        need = (1 << length) - 1
        return bool(kernels.equal(p, at) & need == need)
    return documents.same(p, at, length)


@kernel
def _records(begin: int, p: int, end: int, layout: Ints, spans: Ints, out: int) -> tuple[int, int]:
    """(records, place after the last) of a line at address begin; (NO, place) where one is unlike the first. Fills spans (see ROW)
    and the bytes at address out. layout: the fields in order, then the literals' lengths, then where they are."""
    n, o, before = 0, out, 0
    while literal(p, end, layout, before):
        p += layout[LENGTHS + before]
        spans[10, n] = o - out
        for f in range(5):
            if f > 0:
                if not literal(p, end, layout, f):
                    return NO, p - begin
                p += layout[LENGTHS + f]
            field, q = layout[f], p
            if field == 0:
                q, o = base64.base64(p, end, o)
                spans[0, n], spans[1, n] = p - begin, q - begin
            elif field < 3:
                q, odd = documents.text(p, end)
                row = 3 * field - 1
                spans[row, n], spans[row + 1, n], spans[row + 2, n] = p - begin, q - begin, odd
            else:
                q, spans[5 + field, n] = documents.whole(p)
            if q < 0 or q > end:
                return NO, p - begin
            p = q
        if not literal(p, end, layout, 5) or not 0 <= spans[9, n] < LAST_YEAR:
            return NO, p - begin
        p += layout[LENGTHS + 5]
        kernels.store8(o, np.uint64(10))
        o += 1
        n += 1
        before = 6
        if kernels.load1(p) == 93:
            break
    spans[10, n] = o - out
    return n, p - begin
