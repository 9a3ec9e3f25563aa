"""What a shard's line in `health` says beside its counts: hops of the newest record, what is in memory, the snapshot, the owner."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from consumer.figures import BOUNDS, Figures, Histogram, Owner
from consumer.intake.batch import Budget
from consumer.intake.records import Raw
from consumer.measure import Last
from consumer.runner import Runner
from consumer.store.contract import Cursor, Doc, Effects
from consumer.store.memory import MemoryStore
from tests.consumer.stream import SHARD, SPEC, S, beat, change, limited, raws
from tests.consumer.test_idle import BARE

NOW = 1_000_000  # ms: when everything begins here
OWNER = Owner("host-0", "abc", {"eddy": "1"})


class Clock:
    """Wall and steady clock, which go only when they are told to."""

    def __init__(self) -> None:
        self.ms = NOW

    def wall(self) -> int:
        return self.ms

    def steady(self) -> float:
        return 7.0 + self.ms / 1000


class Slow(MemoryStore):
    """Each commit takes its time."""

    def __init__(self, clock: Clock, takes: int) -> None:
        super().__init__(SPEC)
        self.clock, self.takes = clock, takes

    def commit(self, effects: Effects) -> Cursor:
        self.clock.ms += self.takes
        return super().commit(effects)


def arrived(lines: list[bytes], at: int | None, first: int = 0) -> list[Raw]:
    return [replace(raw, sequence=raw.sequence + first, arrived=at) for raw in raws(lines)]


def pay(n: int, cluster: int) -> bytes:
    return change(n, "pay", "card", "c", S, "insert", None, None, cluster, amount=2, shop="x")


def health(store: MemoryStore) -> Doc:
    [found] = store.collections["health"].values()
    return found


def date(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def test_the_hops_of_the_newest_change() -> None:
    #  inserted   arrived   processed and sent   visible
    #  NOW-3 s    NOW-1 s   NOW                  NOW + 250 ms
    clock, told = Clock(), list[Figures]()
    store = Slow(clock, 250)
    runner = Runner(
        SPEC, store, SHARD, now=clock.steady, wall=clock.wall, owner=OWNER, told=lambda _, figures: told.append(figures)
    )
    runner.feed(arrived([pay(1, NOW - 9_000), pay(2, NOW - 3_000), beat(S)], NOW - 1_000))
    found = health(store)
    first = {"of": "change", "inserted": date(NOW - 3_000), "arrived": 2_000, "processed": 1_000, "sent": 0, "visible": None}
    assert found["hops"] == first
    assert told[-1].hops is not None and told[-1].hops.visible == 250
    assert (told[-1].freshness.sum, told[-1].commits.sum) == (3.25, 0.25)
    clock.ms = NOW + 5_000
    runner.feed(arrived([beat(NOW + 1_000)], NOW + 4_000, 50))
    then = {"of": "heartbeat", "inserted": date(NOW + 3_000), "arrived": 1_000, "processed": 1_000, "sent": 0, "visible": 250}
    assert health(store)["hops"] == then, "a heartbeat where there is no change; visible is the commit before"
    assert sum(told[-1].freshness.counts) == 1, "a heartbeat is no change that becomes visible"


def test_of_parts_in_one_commit_the_newest_change_is_told_of() -> None:
    one = Last(raws([b"x"])[0], True, 1.0, 1, 10)
    assert one.then(one._replace(change=False, stepped=2.0, keys=2)) == one._replace(keys=2), (
        "the newest change, what memory is now"
    )
    assert one.then(one._replace(stepped=2.0, keys=3)).stepped == 2.0
    assert one.then(Last(None, False, 2.0, 4, 11)) == one._replace(keys=4, bytes=11)


def test_of_what_is_not_known_nothing_is_told() -> None:
    clock = Clock()
    store = Slow(clock, 0)
    runner = Runner(SPEC, store, SHARD, now=clock.steady, wall=clock.wall)
    runner.feed(arrived([pay(1, NOW)], None))
    assert (health(store)["hops"]["arrived"], health(store)["hops"]["processed"]) == (None, None)
    runner.feed(arrived([b"\xff"], NOW, 50))
    hops = health(store)["hops"]
    assert (hops["of"], hops["inserted"], hops["arrived"]) == ("other", None, None)


def test_a_stream_of_bare_documents_knows_no_insert() -> None:
    store, clock = MemoryStore(BARE), Clock()
    Runner(BARE, store, SHARD, now=clock.steady, wall=clock.wall).feed(arrived([b'{"card":1,"at":1000}'], NOW - 10))
    assert health(store)["hops"] == {"of": "change", "inserted": None, "arrived": None, "processed": 10, "sent": 0, "visible": None}


def test_memory_snapshot_and_owner() -> None:
    clock = Clock()
    store = Slow(clock, 0)
    runner = Runner(SPEC, store, SHARD, now=clock.steady, wall=clock.wall, owner=OWNER, **limited(budget=Budget(rows=2)))
    runner.feed(arrived([change(n, "pay", "card", n, S, amount=2, shop="x") for n in range(6)], NOW))
    before = health(store)
    assert before["memory"]["keys"] == 6 and before["memory"]["bytes"] > 6_000
    assert before["cursor"]["sequence"] == "60" and before["cursor"]["watermark"] == before["watermark"]
    assert before["snapshot"] == {"sequence": None, "sub": 0, "watermark": None, "behind": 6, "made_at": None}
    assert before["owner"] == {"worker": "host-0", "config": "abc", "versions": {"eddy": "1"}, "epoch": 1}
    clock.ms += 500
    runner.flush()
    runner.feed(arrived([beat(S)], NOW, 100))
    snapshot = health(store)["snapshot"]
    assert (snapshot["sequence"], snapshot["behind"], snapshot["made_at"]) == ("60", 1, date(NOW + 500))
    again = Runner(SPEC, store, SHARD, now=clock.steady, wall=clock.wall)
    again.feed([*arrived([beat(S)], NOW, 100), *arrived([beat(2 * S)], NOW, 110)])
    assert health(store)["owner"]["epoch"] == 2 and health(store)["snapshot"]["made_at"] is None, "another owner has made none"


@pytest.mark.parametrize("value", [*BOUNDS, -1.0, 0.0, 0.0051, 299.9, 301.0, 1e9])
def test_a_histogram_counts_each_value_once_and_where_its_bounds_say(value: float) -> None:
    one = Histogram().add(value)
    assert sum(one.counts) == 1
    place = one.counts.index(1)
    assert place == len(BOUNDS) or value <= BOUNDS[place]
    assert place == 0 or value > BOUNDS[place - 1]
    assert one.sum == max(value, 0.0)
