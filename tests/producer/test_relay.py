"""The ordering core, against a Kinesis that refuses some, refuses all, and loses answers, in any order of events."""

from __future__ import annotations

from collections import defaultdict

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.patience import backoff
from producer.changes import Record
from producer.relay import WAITS, Batch, Limits, Position, Relay

LIMITS = Limits(records=4, request=100, record=60, flying=3, eager=2, spread=1)
GROUPS = ("images", "lookup")


def record(key: str, number: int, size: int = 10) -> Record:
    return Record(key, str(number).encode().ljust(size - len(key), b" "), f"{number}/r", "t", "r")


def number(record: Record) -> int:
    return int(record.data)


class Relaying(RuleBasedStateMachine):
    """Drawn lives of a relay: `taken` is what Kinesis holds, `confirmed` what we were told it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.relay = Relay(GROUPS, LIMITS)
        self.now = 0.0
        self.flying: list[Batch] = []
        self.taken: list[Record] = []
        self.confirmed: set[int] = set()
        self.last: dict[str, int] = dict.fromkeys(GROUPS, 0)
        self.made: dict[str, list[tuple[int, list[int]]]] = {g: [] for g in GROUPS}  # (position, records' numbers), as read
        self.count = 0
        self.second = 1
        self.seconds: dict[int, int] = {}  # of each record's cluster time

    @rule()
    def a_second_later(self) -> None:
        self.second += 1

    @rule(group=st.sampled_from(GROUPS), keys=st.lists(st.sampled_from("abcde"), max_size=3), size=st.integers(10, 60))
    def read(self, group: str, keys: list[str], size: int) -> None:
        records = []
        for key in keys:
            self.count += 1
            records.append(record(key, self.count, size))
            self.seconds[self.count] = self.second
        self.last[group] += 1
        self.made[group].append((self.last[group], [number(r) for r in records]))
        self.relay.add(group, records, Position(None, (self.second, self.last[group])))

    @rule()
    def put(self) -> None:
        batch = self.relay.take(self.now)
        if batch is None:
            return
        keys = [r.key for r in batch.records]
        in_the_air = {r.key for other in self.flying for r in other.records}
        assert len(keys) == len(set(keys)) and not in_the_air.intersection(keys)
        assert 0 < len(keys) <= LIMITS.records and sum(r.size for r in batch.records) <= LIMITS.request
        oldest = min(second for n, second in self.seconds.items() if n not in self.confirmed)
        assert max(self.seconds[number(r)] for r in batch.records) <= oldest + LIMITS.spread
        self.flying.append(batch)
        assert len(self.flying) == self.relay.flying <= LIMITS.flying

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        batch = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        failed = data.draw(st.sets(st.integers(0, len(batch.items) - 1)))
        good = [r for place, r in enumerate(batch.records) if place not in failed]
        self.taken += good
        self.confirmed |= {number(r) for r in good}
        assert self.relay.answered(batch, failed, self.now) == sum(r.size for r in good)

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), arrived=st.booleans())
    def no_answer(self, data: st.DataObject, arrived: bool) -> None:
        batch = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        self.taken += batch.records if arrived else []
        assert self.relay.unanswered(batch, self.now) > 0
        assert self.relay.take(self.now) is None

    @rule(seconds=st.floats(0.05, 6.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def keys_are_in_order(self) -> None:
        """Each record may repeat, but its first coming is after the first coming of all before it: nothing skipped."""
        seen: dict[str, list[int]] = defaultdict(list)
        for r in self.taken:
            if number(r) not in seen[r.key]:
                seen[r.key].append(number(r))
        assert all(numbers == sorted(numbers) for numbers in seen.values())

    @invariant()
    def the_position_is_exactly_as_far_as_acknowledged(self) -> None:
        for group in GROUPS:
            reached = 0
            for position, numbers in self.made[group]:
                if not self.confirmed.issuperset(numbers):
                    break
                reached = position
            told = self.relay.position(group)
            assert (told.cluster[1] if told else 0) == reached

    def teardown(self) -> None:
        """Left alone with a Kinesis that takes everything, it ends, whole."""
        for flown in self.flying:
            self.relay.unanswered(flown, self.now)
        for _ in range(10_000):
            if (batch := self.relay.take(self.now)) is not None:
                self.taken += batch.records
                self.relay.answered(batch, (), self.now)
            elif (at := self.relay.wake_at()) is not None:
                self.now = max(at, self.now)
            else:
                break
        assert self.relay.waiting == self.relay.flying == 0
        assert {number(r) for r in self.taken} == set(range(1, self.count + 1))
        assert sum(self.relay.acknowledged.values()) == self.count
        self.confirmed = set(range(1, self.count + 1))
        self.keys_are_in_order()
        self.the_position_is_exactly_as_far_as_acknowledged()


TestRelaying = Relaying.TestCase
TestRelaying.settings = settings(max_examples=100, stateful_step_count=40)


def filled(*keys: str, limits: Limits = LIMITS) -> Relay:
    relay = Relay(["g"], limits)
    for n, key in enumerate(keys, 1):
        relay.add("g", [record(key, n)], Position(None, (1, n)))
    return relay


def sent(batch: Batch | None) -> list[int]:
    return [] if batch is None else [number(r) for r in batch.records]


def test_a_failed_record_holds_back_its_own_key_only() -> None:
    # a1 a2 b3 b4:  put a1 b3, a1 fails  ->  b4 goes out at once, a1 after its wait, a2 after a1
    relay = filled("a", "a", "b", "b")
    first = relay.take(0.0)
    assert first is not None and sent(first) == [1, 3]
    relay.answered(first, {0}, 0.0)
    second = relay.take(0.0)
    assert second is not None and sent(second) == [4]
    relay.answered(second, (), 0.0)
    assert relay.take(0.09) is None and relay.wake_at() == 0.1
    third = relay.take(0.1)
    assert third is not None and sent(third) == [1]
    relay.answered(third, (), 0.1)
    assert sent(relay.take(0.1)) == [2]


def test_the_position_waits_for_the_oldest_unacknowledged_change() -> None:
    relay = filled("a", "b", "c")
    batch = relay.take(0.0)
    assert batch is not None
    relay.answered(batch, {0}, 0.0)  # b and c are there, a is not
    assert relay.position("g") is None
    relay.add("g", [], Position(None, (9, 0)))  # the stream came further without a change
    again = relay.take(1.0)
    assert again is not None
    relay.answered(again, (), 1.0)
    assert relay.position("g") == Position(None, (9, 0))


def test_with_a_backlog_rare_keys_do_not_overtake_frequent_ones_by_more_than_a_second() -> None:
    # second 1: a1 a2 b3   second 2: c4 a5      c is free at once, and yet waits for a2
    relay = filled("a", "a", "b", limits=Limits())
    relay.add("g", [record("c", 4)], Position(None, (2, 1)))
    relay.add("g", [record("a", 5)], Position(None, (2, 2)))
    for wanted in ([1, 3], [2], [4, 5]):
        batch = relay.take(0.0)
        assert batch is not None
        assert sent(batch) == wanted
        assert relay.take(0.0) is None
        relay.answered(batch, (), 0.0)
    assert relay.waiting == 0


def test_heartbeats_speak_for_the_slowest_stream() -> None:
    relay = Relay(["a", "b"])
    relay.add("a", [], Position(None, (7, 1)))
    assert relay.cluster() is None
    relay.add("b", [], Position(None, (5, 3)))
    assert relay.cluster() == (5, 3)


def test_a_request_that_is_not_full_waits_for_those_that_fly() -> None:
    relay = filled("a", "b", limits=Limits(records=2, eager=1, flying=2))
    assert sent(relay.take(0.0)) == [1, 2]
    relay.add("g", [record("c", 3)], Position(None, (1, 3)))
    assert relay.take(0.0) is None
    relay.add("g", [record("d", 4)], Position(None, (1, 4)))
    assert sent(relay.take(0.0)) == [3, 4]


def test_the_whole_service_is_left_alone_for_longer_each_time_until_it_answers() -> None:
    relay, now, pauses = filled("a"), 0.0, []
    for _ in range(8):
        batch = relay.take(now)
        assert batch is not None
        pauses.append(relay.unanswered(batch, now))
        now += pauses[-1]
    assert pauses == sorted(pauses) and pauses[0] == 0.1 and pauses[-1] == 5.0
    batch = relay.take(now)
    assert batch is not None
    relay.answered(batch, {0}, now)
    batch = relay.take(now + 1)
    assert batch is not None and relay.unanswered(batch, now + 1) == pytest.approx(backoff(1, 0.0, *WAITS))


def test_a_service_that_says_how_long_to_wait_is_believed() -> None:
    relay = filled("a")
    batch = relay.take(0.0)
    assert batch is not None and relay.unanswered(batch, 0.0, least=3.0) == 3.0
