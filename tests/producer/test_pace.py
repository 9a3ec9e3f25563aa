"""How far the relay falls behind, in virtual time: a Kinesis with a round trip and limits for each shard, and no real clock.

arrivals ─► relay ─► requests, up to eight at once ─► answers, a round trip later; what a shard has no room for is refused
"""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

import pytest

from contract.keys import kinesis_hash
from producer.changes import Record
from producer.lane import HASHES
from producer.relay import Limits, Position, Relay, Request, cost

TRIP = 0.015  # s
HALVES = {"left": (0, HASHES // 2 - 1), "right": (HASHES // 2, HASHES - 1)}
THROTTLED = "ProvisionedThroughputExceededException"
Keys = Callable[[random.Random], str]


@dataclass
class Life:
    """What came of it: by shard the longest time from a change to its acknowledgement; the order of what was stored; whether two
    requests held one key; the bytes that waited at most."""

    slowest: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    stored: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    requests: int = 0
    most: int = 0
    stood_still: bool = False


def shard_of(key: str) -> str:
    return "left" if kinesis_hash(key) < HASHES // 2 else "right"


def live(
    rate: int, key: Keys, seconds: int = 20, taken: dict[str, float] | None = None, aggregated: bool = True, room: int = 64_000_000
) -> Life:
    """`rate` changes a second for so long, each of 400 bytes. taken: records a second that a shard takes, where it is not all.
    Reading stops while more than `room` bytes wait."""
    draw, life, ties = random.Random(rate), Life(), count()
    relay = Relay(["g"], Limits(), aggregated)
    relay.reshard(HALVES)
    relay.add("g", [], Position(None, (0, 0)))
    arrived: dict[str, float] = {}
    answers: list[tuple[float, int, Request, dict[int, str]]] = []
    tokens, filled_at, waiting = dict(taken or {}), dict.fromkeys(taken or {}, 0.0), 0

    def refused(request: Request, now: float) -> dict[int, str]:
        failed = {}
        for place, entry in enumerate(request.entries):
            shard = shard_of(entry.key.name)
            if shard in tokens:
                tokens[shard] = min(taken[shard], tokens[shard] + taken[shard] * (now - filled_at[shard]))  # type: ignore[index]
                filled_at[shard] = now
                if tokens[shard] < 1:
                    failed[place] = THROTTLED
                    continue
                tokens[shard] -= 1
            life.stored[shard] += entry.records
        return failed

    number, total, now = 0, rate * seconds, 0.0
    while True:
        times = [number / rate] if number < total and waiting <= room else []
        times += [answers[0][0]] if answers else []
        wake = relay.wake_at()
        times += [wake] if wake is not None else []
        if not times or (now := max(now, min(times))) > seconds + 2:
            break
        while number < total and number / rate <= now and waiting <= room:
            one = Record(key(draw), b"x" * 400, f"{number:09}/r", "t", "r", int(number / rate))
            arrived[one.id] = number / rate
            waiting += cost(one)
            relay.add("g", [one], Position(None, (one.second, number)))
            number += 1
        life.most = max(life.most, waiting)
        life.stood_still |= waiting > room
        while answers and answers[0][0] <= now:
            _, _, request, failed = heapq.heappop(answers)
            waiting -= sum(relay.answered(request, failed, now, draw.random()).values())
            for place, entry in enumerate(request.entries):
                if place not in failed:
                    shard = shard_of(entry.key.name)
                    life.slowest[shard] = max(life.slowest[shard], *(now - arrived[r.id] for r in entry.records))
        while (taken_now := relay.take(now)) is not None:
            life.requests += 1
            heapq.heappush(answers, (now + TRIP, next(ties), taken_now, refused(taken_now, now)))
    for records in life.stored.values():
        newest = 0
        for record in records:
            assert record.second >= newest - 1
            newest = max(newest, record.second)
    return life


def some(n: int) -> Keys:
    return lambda draw: f"k{draw.randrange(n)}"


def hot(share: float) -> Keys:
    return lambda draw: "hot" if draw.random() < share else f"k{draw.randrange(20_000)}"


@pytest.mark.parametrize(("rate", "share"), [(2_000, 1.0), (5_000, 0.4), (6_000, 1 / 3)])
def test_a_hot_key_at_2000_changes_a_second_is_not_a_second_behind(rate: int, share: float) -> None:
    life = live(rate, hot(share))
    assert max(life.slowest.values()) < 1.0
    assert sum(map(len, life.stored.values())) == rate * 20


def test_without_aggregation_a_hot_key_is_bound_to_the_round_trip() -> None:
    assert max(live(100, hot(1.0), aggregated=False).slowest.values()) > 1.0


def test_a_shard_that_takes_nothing_leaves_the_other_within_a_second() -> None:
    life = live(2_000, some(5_000), taken={"left": 0.0})
    assert not life.stored["left"]
    assert 18_000 < len(life.stored["right"]) < 22_000 and life.slowest["right"] < 1.0


def test_a_shard_that_takes_half_is_used_as_far_as_it_goes_and_leaves_the_other_within_a_second() -> None:
    life = live(2_000, some(50_000), taken={"left": 500.0})
    assert life.slowest["right"] < 1.0
    assert len(life.stored["left"]) > 0.7 * 500 * 20


def test_what_waits_for_a_shard_is_bounded_and_then_reading_stands_still() -> None:
    room = 3_000_000
    life = live(2_000, some(5_000), taken={"left": 0.0}, room=room)
    assert life.stood_still and life.most <= room + 2_000
    assert len(life.stored["right"]) < 6_000


def test_requests_are_filled_where_there_is_much_and_few_where_there_is_little() -> None:
    busy, calm = live(20_000, some(50_000), 5), live(200, some(50_000), 5)
    assert 100_000 / busy.requests > 200
    assert calm.requests <= 1_000
