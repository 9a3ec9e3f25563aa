"""The relay alone, against a Kinesis that refuses some, refuses all, loses answers, stores late and splits, in any order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contract.aggregated import user_records
from contract.keys import kinesis_hash
from edge.patience import backoff
from producer.changes import Record
from producer.lane import HASHES, WAITS
from producer.relay import Entry, Limits, Position, Relay, Request, cost

LIMITS = Limits(records=4, request=200, record=150, aggregate=150, flying=3, eager=2, patience=0.05, spread=1)
GROUPS = ("images", "lookup")
THROTTLED, TROUBLE = "ProvisionedThroughputExceededException", "InternalFailure"
HALVES = {"left": (0, HASHES // 2 - 1), "right": (HASHES // 2, HASHES - 1)}
QUARTER = HASHES // 4


def record(key: str, number: int, size: int = 10, second: int = 1) -> Record:
    return Record(key, str(number).encode().ljust(size - len(key), b" "), f"{number}/r", "t", "r", second)


def number(record: Record) -> int:
    return int(record.data)


def size_of(entry: Entry) -> int:
    return len(entry.data) + len(entry.key.name)


class Relaying(RuleBasedStateMachine):
    """Drawn lives of a relay. `taken` is what each shard holds, `confirmed` what we were told is held. What is thought lost may be
    stored at once, later, or never. A split is known to the service first, and to the relay some time after it."""

    def __init__(self) -> None:
        super().__init__()
        self.relay = Relay(GROUPS, LIMITS)
        self.shards = dict(HALVES)
        self.relay.reshard(self.shards)
        self.now = 0.0
        self.flying: list[Request] = []
        self.late: list[Request] = []  # thought lost, on their way all the same
        self.taken: list[Record] = []
        self.newest: dict[str, int] = defaultdict(int)  # by shard: the newest second there
        self.floor: dict[str, int] = defaultdict(int)  # by shard: what it was promised
        self.seen: set[int] = set()
        self.confirmed: set[int] = set()
        self.read_to: dict[str, int] = dict.fromkeys(GROUPS, 0)
        self.made: dict[str, list[tuple[int, list[int]]]] = {g: [] for g in GROUPS}  # (position, records' numbers), as read
        self.came: dict[str, list[int]] = defaultdict(list)  # by key: the records' numbers, as read
        self.count = self.place = self.splits = 0
        self.unfinished: dict[str, int] = {}
        for group in GROUPS:
            self.relay.add(group, [], Position(None, (0, 0)))
            self.made[group].append((0, []))

    @rule(
        group=st.sampled_from(GROUPS), keys=st.lists(st.sampled_from("abcdefgh"), max_size=6), size=st.integers(10, 60),
        further=st.integers(0, 3),
    )  # fmt: skip
    def read(self, group: str, keys: list[str], size: int, further: int) -> None:
        """Some changes of one stream; streams come further each at its own pace."""
        self.read_to[group] += further
        records = []
        for key in keys:
            self.count += 1
            own = f"{group[0]}{key}" if key < "e" else key  # some keys are of one stream, some of both
            records.append(record(own, self.count, size, self.read_to[group]))
            self.came[own].append(self.count)
        self.place += 1
        self.made[group].append((self.place, [number(r) for r in records]))
        self.relay.add(group, records, Position(None, (self.read_to[group], self.place)))

    @rule()
    def put(self) -> None:
        request = self.relay.take(self.now)
        if request is None:
            return
        keys = [entry.key.name for entry in request.entries]
        in_the_air = {entry.key.name for other in self.flying for entry in other.entries}
        assert len(keys) == len(set(keys)) and not in_the_air.intersection(keys)
        assert 0 < len(keys) <= LIMITS.records and sum(map(size_of, request.entries)) <= LIMITS.request
        for entry in request.entries:
            assert size_of(entry) == entry.size <= LIMITS.record
            assert [(r.key, r.data) for r in entry.records] == [u[:2] for u in user_records(entry.key.name, entry.data)]
        self.flying.append(request)
        assert len(self.flying) == self.relay.flying <= LIMITS.flying

    def shard_of(self, key: str) -> str:
        hash_ = kinesis_hash(key)
        return next(name for name, (low, high) in self.shards.items() if low <= hash_ <= high)

    def store(self, entry: Entry) -> None:
        shard = self.shard_of(entry.key.name)
        for one in entry.records:
            self.taken.append(one)
            if number(one) not in self.seen:
                self.seen.add(number(one))
                assert one.second >= self.newest[shard] - LIMITS.spread, "out of order in time"
                assert one.second >= self.floor[shard], "behind what was promised"
                self.newest[shard] = max(self.newest[shard], one.second)

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        request = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        codes = st.sampled_from((THROTTLED, TROUBLE))
        failed = data.draw(st.dictionaries(st.integers(0, len(request.entries) - 1), codes))
        self.acknowledge(request, failed)

    def acknowledge(self, request: Request, failed: dict[int, str]) -> None:
        good = [entry for place, entry in enumerate(request.entries) if place not in failed]
        for entry in good:
            self.store(entry)
            self.confirmed |= {number(r) for r in entry.records}
        freed = self.relay.answered(request, failed, self.now)
        assert sum(freed.values()) == sum(cost(r) for entry in good for r in entry.records)

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), arrived=st.sampled_from(("never", "at once", "late")))
    def no_answer(self, data: st.DataObject, arrived: str) -> None:
        request = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        if arrived == "at once":
            for entry in request.entries:
                self.store(entry)
        elif arrived == "late":
            self.late.append(request)
        assert self.relay.unanswered(request, self.now) > 0
        assert self.relay.take(self.now) is None

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def stored_late(self, data: st.DataObject) -> None:
        for entry in self.late.pop(data.draw(st.integers(0, len(self.late) - 1))).entries:
            self.store(entry)

    @rule(seconds=st.floats(0.05, 6.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def heartbeat(self) -> None:
        """To a hash of each shard that the relay knows: the service may have split it."""
        lows = {lane.shard: lane.low for lane in self.relay.lanes}
        for shard, second in self.relay.promises().items():
            there = next(name for name, (low, high) in self.shards.items() if low <= lows[shard] <= high)
            self.floor[there] = max(self.floor[there], second)

    @precondition(lambda self: self.splits < 4)
    @rule(data=st.data())
    def split(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.shards)))
        self.splits += 1
        low, high = self.shards.pop(name)
        middle = (low + high) // 2
        for half, hashes in ((f"{name}0", (low, middle)), (f"{name}1", (middle + 1, high))):
            self.shards[half] = hashes
            self.newest[half], self.floor[half] = self.newest[name], self.floor[name]

    @precondition(lambda self: len(self.shards) > 1 and not self.flying and not self.late)
    @rule(data=st.data())
    def merge(self, data: st.DataObject) -> None:
        """Of two that may stand apart in time. What flies at that moment lands there unordered, so nothing does, and all of it is
        known at once; a shard that was merged begins where the one that is behind stands."""
        order = sorted(self.shards, key=lambda name: self.shards[name])
        at = data.draw(st.integers(0, len(order) - 2))
        first, second = order[at], order[at + 1]
        (low, _), (_, high) = self.shards.pop(first), self.shards.pop(second)
        self.shards[f"{first}+{second}"] = low, high
        self.relay.reshard(self.shards)

    @rule()
    def know_the_shards(self) -> None:
        self.relay.reshard(self.shards)

    @invariant()
    def keys_are_in_order(self) -> None:
        """Each record may repeat, but its first coming is after the first coming of all before it: nothing skipped."""
        first: dict[str, list[int]] = defaultdict(list)
        for r in self.taken:
            if number(r) not in first[r.key]:
                first[r.key].append(number(r))
        for key, numbers in first.items():
            for group in GROUPS:  # of two streams only the order of each is told
                mine = {n for _, made in self.made[group] for n in made}
                wanted = [n for n in self.came[key] if n in mine]
                got = [n for n in numbers if n in mine]
                assert got == wanted[: len(got)]

    @invariant()
    def the_position_is_exactly_as_far_as_acknowledged(self) -> None:
        for group in GROUPS:
            reached = 0
            for place, numbers in self.made[group]:
                if not self.confirmed.issuperset(numbers):
                    break
                reached = place
            told = self.relay.position(group)
            assert told is not None and told.cluster[1] == reached

    def teardown(self) -> None:
        """Left alone with a Kinesis that takes everything, and streams that are read to one second, it ends, whole."""
        for flown in self.flying:
            self.relay.unanswered(flown, self.now)
        last = max(self.read_to.values())
        for group in GROUPS:
            self.place += 1
            self.made[group].append((self.place, []))
            self.relay.add(group, [], Position(None, (last, self.place)))
        for _ in range(10_000):
            if (request := self.relay.take(self.now)) is not None:
                self.acknowledge(request, {})
            elif (at := self.relay.wake_at()) is not None:
                self.now = max(at, self.now)
            else:
                break
        assert self.relay.waiting == self.relay.flying == 0
        assert {number(r) for r in self.taken} == set(range(1, self.count + 1))
        assert sum(self.relay.acknowledged.values()) == self.count
        assert set(self.relay.promises().values()) == {last}
        self.keys_are_in_order()
        self.the_position_is_exactly_as_far_as_acknowledged()


TestRelaying = Relaying.TestCase
TestRelaying.settings = settings(max_examples=150, stateful_step_count=50)


def filled(*keys: str, limits: Limits = LIMITS, aggregated: bool = False) -> Relay:
    relay = Relay(["g"], limits, aggregated)
    for n, key in enumerate(keys, 1):
        relay.add("g", [record(key, n)], Position(None, (1, n)))
    return relay


def sent(request: Request | None) -> list[int]:
    return [] if request is None else [number(r) for entry in request.entries for r in entry.records]


def put(relay: Relay, now: float, failed: Sequence[int] = (), code: str = TROUBLE) -> list[int]:
    """One request that is answered at once."""
    request = relay.take(now)
    if request is not None:
        relay.answered(request, dict.fromkeys(failed, code), now)
    return sent(request)


def test_a_failed_record_holds_back_its_own_key_only() -> None:
    # a1 a2 b3 b4:  put a1 b3, a1 fails  ->  b4 goes out at once, a1 after its wait, a2 after a1
    relay = filled("a", "a", "b", "b")
    assert put(relay, 0.0, [0]) == [1, 3]
    assert put(relay, 0.0) == [4]
    assert relay.take(0.09) is None and relay.wake_at() == 0.1
    assert put(relay, 0.1) == [1]
    assert put(relay, 0.1) == [2]


def test_what_waits_for_a_busy_key_goes_out_as_one_record_as_far_as_it_fits() -> None:
    # a1 flies; a2 a3 ... wait, and go together once it is in; the aggregate takes what fits in its bytes
    limits = Limits(record=150, aggregate=60)
    relay = filled("a", "a", "a", "a", "a", limits=limits, aggregated=True)
    first = relay.take(0.0)
    assert first is not None
    [entry] = first.entries
    assert sent(first) == [1, 2] and size_of(entry) == entry.size <= 60
    assert [u.data for u in user_records("?", entry.data)] == [r.data for r in entry.records]
    relay.add("g", [record("a", 6)], Position(None, (1, 6)))
    assert relay.take(9.0) is None
    relay.answered(first, {0: TROUBLE}, 9.0)
    assert put(relay, 10.0) == [1, 2]
    assert put(relay, 10.0) == [3, 4]
    assert put(relay, 10.0) == [5, 6]
    assert relay.waiting == 0 and relay.acknowledged == {"g": 6}


def test_one_record_alone_and_one_beyond_the_bytes_of_an_aggregate_go_as_they_are() -> None:
    relay = Relay(["g"], Limits(aggregate=40))
    relay.add("g", [record("a", 1, 200), record("a", 2, 10)], Position(None, (1, 1)))
    for n in (1, 2):
        request = relay.take(0.0)
        assert request is not None and request.entries[0].data == request.entries[0].records[0].data
        assert sent(request) == [n]
        relay.answered(request, {}, 0.0)


def test_the_position_waits_for_the_oldest_unacknowledged_change() -> None:
    relay = filled("a", "b", "c")
    assert put(relay, 0.0, [0]) == [1, 2, 3]  # b and c are there, a is not
    assert relay.position("g") is None
    relay.add("g", [], Position(None, (9, 0)))  # the stream came further without a change
    put(relay, 1.0)
    assert relay.position("g") == Position(None, (9, 0))


def test_in_a_shard_no_second_overtakes_another_by_more_than_the_spread_whatever_the_keys() -> None:
    # second 1: a1 a2 b3   second 2: c4   second 3: d5      d is free at once, and yet waits for a2
    relay = filled("a", "a", "b", limits=Limits())
    relay.add("g", [record("c", 4, second=2), record("d", 5, second=3)], Position(None, (3, 1)))
    assert put(relay, 0.0) == [1, 3, 4]
    assert put(relay, 0.0) == [2]
    assert put(relay, 0.0) == [5]


def left_and_right(n: int) -> tuple[list[str], list[str]]:
    keys = [f"k{i}" for i in range(100)]
    return [k for k in keys if kinesis_hash(k) < HASHES // 2][:n], [k for k in keys if kinesis_hash(k) >= HASHES // 2][:n]


def test_a_shard_that_is_throttled_holds_back_itself_and_is_tried_with_little() -> None:
    (left, *_), rights = left_and_right(12)
    relay = Relay(["g"])
    relay.reshard(HALVES)
    relay.add("g", [record(key, n, second=1) for n, key in enumerate([left, *rights])], Position(None, (1, 1)))
    request = relay.take(0.0)
    assert request is not None and len(request.entries) == 13
    relay.answered(request, {p: THROTTLED for p, e in enumerate(request.entries) if e.key.name != left}, 0.0)
    relay.add("g", [record(left, 50, second=9), record(rights[0], 51, second=9)], Position(None, (9, 1)))
    assert put(relay, 0.01) == [50]  # eight seconds later, and nothing of it waits for the other shard
    assert relay.promises() == {"left": 9, "right": 1}
    assert relay.position("g") is None
    tried = []
    now = 0.01
    for failing in (True, True, False, False, False):
        while (request := relay.take(now)) is None:
            at = relay.wake_at()
            assert at is not None and at > now
            now = at
        tried.append(len(request.entries))
        relay.answered(request, {0: THROTTLED} if failing else {}, now)
    assert tried[:4] == [1, 1, 1, 2]


def test_a_stream_that_is_ahead_waits_for_one_that_is_behind() -> None:
    # the producer was away from second 100 to 400; one stream is read fast, the other slowly
    relay = Relay(["fast", "slow"])
    for group in ("fast", "slow"):
        relay.add(group, [], Position(None, (100, 0)))
    order: list[int] = []

    def drain() -> None:
        while (request := relay.take(0.0)) is not None:
            order.extend(r.second for entry in request.entries for r in entry.records)
            relay.answered(request, {}, 0.0)

    for second in range(100, 400):
        relay.add("fast", [record(f"cart{second % 7}", second, 20, second)], Position(None, (second, 1)))
        drain()
    for second in range(100, 400):
        relay.add("slow", [record(f"card{second % 7}", second, 20, second)], Position(None, (second, 1)))
        drain()
    assert len(order) == 600
    assert all(second >= max(order[:n], default=0) - 1 for n, second in enumerate(order))


def test_a_promise_speaks_for_the_slowest_stream() -> None:
    relay = Relay(["a", "b"])
    relay.add("a", [], Position(None, (7, 1)))
    assert relay.promises() == {}
    relay.add("b", [], Position(None, (5, 3)))
    assert relay.promises() == {"": 5}


def test_a_request_that_is_not_full_waits_for_those_that_fly_but_not_for_long() -> None:
    relay = filled("a", "b", limits=Limits(records=2, eager=1, flying=3, patience=0.05))
    assert sent(relay.take(0.0)) == [1, 2]
    relay.add("g", [record("c", 3)], Position(None, (1, 3)))
    assert relay.take(0.0) is None and relay.wake_at() == 0.05
    relay.add("g", [record("d", 4)], Position(None, (1, 4)))
    assert sent(relay.take(0.0)) == [3, 4]
    relay.add("g", [record("e", 5)], Position(None, (1, 5)))
    assert relay.take(0.04) is None
    assert sent(relay.take(0.05)) == [5]  # the first one may hang
    relay.add("g", [record("f", 6), record("g", 7)], Position(None, (1, 6)))
    assert relay.take(9.0) is None and relay.wake_at() is None


def test_shards_share_a_request() -> None:
    lefts, rights = left_and_right(10)
    relay = Relay(["g"], Limits(records=6, flying=9, eager=9))
    relay.reshard(HALVES)
    relay.add("g", [record(key, n) for n, key in enumerate([*lefts, *rights])], Position(None, (1, 1)))
    request = relay.take(0.0)
    assert request is not None
    names = [entry.key.name for entry in request.entries]
    assert (len(set(names) & set(lefts)), len(set(names) & set(rights))) == (3, 3)


def test_what_was_let_out_by_shards_that_are_merged_is_judged_anew() -> None:
    # the left shard stands at second 1, throttled; the right one has come to second 9 with more ready than one request takes
    (left, *_), rights = left_and_right(6)
    relay = Relay(["g"], Limits(records=4))
    relay.reshard(HALVES)
    relay.add("g", [record(left, 1, second=1)], Position(None, (1, 1)))
    assert put(relay, 0.0, [0], THROTTLED) == [1]
    relay.add("g", [record(key, n + 10, second=9) for n, key in enumerate(rights)], Position(None, (9, 1)))
    assert len(put(relay, 0.01)) == 4
    relay.reshard({"whole": (0, HASHES - 1)})
    assert relay.promises() == {"whole": 1}
    assert put(relay, 0.01) == [1]
    assert len(put(relay, 0.01)) == 2


def test_the_whole_service_is_left_alone_for_longer_each_time_until_it_answers() -> None:
    relay, now, pauses = filled("a"), 0.0, []
    for _ in range(8):
        request = relay.take(now)
        assert request is not None
        pauses.append(relay.unanswered(request, now))
        now += pauses[-1]
    assert pauses == sorted(pauses) and pauses[0] == 0.1 and pauses[-1] == 5.0
    assert put(relay, now, [0]) == [1]
    request = relay.take(now + 1)
    assert request is not None and relay.unanswered(request, now + 1) == pytest.approx(backoff(1, 0.0, *WAITS))


def test_a_service_that_says_how_long_to_wait_is_believed() -> None:
    relay = filled("a")
    request = relay.take(0.0)
    assert request is not None and relay.unanswered(request, 0.0, least=3.0) == 3.0


def test_records_that_failed_together_come_back_one_by_one() -> None:
    relay = filled(*"abcd")
    request = relay.take(0.0)
    assert request is not None
    relay.answered(request, dict.fromkeys(range(4), TROUBLE), 0.0, spread=0.3)
    times = []
    while (at := relay.wake_at()) is not None:
        times.append(at)
        assert len(put(relay, at)) == 1
    assert len(set(times)) == 4 and all(0.1 <= at < 0.2 for at in times)
