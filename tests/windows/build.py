"""Helpers for tests of engines: columns from plain rows, step results folded to documents, and a driver that cuts as it is told.

A row is a dict, all of it optional but `at` (or `mark`, of a row that is no change):

    {"kind": CHANGE, "at": 10, "key": "a", "trigger": ..., "route": ..., "mark": at, "cause": BY_EVENT,
     "put": True, "take": False, "old_at": at, "doc": None, "fields": {"amount": 1.0, "declined": True, "shop": "x"}}

trigger and route default to those of the first set. The key of row and route is (route, row["key"]).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pytest

from windows.columnar import saved
from windows.engine import (
    BY_END,
    BY_EVENT,
    BY_HEARTBEAT,
    CHANGE,
    END,
    NEVER,
    TIME,
    VOID,
    Columns,
    Engine,
    Key,
    RollingBlock,
    StepResult,
    WindowBlock,
)
from windows.law.expr import parse
from windows.law.spec import Kind, Measure, WindowSet, streams

Row = Mapping[str, Any]
Doc = dict[str, Any]
Factory = Callable[[Sequence[WindowSet]], Engine]
GARBAGE = {"number": 7e77, "flag": 1, "value": "not yours"}  # what rows of other streams hold: nobody may read it
MISSING = {"number": float("nan"), "flag": -1, "value": None}


def measure(name: str, text: str) -> Measure:
    """A measure from text: `sum(amount)`, `quantile(amount, 0.9)`, `share(declined)`, `count() if amount > 3`."""
    call, _, where = text.partition(" if ")
    fn, inner = call[: call.index("(")], call[call.index("(") + 1 : call.rindex(")")].strip()
    condition = parse(where) if where else None
    if fn == "share":
        return Measure(name, fn, expr=parse(inner), where=condition)
    path, _, q = inner.partition(",")
    return Measure(name, fn, field=path.strip() or None, q=float(q) if q else None, where=condition)


def window_set(name: str, kind: Kind, where: str | None = None, **options: Any) -> WindowSet:
    """A window set over trigger "t" and route "k"; `measures` is a mapping of texts, lateness defaults to 0."""
    said: dict[str, Any] = {"trigger": "t", "key": "k", "lateness": 0, "measures": {"n": "count()"}, **options}
    said["measures"] = tuple(measure(n, text) for n, text in said["measures"].items())
    return WindowSet(name=name, kind=kind, where=parse(where) if where else None, **said)


def beat(mark: int, cause: int = BY_HEARTBEAT) -> dict[str, Any]:
    """Time alone."""
    return {"kind": TIME, "mark": mark, "cause": cause}


def columns(sets: Sequence[WindowSet], rows: Sequence[Row]) -> Columns:
    """Columns as the consumer would make them. Fields that a row's stream does not read hold garbage."""
    pairs = streams(sets)
    reads = [_reads(s for s in sets if (s.trigger, s.key) == pair) for pair in pairs]
    keys: dict[Key, int] = {}
    streamed, keyed = [], []
    for row in rows:
        pair = (row.get("trigger", sets[0].trigger), row.get("route", sets[0].key))
        change = row.get("kind", CHANGE) == CHANGE
        streamed.append(pairs.index(pair) if change and pair in pairs else -1)
        keyed.append(keys.setdefault((pair[1], row.get("key", "a")), len(keys)) if change else -1)
    every = {(path, kind) for read in reads for path, kind in read}
    held: dict[str, dict[str, list[Any]]] = {"number": {}, "flag": {}, "value": {}}
    for path, kind in every:
        held[kind][path] = [_cell(row, path, kind, reads[s] if s >= 0 else set()) for row, s in zip(rows, streamed, strict=True)]
    return Columns(
        n=len(rows),
        kind=np.array([r.get("kind", CHANGE) for r in rows], np.int8),
        cause=np.array([r.get("cause", BY_EVENT) for r in rows], np.int8),
        mark=np.array([NEVER if r.get("kind") == VOID else r.get("mark", r.get("at", NEVER)) for r in rows], np.int64),
        stream=np.array(streamed, np.int16),
        key=np.array(keyed, np.int32),
        keys=list(keys),
        at=np.array([r.get("at", 0) for r in rows], np.int64),
        old_at=np.array([r.get("old_at", r.get("at", 0)) for r in rows], np.int64),
        put=np.array([r.get("put", True) for r in rows], np.bool_),
        take=np.array([r.get("take", False) for r in rows], np.bool_),
        doc=[r.get("doc") for r in rows] if any(s.retract for s in sets) else None,
        number={path: np.array(cells, np.float64) for path, cells in held["number"].items()},
        flag={path: np.array(cells, np.int8) for path, cells in held["flag"].items()},
        value=held["value"],
    )


