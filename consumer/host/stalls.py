"""Which shards are behind and do not move, and for how long: what is told long before a restart is tried.

A shard is held up while it opens, waits for something that is away, is behind by KCL's word, or while nobody speaks of it. How
long it stands so is counted here, by a steady clock of the caller's, from the first look that finds it so to the next move of its
cursor. A shard that has nothing to read is not held up, however long ago it has moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from consumer.host.reports import Status

SILENT = 10.0  # s; KCL speaks to each shard that it holds about once a second
HELD = ("opening", "reading", "waiting")
log = structlog.get_logger("supervisor")


@dataclass(frozen=True, slots=True)
class _Seen:
    """Of a shard: its last word, since when there was no newer one, and since when it is held up and has not moved."""

    last: Status
    spoken: float
    since: float | None


class Stalls:
    """patience: s after which somebody is told, once, and once more when the shard moves."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._seen: dict[str, _Seen] = {}
        self._told: dict[str, float] = {}  # shards that somebody was told of, and since when they stood

    def look(self, statuses: Sequence[Status], now: float) -> Mapping[str, float]:
        """For each shard that is held here how many seconds it has been standing."""
        held = {s.shard: s for s in statuses if s.state in HELD}
        for shard in [shard for shard in self._told if any(s.shard == shard and s.state == "ended" for s in statuses)]:
            del self._told[shard]  # it is another's to move
        before, self._seen = self._seen, {shard: self._now(self._seen.get(shard), s, now) for shard, s in held.items()}
        standing = {shard: 0.0 if seen.since is None else now - seen.since for shard, seen in self._seen.items()}
        for shard, seconds in standing.items():
            if shard not in self._told and seconds >= self._patience:
                self._alarm(held[shard], now, seconds)
            elif shard in self._told and self._moves(before.get(shard), self._seen[shard]):
                stood = round(now - self._told.pop(shard), 1)
                log.info("the shard moves again", shard=shard, stood_s=stood, sequence=held[shard].sequence)
        return standing

    def _now(self, seen: _Seen | None, status: Status, now: float) -> _Seen:
        if seen is None or (seen.last.pid, seen.last.moved) != (status.pid, status.moved):
            seen = _Seen(status, now, None)
        elif seen.last.at != status.at:
            seen = replace(seen, last=status, spoken=now)
        silent = now - seen.spoken > SILENT
        if status.state == "reading" and not status.behind and not silent:
            return replace(seen, since=None)
        begun = seen.spoken if silent else now
        return replace(seen, since=begun if seen.since is None else seen.since)

    def _moves(self, before: _Seen | None, seen: _Seen) -> bool:
        """A new child's first word is no move."""
        if before is None or before.last.pid != seen.last.pid:
            return False
        return seen.since is None or before.last.moved != seen.last.moved

    def _alarm(self, status: Status, now: float, seconds: float) -> None:
        self._told[status.shard] = now - seconds
        log.error(
            "a shard is behind and does not move", shard=status.shard, was=status.state, stood_s=round(seconds, 1),
            behind=status.behind, sequence=status.sequence,
        )  # fmt: skip
