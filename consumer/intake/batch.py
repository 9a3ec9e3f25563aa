"""Records to a batch: columns for the windows, and beside them what models, counters and dead letters need of each row.

A row is judged here as far as it can be judged by itself: control, ignored, dead letter. Whether it repeats an earlier one depends
on what its key remembers, and whether it is late on the windows; the pipeline says both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import structs

from config.specs import Pipeline, Trigger
from consumer.intake.judge import Again, asked, old_time
from consumer.intake.one_by_one import Rows
from consumer.intake.records import Opener, Raw, is_requeued
from consumer.store.contract import CLASSES
from contract.errors import Rejected
from contract.event import Event, Gap, Heartbeat
from contract.keys import bare_partition_key, kinesis_hash, partition_key, typed, untyped
from contract.times import MAX_MS, MIN_MS
from contract.values import bson_value, flag, get, id_value, number, value
from models.base import Happening
from models.inputs import Looked
from windows.engine import BY_HEARTBEAT, CHANGE, NEVER, TIME, VOID, Columns, Ints, Key
from windows.law.expr import FieldKind, merge_fields
from windows.law.lives import event_mark, heartbeat_mark
from windows.law.spec import streams

__all__ = ["Batch", "Raw", "Reader"]
Pair = tuple[str, str]  # (trigger, route)
NONE = -1
COUNTED, REPEAT, LATE, IGNORED, CONTROL, DEAD = range(len(CLASSES))


@dataclass(slots=True)
class Batch:
    """n rows. verdict: int8, a row's class where it has one by itself (its place in consumer.store.contract.CLASSES), NONE for a
    change that goes to the windows. pair: int16, which of `pairs` a change is of. tokens: of changes, "" where there is none.
    events: those that have been opened. rejected: why a row died. happenings: what models see, for the rows that they read. hashes:
    of columns.keys. requeued: rows that say that they were dead letters before; letters: what is known of those. gaps: the
    rows that say what is missing."""

    raws: Sequence[Raw]
    columns: Columns
    verdict: npt.NDArray[np.int8]
    pairs: Sequence[Pair]
    pair: npt.NDArray[np.int16]
    tokens: list[str]
    events: dict[int, Event]
    rejected: Mapping[int, Rejected]
    happenings: Mapping[int, Happening]
    hashes: Sequence[int]
    opener: Opener
    requeued: Sequence[int] = ()
    letters: Mapping[int, Again] = field(default_factory=dict)
    gaps: dict[int, Gap] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Rows."""
        return self.columns.n

    @property
    def verdicts(self) -> list[str | None]:
        """The verdicts by name."""
        return [None if v == NONE else CLASSES[v] for v in self.verdict.tolist()]

    def event(self, row: int) -> Event | None:
        """The event of a row, None where the record holds none."""
        if row not in self.events and row not in self.rejected:
            message = self.opener.open(self.raws[row])
            if isinstance(message, Event):
                self.events[row] = message
        return self.events.get(row)

    def void(self, row: int, verdict: int) -> None:
        """The row goes nowhere after all."""
        self.verdict[row] = verdict
        self.columns.kind[row], self.columns.mark[row] = VOID, NEVER

    def refuse(self, row: int, cause: Rejected) -> None:
        """The row is a dead letter after all, as if it could not be read."""
        if self.verdict[row] == NONE:
            self.event(row)  # what the letter says of it
            self.void(row, DEAD)
            self.columns.put[row], self.tokens[row] = False, ""
            self.rejected = {**self.rejected, row: cause}

    def passed(self, row: int) -> None:
        """Of a row that its key's state holds already only the time goes in, which cannot go back."""
        if self.verdict[row] == NONE:
            self.verdict[row], self.columns.kind[row], self.columns.put[row] = CONTROL, TIME, False
            self.tokens[row] = ""

    def condemn(self, row: int, cause: Rejected) -> None:
        """A row that can be read, and yet is a dead letter: the store does not take what it brings. Its time counts."""
        if self.verdict[row] == NONE:
            self.event(row)  # what the letter says of it
            self.verdict[row], self.columns.kind[row], self.columns.put[row] = DEAD, TIME, False
            self.rejected, self.tokens[row] = {**self.rejected, row: cause}, ""


