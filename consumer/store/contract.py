"""The contract between the pure pipeline and what keeps its effects: one suite, two implementations (Mongo, memory)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from windows.engine import NEVER, Key

CLASSES = ("counted", "repeat", "late", "ignored", "control", "dead_letter")
Doc = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ShardId:
    """A shard of one incarnation of a stream: ARN (or name) and creation time (ms) make a stream made anew start clean."""

    stream: str
    created: int
    shard: str


@dataclass(frozen=True, slots=True)
class HashRange:
    """Inclusive range of 128-bit Kinesis hashes that a shard holds."""

    low: int = 0
    high: int = (1 << 128) - 1


@dataclass(frozen=True, slots=True)
class Counters:
    """Records read, by class, and what was late for each window set and why letters died. `add` gives new counters."""

    classes: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(CLASSES, 0))
    late_by_set: Mapping[str, int] = field(default_factory=dict)
    dead_by_reason: Mapping[str, int] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """All records read."""
        return sum(self.classes.values())

    def add(self, classes: Mapping[str, int], late: Mapping[str, int], dead: Mapping[str, int]) -> Counters:
        """These counters and those."""
        return Counters(_sum(self.classes, classes), _sum(self.late_by_set, late), _sum(self.dead_by_reason, dead))


def _sum(a: Mapping[str, int], b: Mapping[str, int]) -> dict[str, int]:
    return {name: a.get(name, 0) + b.get(name, 0) for name in [*a, *(n for n in b if n not in a)]}


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the views of a shard are. sequence is None before the first record; compare positions as integers.

    epoch is raised by every `open`; a commit under an older one is Fenced. watermark in ms, NEVER before the first record.
    """

    shard: ShardId
    epoch: int
    sequence: int | None = None
    sub: int = 0
    watermark: int = NEVER
    counters: Counters = field(default_factory=Counters)

    def moved(self, sequence: int | None, sub: int, watermark: int, counters: Counters) -> Cursor:
        """The cursor after a commit."""
        return replace(self, sequence=sequence, sub=sub, watermark=watermark, counters=counters)

    def passed(self, sequence: int, sub: int) -> bool:
        """Whether a record's effects are in the views already."""
        return self.sequence is not None and (sequence, sub) <= (self.sequence, self.sub)


@dataclass(frozen=True, slots=True)
class KeyState:
    """All that is remembered of one key: opaque bytes, the 128-bit Kinesis hash of its partition key, its next due watermark."""

    key: Key
    hash: int
    due: int | None
    data: bytes


@dataclass(frozen=True, slots=True)
class Effects:
    """All that one commit changes. Inert: no client, no clock.

    removes (collection, _id) happen before puts. puts are (collection, document): replaced whole by `_id`, made if missing; the
    store adds `updated_at`. cursor is the value after; expected the value before, which the commit must find under its epoch.
    """

    expected: Cursor
    cursor: Cursor
    puts: Sequence[tuple[str, Doc]] = ()
    removes: Sequence[tuple[str, Any]] = ()
    states: Sequence[KeyState] = ()


class Store(Protocol):
    """Raises Retryable when the database is away, Fenced when the shard has another owner."""

    def open(self, shard: ShardId, parents: Sequence[ShardId] = ()) -> Cursor:
        """Claim the shard: raise its epoch and its parents'; older owners are fenced from here on. A new child of a reshard
        starts at its parents' lowest watermark."""
        ...

    def load(self, keys: Collection[Key]) -> Mapping[Key, KeyState]:
        """The saved states of those keys that have one."""
        ...

    def due(self, hashes: HashRange, until: int, limit: int) -> Collection[Key]:
        """Keys in the range with due <= until, ordered by (due, hash), at most limit."""
        ...

    def commit(self, effects: Effects) -> Cursor:
        """All or nothing; an unknown result is settled by reading the cursor again. Raises Unstorable, and has written nothing,
        where a document of it will never be taken."""
        ...

    def snapshot(self, cursor: Cursor, states: Iterable[KeyState]) -> None:
        """Save key states apart from a commit, under the cursor's epoch."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
