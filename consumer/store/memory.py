"""The store in memory: the same contract as MongoDB's, for `replay` and for tests."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from bson import Code, DBRef, Decimal128, Regex

from config.specs import Pipeline
from consumer.gaps import Mark
from consumer.store.contract import Closing, Cursor, Doc, Due, Effects, HashRange, KeyState, LeftOpen, ShardId, heir
from consumer.store.layout import DEAD_LETTERS, HEALTH, hash_of, health_doc, views
from contract.errors import Fenced
from contract.times import date_ms, time_ms
from windows.engine import Key


def now() -> datetime:
    """The time of writing."""
    return datetime.now(UTC)


class MemoryStore:
    """Views, key states and cursors in dictionaries. All or nothing, since nothing here can fail between two steps.

    `collections[name][id]` is the document; `id` is its `_id` made hashable by `hashable`.
    """

    def __init__(self, spec: Pipeline, clock: Callable[[], datetime] = now) -> None:
        self.collections: dict[str, dict[Hashable, Doc]] = {name: {} for name in views(spec)}
        self._spec = spec
        self._clock = clock
        self._cursors: dict[ShardId, Cursor] = {}
        self._states: dict[Key, KeyState] = {}
        self._segments: dict[Key, dict[int, bytes]] = {}

    def admit(self, again: bool = False) -> None:
        """Nobody else is here."""

    def open(self, shard: ShardId, parents: Sequence[ShardId] = ()) -> Cursor:
        """Claim the shard."""
        for parent in parents:
            if parent in self._cursors:
                self._claim(self._cursors[parent])
        return self._claim(self._cursors.get(shard) or heir(shard, [self._cursors[p] for p in parents if p in self._cursors]))

    def _claim(self, cursor: Cursor) -> Cursor:
        claimed = replace(cursor, epoch=cursor.epoch + 1)
        self._cursors[cursor.shard] = claimed
        return claimed

    def load(self, keys: Collection[Key]) -> Mapping[Key, KeyState]:
        """The saved states of those keys that have one."""
        found = [self._states[key] for key in keys if key in self._states]
        return {s.key: replace(s, segments={n: self._segments[s.key][n] for n in s.held}) if s.held else s for s in found}

    def due(self, hashes: HashRange, until: int, limit: int, after: tuple[int, int]) -> Due:
        """Keys in the range with after < (due, hash) and due <= until."""
        waiting = [s for s in self._states.values() if s.due is not None and s.due >= after[0] and (s.due, s.hash) > after]
        own = [(s.due, s.hash, s.key) for s in waiting if s.due is not None and hashes.low <= s.hash <= hashes.high]
        found = sorted((place for place in own if place[0] <= until), key=lambda place: place[:2])  # keys need not be comparable
        if len(found) <= limit:
            later = min((due for due, _, _ in own if due > until), default=None)
            return Due([key for _, _, key in found], None, later)
        last = found[limit - 1][:2]
        return Due([place[2] for place in found if place[:2] <= last], last, None)

    def letters(self, ids: Sequence[Doc], events: Sequence[str]) -> Sequence[Doc]:
        """By `_id`, and by the event that they were counted as."""
        wanted = {hashable(id) for id in ids}
        letters = self._collection(DEAD_LETTERS).items()
        return [doc for id, doc in letters if id in wanted or (doc.get("requeued") or {}).get("event") in events]

    def look_up(self, view: str, ids: Collection[Any]) -> Sequence[Doc]:
        """The documents of a view that have these `_id`s."""
        table = self._collection(view)
        return [table[name] for name in map(hashable, ids) if name in table]

    def left_ends(self, left: LeftOpen, behind: int) -> tuple[int, int] | None:
        """The first and the last end of windows that a former definition has left open."""
        ends = [date_ms(document["end"]) for document in self._left(left, behind, left.last)]
        return (min(ends), max(ends)) if ends else None

    def left_open(self, left: LeftOpen, until: int, hashes: HashRange, limit: int) -> Sequence[Any]:
        """The `_id`s of those that end by a time, of keys in the range."""
        found = self._left(left, left.after, until)
        own = (d["_id"] for d in found if hashes.low <= hash_of(self._spec, left.route, d["key"]) <= hashes.high)
        return list(islice(own, limit))

    def _left(self, left: LeftOpen, behind: int, until: int) -> list[Doc]:
        """In the order of their ends."""
        wanted = (d for d in self._collection(left.name).values() if d.get("config") == left.config and d.get("final") is False)
        found = [d for d in wanted if behind < date_ms(d["end"]) <= until]
        return sorted(found, key=lambda d: date_ms(d["end"]))

    def commit(self, effects: Effects) -> Cursor:
        """Check the cursor, then change everything. A commit that is in already is not an error: somebody asked twice."""
        found, wanted = self._cursors.get(effects.expected.shard), effects.cursor
        _own(found, effects.expected)
        if _position(found) == _position(effects.expected):
            self._write(effects)
        elif _position(found) != _position(wanted):
            raise Fenced(f"{wanted.shard.shard}: the cursor stands where this owner did not leave it")
        return wanted

    def _write(self, effects: Effects) -> None:
        at = self._clock()
        for mark in effects.marks:
            self._mark(mark)
        for closing in effects.closings:
            documents = self._collection(closing.collection)
            for name in map(hashable, closing.ids):
                if self._is_left(documents.get(name, {}), closing):
                    documents[name] = {**documents[name], "final": True, "complete": False, "updated_at": at}
        for name, id in effects.removes:
            self._collection(name).pop(hashable(id), None)
        kept = [(name, document) for name, document in effects.unless_final if not self._stays(name, document)]
        health = (HEALTH, health_doc(self._spec, effects.cursor, effects.figures, effects.hashes))
        for name, document in (*effects.puts, *effects.new, *kept, health):
            self._collection(name)[hashable(document["_id"])] = {**document, "updated_at": at}
        self._states.update((state.key, state) for state in effects.states if state.data)
        for (key, number), data in effects.segments.items():
            if data is not None:
                self._segments.setdefault(key, {})[number] = data
            elif key in self._segments:
                self._segments[key].pop(number, None)
        for state in effects.states:
            if not state.data:
                self._states.pop(state.key, None)
                self._segments.pop(state.key, None)
        self._cursors[effects.cursor.shard] = effects.cursor

    def close(self) -> None:
        """Nothing to let go of."""

    def _mark(self, mark: Mark) -> None:
        for document in self._collection(mark.collection).values():
            first, last = time_ms(document.get(mark.first)), time_ms(document.get(mark.last))
            if first is not None and last is not None and first <= mark.end and last > mark.begin:
                document["complete"] = False

    def _stays(self, name: str, document: Doc) -> bool:
        """Whether what is there is of another definition, which has closed it."""
        there = self._collection(name).get(hashable(document["_id"]), {})
        left = there.get("complete", True) is False and there.get("closed_by") is None
        return bool(there.get("final")) and there.get("config") != document["config"] and not left

    def _is_left(self, there: Doc, closing: Closing) -> bool:
        return there.get("config") == closing.config and there.get("final") is False and date_ms(there["end"]) <= closing.until

    def _collection(self, name: str) -> dict[Hashable, Doc]:
        return self.collections.setdefault(name, {})


def hashable(id: Any) -> Hashable:
    """An `_id` as a dictionary's key. As in MongoDB 5 and 5.0 are one, and 1 and true are two.

    >>> hashable({"k": 5}) == hashable({"k": 5.0}), hashable(1) == hashable(True)
    (True, False)
    """
    if isinstance(id, dict):
        return "d", *((name, hashable(v)) for name, v in id.items())
    if isinstance(id, list):
        return "l", *map(hashable, id)
    if isinstance(id, (Regex, Code, DBRef)):
        return type(id).__name__, repr(id)
    if isinstance(id, Decimal128):
        number = id.to_decimal()
        return number if number.is_finite() else ("decimal", str(id))
    return ("b", id) if isinstance(id, bool) else id


def _position(cursor: Cursor | None) -> tuple[int | None, int] | None:
    return (cursor.sequence, cursor.sub) if cursor is not None else None


def _own(found: Cursor | None, believed: Cursor) -> None:
    if found is None or found.epoch != believed.epoch:
        raise Fenced(f"{believed.shard.shard}: another owner has claimed this shard")