@dataclass(frozen=True, slots=True)
class _Reading:
    """How events of one (trigger, route) are read. place: its own; number: index of the window stream, -1 if no set reads them."""

    trigger: Trigger
    route: str
    place: int
    number: int
    retracts: bool
    modelled: bool
    fields: Sequence[tuple[str, FieldKind]]


READ: Mapping[FieldKind, tuple[Callable[[Any], Any], Any]] = {"number": (number, nan), "flag": (flag, -1), "value": (value, None)}


class Reader:
    """Reads batches by a pipeline's specs, each record for itself. modelled: the (trigger, route) pairs whose documents models see.

    The twin of consumer.intake.in_place.Reader, and what reads the rows that are not plain there.
    """

    def __init__(self, spec: Pipeline, modelled: Sequence[Pair] = ()) -> None:
        self._stream = spec.stream
        self.opener = Opener(spec)
        streamed = {pair: i for i, pair in enumerate(streams(spec.windows))}
        every = [(t, route) for t in spec.triggers for route in t.routes]
        self.pairs = [(t.name, route) for t, route in every]
        self.readings = [_reading(spec, t, r, place, streamed, modelled) for place, (t, r) in enumerate(every)]
        self._by_pair = dict(zip(self.pairs, self.readings, strict=True))
        self._fields = list(dict.fromkeys(f for r in self.readings for f in r.fields))

    def read(self, raws: Sequence[Raw]) -> Batch:
        """One batch of all those records, in their order."""
        rows = Rows.of(len(raws), self._fields)
        verdicts: list[int] = []
        events: dict[int, Event] = {}
        rejected: dict[int, Rejected] = {}
        gaps: dict[int, Gap] = {}
        for row, raw in enumerate(raws):
            try:
                message = self.opener.open(raw)
                if isinstance(message, Heartbeat):
                    verdicts.append(self._heartbeat(rows, row, raw, message))
                    continue
                if isinstance(message, Gap):
                    gaps[row] = _sound(message)
                    verdicts.append(CONTROL)
                    continue
                events[row] = message
                verdicts.append(self._event(rows, row, raw, message))
            except Rejected as cause:
                rejected[row] = cause
                verdicts.append(DEAD)
        pair, verdict = np.array(rows.pair, np.int16), np.array(verdicts, np.int8)
        again = [row for row, raw in enumerate(raws) if is_requeued(raw)]
        return Batch(
            raws,
            rows.columns(),
            verdict,
            self.pairs,
            pair,
            rows.tokens,
            events,
            rejected,
            rows.happenings,
            rows.hashes,
            self.opener,
            again,
            gaps=gaps,
        )

    def _heartbeat(self, rows: Rows, row: int, raw: Raw, message: Heartbeat) -> int:
        if not MIN_MS <= message.cluster <= MAX_MS:
            raise Rejected("time", "a heartbeat outside the years 1 to 9999")
        self._not_ahead(message.cluster, raw.arrived, "heartbeat")
        rows.kind[row], rows.cause[row] = TIME, BY_HEARTBEAT
        rows.mark[row] = heartbeat_mark(message.cluster, self._stream.settle)
        return CONTROL

    def _not_ahead(self, at: int, arrived: int | None, what: str) -> None:
        """Nothing of the future moves the watermark."""
        if arrived is not None and at > arrived + self._stream.max_future:
            raise Rejected("future", f"the {what} lies {at - arrived} ms after the record's arrival")

    def _event(self, rows: Rows, row: int, raw: Raw, event: Event) -> int:
        """Fills the row in. Nothing shows of it until its kind is set, which is last: a rejected row stays VOID."""
        reading = self._by_pair.get((event.trigger, event.route))
        if reading is None:
            raise Rejected("trigger", "no trigger of that name with that route is configured here")
        put, take = asked(reading.trigger, event)
        if not (put or take):
            return IGNORED
        key = typed(event.key)
        at = self._time(raw, event)
        for place in reading.fields if put else ():
            convert, missing = READ[place[1]]
            found = convert(get(event.document or {}, place[0]))
            rows.fields[place][row] = missing if found is None else found
        if reading.retracts:
            rows.doc[row] = value(event.doc_id)
            rows.old_at[row] = old_time(reading.trigger, event) if take else 0
        if put and reading.modelled:
            rows.happenings[row] = happening(event, key, at)
        rows.stream[row], rows.key[row] = reading.number, self._slot(rows, (event.route, key))
        rows.at[row], rows.mark[row] = at, self._mark(at, raw, event)
        rows.put[row], rows.take[row], rows.kind[row] = put, take, CHANGE
        rows.pair[row], rows.tokens[row] = reading.place, event.token if event.id else ""
        return NONE

    def _time(self, raw: Raw, event: Event) -> int:
        """The event time, checked against the years that all can hold, and against the record's own arrival."""
        at = event.at
        if at is None or not MIN_MS <= at <= MAX_MS:
            raise Rejected("time", "the event time is missing or cannot be read")
        if not MIN_MS <= event.cluster <= MAX_MS:
            raise Rejected("time", "a cluster time outside the years 1 to 9999")
        self._not_ahead(at, raw.arrived if raw.arrived is not None else event.cluster if event.id else None, "event time")
        return at

    def _mark(self, at: int, raw: Raw, event: Event) -> int:
        written = event.cluster if event.id else at if raw.arrived is None else raw.arrived
        return int(event_mark(at, written, self._stream.out_of_order))

    def _slot(self, rows: Rows, key: Key) -> int:
        """The key's index in the batch."""
        slot = rows.keys.get(key)
        if slot is None:
            slot = rows.keys[key] = len(rows.keys)
            rows.hashes.append(key_hash(key, self._stream.format == "document"))
        return slot


