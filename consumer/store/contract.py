"""The contract between the pure pipeline and what keeps its effects: one suite, two implementations (Mongo, memory)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, NamedTuple, Protocol

from consumer.figures import Figures
from consumer.gaps import Gaps, Mark, joined
from windows.engine import END, NEVER, Key

CLASSES = ("counted", "repeat", "late", "ignored", "control", "dead_letter")
Doc = dict[str, Any]
Position = tuple[int, int]  # sequence, sub
BEFORE_ALL: Position = (-1, 0)


@dataclass(frozen=True, slots=True)
class ShardId:
    """A shard of one incarnation of a stream: ARN (or name) and creation time (ms) make a stream made anew start clean."""

    stream: str
    created: int
    shard: str

    @property
    def name(self) -> str:
        """The incarnation and the shard, as one short text: what states say of where they were saved."""
        return f"{self.created}/{self.shard}"


@dataclass(frozen=True, slots=True)
class HashRange:
    """Inclusive range of 128-bit Kinesis hashes that a shard holds."""

    low: int = 0
    high: int = (1 << 128) - 1


EVERYTHING = HashRange()


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


class Place(NamedTuple):
    """A place in a shard: behind the record at (sequence, sub), None before the first one; the watermark there, ms; and how many
    records there have been. Compare sequence numbers as integers."""

    sequence: int | None = None
    sub: int = 0
    watermark: int = NEVER
    records: int = 0

    @property
    def position(self) -> Position:
        """(sequence, sub), in an order that begins before every record."""
        return (-1 if self.sequence is None else self.sequence), self.sub

    def passed(self, sequence: int, sub: int) -> bool:
        """Whether a record lies at or before this place."""
        return self.sequence is not None and (sequence, sub) <= (self.sequence, self.sub)


START = Place()


class Kept(NamedTuple):
    """Of a window set whose windows close: its name, which is its view's, its route, and how long after its end one closes, ms."""

    name: str
    route: str
    lateness: int


@dataclass(frozen=True, slots=True)
class LeftOpen:
    """Windows that a former definition has left open, in the view `name`, with that `config`, of keys of a route: those that end
    behind `after`, up to `last`. They close `lateness` behind their end; ms."""

    name: str
    route: str
    config: str
    lateness: int
    after: int
    last: int = END


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the views of a shard are, and where the snapshot of its key states stands, which is there or before.

    epoch is raised by every `open`; a commit under an older one is Fenced. watermark in ms, NEVER before the first record.
    jumps: where between snapshot and cursor the wall clock moved the watermark, and where to (bare documents; `records` is 0).
    since: of each window set that is kept, by fingerprint, the time from which on it has seen every event, NEVER for all; None
    before anybody has kept sets. skips: records between snapshot and cursor that can be read, and are dead letters all the same,
    each with the reason: what nobody would see again by looking at the record. ended: when the shard, which a split or a merge has
    closed, was read to its end, ms; None while it goes on. gaps: times of which changes are missing. kept: the sets whose windows
    close, by fingerprint; left_open: what former definitions of them have left open.
    """

    shard: ShardId
    epoch: int
    sequence: int | None = None
    sub: int = 0
    watermark: int = NEVER
    counters: Counters = field(default_factory=Counters)
    snapshot: Place = START
    jumps: tuple[Place, ...] = ()
    since: Mapping[str, int] | None = None
    skips: tuple[tuple[Position, str], ...] = ()
    ended: int | None = None
    gaps: Gaps = field(default_factory=dict)
    kept: Mapping[str, Kept] = field(default_factory=dict)
    left_open: tuple[LeftOpen, ...] = ()

    @property
    def place(self) -> Place:
        """Where the views are."""
        return Place(self.sequence, self.sub, self.watermark, self.counters.records)

    def moved(self, sequence: int | None, sub: int, watermark: int, counters: Counters) -> Cursor:
        """The cursor after a commit."""
        return replace(self, sequence=sequence, sub=sub, watermark=watermark, counters=counters)

    def skipping(self, skips: Sequence[tuple[Position, str]]) -> Cursor:
        """The cursor once these records are dead letters."""
        return replace(self, skips=(*self.skips, *skips)) if skips else self

    def torn(self, gaps: Gaps) -> Cursor:
        """The cursor behind the record of a gap."""
        return replace(self, gaps=joined(self.gaps, gaps))

    def jumped(self, watermark: int) -> Cursor:
        """The cursor once the wall clock has moved time on, where the shard stands."""
        jump = Place(self.sequence, self.sub, watermark)
        jumps = (*(j for j in self.jumps if j.position != jump.position), jump)
        return replace(self, watermark=watermark, jumps=jumps)

    def saved(self, snapshot: Place) -> Cursor:
        """The cursor once every key state stands at that place, or behind it."""
        jumps = tuple(j for j in self.jumps if j.position > snapshot.position)
        return replace(self, snapshot=snapshot, jumps=jumps, skips=tuple(s for s in self.skips if s[0] > snapshot.position))

    def passed(self, sequence: int, sub: int) -> bool:
        """Whether a record's effects are in the views already."""
        return self.place.passed(sequence, sub)


