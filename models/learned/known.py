"""What is known of an entity's frauds where no window tells it: labels by the time at which they became known, and nothing newer.

    payment          known               now
    |................|...................|
                     a label counts from here on, for the times that its payment lies back

A model is published with what was known when it was trained, and scores for some time without hearing more. So when it learns, an
event of the past sees only labels that were known at the beginning of its own week: as old as they will be when it scores.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
DAY = 86_400_000
WEEK = 7 * DAY
BACK = (14, 28)  # days that frauds are counted over
KEPT = 60 * DAY
Told = dict[Hashable, list[tuple[int, int]]]
Frauds = Mapping[Hashable, Sequence[tuple[int, int]]]  # an entity's frauds: (time of the event, when it was known), ms

NAMES = (*(f"frauds known of {days}d" for days in BACK), "days since its first known fraud", "days since its last known fraud")


def frauds(entities: Sequence[Hashable], at: Ints, known_at: Ints) -> Told:
    """Of each entity its frauds in the order of their times."""
    found: Told = {}
    for entity, t, known in zip(entities, at.tolist(), known_at.tolist(), strict=True):
        if entity is not None:
            found.setdefault(entity, []).append((t, known))
    return {entity: sorted(own) for entity, own in found.items()}


def frozen_at(at: Ints, until: int) -> Ints:
    """The beginning of each event's week, counted back from `until`."""
    return until - WEEK * np.maximum(-((at - until) // WEEK), 0)


def columns(entities: Sequence[Hashable], at: Ints, by: Ints, told: Frauds) -> Floats:
    """(n, NAMES): of each event what was known `by` then (ms) of its entity's frauds."""
    out = np.zeros((len(entities), len(NAMES)))
    out[:, len(BACK) :] = np.nan
    for i, (entity, now, moment) in enumerate(zip(entities, at.tolist(), by.tolist(), strict=True)):
        own = told.get(entity)
        if own is None:
            continue
        seen = [t for t, known in own if known <= moment and now - KEPT < t <= now]
        if seen:
            for place, days in enumerate(BACK):
                out[i, place] = len(seen) - bisect_right(seen, now - days * DAY)
            out[i, len(BACK)] = (now - _began(seen)) / DAY
            out[i, len(BACK) + 1] = (now - seen[-1]) / DAY
    return out


def recent(told: Frauds, until: int) -> Told:
    """What was known at `until`, and is not too old to count."""
    found = {entity: [f for f in own if f[1] <= until and f[0] > until - KEPT] for entity, own in told.items()}
    return {entity: own for entity, own in found.items() if own}


def _began(seen: Iterable[int]) -> int:
    """The first of the last run of frauds that are less than two weeks apart."""
    run = 0
    last = None
    for t in seen:
        if last is None or t - last >= 2 * WEEK:
            run = t
        last = t
    return run
