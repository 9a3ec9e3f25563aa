"""Tumbling and sliding windows, the obvious way: every window keeps its events, and is computed from them when asked."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from windows.engine import Key
from windows.law.spec import Sliding, Tumbling, WindowSet
from windows.law.zones import Grid
from windows.naive.event import Kept, Window, insert, which
from windows.naive.sets import NEITHER, REFUSED, TOOK, WindowedSet
from windows.naive.state import dump_windows, load_windows
from windows.naive.timers import Timers
from windows.packing import Packer

Documents = dict[Hashable, list[Kept]]  # a document's id -> its values by (time, arrival)


class GridSet(WindowedSet):
    """One tumbling or sliding set: key -> start -> window, for windows that are open or closed and kept."""

    whole_key = False

    def __init__(self, number: int, spec: WindowSet, timers: Timers) -> None:
        super().__init__(number, spec, timers)
        assert isinstance(spec.kind, (Tumbling, Sliding))
        self.grid = Grid(spec.kind)
        self._keys: dict[Key, dict[int, Window]] = {}
        self._documents: dict[Key, Documents] = {}  # only where the set retracts

    def put(self, key: Key, kept: Kept, wm: int, cause: str, row: int) -> int:
        verdict = REFUSED
        for start, end in self.grid.holding(kept.t):
            if not self.lives.frozen(end, wm):
                self._into(key, start, end, kept, wm, cause)
                verdict = TOOK
        if verdict == TOOK and self.set.retract:
            insert(self._documents.setdefault(key, {}).setdefault(kept.doc, []), kept)
        return verdict

    def take(self, key: Key, doc: Hashable, old_at: int, wm: int, cause: str) -> int:
        found = self._documents.get(key, {}).get(doc)
        if not found:
            gone = all(self.lives.frozen(end, wm) for _, end in self.grid.holding(old_at))
            return REFUSED if gone else NEITHER
        kept = which(found, old_at)
        windows = self._keys[key]
        for start, _ in self.grid.holding(kept.t):
            w = windows.get(start)
            if w is not None and kept in w.events:
                w.events.remove(kept)
                w.late.discard(kept)
                w.changed()
                self.touched[key, start] = w
        self._unlist(key, kept)
        return TOOK

    def passed(self, key: Key, start: int, wm: int, cause: str) -> bool:
        windows = self._keys.get(key, {})
        w = windows.get(start)
        if w is None:
            return False
        if not w.final and self.lives.closed(w.end, wm):
            w.close(cause)
            self.touched[key, start] = w
        if self.lives.frozen(w.end, wm):
            self._free(key, windows, w)
        else:
            self._watch(key, w)
        return True

    def due(self, key: Key) -> int | None:
        return min(map(self._due, self._keys.get(key, {}).values()), default=None)

    def dump(self, key: Key, packer: Packer) -> Any:
        windows = self._keys.get(key)
        return dump_windows(windows.values(), packer) if windows else None

    def load(self, key: Key, section: Any, packer: Packer) -> None:
        windows = load_windows(section, packer)
        self._keys[key] = {w.start: w for w in windows}
        for w in windows:
            self._watch(key, w)
        if self.set.retract:
            self._list(key, windows)

    def forget(self, key: Key) -> None:
        self.timers.drop(self.token(key, start) for start in self._keys.pop(key, {}))
        self._documents.pop(key, None)

    def _into(self, key: Key, start: int, end: int, kept: Kept, wm: int, cause: str) -> None:
        windows = self._keys.setdefault(key, {})
        w = windows.get(start)
        if w is None:
            w = windows[start] = Window(start, end, [])
            self._watch(key, w)
        w.changed()
        if self.lives.closed(end, wm):
            w.late.add(kept)
            if not w.final:
                w.close(cause)
                self._watch(key, w)
        insert(w.events, kept)
        kept.windows += 1
        self.touched[key, start] = w

    def _free(self, key: Key, windows: dict[int, Window], w: Window) -> None:
        del windows[w.start]
        if self.set.retract:
            for kept in w.events:
                kept.windows -= 1
                if not kept.windows:
                    self._unlist(key, kept)
        if not windows:
            del self._keys[key]

    def _unlist(self, key: Key, kept: Kept) -> None:
        documents = self._documents[key]
        documents[kept.doc].remove(kept)
        if not documents[kept.doc]:
            del documents[kept.doc]
        if not documents:
            del self._documents[key]

    def _list(self, key: Key, windows: list[Window]) -> None:
        documents: Documents = {}
        for w in windows:
            for kept in w.events:
                kept.windows += 1
                if kept.windows == 1:
                    insert(documents.setdefault(kept.doc, []), kept)
        if documents:
            self._documents[key] = documents

    def _due(self, w: Window) -> int:
        return w.end + (self.lives.hold if w.final else self.lives.lateness)

    def _watch(self, key: Key, w: Window) -> None:
        self.timers.put(self._due(w), (self.number, key, w.start))
