"""The clocks of time zones as tables for kernels (windows/kernels/zones.py): once a zone, whatever times events have."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np

from windows.engine import Ints
from windows.kernels.zones import FOLD, TABLE_END
from windows.law.spec import DAY

BEGIN = -4_102_444_800_000  # 1840: no zone has changed its clocks before 1844
STEP = 3 * DAY  # no two changes of a zone lie so near (1939 Freetown has 4 days); the later ones follow rules, weeks apart
RULED_STEP = 12 * DAY
SECOND = 1_000  # ms; clocks change at whole seconds
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Zones:
    """`Z` for kernels, all int64; place: where the table of a zone stands in it."""

    def __init__(self, names: Iterable[str]) -> None:
        self.place: dict[str, int] = {}
        words = [0]
        for name in dict.fromkeys(names):
            self.place[name] = len(words)
            words += _table(name)
        self.Z: Ints = np.array(words, np.int64)


@cache
def _table(name: str) -> list[int]:
    """A zone's clocks, as kernels read them."""
    zone = ZoneInfo(name)

    def ahead(t: int) -> int:
        offset = (EPOCH + timedelta(milliseconds=t)).astimezone(zone).utcoffset()
        assert offset is not None
        return offset // timedelta(milliseconds=1)

    changes, spans = list[int](), [ahead(BEGIN)]
    t = BEGIN
    while t < TABLE_END:
        until = min(t + (STEP if t < FOLD else RULED_STEP), TABLE_END)
        if ahead(until) != spans[-1]:
            low, high = t, until
            while high - low > SECOND:
                middle = (low + high) // (2 * SECOND) * SECOND
                low, high = (middle, high) if ahead(middle) == spans[-1] else (low, middle)
            changes.append(high)
            spans.append(ahead(high))
            until = high
        t = until
    local = [t + max(a, b) for t, a, b in zip(changes, spans[:-1], spans[1:], strict=True)]
    return [len(changes), *changes, *local, *spans]
