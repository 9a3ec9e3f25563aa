"""Rolling windows by brute force (see reference.py)."""

from __future__ import annotations

import math

from tests.windows.build import Doc, Row
from tests.windows.reference_kinds import NEITHER, REFUSED, TOOK, Event, Track, measure
from windows.engine import NEVER
from windows.law.spec import Rolling


class RollingTrack(Track):
    """Rolling: values and views by comprehension over all that was ever taken in."""

    view: Doc | None = None
    last = NEVER

    def holds_at(self, event: Event, at: int) -> bool:
        kind = self.spec.kind
        assert isinstance(kind, Rolling)
        left, right = at - kind.delay - kind.size, at - kind.delay
        return left < event.t <= right or (kind.closed == "both" and event.t == left)

    def needed(self, event: Event, wm: int) -> bool:
        """Whether a value at or after wm - lateness can hold it: the first of them holds it, or it enters later."""
        kind, first = self.spec.kind, wm - self.spec.lateness
        assert isinstance(kind, Rolling)
        return self.holds_at(event, first) or event.t > first - kind.delay

    def value(self, at: int) -> Doc:
        held = [e for e in self.events if self.holds_at(e, at)]
        return {m.name: measure(m, held) for m in self.spec.measures}

    def own(self, event: Event, wm: int, enters: bool) -> Doc:
        kind = self.spec.kind
        assert isinstance(kind, Rolling)
        if not self.needed(event, wm) or event.t < wm - self.spec.lateness:
            return dict.fromkeys((m.name for m in self.spec.measures), None)
        self.events += [event] if enters and kind.current else []
        value = self.value(event.t)
        if enters and kind.current:
            self.events.remove(event)
        return value

    def put(self, event: Event, wm: int, cause: str) -> str:
        if not self.needed(event, wm):
            return REFUSED
        self.events.append(event)
        self.last = max(self.last, event.t)
        self.look(wm)
        return TOOK

    def take(self, row: Row, wm: int, cause: str) -> str:
        event = self.find(row, [e for e in self.events if self.needed(e, wm)])
        if event is None:
            return NEITHER if self.needed(Event(0, {"at": row.get("old_at", row["at"])}), wm) else REFUSED
        self.events.remove(event)
        self.look(wm)
        return TOOK

    def expires(self, as_of: int) -> int | None:
        kind = self.spec.kind
        assert isinstance(kind, Rolling)
        out = kind.delay + kind.size + (kind.closed == "both")
        return min((t for e in self.events for t in (e.t + kind.delay, e.t + out) if t > as_of), default=None)

    def look(self, wm: int) -> None:
        as_of = max(self.last, wm)
        self.view = {"as_of": as_of, "expires_at": self.expires(as_of), **self.value(as_of)}

    def close(self, wm: int, cause: str) -> None:
        assert isinstance(self.spec.kind, Rolling)
        step = max(self.spec.kind.size // 60, 1_000)
        if self.view is not None and (expires := self.view["expires_at"]) is not None and wm >= math.ceil(expires / step) * step:
            self.look(wm)

    def finish(self, wm: int) -> None:
        if self.view is not None and self.view["as_of"] < wm and any(self.needed(e, wm) for e in self.events):
            self.look(wm)
