"""What the page shows, read from MongoDB and from the stream: counts, rates, lag, watermark, the latest of each view."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pymongo import MongoClient

from config.specs import Pipeline
from sandbox.tap import Tap
from windows.law.spec import Rolling

Document = dict[str, Any]
RATE_OVER = 5.0  # seconds that a rate is taken over
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Seen:
    """One look. counts: changes written, captured, relayed (a record per route), processed, since the beginning; rates: the same a
    second. lag: seconds from a document's insertion to its score. watermark: the lowest shard's; behind: seconds since then."""

    counts: Mapping[str, int] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    lag: float | None = None
    watermark: datetime | None = None
    behind: float | None = None
    windows: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    scores: Sequence[Document] = ()
    decisions: Mapping[str, int] = field(default_factory=dict)
    carts: Sequence[Document] = ()
    abandoned: int = 0
    retracted: int = 0
    troubles: Mapping[str, int] = field(default_factory=dict)


class Observer:
    """Looks at a running pipeline from outside."""

    def __init__(self, client: MongoClient[Document], spec: Pipeline, tap: Tap) -> None:
        self.client, self.spec, self.tap = client, spec, tap
        self.views = client[spec.views.database]
        self.history: deque[tuple[float, dict[str, int]]] = deque()

    def look(self) -> Seen:
        """Everything, now."""
        self.tap.follow()
        health = list(self.views["health"].find({"_id": {"$regex": f"^{self.spec.stream.name}/"}}))
        counts = {
            "written": self.written(),
            "captured": self.tap.captured,
            "relayed": self.tap.changes,
            "processed": sum(int(d["records"]) - int(d["control"]) for d in health),
        }
        marks = [d["watermark"] for d in health if not d.get("ended")]
        watermark = min(marks, default=None) if all(marks) else None
        if len(health) < len(self.tap.iterators):
            watermark = None
        return Seen(
            counts=counts,
            rates=self._rates(counts),
            lag=self._lag(),
            watermark=watermark,
            behind=None if watermark is None else time.time() - watermark.timestamp(),
            windows={s.name: self._windows(s.name) for s in self.spec.windows if not isinstance(s.kind, Rolling)},
            troubles={name: n for name in ("late", "dead_letter", "repeat") if (n := sum(int(d[name]) for d in health))},
            **self._fraud(),
            **self._carts(),
        )

    def written(self) -> int:
        """Documents in the watched collections."""
        return sum(self.client[t.database][t.collection].estimated_document_count() for t in self.spec.triggers)

    def _rates(self, counts: dict[str, int]) -> Mapping[str, float]:
        now = time.monotonic()
        self.history.append((now, counts))
        while now - self.history[0][0] > RATE_OVER and len(self.history) > 2:
            self.history.popleft()
        then, before = self.history[0]
        return {name: (n - before[name]) / (now - then) if now > then else 0.0 for name, n in counts.items()}

    def _windows(self, view: str) -> tuple[int, int]:
        still_open = self.views[view].count_documents({"final": False})
        return still_open, self.views[view].estimated_document_count() - still_open

    def _lag(self) -> float | None:
        """The median over the latest scores: when the score was written, less when its payment was."""
        spec = self.spec.fraud
        trigger = self.spec.trigger(spec.trigger) if spec else None
        if spec is None or trigger is None:
            return None
        latest = list(self.views[spec.view].find({}, {"updated_at": 1}).sort("at", -1).limit(21))
        source = self.client[trigger.database][trigger.collection]
        found = source.find({"_id": {"$in": [d["_id"] for d in latest]}}, {"written_at": 1})
        written = {d["_id"]: d["written_at"] for d in found if "written_at" in d}
        lags = sorted((d["updated_at"] - written[d["_id"]]).total_seconds() for d in latest if d["_id"] in written)
        return lags[len(lags) // 2] if lags else None

    def _fraud(self) -> dict[str, Any]:
        if self.spec.fraud is None:
            return {}
        view = self.views[self.spec.fraud.view]
        decisions = {name: view.count_documents({"decision": name}) for name in ("review", "block")}
        high = view.find({"score": {"$gte": self.spec.fraud.review}}).sort("at", -1).limit(SHOWN)
        return {"scores": list(high), "decisions": decisions}

    def _carts(self) -> dict[str, Any]:
        if self.spec.abandonment is None:
            return {}
        view = self.views[self.spec.abandonment.view]
        raised, retracted = (view.count_documents({"status": status}) for status in ("raised", "retracted"))
        return {"carts": list(view.find().sort("raised_at", -1).limit(SHOWN)), "abandoned": raised, "retracted": retracted}
