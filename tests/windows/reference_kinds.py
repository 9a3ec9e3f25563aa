"""The kinds of windows by brute force (see reference.py): values, measures, and a track a kind."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from tests.windows.build import Doc, Row
from windows.law.expr import Expr
from windows.law.spec import Measure, Session, Sliding, Tumbling, WindowSet

TOOK, REFUSED, NEITHER = "took", "refused", "neither"


class Event:
    """One value that a set took in. number: its place in the order of arrival."""

    def __init__(self, number: int, row: Row) -> None:
        self.number, self.doc, self.fields = number, row.get("doc"), row.get("fields", {})
        self.t: int = row["at"]

    def get(self, path: str, kind: str) -> Any:
        value = self.fields.get(path)
        return None if value is None else float(value) if kind == "number" else bool(value) if kind == "flag" else value


def holds(expr: Expr | None, event: Event) -> bool:
    return expr is None or expr.holds(event.get)


def measure(m: Measure, events: Iterable[Event]) -> Any:
    """One measure by its definition."""
    entered = sorted((e for e in events if holds(m.where, e)), key=lambda e: (e.t, e.number))
    if m.fn == "count":
        return len(entered)
    if m.fn == "share":
        said = [v for e in entered if m.expr is not None and (v := m.expr.value(e.get)) is not None]
        return float(Fraction(sum(said), len(said))) if said else None
    kind = "value" if m.fn in ("distinct", "first", "last") else "number"
    values = [v for e in entered if (v := e.get(m.field or "", kind)) is not None]
    if m.fn in ("sum", "distinct"):
        return float(sum(map(Fraction, values))) if m.fn == "sum" else len({(v, type(v) is str) for v in values})
    if m.fn in ("var", "std"):
        var = statistics.variance(map(Fraction, values)) if len(values) > 1 else None
        return None if var is None else float(var) if m.fn == "var" else math.sqrt(var)
    if not values:
        return None
    if m.fn == "quantile":
        at = (len(values) - 1) * (m.q or 0.0)
        a, b = sorted(values)[math.floor(at)], sorted(values)[math.ceil(at)]
        return a + (b - a) * (at - math.floor(at))
    mean = float(sum(map(Fraction, values)) / len(values)) if m.fn == "mean" else None
    extremes = {"min": min(values), "max": max(values)} if kind == "number" else {}
    return {"mean": mean, **extremes, "first": values[0], "last": values[-1]}[m.fn]


class Track:
    """One key in one window set: all it ever took, and its documents by start."""

    def __init__(self, spec: WindowSet) -> None:
        self.spec = spec
        self.events: list[Event] = []
        self.docs: dict[int, Doc] = {}
        self.hold = spec.lateness + (spec.retain if spec.late == "update" else 0)

    def find(self, row: Row, usable: Iterable[Event]) -> Event | None:
        """The value to take out: of the document, at the time it had if there is one, the last of them."""
        found = [e for e in usable if e.doc == row.get("doc")]
        return max(found, key=lambda e: (e.t == row.get("old_at", row["at"]), e.t, e.number), default=None)

    def put(self, event: Event, wm: int, cause: str) -> str:
        raise NotImplementedError

    def take(self, row: Row, wm: int, cause: str) -> str:
        raise NotImplementedError

    def close(self, wm: int, cause: str) -> None:
        for d in self.docs.values():
            if not d["final"] and wm >= d["end"] + self.spec.lateness:
                d.update(final=True, ever=True, closed_by=cause)

    def document(self, start: int) -> Doc:
        d = self.docs[start]
        measures = {m.name: measure(m, d["in"]) for m in self.spec.measures}
        shown = {name: d[name] for name in ("end", "revision", "final", "closed_by")}
        return {**shown, "events": len(d["in"]), "late": len(d["late"] & d["in"]), **measures}


def fresh(end: int) -> Doc:
    return {"end": end, "in": set(), "late": set(), "revision": 0, "final": False, "ever": False, "closed_by": None}


class GridTrack(Track):
    """Tumbling and sliding, without zones."""

    def spans(self, t: int) -> list[tuple[int, int]]:
        kind = self.spec.kind
        assert isinstance(kind, (Tumbling, Sliding))
        every = kind.every if isinstance(kind, Sliding) else kind.size
        guess = (t - kind.offset) // every
        starts = [kind.offset + k * every for k in range(guess - kind.size // every - 2, guess + 3)]
        return [(s, s + kind.size) for s in starts if s <= t < s + kind.size]

    def put(self, event: Event, wm: int, cause: str) -> str:
        open_to = [(s, e) for s, e in self.spans(event.t) if wm < e + self.hold]
        for start, end in open_to:
            d = self.docs.setdefault(start, fresh(end))
            d["revision"] += d["ever"]
            d["in"].add(event)
            if wm >= end + self.spec.lateness:
                d["late"].add(event)
                d.update(final=True, ever=True, closed_by=d["closed_by"] or cause)
        return TOOK if open_to else REFUSED

    def take(self, row: Row, wm: int, cause: str) -> str:
        kept = [d for d in self.docs.values() if wm < d["end"] + self.hold]
        event = self.find(row, {e for d in kept for e in d["in"]})
        if event is None:
            return REFUSED if all(wm >= e + self.hold for _, e in self.spans(row.get("old_at", row["at"]))) else NEITHER
        for d in kept:
            if event in d["in"]:
                d["in"].discard(event)
                d["revision"] += d["ever"]
        return TOOK


class SessionTrack(Track):
    """Sessions: cut from all events that ever were; emptied documents stand beside them."""

    def cut(self, events: Iterable[Event]) -> list[list[Event]]:
        kind, groups = self.spec.kind, list[list[Event]]()
        assert isinstance(kind, Session)
        for e in sorted(events, key=lambda e: (e.t, e.number)):
            last = groups[-1] if groups else None
            if last and e.t - last[-1].t < kind.gap and (kind.max is None or e.t + kind.gap - last[0].t <= kind.max):
                last.append(e)
            else:
                groups.append([e])
        return groups

    def end(self, group: Sequence[Event]) -> int:
        assert isinstance(self.spec.kind, Session)
        return group[-1].t + self.spec.kind.gap

    def put(self, event: Event, wm: int, cause: str) -> str:
        before, after = self.cut(self.events), self.cut([*self.events, event])
        own = next(g for g in after if event in g)
        if wm >= self.end(own) + self.hold or any(g not in after for g in before if wm >= self.end(g) + self.hold):
            return REFUSED
        self.events.append(event)
        self.move(before, after, event, wm, cause)
        return TOOK

    def take(self, row: Row, wm: int, cause: str) -> str:
        before = self.cut(self.events)
        alive = [g for g in before if wm < self.end(g) + self.hold]
        event = self.find(row, [e for g in alive for e in g])
        if event is None:
            alone = Event(0, {"at": row.get("old_at", row["at"])})
            reached = any(g[0].t <= alone.t < self.end(g) for g in alive) or wm < self.end([alone]) + self.hold
            return NEITHER if reached else REFUSED
        self.events.remove(event)
        own = next(g for g in before if event in g)
        if len(own) == 1:
            d = self.docs[event.t]
            d["in"] = set()
            d["revision"] += d["ever"]
        else:
            self.move(before, self.cut(self.events), event, wm, cause)
        return TOOK

    def move(self, before: list[list[Event]], after: list[list[Event]], event: Event, wm: int, cause: str) -> None:
        """Each old document goes to the group that holds the first event it still has; then revisions, starts and closes."""
        old = {tuple(g): self.docs.pop(g[0].t) for g in before if g not in after}
        for g in after:
            if g in before:
                continue
            heirs = [d for o, d in old.items() if next(e for e in o if e in self.events) in g]
            emptied = self.docs.get(g[0].t)
            if emptied is not None and wm < emptied["end"] + self.hold:
                heirs.append(emptied)
            d = self.docs[g[0].t] = fresh(self.end(g))
            d["in"], d["late"] = set(g), {e for o in old.values() for e in o["late"]}
            d["ever"] = any(h["ever"] for h in heirs)
            d["revision"] = max((h["revision"] + 1 for h in heirs if h["ever"]), default=0)
            closed = wm >= d["end"] + self.spec.lateness
            if closed or any(h["final"] for h in heirs):
                d["late"] |= {event}
            if closed:
                by = next((h["closed_by"] for h in heirs if h["closed_by"]), cause)
                d.update(final=True, ever=True, closed_by=by)
