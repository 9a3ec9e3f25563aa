"""Which fault is injected when: a pure function of the seed, so that a run can be asked for again.

deck 1: every kind once, shuffled        deck 2: again, in another order        …
|-----x---|x--------|-------x-|---x-----|…       x: when, somewhere in each one's own stretch of time
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

KILLS = ("kill child", "kill JVM", "kill supervisor", "kill producer", "kill mongod")
PAUSES = ("pause child", "pause worker", "pause producer")
PUTS = ("drop", "delay", "throttle", "fail part")
RESHARDS = ("split", "merge")
KINDS = (*KILLS, *PAUSES, *PUTS, *RESHARDS)
EVERY = 4.0  # s between two faults, in the mean
PAST_THE_LEASE = 6.0, 11.0  # s: on an emulator a lease is lost after 3 s without being renewed
FOR_A_WHILE = 2.0, 5.0  # s that PutRecords is troubled


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault. at: s since the load began; aim: of those that it can hit, which one, 0 <= aim < 1; lasts: s until it is healed, 0
    for what is not."""

    at: float
    kind: str
    aim: float
    lasts: float


def drawn(seed: int, seconds: float, kinds: Sequence[str] = KINDS) -> list[Planned]:
    """The plan, in order of time: a fault about every EVERY seconds, or more often where else not every kind would come once."""
    pick = random.Random(f"faults {seed}")
    every = min(EVERY, seconds / len(kinds))
    dealt = _decks(pick, kinds)
    return [_fault(pick, (i + pick.uniform(0.1, 0.9)) * every, next(dealt)) for i in range(int(seconds / every + 1e-9))]


def _decks(pick: random.Random, kinds: Sequence[str]) -> Iterator[str]:
    while True:
        yield from pick.sample(kinds, len(kinds))


def _fault(pick: random.Random, at: float, kind: str) -> Planned:
    lasts = PAST_THE_LEASE if kind in PAUSES else FOR_A_WHILE if kind in PUTS else (0.0, 0.0)
    return Planned(at, kind, pick.random(), pick.uniform(*lasts))
