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

from config.specs import Pipeline, Trigger
from consumer.record import Opener, Raw
from consumer.verdict import asked, old_time
from contract.errors import Rejected
from contract.event import Event, Heartbeat
from contract.keys import kinesis_hash, partition_key, typed, untyped
from contract.times import MAX_MS, MIN_MS
from contract.values import bson_value, flag, get, number, value
from models.base import Happening
from windows.engine import BY_EVENT, BY_HEARTBEAT, CHANGE, NEVER, TIME, VOID, Columns, Key
from windows.expr import FieldKind, merge_fields
from windows.spec import streams

__all__ = ["Batch", "Raw", "Reader"]
Pair = tuple[str, str]  # (trigger, route)


@dataclass(slots=True)
class Batch:
    """n rows. verdicts: a row's class where it has one by itself, None for a change that goes to the windows. events: None where
    there is none. rejected: why a row died. happenings: what models see, for the rows that they read. hashes: of columns.keys."""

    raws: Sequence[Raw]
    columns: Columns
    verdicts: list[str | None]
    events: list[Event | None]
    rejected: Mapping[int, Rejected]
    happenings: Mapping[int, Happening]
    hashes: Sequence[int]

    @property
    def n(self) -> int:
        """Rows."""
        return self.columns.n

    def void(self, row: int, verdict: str) -> None:
        """The row goes nowhere after all."""
        self.verdicts[row] = verdict
        self.columns.kind[row], self.columns.mark[row] = VOID, NEVER


@dataclass(slots=True)
class _Rows:
    """A batch in the making: a list a column."""

    n: int
    kind: list[int]
    cause: list[int]
    mark: list[int]
    stream: list[int]
    key: list[int]
    at: list[int]
    old_at: list[int]
    put: list[bool]
    take: list[bool]
    doc: list[Any]
    fields: dict[tuple[str, FieldKind], list[Any]]
    keys: dict[Key, int] = field(default_factory=dict)
    hashes: list[int] = field(default_factory=list)
    happenings: dict[int, Happening] = field(default_factory=dict)

    @classmethod
    def of(cls, n: int, fields: Sequence[tuple[str, FieldKind]]) -> _Rows:
        """n rows that are VOID."""
        empty: dict[FieldKind, Any] = {"number": nan, "flag": -1, "value": None}
        columns = {(path, kind): [empty[kind]] * n for path, kind in fields}
        no, zero = [False], [0]
        return cls(
            n, zero * n, [BY_EVENT] * n, [NEVER] * n, [-1] * n, [-1] * n, zero * n, zero * n, no * n, no * n, [None] * n, columns
        )

    def columns(self) -> Columns:
        """As the engine wants them."""
        return Columns(
            n=self.n,
            kind=np.array(self.kind, np.int8),
            cause=np.array(self.cause, np.int8),
            mark=np.array(self.mark, np.int64),
            stream=np.array(self.stream, np.int16),
            key=np.array(self.key, np.int32),
            keys=list(self.keys),
            at=np.array(self.at, np.int64),
            old_at=np.array(self.old_at, np.int64),
            put=np.array(self.put, np.bool_),
            take=np.array(self.take, np.bool_),
            doc=self.doc,
            number={path: np.array(c, np.float64) for (path, kind), c in self.fields.items() if kind == "number"},
            flag={path: np.array(c, np.int8) for (path, kind), c in self.fields.items() if kind == "flag"},
            value={path: c for (path, kind), c in self.fields.items() if kind == "value"},
        )


@dataclass(frozen=True, slots=True)
class _Reading:
    """How events of one (trigger, route) are read. number: index of the window stream, -1 if no set reads them."""

    trigger: Trigger
    route: str
    number: int
    retracts: bool
    modelled: bool
    fields: Sequence[tuple[str, FieldKind]]


READ: Mapping[FieldKind, tuple[Callable[[Any], Any], Any]] = {"number": (number, nan), "flag": (flag, -1), "value": (value, None)}


