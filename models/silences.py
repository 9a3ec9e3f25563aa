"""A cart's events as runs: what lies less than a gap apart is one run, and a silence follows each run's last event.

    events   a b   c        d            gap 4
             |-|---|        |
    runs     [a ... c]      [d]          silences after c and after d

Events only ever come in, so an event inside a run starts no silence any more: of a run its ends and its first purchase are enough.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import msgspec

Runs = tuple["Run", ...]


class Run(msgspec.Struct, frozen=True, array_like=True):
    """Events less than a gap apart, all times in ms. items, value and bought are of the last one (by time, arrival).

    purchase: the first purchase in the run. judged: the silence after it has been found to be an abandonment.
    """

    start: int
    end: int
    items: list[Any] | None
    value: float | None
    bought: bool
    purchase: int | None
    judged: bool = False

    @property
    def leaves(self) -> bool:
        """Whether a silence after it leaves something behind."""
        return not self.bought and bool(self.items)


def joined(runs: Runs, new: Run, gap: int) -> tuple[Runs, int, Sequence[Run]]:
    """The runs with one more event (a run of its own): (runs, place of the event's run, runs whose last event it no longer is)."""
    first = bisect_left(runs, new.start - gap + 1, key=lambda run: run.end)
    past = first
    while past < len(runs) and runs[past].start - new.end < gap:
        past += 1
    near = runs[first:past]
    if not near:
        return (*runs[:first], new, *runs[first:]), first, ()
    last = near[-1] if near[-1].end > new.end else new  # at the same instant the later arrival is the last
    bought = [run.purchase for run in (*near, new) if run.purchase is not None]
    whole = msgspec.structs.replace(last, start=min(near[0].start, new.start), purchase=min(bought, default=None))
    return (*runs[:first], whole, *runs[past:]), first, [run for run in near if run is not last]


def answered(runs: Runs, place: int) -> tuple[str | None, int | None]:
    """What came after a run's silence: ("purchase", its time), ("activity", its time), or nothing yet.

    A purchase counts for more than activity before it.
    """
    later = runs[place + 1 :]
    bought = [run.purchase for run in later if run.purchase is not None]
    if bought:
        return "purchase", min(bought)
    return ("activity", later[0].start) if later else (None, None)
