"""Records to a batch without a Python object for each: what reading.scanner reads in place; all else by consumer.intake.batch.

A row goes the general way if the scanner leaves it, if it would be a dead letter, or if its document cannot be shown to a model:
the general way alone says why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

import msgspec
import numpy as np

from config.specs import Pipeline
from consumer.intake import batch
from consumer.intake.batch import Batch, Pair
from consumer.intake.judged import (
    AT,
    CAUSE,
    KIND,
    MARK,
    MUST,
    NARROW,
    NOT,
    ODD,
    OLD_AT,
    PAIR,
    PUT,
    PUTS,
    PUTS_IN,
    SHORT,
    STREAM,
    TAKES_OUT,
    VERDICT,
    WIDE,
    Found,
    Made,
    Rules,
    judge,
    judge_and_settle,
    settle,
)
from consumer.intake.records import Format, Ints, Listed, Raw, Records
from contract.errors import Rejected
from contract.event import Event
from contract.values import value
from models.base import Happening
from reading.kernels import Bytes, Halves
from reading.scanner import OPS, Bare, Scanned, Scanner
from reading.spellings import Picked
from windows.columnar.codes import Codes
from windows.engine import Columns, Key

Settle = Callable[[Found, Rules, Bytes, Ints, Halves, Made], tuple[int, int]]


class Reader:
    """Reads batches as consumer.intake.batch.Reader does."""

    def __init__(self, spec: Pipeline, modelled: Sequence[Pair] = ()) -> None:
        self.general = batch.Reader(spec, modelled)
        self._stream = spec.stream
        self._needs = {pair: list(r.fields) for pair, r in zip(self.general.pairs, self.general.readings, strict=True)}
        self._scanners: dict[Format, Scanner | None] = {}
        readings = [*self.general.readings, None]  # the last one is for rows of no pair
        number = np.array([-1 if r is None else r.number for r in readings], np.int16)
        self._modelled = np.array([r is not None and r.modelled for r in readings])
        self._retracts = np.array([r is not None and r.retracts for r in readings])
        self._looks = bool(self._modelled.any() or self._retracts.any())  # whether Python looks at rows
        asks = np.array([[NOT if r is None else _asks(r, op) for op in OPS] for r in readings], np.int8)
        self._rules = Rules(spec.stream.max_future, spec.stream.out_of_order, spec.stream.settle, asks, number)

    def read(self, raws: Sequence[Raw]) -> Batch:
        """One batch of all those records, in their order."""
        records = raws if isinstance(raws, Records) else Listed(raws)
        format = self._stream.format if records.format == "stream" else records.format
        scanner = self._scanner(format) if format is not None else None
        if scanner is None:
            return self.general.read(records)
        scanned = scanner.read(records.data, records.places)
        found = Found(scanned.small, scanned.words, scanned.pair, scanned.key, records.arrived)
        fate = np.empty(scanned.n, np.int8)
        if self._looks:
            judge(found, self._rules, fate)
            docs, happenings = self._docs(scanned, fate), self._happenings(scanned, records, fate)
            made, odd = self._made(records, scanned, found, fate, settle)
            made.columns.doc, made.happenings = docs, happenings
        else:
            made, odd = self._made(records, scanned, found, fate, judge_and_settle)
        made.tokens = [""] * made.n if format == "document" else self._tokens(scanned, fate)
        if odd:
            rows = np.flatnonzero(fate == ODD)
            merge(made, rows, self.general.read([records.raw(row) for row in rows.tolist()]))
        made.hashes = Hashes(made.columns.keys, self._stream.format == "document")
        return made

    def _scanner(self, format: Format) -> Scanner | None:
        """What reads records of a format; None: nothing does at once."""
        if format not in self._scanners:
            time = self.general.readings[0].trigger.time if self.general.readings else None
            bare = Bare(0, time) if format == "document" and time is not None else None
            known = bool(self.general.readings) and (format == "event" or bare is not None)
            self._scanners[format] = Scanner(self._needs, bare) if known else None
        return self._scanners[format]

    def _docs(self, scanned: Scanned, fate: Bytes) -> list[Any] | None:
        """The ids of documents, of the rows that a set may take out again. One that is none makes its row odd."""
        if not self._retracts.any():
            return None
        docs: list[Any] = [None] * scanned.n
        for row in np.flatnonzero((fate == PUT) & self._retracts[scanned.pair]).tolist():
            try:
                docs[row] = value(msgspec.json.decode(scanned.doc_id(row)))
            except (Rejected, msgspec.DecodeError):
                fate[row] = ODD
        return docs

    def _happenings(self, scanned: Scanned, records: Records, fate: Bytes) -> dict[int, Happening]:
        """What models see of rows. One that cannot be shown is odd."""
        happenings: dict[int, Happening] = {}
        for row in np.flatnonzero((fate == PUT) & self._modelled[scanned.pair]).tolist():
            try:
                message = self.general.opener.open(records.raw(row))
                if isinstance(message, Event):
                    happenings[row] = batch.happening(message, scanned.keys[scanned.key[row]][1], int(scanned.at[row]))
            except Rejected:
                fate[row] = ODD
        return happenings

    def _tokens(self, scanned: Scanned, fate: Bytes) -> list[str]:
        """The resume tokens of the rows that are put in; "" for all others."""
        tokens, spans = [""] * scanned.n, scanned.spans[:2]
        begin, end = (spans - scanned.begin).tolist()
        data = scanned.data.decode() if scanned.data.isascii() else None  # else places in the text are not those in the bytes
        for row in np.flatnonzero((fate == PUT) & (spans[0] < spans[1])).tolist():
            text = scanned.data[begin[row] : end[row]].decode() if data is None else data[begin[row] : end[row]]
            tokens[row] = text.rsplit("/", 1)[0]
        return tokens

    def _made(self, records: Records, scanned: Scanned, found: Found, fate: Bytes, settle: Settle) -> tuple[Batch, int]:
        """(all rows but the odd ones, which are VOID; how many are odd). The keys stay codes into the scanner's table, by which the
        engine finds what it knows of them without looking at the keys themselves."""
        n, order = scanned.n, scanned.keys.codes
        narrow, short, wide = np.empty((NARROW, n), np.int8), np.empty((SHORT, n), np.int16), np.empty((WIDE, n), np.int64)
        key = np.empty(n, np.int32)
        keys, odd = settle(found, self._rules, fate, order, np.empty(len(order), np.int32), Made(narrow, short, wide, key))
        columns = Columns(
            n=n,
            kind=narrow[KIND],
            cause=narrow[CAUSE],
            mark=wide[MARK],
            stream=short[STREAM],
            key=key,
            keys=Picked(order[:keys], scanned.keys.table),
            at=wide[AT],
            old_at=wide[OLD_AT],
            put=narrow[PUTS_IN].view(np.bool_),
            take=narrow[TAKES_OUT].view(np.bool_),
            doc=None,
            number=scanned.number,
            flag=scanned.flag,
            value={path: Codes(codes, scanned.table) for path, codes in scanned.value.items()},
        )
        opener = self.general.opener
        return Batch(records, columns, narrow[VERDICT], self.general.pairs, short[PAIR], [], {}, {}, {}, (), opener), odd


def _asks(reading: Any, op: str) -> int:
    """What an operation without a pre-image does: consumer.intake.judge.asked, as a table."""
    if op == "insert":
        return MUST
    if op == "delete":
        return NOT
    return PUTS if reading.trigger.before or reading.trigger.updates == "new_event" else NOT


# Rows that were read one by one, put among those that were read in place.
ARRAYS = ("kind", "cause", "mark", "stream", "at", "old_at", "put", "take")


class Hashes(Sequence[int]):
    """The Kinesis hashes of a batch's keys, made when they are asked for."""

    def __init__(self, keys: Sequence[Key], bare: bool) -> None:
        self._keys, self._bare = keys, bare

    def __len__(self) -> int:
        return len(self._keys)

    @overload
    def __getitem__(self, i: int) -> int: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[int]: ...
    def __getitem__(self, i: int | slice) -> int | Sequence[int]:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        return batch.key_hash(self._keys[i], self._bare)


