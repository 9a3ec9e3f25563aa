"""The only door to the windows: what goes in (columns), what comes out (blocks), and the contract of an engine.

A batch is columns, row i is record i of the stream. Rows are taken strictly in order, so how a stream is cut into batches never
shows. Within one row: first the watermark moves to `max(watermark, mark[row])` and everything that is then due happens (windows
close, rolling views decay, expired events are freed); then the row's own value is taken out (`take`) and put in (`put`).
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from windows.law.spec import WindowSet

Key = tuple[str, Hashable]  # (route, typed value): card 5 and terminal 5 never meet
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

NEVER = np.iinfo(np.int64).min  # a mark that vouches for nothing; the watermark before the first record
END = 1 << 62  # the watermark at the end of a file: everything is due

VOID, CHANGE, TIME = 0, 1, 2  # kind of a row: passes untouched; a change; time alone
BY_EVENT, BY_HEARTBEAT, BY_IDLE, BY_END = 0, 1, 2, 3  # what moved the watermark
CAUSES = ("event", "heartbeat", "idle", "end")
COUNTED, LATE_KEEP, LATE_DROP = 0, 1, 2  # outcome of a CHANGE row; LATE_KEEP asks for a dead letter


class Columns(msgspec.Struct, eq=False, gc=False):  # made once a batch: a third of a dataclass's time
    """n records in stream order.

    kind, cause: int8 (n,). mark: int64 (n,), the watermark this row vouches for (event time less out_of_order, heartbeat less
    settle; NEVER for a VOID row). stream: int16 (n,), index into `windows.law.spec.streams(sets)`, -1 if no set reads it.
    key: int32 (n,), index into `keys`, -1 if none; equal keys come in one spelling. at: int64 (n,), event time of the value put
    in; old_at: event time of the value taken out. put, take: bool (n,). doc: the documents' ids, hashable, read only where a set
    retracts (None elsewhere). number[path] is float64 with NaN for missing; flag[path] is int8 with -1 missing, 0, 1; value[path]
    is a sequence of hashable values with None for missing (equal numbers are one value, of which `first` and `last` give back the
    one that was there; booleans are not numbers). A path that no set of the row's stream reads may hold anything in that row.
    """

    n: int
    kind: npt.NDArray[np.int8]
    cause: npt.NDArray[np.int8]
    mark: Ints
    stream: npt.NDArray[np.int16]
    key: npt.NDArray[np.int32]
    keys: Sequence[Key]
    at: Ints
    old_at: Ints
    put: Bools
    take: Bools
    doc: Sequence[Hashable] | None
    number: Mapping[str, Floats]
    flag: Mapping[str, npt.NDArray[np.int8]]
    value: Mapping[str, Sequence[Hashable]]


@dataclass(slots=True)
class WindowBlock:
    """Windows of one set that changed in this step, one row a window: its state after the step. closed_by is None while open."""

    set: WindowSet
    key: Sequence[Key]
    start: Sequence[int]
    end: Sequence[int]
    measures: Mapping[str, Sequence[Any]]
    events: Sequence[int]
    revision: Sequence[int]
    final: Sequence[bool]
    late: Sequence[int]
    closed_by: Sequence[str | None]


@dataclass(slots=True)
class RollingBlock:
    """Current values of one rolling set whose views changed or decayed in this step. expires_at None: silence changes nothing."""

    set: WindowSet
    key: Sequence[Key]
    as_of: Sequence[int]
    measures: Mapping[str, Sequence[Any]]
    expires_at: Sequence[int | None]


@dataclass(slots=True)
class FeatureBlock:
    """Values of one rolling set for the events of this step: row is the record's index; a value is None where the law says null."""

    set: WindowSet
    row: Sequence[int]
    measures: Mapping[str, Sequence[Any]]


