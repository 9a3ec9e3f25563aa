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


Answer = tuple[str | None, int | None]  # what came after a silence: ("purchase", its time), ("activity", its time), or nothing yet


class Joined(msgspec.Struct, frozen=True):
    """Runs with one more event: the place of its run, the runs whose last event is no longer theirs, and from where on answers of
    runs before `place` may be others now."""

    runs: Runs
    place: int
    ended: Sequence[Run]
    begin: int


def joined(runs: Runs, new: Run, gap: int) -> Joined:
    """The runs with one more event (a run of its own)."""
    first = bisect_left(runs, new.start - gap + 1, key=lambda run: run.end)
    past = first
    while past < len(runs) and runs[past].start - new.end < gap:
        past += 1
    near = runs[first:past]
    whole = new
    if near:
        last = near[-1] if near[-1].end > new.end else new  # at the same instant the later arrival is the last
        bought = [run.purchase for run in (*near, new) if run.purchase is not None]
        whole = msgspec.structs.replace(last, start=min(near[0].start, new.start), purchase=min(bought, default=None))
    begin = max(first - 1, 0)
    if whole.purchase != _first(near):  # it answers all silences since the purchase before it
        while begin > 0 and runs[begin].purchase is None:
            begin -= 1
    ended = [run for run in near if run is not last] if near else ()
    return Joined((*runs[:first], whole, *runs[past:]), first, ended, begin)


def answers(runs: Runs, begin: int, end: int) -> Sequence[Answer]:
    """What came after the silences of the runs [begin, end). A purchase counts for more than activity before it."""
    bought = _first(runs[end:]) if begin < end else None
    found: list[Answer] = []
    for place in range(end - 1, begin - 1, -1):
        after = runs[place + 1].start if place + 1 < len(runs) else None
        found.append(("purchase", bought) if bought is not None else ("activity", after) if after is not None else (None, None))
        bought = runs[place].purchase if runs[place].purchase is not None else bought
    return found[::-1]


def _first(runs: Runs) -> int | None:
    """The first purchase of runs that follow each other."""
    return next((run.purchase for run in runs if run.purchase is not None), None)
