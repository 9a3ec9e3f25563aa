"""A shard from records to commits: parts, pages, memory, waiting, and whose shard it is."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import pytest

from consumer.intake.batch import Budget
from consumer.intake.records import Raw
from consumer.life import CHUNK, FEW, Limits
from consumer.runner import Runner
from consumer.store.contract import Cursor, Due, Effects, HashRange, KeyState, ShardId
from consumer.store.memory import MemoryStore
from contract.errors import Fenced, HistoryLost, Misconfigured, Retryable
from contract.keys import kinesis_hash, partition_key
from tests.consumer.stream import SHARD, SPEC, Crash, S, Watched, beat, change, feed, limited, raws, result, run, whole
from windows.engine import Key
from windows.naive.engine import NaiveEngine

MANY = 300
CARTS = [change(n, "carts", "cart", n, S, action="add", items=["sku"], n=1) for n in range(MANY)]
PAYMENTS = [change(n, "pay", "card", n, S, amount=2, shop="x") for n in range(MANY)]


@pytest.mark.parametrize("page", [50, 5_000])
def test_one_heartbeat_that_closes_everything_takes_many_commits_and_little_memory(page: int) -> None:
    #  300 carts and 300 cards at 1 s ... one heartbeat at 60 s: 300 sessions, 300 windows, 600 decays, 300 silences
    #  | part | part | part | ... cursor in front of the heartbeat ... | part: cursor behind it
    lines = [*CARTS, *PAYMENTS, beat(60 * S)]
    store = Watched(MemoryStore(SPEC))
    runner = Runner(SPEC, store, SHARD, **limited(budget=Budget(rows=40, windows=40, judged=20), page=page, cap=60))
    feed(runner, raws(lines)[:-1])
    assert len(runner.keys) <= 60
    before, commits = runner.cursor, len(store.commits)
    runner.feed(raws(lines)[-1:])
    parts = [e for e in store.commits[commits:] if [*e.documents, *e.removes]]
    assert len(parts) > 30
    assert all(e.cursor.sequence == before.sequence and e.cursor.watermark == before.watermark for e in parts[:-1])
    assert max(len([*e.documents, *e.removes]) for e in parts) <= 60
    assert max(len(e.states) for e in store.commits) <= CHUNK
    assert len(runner.keys) <= 60
    assert runner.cursor.passed(10 * len(lines), 0)
    assert result(store.inner, runner.cursor) == whole(lines, end=False)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_death_between_the_parts_of_one_heartbeat(after: bool) -> None:
    lines = [*CARTS[:12], *PAYMENTS[:12], beat(60 * S), change(999, "pay", "card", "z", 61 * S, amount=1)]
    expected, way = whole(lines), {"budget": Budget(rows=40, windows=2, judged=1), "page": 4, "cap": 4}
    for dies_at in range(200):
        inner = MemoryStore(SPEC)
        try:
            first = Runner(SPEC, Watched(inner, dies_at, after), SHARD, **limited(**way))
            feed(first, raws(lines))
            first.finish()
            break
        except Crash:
            second = Runner(SPEC, inner, SHARD, **limited(**way))
            feed(second, raws(lines))
            assert result(inner, second.finish()) == expected, f"died at {dies_at}"
    assert 40 < dies_at < 199


def test_a_death_within_the_end_of_a_file() -> None:
    later = [change(900 + t, "pay", "card", 0, t * S, amount=1) for t in (6, 12)]
    lines = [*PAYMENTS[:3], *later]
    for dies_at in range(8, 60):
        inner = MemoryStore(SPEC)
        way = {"budget": Budget(1, 1, 1), "page": 2, "cap": 0}
        try:
            first = Runner(SPEC, Watched(inner, dies_at), SHARD, **limited(**way))
            feed(first, raws(lines))
            first.finish()
        except Crash:
            second = Runner(SPEC, inner, SHARD, **limited(**way))
            feed(second, raws(lines))
            assert result(inner, second.finish()) == whole(lines), f"died at {dies_at}"


def test_keys_that_are_due_at_one_instant_all_close_at_it_though_they_are_more_than_a_page() -> None:
    #  five windows end at 10 s, lateness 1 s; a heartbeat says 11 s, and an event comes later
    lines = [*PAYMENTS[:5], beat(11 * S), change(900, "pay", "card", "z", 50 * S, amount=1)]
    found = run(lines, cuts=[5], page=2, cap=0, end=False)
    assert found == whole(lines, end=False)
    assert {d["closed_by"] for d in found.documents["minute"] if d["final"]} == {"heartbeat"}


def test_a_key_that_was_forgotten_is_taken_up_where_it_was() -> None:
    lines = [change(n, "pay", "card", n % 7, n * S, amount=n, shop="x") for n in range(60)]
    assert run(lines, cuts=range(1, 60), cap=2) == whole(lines)


def test_repeats_are_dropped_by_key_and_trigger_and_nothing_else_is() -> None:
    one = change(5, "pay", "card", "a", S, amount=2)
    lines = [one, change(5, "pay", "shop", "a", S, amount=2), change(5, "pay", "card", "b", S, amount=2), one, one]
    lines += [change(4, "pay", "card", "a", 2 * S, amount=2), change(6, "pay", "card", "a", S, amount=2)]
    for cuts in ((), (1, 2, 3, 4)):
        found = run(lines, cuts)
        assert (found.counters.classes["counted"], found.counters.classes["repeat"]) == (4, 3)
        assert [d["events"] for d in found.documents["minute"]] == [2, 1]


def test_a_repeat_does_not_move_the_watermark() -> None:
    lines = [change(1, "pay", "card", "a", S, amount=1), change(2, "pay", "card", "a", 2 * S, amount=1)]
    again = change(2, "pay", "card", "a", 900 * S, "insert", None, None, 900 * S, amount=1)
    assert run([*lines, again], end=False).watermark == 2 * S


class Away(MemoryStore):
    """Gone for the first tries of each call."""

    def __init__(self, tries: int, after: float | None = None) -> None:
        super().__init__(SPEC)
        self.tries, self.left, self.wait_for = tries, tries, after

    def commit(self, effects: Effects) -> Cursor:
        self.left -= 1
        if self.left >= 0:
            raise Retryable("no primary", self.wait_for)
        self.left = self.tries
        return super().commit(effects)


def test_a_store_that_is_away_is_asked_again_with_growing_waits() -> None:
    waits: list[float] = []
    runner = Runner(SPEC, Away(7), SHARD, wait=waits.append)
    feed(runner, raws(PAYMENTS[:2]))
    assert runner.cursor.counters.records == 2
    least = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
    assert all(low <= seconds <= min(2 * low, 30.0) for low, seconds in zip(least, waits, strict=True))


def test_the_wait_that_the_store_asks_for_is_kept() -> None:
    waits: list[float] = []
    feed(Runner(SPEC, Away(2, after=5.0), SHARD, wait=waits.append), raws(PAYMENTS[:2]))
    assert waits == [5.0, 5.0]


def test_an_older_owner_is_fenced_and_its_runner_is_done_for() -> None:
    store = MemoryStore(SPEC)
    old = Runner(SPEC, store, SHARD)
    feed(old, raws(PAYMENTS[:2]))
    new = Runner(SPEC, store, SHARD)
    feed(new, raws(PAYMENTS[:4]))
    with pytest.raises(Fenced):
        feed(old, raws(PAYMENTS[:4])[2:])
    with pytest.raises(RuntimeError, match="make a new one"):
        feed(old, raws(PAYMENTS[:4])[2:])
    assert new.cursor.counters.records == 4


def test_due_keys_are_looked_for_in_the_shards_own_range() -> None:
    asked: list[HashRange] = []

    class Asked(MemoryStore):
        def due(self, hashes: HashRange, until: int, limit: int, after: tuple[int, int]) -> Due:
            asked.append(hashes)
            return super().due(hashes, until, limit, after)

    own = HashRange(0, 1 << 100)
    feed(Runner(SPEC, Asked(SPEC), SHARD, own), raws([*PAYMENTS[:1], beat(60 * S)]))
    assert set(asked) == {own}


def test_a_child_of_a_reshard_goes_on_with_its_parents_keys() -> None:
    store, child = MemoryStore(SPEC), ShardId(SHARD.stream, SHARD.created, "shard-1")
    parent = Runner(SPEC, store, SHARD)
    feed(parent, raws([*PAYMENTS[:3], *CARTS[:3]]))
    parent.flush()  # as at every shard's end
    heir = Runner(SPEC, store, child, parents=[SHARD])
    assert heir.cursor.watermark == parent.cursor.watermark
    heir.feed(raws([beat(60 * S)]))
    found = result(store, heir.cursor).documents
    expected = whole([*PAYMENTS[:3], *CARTS[:3], beat(60 * S)], end=False).documents
    assert found == expected


def test_key_states_carry_kinesis_own_hash() -> None:
    store = Watched(MemoryStore(SPEC))
    runner = Runner(SPEC, store, SHARD)
    feed(runner, raws(PAYMENTS[:1]))
    runner.flush()
    [state] = store.commits[-1].states
    assert state.key == ("card", 0)
    assert state.hash == kinesis_hash(partition_key("card", 0))


def test_a_stream_with_heartbeats_knows_no_wall_clock() -> None:
    runner = Runner(SPEC, MemoryStore(SPEC), SHARD)
    feed(runner, raws(PAYMENTS[:1]))
    assert runner.idle(10**15).watermark == S


def test_what_has_died_before_a_key_was_known_leaves_no_state() -> None:
    store = Watched(MemoryStore(SPEC))
    feed(
        Runner(SPEC, store, SHARD), raws([b"{", change(1, "carts", "cart", "a", S, "delete"), change(2, "pay", "card", "a", None)])
    )
    assert [list(e.states) for e in store.commits] == [[]]


def test_an_observer_sees_each_event_once_and_after_its_commit() -> None:
    seen: list[tuple[Any, Any]] = []
    store = MemoryStore(SPEC)
    limits = Limits(budget=Budget(2, 1, 1))
    runner = Runner(SPEC, store, SHARD, limits=limits, observe=lambda part: seen.extend((s.id, s.features) for s in part))
    lines = [
        PAYMENTS[0],
        b"{",
        PAYMENTS[0],
        change(1, "pay", "shop", "x", S, amount=1),
        change(2, "pay", "card", 0, 2 * S, amount=4),
    ]
    feed(runner, raws(lines))
    assert seen == [
        ("000000/card", {"recent": {"n": 1, "spend": 2.0}, "habit": {"n": 0, "mean": None}}),
        ("000001/shop", {}),
        ("000002/card", {"recent": {"n": 2, "spend": 6.0}, "habit": {"n": 1, "mean": 2.0}}),
    ]


def test_states_of_the_engine_of_before_stop_the_start_and_say_what_to_do() -> None:
    store, lines = MemoryStore(SPEC), [change(n, "pay", "card", "a", n * S, amount=2, shop="x") for n in (1, 2)]
    pack, unpack = (lambda v: str(v).encode()), (lambda data: data.decode())
    before = Runner(SPEC, store, SHARD, engine=lambda spec: NaiveEngine(spec.windows, pack, unpack))
    feed(before, raws(lines[:1]))
    before.flush()
    runner = Runner(SPEC, store, SHARD)
    with pytest.raises(Misconfigured, match=r"state of version 01, this engine reads .*drop the views database") as stopped:
        feed(runner, raws(lines))
    assert "delete KCL's tables" in str(stopped.value)


class Foreign(MemoryStore):
    """Gives back states that another version wrote."""

    def load(self, keys: Collection[Key]) -> dict[Key, KeyState]:
        return {key: KeyState(key, 0, None, b"\x95\x63") for key in keys}


def test_saved_states_of_another_version_stop_the_start_and_say_what_to_do() -> None:
    runner = Runner(SPEC, Foreign(SPEC), SHARD)
    with pytest.raises(Misconfigured, match="Run the version of Eddy that wrote them"):
        runner.feed(raws([change(1, "pay", "card", "a", 1 * S, amount=2, shop="x")]))


def test_records_that_do_not_come_again_though_the_snapshot_needs_them_are_lost_history() -> None:
    #  stream    1  2  3  4  5
    #  snapshot     |     |
    #  cursor             |      and the stream begins with 4, or with 5, or has lost what lay between
    lines = raws(PAYMENTS[:5])
    for comes in (lines[3:], lines[4:], lines[2:3] + lines[4:], [*lines[:2], lines[3]], lines[:2] + lines[4:]):
        store = MemoryStore(SPEC)
        first = Runner(SPEC, store, SHARD)
        feed(first, lines[:2])
        first.flush()
        feed(first, lines[2:4])
        second = Runner(SPEC, store, SHARD)
        with pytest.raises(HistoryLost, match="have not come again"):
            feed(second, comes, cuts=[1])
            second.flush()
            assert any(raw.sequence > second.cursor.place.position[0] for raw in comes), "it waits for them"
            raise HistoryLost("these have not come again so far")
    third = Runner(SPEC, store, SHARD)
    feed(third, lines, cuts=[1, 2, 3])
    assert result(store, third.finish()) == whole(PAYMENTS[:5])


def test_keys_take_no_more_memory_than_they_may() -> None:
    #  3,000 cards, one after the other, and each of them once more; an engine's keys of these windows take about 2 kB
    lines = [change(n, "pay", "card", n % 3_000, n * 10, amount=2, shop="x") for n in range(6_000)]
    store = MemoryStore(SPEC)
    runner, most = Runner(SPEC, store, SHARD, limits=Limits(memory=3_000_000)), 0
    for begin in range(0, len(lines), 1_000):
        runner.feed([Raw(data, "p", begin + n + 1) for n, data in enumerate(lines[begin : begin + 1_000])])
        most = max(most, len(runner.keys))
    assert 500 < most < 2_900
    assert runner.cursor.counters.classes["counted"] == len(lines)
    found = sum(d["events"] for d in result(store, runner.drain()).documents["minute"])
    assert found == len(lines)


def test_a_shard_that_ends_before_all_has_come_again_is_lost_history() -> None:
    store = MemoryStore(SPEC)
    feed(Runner(SPEC, store, SHARD), raws(PAYMENTS[:4]))
    second = Runner(SPEC, store, SHARD)
    feed(second, raws(PAYMENTS[:3]))
    assert second.flush().snapshot.sequence is None, "an orderly stop leaves it as it is"
    with pytest.raises(HistoryLost, match="the shard has ended"):
        second.complete()
    feed(second, raws(PAYMENTS[:4]))
    assert second.complete().snapshot.sequence == 40


def test_a_shard_that_has_ended_says_so_from_then_on() -> None:
    store = MemoryStore(SPEC)
    first = Runner(SPEC, store, SHARD, wall=lambda: 90 * S)
    feed(first, raws(PAYMENTS[:4]))
    [line] = store.collections["health"].values()
    assert "ended" not in line
    assert first.complete().ended == 90 * S
    [line] = store.collections["health"].values()
    assert (line["ended"], line["ended_at"].timestamp(), line["records"]) == (True, 90, 4)
    second = Runner(SPEC, store, SHARD, wall=lambda: 95 * S)  # KCL has not stored the end, and asks again
    feed(second, raws(PAYMENTS[:4]))
    assert second.complete().ended == 90 * S
    child = Runner(SPEC, store, ShardId(SHARD.stream, SHARD.created, "child"), parents=[SHARD])
    assert child.cursor.ended is None, "it goes on"


def test_what_is_saved_with_one_commit_is_bounded_by_bytes() -> None:
    #  200 cards of 60 payments each, about a kilobyte a card
    lines = [change(n, "pay", "card", n % 200, n * 10, amount=n, shop="x") for n in range(12_000)]
    store = Watched(MemoryStore(SPEC))
    runner = Runner(SPEC, store, SHARD, limits=Limits(chunk_bytes=20_000))
    for begin in range(0, len(lines), 1_000):
        runner.feed([Raw(data, "p", begin + n + 1) for n, data in enumerate(lines[begin : begin + 1_000])])
    assert not any(e.states for e in store.commits)
    commits, cursor = len(store.commits), runner.flush()
    sizes = [[len(state.data) for state in e.states] for e in store.commits[commits:]]
    assert cursor.snapshot == cursor.place and [len(some) for some in sizes if some] == [FEW] * 4
    assert all(sum(some) > 20_000 for some in sizes if some)


@pytest.mark.parametrize("cluster", [-(1 << 63) - 1, 1 << 63, -(1 << 63), 253_402_300_800_000, 1 << 80])
@pytest.mark.parametrize("trigger", ["pay", "stock"])
@pytest.mark.parametrize("named", [True, False], ids=["with an id", "without"])
def test_a_change_of_a_time_that_no_date_has_is_one_dead_letter(trigger: str, cluster: int, named: bool) -> None:
    route = {"pay": "card", "stock": "sku"}[trigger]
    good = change(1, trigger, route, "a", S, amount=2)
    bad = [change(2, trigger, route, "a", 2 * S, "insert", None, None, cluster, amount=2)]
    if trigger == "stock":  # a pre-image without a readable time is taken out at the change's own
        bad.append(change(3, trigger, route, "a", 2 * S, "delete", 0, 1, cluster).replace(b'"at":0', b'"at":"x"'))
    if not named:
        bad = [re.sub(rb'"id":"[^"]*"', b'"id":""', line, count=1) for line in bad]
    for cuts in ((), (1,), (1, 2)):
        found = run([good, *bad, change(4, trigger, route, "a", 3 * S, amount=2)], cuts)
        assert found.counters.classes["counted"] == 2
        assert found.counters.classes["dead_letter"] == len(bad) and set(found.counters.dead_by_reason) <= {"time", "envelope"}