def _reads(sets: Iterable[WindowSet]) -> set[tuple[str, str]]:
    return {(path, kind) for s in sets for path, kinds in s.fields().items() for kind in kinds}


def _cell(row: Row, path: str, kind: str, reads: set[tuple[str, str]]) -> Any:
    if (path, kind) not in reads:
        return GARBAGE[kind]
    value = row.get("fields", {}).get(path)
    if value is None:
        return MISSING[kind]
    return value if kind == "value" else float(value) if kind == "number" else int(value)


@dataclass
class Folded:
    """What a reader finds after all steps: documents by set and id, features by set and row, an outcome a row, late by set."""

    windows: dict[str, dict[tuple[Key, int], Doc]] = field(default_factory=dict)
    rolling: dict[str, dict[Key, Doc]] = field(default_factory=dict)
    features: dict[str, dict[int, Doc]] = field(default_factory=dict)
    outcomes: list[int] = field(default_factory=list)
    late: Counter[str] = field(default_factory=Counter)

    def apply(self, result: StepResult, offset: int = 0) -> None:
        """One step's result over what is there; offset: index of the batch's first row in the whole stream."""
        for spec, key, start in result.removed:
            self.windows.get(spec.name, {}).pop((key, start), None)
        for window in result.windows:
            documents = self.windows.setdefault(window.set.name, {})
            for i, key in enumerate(window.key):
                documents[key, window.start[i]] = _window(window, i)
        for view in result.rolling:
            for i, key in enumerate(view.key):
                self.rolling.setdefault(view.set.name, {})[key] = _view(view, i)
        for block in result.features:
            for i, row in enumerate(block.row):
                values = {name: column[i] for name, column in block.measures.items()}
                self.features.setdefault(block.set.name, {})[offset + row] = values
        self.outcomes.extend(result.outcome.tolist())
        self.late.update(result.late)

    def spans(self, name: str, key: Hashable = "a", route: str = "k") -> list[tuple[int, int, int]]:
        """(start, end, events) of a key's windows, by start: the shape of a timeline."""
        found = self.windows.get(name, {}).items()
        return sorted((start, d["end"], d["events"]) for (k, start), d in found if k == (route, key))

    def window(self, name: str, start: int, key: Hashable = "a", route: str = "k") -> Doc:
        """One window's document."""
        return self.windows[name][(route, key), start]

    def view(self, name: str, key: Hashable = "a", route: str = "k") -> Doc:
        """One key's rolling view."""
        return self.rolling[name][route, key]


def _window(block: WindowBlock, i: int) -> Doc:
    fixed = {"end": block.end[i], "events": block.events[i], "revision": block.revision[i], "final": block.final[i]}
    said = {"late": block.late[i], "closed_by": block.closed_by[i]}
    return {**fixed, **said, **{name: column[i] for name, column in block.measures.items()}}


def _view(block: RollingBlock, i: int) -> Doc:
    fixed = {"as_of": block.as_of[i], "expires_at": block.expires_at[i]}
    return {**fixed, **{name: column[i] for name, column in block.measures.items()}}