def _sound(gap: Gap) -> Gap:
    if not MIN_MS <= gap.begin <= gap.end <= MAX_MS:
        raise Rejected("time", "a gap that ends before it begins, or outside the years 1 to 9999")
    return gap


def key_hash(key: Key, bare: bool) -> int:
    """Where a key lies, by the partition key that its records have to have."""
    return kinesis_hash(bare_partition_key(key[1]) if bare else partition_key(*key))


def _reading(
    spec: Pipeline, trigger: Trigger, route: str, place: int, streamed: Mapping[Pair, int], modelled: Sequence[Pair]
) -> _Reading:
    pair = (trigger.name, route)
    sets = [s for s in spec.windows if (s.trigger, s.key) == pair]
    fields = [(path, kind) for path, kinds in merge_fields(s.fields() for s in sets).items() for kind in sorted(kinds)]
    return _Reading(trigger, route, place, streamed.get(pair, -1), any(s.retract for s in sets), pair in modelled, fields)


def happening(event: Event, key: Any, at: int) -> Happening:
    """What models see of an event. Raises Rejected for a document that BSON cannot hold."""
    return Happening(
        trigger=event.trigger,
        route=event.route,
        key=untyped(key),
        at=at,
        token=event.token,
        doc_id=id_value(event.doc_id),
        document=bson_value(event.document),
    )


# A batch on its way through the pipeline, and how much of it one part may take.
ARRAYS = ("kind", "cause", "mark", "stream", "key", "at", "old_at", "put", "take")
FIELDS = ("number", "flag", "value")


@dataclass(frozen=True, slots=True)
class Budget:
    """About how much one part may change: rows taken (a score or a dead letter each), documents of windows, silences judged."""

    rows: int = 1_500
    windows: int = 2_000
    judged: int = 500


NO_LIMIT = Budget(1 << 40, 1 << 40, 1 << 40)


@dataclass(slots=True)
class Work:
    """A batch whose repeats are found. keys: of its columns. watermarks[i] is the watermark once row i is in. anew: rows at which a
    key begins anew, as it had been forgotten. looked: what other entities' views say, for the rows that are scored."""

    batch: Batch
    keys: Sequence[Key]
    watermarks: Ints
    anew: Sequence[int] = ()
    looked: Looked = field(default_factory=dict)

    def put_in(self, rows: range) -> list[int]:
        """Those of the rows whose document goes in."""
        taken = slice(rows.start, rows.stop)
        put = self.batch.columns.put[taken] & (self.batch.verdict[taken] == NONE)
        found: list[int] = (np.flatnonzero(put) + rows.start).tolist()
        return found

    def upto(self, end: int) -> Columns:
        """The columns of the rows before `end`."""
        whole = self.batch.columns
        if end == whole.n:
            return whole
        cut: dict[str, Any] = {name: getattr(whole, name)[:end] for name in ARRAYS}
        for kind in FIELDS:
            cut[kind] = {path: column[:end] for path, column in getattr(whole, kind).items()}
        return structs.replace(whole, n=end, doc=None if whole.doc is None else whole.doc[:end], **cut)
