"""Measures commits, for whoever watches: a handful of steps for each commit, nothing for each record.

The pure middle says which record was the newest and what is in memory (Last); the clocks are the runner's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from msgspec.structs import replace

from consumer.figures import Figures, Hops, Owner
from consumer.intake.records import Raw
from consumer.store.contract import Cursor, Place
from contract.codec import decode
from contract.errors import Rejected
from contract.event import Event, Heartbeat


class Last(NamedTuple):
    """What is known of a part when it is stepped. raw: its newest change, or where there is none its newest record; stepped: when,
    s of a steady clock; keys in memory, and about how many bytes they take."""

    raw: Raw | None
    change: bool
    stepped: float
    keys: int
    bytes: int

    def then(self, later: Last) -> Last:
        """Of this part and a later one together."""
        if later.raw is None or (self.change and not later.change):
            return later._replace(raw=self.raw, change=self.change, stepped=self.stepped)
        return later


class Measure:
    """wall: ms since 1970; steady: a clock in s, that of Last. bare: records without an envelope, which tell no cluster time.

    `figures` is the last commit's; it is replaced whole, so that any thread may read it.
    """

    def __init__(self, owner: Owner, wall: Callable[[], int], steady: Callable[[], float], bare: bool) -> None:
        self._wall, self._steady, self._bare = wall, steady, bare
        self._begun = 0.0
        self._snapshot: Place | None = None
        self.figures = Figures(owner)

    def begin(self, last: Last | None) -> Figures:
        """A commit is sent: what is told in it. How long it takes it cannot tell: `visible` is what the one before took."""
        self._begun, before = self._steady(), self.figures
        if last is None:
            return before
        hops = before.hops
        if last.raw is not None:
            hops = self._hops(last.raw, last.change, last.stepped)
            hops = replace(hops, visible=before.hops.visible if before.hops else None)
        return replace(before, hops=hops, keys=last.keys, bytes=last.bytes)

    def end(self, sent: Figures, fresh: bool, cursor: Cursor) -> Figures:
        """It is in. fresh: a record was in it, whose age counts."""
        took = self._steady() - self._begun
        hops, freshness, snapshot_at = sent.hops, sent.freshness, sent.snapshot_at
        if hops is not None and fresh:
            hops = replace(hops, visible=round(took * 1000))
            if hops.of == "change" and hops.inserted is not None:
                freshness = freshness.add((self._wall() - hops.inserted) / 1000)
        if self._snapshot is not None and cursor.snapshot != self._snapshot:
            snapshot_at = self._wall()
        self._snapshot = cursor.snapshot
        self.figures = replace(sent, hops=hops, commits=sent.commits.add(took), freshness=freshness, snapshot_at=snapshot_at)
        return self.figures

    def _hops(self, raw: Raw, change: bool, stepped: float) -> Hops:
        waited = round((self._begun - stepped) * 1000)
        processed = self._wall() - waited
        message = None if self._bare else _opened(raw)
        of: Literal["change", "heartbeat", "other"] = "change" if change else "heartbeat"
        if message is None or change != isinstance(message, Event):
            of = "change" if change else "other"
        inserted = message.cluster if message is not None and message.cluster else None
        arrived = raw.arrived
        return Hops(
            of,
            inserted,
            None if inserted is None or arrived is None else arrived - inserted,
            None if arrived is None else processed - arrived,
            waited,
        )


def _opened(raw: Raw) -> Event | Heartbeat | None:
    """What is in a record, None where nothing can be read, or what has no time of its own."""
    try:
        message = decode(raw.data) if raw.message is None else raw.message
    except Rejected:
        return None
    return message if isinstance(message, (Event, Heartbeat)) else None
