"""Times of which changes are missing, by trigger, and the documents that say so: `complete: false`.

    gap           [=========]          begin less `settle`, as an event's time may lie so far before its write
    windows    |-----|-----|-----|-----|
    complete     no    no    no    yes

What overlaps a gap is not complete, whenever it is written; so it does not matter where a crash was. What was written in front of
the gap's record is marked in the store when the record comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from contract.event import Gap
from contract.times import MAX_MS, MIN_MS
from windows.law.spec import Kind, Rolling, Session, WindowSet

Span = tuple[int, int]  # event times, ms, both ends included
Gaps = Mapping[str, tuple[Span, ...]]  # of each trigger, in order, none touching the next
MOST = 64  # spans of a trigger; beyond that the two that lie nearest to each other are one


class Mark(NamedTuple):
    """The documents of a view whose time `first` is at most `end`, and whose `last` lies behind `begin`, ms."""

    collection: str
    first: str
    last: str
    begin: int
    end: int


def joined(gaps: Gaps, others: Gaps) -> Gaps:
    """All of these and those.

    >>> joined({"pay": ((0, 5),)}, {"pay": ((3, 9), (20, 30)), "carts": ((1, 2),)})
    {'pay': ((0, 9), (20, 30)), 'carts': ((1, 2),)}
    """
    names = [*gaps, *(name for name in others if name not in gaps)]
    return {name: _merged([*gaps.get(name, ()), *others.get(name, ())]) for name in names}


def of(gap: Gap, settle: int, known: Iterable[str]) -> Gaps:
    """What a gap's record says, of the triggers that are known here."""
    span = max(gap.begin - settle, MIN_MS), gap.end
    return {name: (span,) for name in known if name in gap.triggers}


def torn(spec: WindowSet, gaps: Gaps) -> Sequence[Span]:
    """For what times a set is not complete: (low, high), of a window that ends behind low and starts by high; of a rolling value
    as of low to high."""
    kind = spec.kind
    before = kind.delay if isinstance(kind, Rolling) else 0
    return [(low + before, high + reach(kind)) for low, high in gaps.get(spec.trigger, ())]


def marks(sets: Iterable[WindowSet], gaps: Gaps) -> list[Mark]:
    """Where in the store it is to be said."""
    found = []
    for spec in sets:
        for low, high in torn(spec, gaps):
            if isinstance(spec.kind, Rolling):
                found.append(Mark(spec.shown_in, "as_of", "as_of", low - 1, min(high, MAX_MS)))
            else:
                found.append(Mark(spec.shown_in, "start", "end", low, min(high, MAX_MS)))
    return found


def reach(kind: Kind) -> int:
    """How far back from its time a rolling value looks; of a session, how near an event would have joined it; ms."""
    if isinstance(kind, Session):
        return kind.gap
    return kind.size + kind.delay if isinstance(kind, Rolling) else 0


def _merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    found: list[Span] = []
    for low, high in sorted(spans):
        if found and low <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(high, found[-1][1])
        else:
            found.append((low, high))
    while len(found) > MOST:
        i = min(range(1, len(found)), key=lambda i: found[i][0] - found[i - 1][1])
        found[i - 1 : i + 1] = [(found[i - 1][0], found[i][1])]
    return tuple(found)
