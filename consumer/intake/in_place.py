"""Records to a batch without a Python object for each: what reading.scanner reads in place; all else by consumer.intake.batch.

A row goes the general way if the scanner leaves it, if it would be a dead letter, or if its document cannot be shown to a model:
the general way alone says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Any, overload

import msgspec
import numpy as np
import numpy.typing as npt

from config.specs import Pipeline
from consumer.intake import batch
from consumer.intake.batch import CONTROL, IGNORED, NONE, Batch, Pair
from consumer.intake.records import UNKNOWN, Format, Ints, Listed, Raw, Records
from contract.errors import Rejected
from contract.event import Event
from contract.keys import kinesis_hash, partition_key
from contract.times import MAX_MS, MIN_MS
from contract.values import value
from models.base import Happening
from reading.scanner import EVENT, HEARTBEAT, ODD, OPS, Bare, Scanned, Scanner
from windows.columnar.codes import Codes
from windows.engine import BY_EVENT, BY_HEARTBEAT, CHANGE, NEVER, TIME, VOID, Columns, Key
from windows.law.lives import event_mark, heartbeat_mark

Bools = npt.NDArray[np.bool_]
NOT, PUTS, MUST = 0, 1, 2  # what an operation does with the document it has; MUST: without one it is no event of ours


class Reader:
    """Reads batches as consumer.intake.batch.Reader does."""

    def __init__(self, spec: Pipeline, modelled: Sequence[Pair] = ()) -> None:
        self.general = batch.Reader(spec, modelled)
        self._stream = spec.stream
        self._needs = {pair: list(r.fields) for pair, r in zip(self.general.pairs, self.general.readings, strict=True)}
        self._scanners: dict[Format, Scanner | None] = {}
        readings = [*self.general.readings, None]  # the last one is for rows of no pair
        self._number = np.array([-1 if r is None else r.number for r in readings], np.int16)
        self._modelled = np.array([r is not None and r.modelled for r in readings])
        self._retracts = np.array([r is not None and r.retracts for r in readings])
        self._asks = np.array([[NOT if r is None else _asks(r, op) for op in OPS] for r in readings])

    def read(self, raws: Sequence[Raw]) -> Batch:
        """One batch of all those records, in their order."""
        records = raws if isinstance(raws, Records) else Listed(raws)
        scanner = self._scanner(records.format)
        if scanner is None:
            return self.general.read(records)
        scanned = scanner.read(records.data, records.places)
        put, odd = self._judged(scanned, records)
        happenings: dict[int, Happening] = {}
        docs = self._docs(scanned, put, odd)
        tokens = _tokens(scanned, put)
        for row in np.flatnonzero(put & self._modelled[scanned.pair]).tolist():
            self._show(scanned, records, row, happenings, odd)
        put &= ~odd
        made = self._batch(scanned, records, put, odd, docs)
        made.tokens, made.happenings = tokens, happenings
        rows = np.flatnonzero(odd)
        if len(rows):
            merge(made, rows, self.general.read([records.raw(row) for row in rows.tolist()]))
        made.hashes = Hashes(made.columns.key, made.columns.keys, records, self._stream.format == "event")
        return made

    def _scanner(self, format: Format | None) -> Scanner | None:
        """What reads records of a format; None: nothing does at once."""
        if format is None:
            return None
        format = self._stream.format if format == "stream" else format
        if format not in self._scanners:
            time = self.general.readings[0].trigger.time if self.general.readings else None
            bare = Bare(0, time) if format == "document" and time is not None else None
            known = bool(self.general.readings) and (format == "event" or bare is not None)
            self._scanners[format] = Scanner(self._needs, bare) if known else None
        return self._scanners[format]

    def _judged(self, scanned: Scanned, records: Records) -> tuple[Bools, Bools]:
        """(rows that are put in, rows for the general way)."""
        event, odd = scanned.kind == EVENT, scanned.kind == ODD
        asks = np.where(event, self._asks[scanned.pair, scanned.op], NOT)
        odd |= (asks == MUST) & ~scanned.document
        put = (asks != NOT) & scanned.document
        arrived = records.arrived
        since = np.where(arrived == UNKNOWN, scanned.cluster, arrived)
        known = (arrived != UNKNOWN) | (scanned.spans[0] < scanned.spans[1])
        odd |= put & known & (scanned.at - self._stream.max_future > since)
        beat = scanned.kind == HEARTBEAT
        odd |= beat & ((scanned.cluster < MIN_MS) | (scanned.cluster > MAX_MS))
        odd |= beat & (arrived != UNKNOWN) & (scanned.cluster - self._stream.max_future > arrived)
        return put & ~odd, odd

    def _docs(self, scanned: Scanned, put: Bools, odd: Bools) -> list[Any]:
        """The ids of documents, of the rows that a set may take out again."""
        docs: list[Any] = [None] * scanned.n
        for row in np.flatnonzero(put & self._retracts[scanned.pair]).tolist():
            try:
                docs[row] = value(msgspec.json.decode(scanned.doc_id(row)))
            except (Rejected, msgspec.DecodeError):
                odd[row] = True
        return docs

    def _show(self, scanned: Scanned, records: Records, row: int, happenings: dict[int, Happening], odd: Bools) -> None:
        """What models see of a row; one that cannot be shown is odd."""
        try:
            message = self.general.opener.open(records.raw(row))
            if isinstance(message, Event):
                happenings[row] = batch.happening(message, scanned.keys[scanned.key[row]][1], int(scanned.at[row]))
        except Rejected:
            odd[row] = True

    def _batch(self, scanned: Scanned, records: Records, put: Bools, odd: Bools, docs: list[Any]) -> Batch:
        """All rows but the odd ones, which are VOID."""
        beat, nothing = (scanned.kind == HEARTBEAT) & ~odd, np.zeros(scanned.n, np.int64)
        key, keys = _used(scanned, put)
        columns = Columns(
            n=scanned.n,
            kind=np.where(put, CHANGE, np.where(beat, TIME, VOID)).astype(np.int8),
            cause=np.where(beat, BY_HEARTBEAT, BY_EVENT).astype(np.int8),
            mark=self._marks(scanned, records, put, beat),
            stream=np.where(put, self._number[scanned.pair], -1).astype(np.int16),
            key=key,
            keys=keys,
            at=np.where(put, scanned.at, 0),
            old_at=nothing,
            put=put,
            take=nothing.astype(np.bool_),
            doc=docs,
            number=scanned.number,
            flag=scanned.flag,
            value={path: Codes(codes, scanned.table) for path, codes in scanned.value.items()},
        )
        verdict = np.where(put, NONE, np.where(beat, CONTROL, IGNORED)).astype(np.int8)
        pair = np.where(put, scanned.pair, -1).astype(np.int16)
        return Batch(records, columns, verdict, self.general.pairs, pair, [], {}, {}, {}, (), self.general.opener)

    def _marks(self, scanned: Scanned, records: Records, put: Bools, beat: Bools) -> Ints:
        """What each row vouches for. An event of ours has an id; of when a bare document was written only its arrival tells."""
        arrived = np.where(records.arrived == UNKNOWN, scanned.at, records.arrived)
        written = np.where(scanned.spans[0] < scanned.spans[1], scanned.cluster, arrived)
        events = event_mark(scanned.at, written, self._stream.out_of_order)
        marks: Ints = np.where(put, events, np.where(beat, heartbeat_mark(scanned.cluster, self._stream.settle), NEVER))
        return marks


def _asks(reading: Any, op: str) -> int:
    """What an operation without a pre-image does: consumer.intake.judge.asked, as a table."""
    if op == "insert":
        return MUST
    if op == "delete":
        return NOT
    return PUTS if reading.trigger.before or reading.trigger.updates == "new_event" else NOT


def _tokens(scanned: Scanned, put: Bools) -> list[str]:
    """The resume tokens of the rows that are put in; "" for all others."""
    tokens = [""] * scanned.n
    begin, end = (scanned.spans[:2] - scanned.begin).tolist()
    data = scanned.data.decode() if scanned.data.isascii() else None  # else places in the text are not those in the bytes
    for row in compress(range(scanned.n), (put & (scanned.spans[0] < scanned.spans[1])).tolist()):
        text = scanned.data[begin[row] : end[row]].decode() if data is None else data[begin[row] : end[row]]
        tokens[row] = text.rsplit("/", 1)[0]
    return tokens


def _used(scanned: Scanned, put: Bools) -> tuple[npt.NDArray[np.int32], list[Any]]:
    """(which key a row has, the keys), of the rows that are put in."""
    key = np.where(put, scanned.key, -1)
    used = np.zeros(len(scanned.keys) + 1, np.bool_)
    used[key] = True
    used[-1] = False
    if used[:-1].all():
        return key.astype(np.int32), list(scanned.keys)
    place = np.cumsum(used) - 1
    place[-1] = -1
    return place[key].astype(np.int32), list(compress(scanned.keys, used.tolist()))


# Rows that were read one by one, put among those that were read in place.
ARRAYS = ("kind", "cause", "mark", "stream", "at", "old_at", "put", "take")


class Hashes(Sequence[int]):
    """The Kinesis hashes of a batch's keys, made when they are asked for. Bare documents lie where their sender's partition key put
    them, all others where ours does."""

    def __init__(self, key: npt.NDArray[np.int32], keys: Sequence[Key], records: Records, own: bool) -> None:
        self._key, self._keys, self._records, self._own = key, keys, records, own
        self._first: Ints | None = None

    def __len__(self) -> int:
        return len(self._keys)

    @overload
    def __getitem__(self, i: int) -> int: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[int]: ...
    def __getitem__(self, i: int | slice) -> int | Sequence[int]:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        if i >= len(self):
            raise IndexError(i)
        theirs = None if self._own else self._records.raw(self._first_row(i)).partition_key
        return kinesis_hash(partition_key(*self._keys[i]) if theirs is None else theirs)

    def _first_row(self, i: int) -> int:
        if self._first is None:
            self._first = np.zeros(len(self._keys), np.int64)
            found, first = np.unique(self._key, return_index=True)
            self._first[found[found >= 0]] = first[found >= 0]
        return int(self._first[i])


def merge(whole: Batch, rows: Ints, part: Batch) -> None:
    """Puts a part's rows in their places of the whole, whose hashes are void then."""
    into, given = whole.columns, part.columns
    for name in ARRAYS:
        getattr(into, name)[rows] = getattr(given, name)
    places = {key: place for place, key in enumerate(into.keys)} if len(given.keys) else {}
    table = np.array([*(places.setdefault(key, len(places)) for key in given.keys), -1], np.int32)
    into.key[rows] = table[given.key]
    into.keys = list(places) or into.keys
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
    whole.events |= {at[i]: event for i, event in part.events.items()}
    whole.rejected = {at[i]: cause for i, cause in part.rejected.items()}
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
