"""What a shard tells of itself beside its cursor: how long its newest record was on each hop, what it holds, who keeps it.

Plain numbers that cross from a child to its supervisor, and into the shard's line in `health`. Made once a commit, by
consumer.measure.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Literal

import msgspec

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)  # s, inclusive; the rest lies behind


class Histogram(msgspec.Struct, frozen=True):
    """How many durations lay in each step of BOUNDS and, last, behind all of them; and their sum, s.

    >>> one = Histogram().add(0.005).add(400.0)
    >>> one.counts[0], one.counts[-1], one.sum
    (1, 1, 400.005)
    """

    counts: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)
    sum: float = 0.0

    def add(self, seconds: float) -> Histogram:
        """With one more. Of two clocks one may be ahead: nothing takes less than no time."""
        seconds = max(seconds, 0.0)
        place = bisect_left(BOUNDS, seconds)
        counts = (*self.counts[:place], self.counts[place] + 1, *self.counts[place + 1 :])
        return Histogram(counts, self.sum + seconds)


class Hops(msgspec.Struct, frozen=True):
    """How long a commit's newest record was on its way, ms: from `inserted` (its change's cluster time, ms since 1970, in whole
    seconds) to `arrived` at Kinesis, to `processed`, to `sent` to MongoDB, to `visible` there. None: not known, or not yet.

    of: the newest change, where there is none a heartbeat, else something else. When the producer put it stands in no envelope, so
    reading from MongoDB and putting into Kinesis are one hop. A negative hop is two clocks that differ.
    """

    of: Literal["change", "heartbeat", "other"]
    inserted: int | None
    arrived: int | None
    processed: int | None
    sent: int
    visible: int | None = None


class Owner(msgspec.Struct, frozen=True):
    """Who keeps a shard: the worker's id, the hash of its configuration, the versions of what it runs."""

    worker: str | None = None
    config: str | None = None
    versions: dict[str, str] = {}


class Figures(msgspec.Struct, frozen=True):
    """At a commit: hops of its newest record; keys in memory, and about how many bytes they take; when this owner's last snapshot
    was done, ms; how long this owner's commits took, and how old (since the insert) their newest changes were once visible."""

    owner: Owner = Owner()
    hops: Hops | None = None
    keys: int = 0
    bytes: int = 0
    snapshot_at: int | None = None
    commits: Histogram = Histogram()
    freshness: Histogram = Histogram()