def heir(shard: ShardId, parents: Sequence[Cursor]) -> Cursor:
    """The cursor of a shard that nobody has read, which goes on where its parents have ended: at the lowest watermark, with the
    window sets that all of them have kept, and the gaps of any."""
    watermark = min((parent.watermark for parent in parents), default=NEVER)
    books = [parent.since for parent in parents if parent.since is not None]
    shared = set(books[0]).intersection(*books) if books else set()
    since = {name: max(book[name] for book in books) for name in sorted(shared)} if books else None
    gaps: Gaps = {}
    for parent in parents:
        gaps = joined(gaps, parent.gaps)
    kept = {config: own for parent in parents for config, own in parent.kept.items()}
    left = tuple(dict.fromkeys(left for parent in parents for left in parent.left_open))
    begin = Cursor(shard, epoch=0, watermark=watermark, snapshot=Place(watermark=watermark), since=since)
    return replace(begin, gaps=gaps, kept=kept, left_open=left)


@dataclass(frozen=True, slots=True)
class KeyState:
    """All that is remembered of one key: opaque bytes, the 128-bit Kinesis hash of its partition key, its next due watermark.
    Without bytes nothing is left of it, and the store forgets the key.

    held: numbers of the segments that the bytes refer to: of a long history all but the newest events are in these. segments: when
    it is loaded, their bytes; before that they are in Effects.

    shard and position: where it was saved. What lies there or before has been put into it. Of another shard's position only so
    much is known that it lies before all of this one's: a key comes from a shard's parents or is its own.
    """

    key: Key
    hash: int
    due: int | None
    data: bytes
    shard: str = ""
    position: Position = BEFORE_ALL
    held: tuple[int, ...] = ()
    segments: Mapping[int, bytes] = field(default_factory=dict)


Segments = dict[tuple[Key, int], bytes | None]  # by number, None where one goes


class Closing(NamedTuple):
    """Documents of a view that a former definition, `config`, has left open, and that end by `until`, ms: they are final now, and
    not complete. Whichever of them is not such a document any more stays as it is."""

    collection: str
    config: str
    until: int
    ids: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Effects:
    """All that one commit changes. Inert: no client, no clock.

    marks say first of all of documents that are there already that they are not complete; whoever does that twice does no harm.
    closings come next, and removes (collection, _id) before puts. puts are (collection, document): replaced whole by `_id`, made if
    missing; the store sets `updated_at`. Those in `new` are thought not to be there yet. Those in `unless_final` do not take the
    place of a final document whose `config` is another, if its own definition has closed it. A (collection, _id) is in all of them
    together once. cursor is the value after;
    expected the value before, which the commit must find under its epoch. states: key states as they are at the cursor, a chunk of
    a snapshot. segments: those of states, which may be committed before the states that refer to them, never after; None where one
    is to go, which is committed with the state that does not refer to it any more. hashes: what the shard holds, and figures: what
    was measured, for its line in `health`, beside the cursor; they change nothing.
    """

    expected: Cursor
    cursor: Cursor
    puts: Sequence[tuple[str, Doc]] = ()
    removes: Sequence[tuple[str, Any]] = ()
    states: Sequence[KeyState] = ()
    segments: Mapping[tuple[Key, int], bytes | None] = field(default_factory=dict)
    new: Sequence[tuple[str, Doc]] = ()
    unless_final: Sequence[tuple[str, Doc]] = ()
    hashes: HashRange | None = None
    figures: Figures | None = None
    marks: Sequence[Mark] = ()
    closings: Sequence[Closing] = ()

    @property
    def documents(self) -> Iterable[tuple[str, Doc]]:
        """All that is to be written, however."""
        return chain(self.puts, self.new, self.unless_final)


class Due(NamedTuple):
    """Keys in the order of their (due, hash). last: that of the last of them where there may be more, None if these are all. next:
    the first due time behind all that was asked for, None where nothing waits; of a page that is not the last it says nothing."""

    keys: Sequence[Key]
    last: tuple[int, int] | None
    next: int | None


class Store(Protocol):
    """Raises Retryable when the database is away, Fenced when the shard has another owner."""

    def admit(self, again: bool = False) -> None:
        """Raises Misconfigured where a newer configuration than ours has been seen. again: ours is to be the newest."""
        ...

    def open(self, shard: ShardId, parents: Sequence[ShardId] = ()) -> Cursor:
        """Claim the shard: raise its epoch and its parents'; older owners are fenced from here on. A new child of a reshard
        starts at its parents' lowest watermark."""
        ...

    def load(self, keys: Collection[Key]) -> Mapping[Key, KeyState]:
        """The saved states of those keys that have one, with all their segments."""
        ...

    def due(self, hashes: HashRange, until: int, limit: int, after: tuple[int, int]) -> Due:
        """Keys in the range with after < (due, hash) and due <= until, ordered by (due, hash), about `limit` at most: those of one
        (due, hash) come together."""
        ...

    def letters(self, ids: Sequence[Doc], events: Sequence[str]) -> Sequence[Doc]:
        """The dead letters of these `_id`s, and those that were counted, when they came again, as events of these ids."""
        ...

    def look_up(self, view: str, ids: Collection[Any]) -> Sequence[Doc]:
        """The documents of a view that have these `_id`s, as they are committed."""
        ...

    def left_ends(self, left: LeftOpen, behind: int) -> tuple[int, int] | None:
        """The first and the last end, ms, of windows that a former definition has left open, behind a time; None: there are
        none."""
        ...

    def left_open(self, left: LeftOpen, until: int, hashes: HashRange, limit: int) -> Sequence[Any]:
        """The `_id`s of those that end by a time and whose keys lie in the range, so many at most."""
        ...

    def commit(self, effects: Effects) -> Cursor:
        """All or nothing; an unknown result is settled by reading the cursor again. Raises Unstorable, and has written nothing,
        where a document of it will never be taken."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
