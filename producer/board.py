"""What the producer shows over HTTP: that it lives, whether it relays, and its figures.

The pump puts here what it has reached, about once a second, as one value; whoever asks is answered from that, in another thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edge.http import Answer, Pages
from edge.metrics import TYPE, Family, render

ALIVE_WITHIN = 60.0  # s; the pump goes round at least once a second
SAVED_WITHIN = 60.0  # s


@dataclass(frozen=True, slots=True)
class Shown:
    """Counts since this process began: changes captured by group of triggers, records acknowledged, put again, refused by code,
    kept as too large; heartbeats. waiting: records read and not acknowledged. relayed: cluster time, s, up to which all is
    acknowledged. saved: when bookmarks were saved last, s since 1970. headroom: s by which the oplog reaches back behind what is
    relayed. None: not yet, or nobody can say."""

    captured: Mapping[str, int] = field(default_factory=dict)
    acknowledged: int = 0
    retries: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    too_large: int = 0
    heartbeats: int = 0
    waiting: int = 0
    relayed: int | None = None
    saved: float | None = None
    headroom: int | None = None


class Board:
    """steady: a clock in s; wall: s since 1970."""

    def __init__(self, stream: str, steady: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self._stream, self._steady, self._wall = stream, steady, wall
        self._shown: Shown | None = None
        self._holder: str | None = None
        self._at = steady()

    def alive_still(self) -> None:
        """The process is starting, and waits for something."""
        self._at = self._steady()

    def standing_by(self, holder: str | None) -> None:
        """Another one relays, or (None) no other does any more."""
        self._holder, self._at = holder, self._steady()

    def show(self, shown: Shown) -> None:
        """The pump has gone round."""
        self._shown, self._at = shown, self._steady()

    def pages(self) -> Pages:
        """What is served, by path."""
        return {"/metrics": self.metrics, "/healthz": self.alive, "/readyz": self.ready}

    def metrics(self) -> Answer:
        """Everything in numbers."""
        return Answer(200, render(_families(self._stream, self._shown) if self._shown else ()), TYPE)

    def alive(self) -> Answer:
        """Whether the pump still goes round."""
        age = self._steady() - self._at
        return Answer(200, "alive\n") if age <= ALIVE_WITHIN else Answer(503, f"the producer has stood still for {age:.0f} s\n")

    def ready(self) -> Answer:
        """Whether changes are relayed, and how far is saved."""
        shown = self._shown
        if self._holder is not None:
            return Answer(503, f"standing by: {self._holder} relays\n")
        if shown is None:
            return Answer(503, "the producer is starting\n")
        if shown.relayed is None:
            return Answer(503, "nothing is relayed yet\n")
        age = None if shown.saved is None else self._wall() - shown.saved
        if age is None or age > SAVED_WITHIN:
            return Answer(503, f"no bookmark saved {'yet' if age is None else f'for {age:.0f} s'}\n")
        return Answer(200, "ready\n")


def _families(stream: str, shown: Shown) -> list[Family]:
    def family(kind: str, name: str, help: str, value: float | None) -> Family:
        one = Family(f"eddy_producer_{name}", "counter" if kind == "counter" else "gauge", help)
        one.set(value, stream=stream)
        return one

    refused = Family(
        "eddy_producer_refused_total", "counter", "Records that Kinesis did not take, and which are put again, by code."
    )
    for code, n in shown.refused.items():
        refused.set(n, stream=stream, reason=code)
    return [
        family("counter", "captured_total", "Changes read from MongoDB.", sum(shown.captured.values())),
        family("counter", "records_total", "Records that Kinesis has acknowledged.", shown.acknowledged),
        family("counter", "retries_total", "Records that were put again.", shown.retries),
        refused,
        family("counter", "too_large_total", "Records kept as dead letters because no Kinesis record holds them.", shown.too_large),
        family("counter", "heartbeats_total", "Heartbeats that were put.", shown.heartbeats),
        family("gauge", "waiting_records", "Records read and not acknowledged yet.", shown.waiting),
        family("gauge", "relayed_timestamp_seconds", "Cluster time up to which every change is relayed.", shown.relayed),
        family("gauge", "oplog_headroom_seconds", "By how much the oplog reaches back behind what is relayed.", shown.headroom),
        family("gauge", "bookmark_timestamp_seconds", "When it was saved last how far that is.", shown.saved),
    ]