class Reader:
    """Reads batches by a pipeline's specs. modelled: the (trigger, route) pairs whose documents models see."""

    def __init__(self, spec: Pipeline, modelled: Sequence[Pair] = ()) -> None:
        self._stream = spec.stream
        self._opener = Opener(spec)
        self._own_hash = spec.stream.format == "event"
        pairs = {pair: i for i, pair in enumerate(streams(spec.windows))}
        every = [(t, route) for t in spec.triggers for route in t.routes]
        self._readings = {(t.name, route): _reading(spec, t, route, pairs, modelled) for t, route in every}
        self._fields = list(dict.fromkeys(f for r in self._readings.values() for f in r.fields))

    def read(self, raws: Sequence[Raw]) -> Batch:
        """One batch of all those records, in their order."""
        rows = _Rows.of(len(raws), self._fields)
        verdicts: list[str | None] = []
        events: list[Event | None] = [None] * len(raws)
        rejected: dict[int, Rejected] = {}
        for row, raw in enumerate(raws):
            try:
                message = self._opener.open(raw)
                if isinstance(message, Heartbeat):
                    verdicts.append(self._heartbeat(rows, row, message))
                    continue
                events[row] = message
                verdicts.append(self._event(rows, row, raw, message))
            except Rejected as cause:
                rejected[row] = cause
                verdicts.append("dead_letter")
        return Batch(raws, rows.columns(), verdicts, events, rejected, rows.happenings, rows.hashes)

    def _heartbeat(self, rows: _Rows, row: int, message: Heartbeat) -> str:
        rows.kind[row], rows.cause[row], rows.mark[row] = TIME, BY_HEARTBEAT, message.cluster - self._stream.settle
        return "control"

    def _event(self, rows: _Rows, row: int, raw: Raw, event: Event) -> str | None:
        """Fills the row in. Nothing shows of it until its kind is set, which is last: a rejected row stays VOID."""
        reading = self._readings.get((event.trigger, event.route))
        if reading is None:
            raise Rejected("trigger", "no trigger of that name with that route is configured here")
        put, take = asked(reading.trigger, event)
        if not (put or take):
            return "ignored"
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
            rows.happenings[row] = _happening(event, key, at)
        rows.stream[row], rows.key[row] = reading.number, self._slot(rows, (event.route, key), raw)
        rows.at[row], rows.mark[row] = at, at - self._stream.out_of_order
        rows.put[row], rows.take[row], rows.kind[row] = put, take, CHANGE
        return None

    def _time(self, raw: Raw, event: Event) -> int:
        """The event time, checked against the years that all can hold, and against the record's own arrival."""
        at = event.at
        if at is None or not MIN_MS <= at <= MAX_MS:
            raise Rejected("time", "the event time is missing or cannot be read")
        arrived = raw.arrived if raw.arrived is not None else event.cluster if event.id else None
        if arrived is not None and at > arrived + self._stream.max_future:
            raise Rejected("future", f"the event time lies {at - arrived} ms after the record's arrival")
        return at

    def _slot(self, rows: _Rows, key: Key, raw: Raw) -> int:
        """The key's index in the batch. Bare documents lie where their sender's partition key put them, all others by ours."""
        slot = rows.keys.get(key)
        if slot is None:
            slot = rows.keys[key] = len(rows.keys)
            own = self._own_hash or raw.partition_key is None
            rows.hashes.append(kinesis_hash(partition_key(*key) if own else str(raw.partition_key)))
        return slot


def _reading(spec: Pipeline, trigger: Trigger, route: str, pairs: Mapping[Pair, int], modelled: Sequence[Pair]) -> _Reading:
    pair = (trigger.name, route)
    sets = [s for s in spec.windows if (s.trigger, s.key) == pair]
    fields = [(path, kind) for path, kinds in merge_fields(s.fields() for s in sets).items() for kind in sorted(kinds)]
    return _Reading(trigger, route, pairs.get(pair, -1), any(s.retract for s in sets), pair in modelled, fields)


def _happening(event: Event, key: Any, at: int) -> Happening:
    return Happening(
        trigger=event.trigger,
        route=event.route,
        key=untyped(key),
        at=at,
        token=event.token,
        doc_id=bson_value(event.doc_id),
        document=bson_value(event.document),
    )
