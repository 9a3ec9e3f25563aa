"""Where windows of a fixed grid lie: by arithmetic in UTC, or on the local days of a time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from windows.law.spec import Sliding, Tumbling

EPOCH = datetime(1970, 1, 1)
FIRST, LAST = datetime(1, 1, 2), datetime(9999, 12, 30)  # a day inside what datetime can hold, for zones on either side of UTC
MILLISECOND = timedelta(milliseconds=1)
Span = tuple[int, int]  # [start, end) in ms


class Grid:
    """Which windows `[start, end)` hold a time. Immutable but for its memory of spans."""

    def __init__(self, kind: Tumbling | Sliding) -> None:
        self.size, self.offset = kind.size, kind.offset
        self.every = kind.every if isinstance(kind, Sliding) else kind.size
        self._zone = ZoneInfo(kind.zone) if kind.zone is not None else None
        self._span = lru_cache(maxsize=4096)(self._local_span)

    def holding(self, t: int) -> list[Span]:
        """The spans that hold t, by rising start."""
        return self._local(t) if self._zone is not None else self._plain(t)

    def _plain(self, t: int) -> list[Span]:
        last = t - (t - self.offset) % self.every
        if last + self.size <= t:
            return []
        first = last - (last + self.size - t - 1) // self.every * self.every
        return [(start, start + self.size) for start in range(first, last + 1, self.every)]

    def _local(self, t: int) -> list[Span]:
        """Spans on local days: k is guessed from the wall clock, and then found in UTC, where time has no gaps."""
        k = (t + self._ahead_of_utc(t) - self.offset) // self.every + 1
        while self._span(k)[0] > t:
            k -= 1
        found = []
        while (span := self._span(k))[1] > t:
            found.append(span)
            k -= 1
        return found[::-1]

    def _local_span(self, k: int) -> Span:
        wall = self.offset + k * self.every
        return self._utc(wall), self._utc(wall + self.size)

    def _ahead_of_utc(self, t: int) -> int:
        moment = _datetime(t).replace(tzinfo=UTC).astimezone(self._zone)
        return _ms(moment.utcoffset())

    def _utc(self, wall: int) -> int:
        """The UTC time of a wall time (ms since 1970 on the local clock). A wall time that comes twice is the first of the two;
        one that does not exist is taken with the offset before the gap, which puts it past the gap (PEP 495, fold=0)."""
        return wall - _ms(_datetime(wall).replace(tzinfo=self._zone).utcoffset())


def _datetime(ms: int) -> datetime:
    """The naive datetime of ms since 1970, held inside the years that datetime knows."""
    low, high = (FIRST - EPOCH) // MILLISECOND, (LAST - EPOCH) // MILLISECOND
    return EPOCH + timedelta(milliseconds=min(max(ms, low), high))


def _ms(span: timedelta | None) -> int:
    return (span or timedelta()) // MILLISECOND