@dataclass(slots=True)
class StepResult:
    """What one step did. `done` is the first row that is not finished: rows before it are in; with a budget it may be < n.

    removed: (set, key, start) of session documents that were joined away or whose start moved; to be deleted before `windows` are
    written. outcome: int8 (done - begin,), COUNTED | LATE_KEEP | LATE_DROP (COUNTED for rows that are no change). late: per window
    set, how many values this step's rows brought too late for it (refused). changed: keys whose dump is no longer what it was.
    """

    done: int
    watermark: int
    outcome: npt.NDArray[np.int8]
    windows: list[WindowBlock] = field(default_factory=list)
    removed: list[tuple[WindowSet, Key, int]] = field(default_factory=list)
    rolling: list[RollingBlock] = field(default_factory=list)
    features: list[FeatureBlock] = field(default_factory=list)
    late: dict[str, int] = field(default_factory=dict)
    changed: Set[Key] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Segments:
    """What is saved of a key apart from its head. held: numbers of the segments that the head refers to. new: the bytes of those
    that no dump of the key has given before; gone: numbers that an earlier head referred to, and this one does not."""

    held: tuple[int, ...] = ()
    new: Mapping[int, bytes] = field(default_factory=dict)
    gone: tuple[int, ...] = ()


class Dumps(dict[Key, bytes]):
    """The heads of keys; and of those that have segments, or had some in the dump before or when they were loaded, these.

    A segment never changes under its number while a head refers to it. Whoever saves writes the new ones, then the head, and with
    that removes those that are gone.
    """

    def __init__(self, heads: Mapping[Key, bytes], segments: Mapping[Key, Segments] | None = None) -> None:
        super().__init__(heads)
        self.segments: Mapping[Key, Segments] = segments or {}


class StateMismatch(ValueError):
    """Bytes that this engine cannot read: another version, or damaged. A caller stops; it never guesses."""


class Engine(Protocol):
    """All windows of all keys of one shard. Time comes in with the records; there is no clock in here."""

    watermark: int

    def step(self, batch: Columns, begin: int = 0, budget: int | None = None) -> StepResult:
        """Take rows from `begin` on. With a budget, stop in front of a row once about that many documents have changed; where
        one row's passing of time alone closes more than that, stop inside it: `done` is then that row, some keys are already past
        it, and calling again with begin=done goes on. Where rolling sets share a view it may stop in front of any late row, so
        that `views` can be asked before the row is in. Every key of the batch and every key due by its highest mark is loaded."""
        ...

    def advance(self, watermark: int, cause: int = BY_IDLE, budget: int | None = None) -> StepResult:
        """Time alone has passed. With END everything closes, and rolling views are left as of the last true watermark. done is
        1 when all that was due has happened, 0 when the budget ended first: call again."""
        ...

    def due(self) -> int | None:
        """The watermark at which something in memory happens next."""
        ...

    def dues(self, keys: Collection[Key]) -> Mapping[Key, int | None]:
        """The same for each key: None where silence changes nothing any more."""
        ...

    def current(self, key: Key, as_of: int) -> list[RollingBlock]:
        """The key's rolling values as of a time; changes nothing."""
        ...

    def views(self, spec: WindowSet, keys: Sequence[Key], as_of: Sequence[int]) -> RollingBlock:
        """A rolling set's views of keys in memory, also where this step did not change them: each as of the time that it stands
        at, or of the given one, if that is later. Changes nothing, and is to be read before the next call, as all blocks are."""
        ...

    def dump(self, keys: Collection[Key]) -> Dumps:
        """Versioned bytes of each key's state; inverse of load. A section a set, by fingerprint. Of long histories all but their
        newest events are in segments, each of which is given once."""
        ...

    def holds(self, data: bytes) -> bool:
        """Whether a dump has anything in it but the watermark that its key was last changed under."""
        ...

    def load(self, states: Mapping[Key, bytes], segments: Mapping[Key, Mapping[int, bytes]] | None = None) -> None:
        """Take up dumped keys, with all segments that their heads refer to, by number. Sections of sets that are no longer
        configured are left out, sets without a section start empty. Raises StateMismatch for bytes of another version, or where a
        segment is not the one that the head refers to."""
        ...

    def evict(self, keys: Collection[Key]) -> None:
        """Forget keys; whoever calls has their dump."""
        ...

    def loaded(self) -> Collection[Key]:
        """The keys in memory."""
        ...

    def size(self) -> int:
        """About how many bytes they take."""
        ...
