"""The watchers of a shard: their states for the keys in memory, and whose silence is judged next."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence
from itertools import count
from typing import Any

from models.base import Happening, Signal, Watcher
from windows.engine import Key, StateMismatch

FAR = 1 << 70  # behind all time
Entry = tuple[int, int, int, str, Key]  # due, hash, number (keys need not be comparable), view, key


class Watching:
    """Takes events and time in the order of the records, as the engine does, so that batches never show."""

    def __init__(self, watchers: Sequence[Watcher[Any]]) -> None:
        self._watchers = {w.view: w for w in watchers}
        self._by_pair: dict[tuple[str, str], list[Watcher[Any]]] = {}
        for w in watchers:
            self._by_pair.setdefault((w.trigger, w.route), []).append(w)
        self._states: dict[str, dict[Key, Any]] = {w.view: {} for w in watchers}
        self._dues: dict[str, dict[Key, int]] = {w.view: {} for w in watchers}
        self._heap: list[Entry] = []
        self._pushed = 0
        self.changed: set[Key] = set()

    @property
    def pairs(self) -> Collection[tuple[str, str]]:
        """The (trigger, route) pairs that are watched."""
        return self._by_pair.keys()

    def event(self, key: Key, hash: int, happening: Happening, watermark: int) -> list[Signal]:
        """An event of a key, and what is due for that key at once."""
        signals: list[Signal] = []
        for w in self._by_pair.get((happening.trigger, happening.route), ()):
            state, made = w.on_event(self._states[w.view].get(key), happening, watermark)
            self._set(w, key, hash, state)
            signals += made
            self.changed.add(key)
        return [*signals, *self.time(watermark)]

    def time(self, watermark: int, limit: int | None = None) -> list[Signal]:
        """What silence brings up to a watermark, ordered by (due, hash); with a limit, that many keys at most."""
        signals: list[Signal] = []
        for _ in count() if limit is None else range(limit):
            if self.next_due(watermark) is None:
                break
            _, hash, _, view, key = heapq.heappop(self._heap)
            del self._dues[view][key]
            w = self._watchers[view]
            state, made = w.on_time(self._states[view][key], watermark)
            self._set(w, key, hash, state)
            signals += made
            self.changed.add(key)
        return signals

    def next_due(self, until: int) -> int | None:
        """The next due time, if it is not after `until`."""
        while self._heap:
            due, _, _, view, key = self._heap[0]
            if self._dues[view].get(key) == due:
                return due if due <= until else None
            heapq.heappop(self._heap)
        return None

    def first_due(self) -> int:
        """The next due time, FAR if nothing waits."""
        due = self.next_due(FAR)
        return FAR if due is None else due

    def crowded(self, limit: int, until: int) -> int | None:
        """The watermark at which more than `limit` keys in all have become due, if that is not after `until`."""
        if self.next_due(until) is None or sum(map(len, self._dues.values())) <= limit:
            return None
        dues = sorted(due for own in self._dues.values() for due in own.values() if due <= until)
        return dues[limit] if len(dues) > limit else None

    def due(self, key: Key) -> int | None:
        """When the key's silence is judged next."""
        return min((own[key] for own in self._dues.values() if key in own), default=None)

    def dump(self, key: Key) -> dict[str, bytes]:
        """The key's states: view -> bytes."""
        return {view: self._watchers[view].dump(states[key]) for view, states in self._states.items() if key in states}

    def load(self, key: Key, hash: int, saved: Mapping[str, bytes]) -> None:
        """Take a key's states up; those of watchers that are no longer configured are left. Raises StateMismatch."""
        for view, data in saved.items():
            w = self._watchers.get(view)
            if w is None:
                continue
            try:
                self._set(w, key, hash, w.load(data))
            except ValueError as error:
                raise StateMismatch(str(error)) from error

    def evict(self, key: Key) -> None:
        """Forget a key."""
        for view, states in self._states.items():
            states.pop(key, None)
            self._dues[view].pop(key, None)

    def _set(self, w: Watcher[Any], key: Key, hash: int, state: Any) -> None:
        dues = self._dues[w.view]
        if state is None:
            self._states[w.view].pop(key, None)
            dues.pop(key, None)
            return
        self._states[w.view][key] = state
        due = w.due(state)
        if due is None:
            dues.pop(key, None)
        elif dues.get(key) != due:
            dues[key] = due
            self._pushed += 1
            heapq.heappush(self._heap, (due, hash, self._pushed, w.view, key))