@contextmanager
def small_segments(**words: int) -> Iterator[None]:
    """Segments hold a few events each: TAIL, KEPT, MOST and the like of windows/columnar/saved.py are these."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ({"TAIL": 3, "KEPT": 1, "MOST": 6} | words).items():
            patch.setattr(saved, name, value)
        yield


class Driver:
    """Feeds an engine in batches. With `reload`, keys are dumped, evicted and loaded again between steps at random, as a consumer
    with little memory would, and now and then the whole engine is made anew from the dumps."""

    def __init__(
        self, factory: Factory, sets: Sequence[WindowSet], budget: int | None = None, reload: Random | None = None
    ) -> None:
        self.factory, self.sets, self.budget, self.reload = factory, sets, budget, reload
        self.engine = factory(sets)
        self.folded = Folded()
        self.saved: dict[Key, bytes] = {}
        self.segments: dict[Key, dict[int, bytes]] = {}
        self.dues: dict[Key, int | None] = {}
        self.dirty: set[Key] = set()

    def feed(self, rows: Sequence[Row], offset: int = 0) -> None:
        """One batch, in as many calls as the budget makes of it."""
        batch, done = columns(self.sets, rows), 0
        while done < batch.n:
            self._load(set(batch.keys), int(batch.mark.max()))
            result = self.engine.step(batch, done, self.budget)
            assert len(result.outcome) == result.done - done
            done = result.done
            self._took(result, offset)

    def end(self, watermark: int = END, cause: int = BY_END) -> None:
        """Time alone, to the end."""
        while True:
            self._load(set(), watermark)
            result = self.engine.advance(watermark, cause, self.budget)
            self._took(result)
            if result.done:
                return

    def _took(self, result: StepResult, offset: int = 0) -> None:
        self.folded.apply(result, offset)
        self.dirty |= result.changed
        if self.reload is not None and self.reload.random() < 0.5:
            self._save(self.reload)

    def _save(self, random: Random) -> None:
        loaded = sorted(self.engine.loaded(), key=repr)
        anew = random.random() < 0.3
        chosen = loaded if anew else random.sample(loaded, random.randint(0, len(loaded)))
        dumps = self.engine.dump(chosen)
        for key, mine in dumps.segments.items():
            there = {**self.segments.get(key, {}), **mine.new}
            assert there.keys() == {*mine.held, *mine.gone} and not {*mine.held} & {*mine.gone}
            self.segments[key] = {number: there[number] for number in mine.held}
        for key, data in dumps.items():
            assert key in self.dirty or key not in self.saved or data == self.saved[key], f"{key} changed, and nobody said so"
            self.saved[key] = data
        self.dues.update(self.engine.dues(chosen))
        self.dirty -= set(chosen)
        if anew:
            watermark = self.engine.watermark
            self.engine = self.factory(self.sets)
            self.engine.watermark = watermark
        else:
            self.engine.evict(chosen)

    def _load(self, keys: set[Key], until: int) -> None:
        wanted = keys | {key for key, due in self.dues.items() if due is not None and due <= until}
        missing = (wanted & self.saved.keys()) - set(self.engine.loaded())
        self.engine.load({key: self.saved[key] for key in missing}, {key: self.segments.get(key, {}) for key in missing})


def drive(
    factory: Factory,
    sets: Sequence[WindowSet],
    rows: Sequence[Row],
    cuts: Iterable[int] = (),
    budget: int | None = None,
    reload: Random | None = None,
    end: bool = True,
) -> Folded:
    """All rows through an engine, cut into batches before the rows `cuts`; at the end the watermark END unless told not to."""
    driver = Driver(factory, sets, budget, reload)
    edges = sorted({0, len(rows), *(c for c in cuts if 0 <= c <= len(rows))})
    for begin, stop in pairwise(edges):
        driver.feed(rows[begin:stop], begin)
    if end:
        driver.end()
    return driver.folded
