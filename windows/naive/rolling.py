"""Rolling windows, the obvious way: a key's events in order of time, and every value computed from the stretch it stands for.

size 10, closed "right":        with delay 5 the stretch ends 5 before the event:

    --a---b-----c--d-->         --a---b-----c--d-->
         (=========d]              (=========]....d
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from windows.engine import NEVER, FeatureBlock, Key, RollingBlock
from windows.law.spec import Rolling, WindowSet
from windows.naive.event import Kept
from windows.naive.sets import NEITHER, REFUSED, TOOK, NaiveSet
from windows.naive.timers import Timers
from windows.packing import Packer

Find = Callable[[list[int], int], int]


class Track:
    """One key's events in a set, by (time, arrival): times, a column for each input, documents' ids where the set retracts.
    last: the latest event time it ever took in. as_of: what its view is as of."""

    __slots__ = ("as_of", "columns", "documents", "last", "times")

    def __init__(self, columns: int, last: int) -> None:
        self.times: list[int] = []
        self.columns: list[list[Any]] = [[] for _ in range(columns)]
        self.documents: list[Hashable] = []
        self.last = self.as_of = last

    def lists(self) -> list[list[Any]]:
        """All that lies in parallel."""
        return [self.times, self.documents, *self.columns]


class RollingSet(NaiveSet):
    """One rolling set: key -> track."""

    def __init__(self, number: int, spec: WindowSet, timers: Timers) -> None:
        super().__init__(number, spec, timers)
        assert isinstance(spec.kind, Rolling)
        kind = self.kind = spec.kind
        self.left: Find = bisect_right if kind.closed == "right" else bisect_left
        self.span = kind.size + kind.delay
        self.leaves = self.span + (kind.closed == "both")  # how long after an event the view is without it again
        self.sweep = max(kind.size // 60, 1_000)
        self._tracks: dict[Key, Track] = {}
        self._touched: dict[Key, Track] = {}
        self._forgotten: dict[Key, Track] = {}  # in this step: what their views stood at still says what time it is for others
        self._rows: list[int] = []
        self._features: list[list[Any]] = []

    def put(self, key: Key, kept: Kept, wm: int, cause: str, row: int) -> int:
        if self._useless(kept.t, wm):
            self._feature(row, None)
            return REFUSED
        track = self._tracks.get(key)
        if track is None:
            track = self._tracks[key] = Track(len(self.plan.inputs), kept.t)
        if self.kind.current:
            self._insert(track, kept)
            self._feature(row, self._own(track, kept.t, wm))
        else:
            self._feature(row, self._own(track, kept.t, wm))
            self._insert(track, kept)
        self._refresh(key, track, wm)
        return TOOK

    def begin(self) -> None:
        self._forgotten = {}

    def unread(self, key: Key, t: int, wm: int, row: int) -> None:
        track = self._tracks.get(key) or Track(len(self.plan.inputs), t)
        self._feature(row, None if self._useless(t, wm) else self._own(track, t, wm))

    def take(self, key: Key, doc: Hashable, old_at: int, wm: int, cause: str) -> int:
        track = self._tracks.get(key)
        place = self._place(track, doc, old_at, wm) if track is not None else None
        if track is None or place is None:
            return REFUSED if self._useless(old_at, wm) else NEITHER
        for column in track.lists():
            del column[place]
        self._refresh(key, track, wm)
        return TOOK

    def passed(self, key: Key, start: int, wm: int, cause: str) -> bool:
        track = self._tracks.get(key)
        due = self.due(key)
        if track is None or due is None:
            return False
        if wm < due:
            self.timers.put(due, self.token(key))
            return False
        if self._expires(track, track.as_of) is not None:
            self._refresh(key, track, wm)
        else:
            self._free(track, wm)
        if self._useless(track.last, wm):
            self.forget(key)
        return True

    def ended(self, key: Key, wm: int) -> bool:
        """The end of a file: the view once more as of the watermark, where the key still holds events. Whether it was."""
        track = self._tracks.get(key)
        if track is None or track.as_of >= wm or not track.times or self._useless(track.times[-1], wm):
            return False
        self._refresh(key, track, wm)
        return True

    def due(self, key: Key) -> int | None:
        track = self._tracks.get(key)
        if track is None:
            return None
        expires = self._expires(track, track.as_of)
        if expires is not None:
            return -(-expires // self.sweep) * self.sweep
        return track.last + self.leaves + self.set.lateness

    def current(self, key: Key, as_of: int) -> RollingBlock:
        """The value at a time not before the watermark, also of a key that nothing is known of."""
        return self._block([(key, self._tracks.get(key) or Track(len(self.plan.inputs), as_of), as_of)])

    def views(self, keys: Sequence[Key], as_of: Sequence[int]) -> RollingBlock:
        """The views of keys, each as of its own time or the given one, if that is later."""
        tracks = [self._tracks.get(key) or self._forgotten.get(key) or Track(len(self.plan.inputs), NEVER) for key in keys]
        times = [max(track.as_of, at) for track, at in zip(tracks, as_of, strict=True)]
        return self._block(list(zip(keys, tracks, times, strict=True)))

    def dump(self, key: Key, packer: Packer) -> Any:
        track = self._tracks.get(key)
        if track is None:
            return None
        opaque = [[packer.plain(v) for v in column] for column in (track.documents, *track.columns)]
        return [track.last, track.as_of, track.times, *opaque]

    def load(self, key: Key, section: Any, packer: Packer) -> None:
        last, track_as_of, times, documents, *columns = section
        track = self._tracks[key] = Track(0, last)
        track.as_of, track.times, track.documents = track_as_of, times, packer.values(documents)
        track.columns = [packer.values(column) for column in columns]
        self.timers.put(self.due(key) or 0, self.token(key))

    def forget(self, key: Key) -> None:
        track = self._tracks.pop(key, None)
        if track is not None:
            self._forgotten[key] = track
            self.timers.drop([self.token(key)])

    def waiting(self) -> int:
        return len(self._touched)

    def flush(self) -> RollingBlock | None:
        if not self._touched:
            return None
        block = self._block([(key, track, track.as_of) for key, track in self._touched.items()])
        self._touched = {}
        return block

    def features(self) -> FeatureBlock | None:
        rows, values = self._rows, self._features
        if not rows:
            return None
        self._rows, self._features = [], []
        return FeatureBlock(self.set, rows, {name: [v[i] for v in values] for i, name in enumerate(self.plan.names)})

    def _block(self, views: list[tuple[Key, Track, int]]) -> RollingBlock:
        values = [self._value(track, as_of) for _, track, as_of in views]
        return RollingBlock(
            set=self.set,
            key=[key for key, _, _ in views],
            as_of=[as_of for _, _, as_of in views],
            measures={name: [v[i] for v in values] for i, name in enumerate(self.plan.names)},
            expires_at=[self._expires(track, as_of) for _, track, as_of in views],
        )

    def _useless(self, t: int, wm: int) -> bool:
        """No value at or after wm - lateness can need it."""
        return t + self.leaves <= wm - self.set.lateness

    def _own(self, track: Track, t: int, wm: int) -> list[Any] | None:
        return self._value(track, t) if t >= wm - self.set.lateness else None

    def _value(self, track: Track, at: int) -> list[Any]:
        low = self.left(track.times, at - self.span)
        high = max(low, bisect_right(track.times, at - self.kind.delay))
        stretches = (column[low:high] for column in track.columns)
        return self.plan.compute(high - low, [[v for v in s if v is not None] if None in s else s for s in stretches])

    def _expires(self, track: Track, as_of: int) -> int | None:
        """When the value next changes by silence alone: an event leaves, or one that is delayed enters."""
        leaving = self.left(track.times, as_of - self.span)
        entering = bisect_right(track.times, as_of - self.kind.delay)
        soonest = [track.times[leaving] + self.leaves] if leaving < len(track.times) else []
        if entering < len(track.times):
            soonest.append(track.times[entering] + self.kind.delay)
        return min(soonest, default=None)

    def _insert(self, track: Track, kept: Kept) -> None:
        place = bisect_right(track.times, kept.t)
        track.times.insert(place, kept.t)
        track.documents.insert(place, kept.doc)
        for column, value in zip(track.columns, kept.values, strict=True):
            column.insert(place, value)
        track.last = max(track.last, kept.t)

    def _place(self, track: Track, doc: Hashable, old_at: int, wm: int) -> int | None:
        """Where the document's value lies: the last at the time it had, else the last."""
        found = [i for i, d in enumerate(track.documents) if d == doc and not self._useless(track.times[i], wm)]
        return max(found, key=lambda i: (track.times[i] == old_at, i), default=None)

    def _refresh(self, key: Key, track: Track, wm: int) -> None:
        """The view is to be written as of now."""
        self._free(track, wm)
        track.as_of = max(track.last, wm)
        self._touched[key] = track
        self.timers.sooner(self.due(key) or 0, self.token(key))

    def _free(self, track: Track, wm: int) -> None:
        if track.times and self._useless(track.times[0], wm):
            keep = bisect_right(track.times, wm - self.set.lateness - self.leaves)
            for column in track.lists():
                del column[:keep]

    def _feature(self, row: int, values: list[Any] | None) -> None:
        self._rows.append(row)
        self._features.append([None] * len(self.plan.names) if values is None else values)
