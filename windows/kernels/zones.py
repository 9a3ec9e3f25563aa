# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Local time: what the clocks of a time zone are ahead of UTC, and where edges that lie evenly on them lie in UTC.

A table of a zone at Z[z] (plan/zones.py makes it): [n, then n UTC times at which its clocks change, then the n local times at which
a local time is first read by the new clocks, then the n + 1 spans that they are ahead], all ms and rising but the last. It reaches
over some centuries: after that the clocks change as they did 400 years earlier, day of the week by day of the week.
"""

from __future__ import annotations

from compiled.kernel import kernel
from windows.kernels.memory.rising import first_from

DAY = 86_400_000
AGAIN = 146_097 * DAY  # 400 years: so many days that dates fall on the same days of the week again
FOLD = 4_102_444_800_000  # 2100-01-01: from here on changes follow each zone's last rule
TABLE_END = FOLD + AGAIN
LAST = 253_402_128_000_000  # 9999-12-30: as in law/zones.py, clocks change no more


@kernel
def in_table(t):
    """A time whose clocks are read as those at t, and that the tables reach over."""
    if t < TABLE_END:
        return t
    t = min(t, LAST)
    return t - (t - FOLD) // AGAIN * AGAIN


@kernel
def ahead_at(Z, z, t):
    """How far local clocks are ahead of UTC at a UTC time."""
    n = Z[z]
    return Z[z + 1 + 2 * n + first_from(Z, z + 1, n, in_table(t) + 1)]


@kernel
def utc_of(Z, z, local):
    """The UTC time of a local one: of two the first, and of none (where clocks skip it) by the clocks before."""
    n = Z[z]
    return local - Z[z + 1 + 2 * n + first_from(Z, z + 1 + n, n, in_table(local) + 1)]


@kernel
def last_edge(Z, z, first, every, t):
    """The greatest k with local time first + k * every not after the UTC time t. every: a day or more."""
    k = (t + ahead_at(Z, z, t) - first) // every + 1
    while utc_of(Z, z, first + k * every) > t:
        k -= 1
    return k