def merge(whole: Batch, rows: Ints, part: Batch) -> None:
    """Puts a part's rows in their places of the whole, whose hashes are void then."""
    into, given = whole.columns, part.columns
    for name in ARRAYS:
        getattr(into, name)[rows] = getattr(given, name)
    places = {key: place for place, key in enumerate(into.keys)} if len(given.keys) else {}
    table = np.array([*(places.setdefault(key, len(places)) for key in given.keys), -1], np.int32)
    into.key[rows] = table[given.key]
    into.keys = list(places) if len(given.keys) else into.keys
    for path, numbers in given.number.items():
        into.number[path][rows] = numbers
    for path, flags in given.flag.items():
        into.flag[path][rows] = flags
    into.value = {path: _values(column, rows, given.value[path]) for path, column in into.value.items()}
    whole.verdict[rows], whole.pair[rows] = part.verdict, part.pair
    at, docs = rows.tolist(), list(into.doc or [None] * into.n)
    for i, row in enumerate(at):
        docs[row], whole.tokens[row] = given.doc[i] if given.doc is not None else None, part.tokens[i]
    into.doc = docs
    whole.gaps |= {at[i]: gap for i, gap in part.gaps.items()}
    whole.events |= {at[i]: event for i, event in part.events.items()}
    whole.rejected = {at[i]: cause for i, cause in part.rejected.items()}
    whole.requeued = [at[i] for i in part.requeued]
    whole.happenings = {**whole.happenings, **{at[i]: happening for i, happening in part.happenings.items()}}


def _values(column: Any, rows: Ints, given: Sequence[Any]) -> Any:
    """A column with other values in some rows. It keeps its codes where those are all missing."""
    if isinstance(column, Codes):
        if all(v is None for v in given):
            codes = column.codes.copy()
            codes[rows] = -1
            return Codes(codes, column.table)
        column = [None if code < 0 else column.table[code] for code in column.codes.tolist()]
    for row, v in zip(rows.tolist(), given, strict=True):
        column[row] = v
    return column
