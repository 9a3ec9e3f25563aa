"""What a supervisor shows over HTTP: that it lives, whether its shards move, and their figures.

The supervisor puts here what it has seen, at each look, as one value; whoever asks is answered from that, in another thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from consumer.host import metrics
from consumer.host.reports import Status
from edge.http import Answer, Pages
from edge.metrics import TYPE, render

ALIVE_WITHIN = 300.0  # s; it looks every second, but may wait a minute before a restart, and longer for an orderly end


@dataclass(frozen=True, slots=True)
class Seen:
    """phase: what the supervisor does. standing: of each shard that is held, for how many s it has been held up without a move."""

    phase: str = "the consumer is starting"
    running: bool = False
    statuses: Sequence[Status] = ()
    standing: Mapping[str, float] = field(default_factory=dict)


class Board:
    """alarm: s after which a shard that stands is not ready. steady: a clock in s."""

    def __init__(
        self,
        stream: str,
        alarm: float,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream, self._alarm, self._steady = stream, alarm, steady
        self._seen, self._at, self._starts = Seen(), steady(), 0

    def show(self, seen: Seen) -> None:
        """The supervisor has looked."""
        self._seen, self._at = seen, self._steady()

    def started(self) -> None:
        """A KCL has been started."""
        self._starts += 1

    def pages(self) -> Pages:
        """What is served, by path."""
        return {"/metrics": self.metrics, "/healthz": self.alive, "/readyz": self.ready}

    def metrics(self) -> Answer:
        """Everything in numbers."""
        seen = self._seen
        found = metrics.families(self._stream, seen.statuses, seen.standing, seen.running, self._starts)
        return Answer(200, render(found), TYPE)

    def alive(self) -> Answer:
        """Whether the supervisor still looks."""
        age = self._steady() - self._at
        if age > ALIVE_WITHIN:
            return Answer(503, f"the supervisor has not looked at its shards for {age:.0f} s\n")
        return Answer(200, "alive\n")

    def ready(self) -> Answer:
        """Whether each shard that is held here is opened and moves; else why not, a line for each reason."""
        why = self._why_not(self._seen)
        return Answer(503, "".join(f"{line}\n" for line in why)) if why else Answer(200, "ready\n")

    def _why_not(self, seen: Seen) -> Sequence[str]:
        if not seen.running:
            return [seen.phase]
        found = []
        for s in seen.statuses:
            stood = seen.standing.get(s.shard, 0.0)
            if s.state in ("opening", "stopped", "failed"):
                found.append(f"{s.shard}: is {'being opened' if s.state == 'opening' else s.state}")
            elif stood >= self._alarm:
                found.append(f"{s.shard}: is behind ({s.state}) and has not moved for {stood:.0f} s")
        if not seen.standing and not found:
            found.append("no shard is held here")
        return found
