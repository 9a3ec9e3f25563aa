"""The store in memory: the same contract as MongoDB's, for `replay` and for tests."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bson import Code, DBRef, Decimal128, Regex

from config.specs import Pipeline
from consumer.store.contract import Cursor, Doc, Effects, HashRange, KeyState, ShardId
from consumer.store.layout import HEALTH, health_doc, views
from contract.errors import Fenced
from windows.engine import NEVER, Key


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
        self._due = _Dues(self._states)

    def open(self, shard: ShardId, parents: Sequence[ShardId] = ()) -> Cursor:
        """Claim the shard."""
        for parent in parents:
            if parent in self._cursors:
                self._claim(self._cursors[parent])
        known = [self._cursors[p].watermark for p in parents if p in self._cursors]
        return self._claim(self._cursors.get(shard) or Cursor(shard, epoch=0, watermark=min(known, default=NEVER)))

    def _claim(self, cursor: Cursor) -> Cursor:
        claimed = replace(cursor, epoch=cursor.epoch + 1)
        self._cursors[cursor.shard] = claimed
        return claimed

    def load(self, keys: Collection[Key]) -> Mapping[Key, KeyState]:
        """The saved states of those keys that have one."""
        return {key: self._states[key] for key in keys if key in self._states}

    def due(self, hashes: HashRange, until: int, limit: int) -> Collection[Key]:
        """Keys in the range with due <= until, ordered by (due, hash)."""
        return self._due.first(hashes, until, limit)

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
        for name, id in effects.removes:
            self._collection(name).pop(hashable(id), None)
        for name, document in (*effects.puts, (HEALTH, health_doc(self._spec, effects.cursor))):
            self._collection(name)[hashable(document["_id"])] = {**document, "updated_at": at}
        self._keep(effects.states)
        self._cursors[effects.cursor.shard] = effects.cursor

    def snapshot(self, cursor: Cursor, states: Iterable[KeyState]) -> None:
        """Save key states apart from a commit."""
        _own(self._cursors.get(cursor.shard), cursor)
        self._keep(states)

    def close(self) -> None:
        """Nothing to let go of."""

    def _keep(self, states: Iterable[KeyState]) -> None:
        for state in states:
            before = self._states.get(state.key)
            self._states[state.key] = state
            if state.due is not None and (before is None or before.due != state.due):
                self._due.push(state)

    def _collection(self, name: str) -> dict[Hashable, Doc]:
        return self.collections.setdefault(name, {})


class _Dues:
    """Keys by (due, hash): a heap whose stale entries are dropped when they come up."""

    def __init__(self, states: Mapping[Key, KeyState]) -> None:
        self._states = states
        self._heap: list[tuple[int, int, int, Key]] = []
        self._pushed = 0

    def push(self, state: KeyState) -> None:
        """A state that has a due time, new or changed."""
        if state.due is not None:
            self._pushed += 1  # decides between two keys of one hash, as keys need not be comparable
            heapq.heappush(self._heap, (state.due, state.hash, self._pushed, state.key))

    def first(self, hashes: HashRange, until: int, limit: int) -> list[Key]:
        """Those due by `until`; they stay in."""
        found: dict[Key, None] = {}
        seen: dict[Key, tuple[int, int, int, Key]] = {}
        while self._heap and self._heap[0][0] <= until and len(found) < limit:
            entry = heapq.heappop(self._heap)
            key = entry[3]
            if self._states[key].due != entry[0] or key in seen:
                continue
            seen[key] = entry
            if hashes.low <= entry[1] <= hashes.high:
                found[key] = None
        for entry in seen.values():
            heapq.heappush(self._heap, entry)
        return list(found)


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
