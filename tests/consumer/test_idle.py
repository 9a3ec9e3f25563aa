"""Streams of bare documents, where the wall clock moves an idle shard."""

from __future__ import annotations

from typing import Any

import pytest

from config.load import parse
from consumer.intake.batch import Budget
from consumer.intake.records import Raw
from consumer.runner import Runner
from consumer.store.contract import HashRange, ShardId
from consumer.store.memory import MemoryStore
from contract.keys import kinesis_hash
from tests.consumer.stream import SHARD, Watched, feed, limited, raws, result

BARE = parse(
    """
[stream]
name = "s"
format = "document"
settle = "2s"

[[trigger]]
name = "pay"
database = "shop"
collection = "pay"
routes = ["card"]
time = "at"

[[windows]]
name = "minute"
trigger = "pay"
key = "card"
tumbling = { size = "10s" }
lateness = "1s"
measures = { n = "count()" }
"""
)


def bare(*documents: bytes) -> list[Any]:
    return raws(documents)


def test_a_stream_of_bare_documents() -> None:
    store = MemoryStore(BARE)
    runner = Runner(BARE, store, SHARD)
    runner.feed(bare(b'{"card":1,"at":1000}', b'{"card":1}', b"[1]", b'{"at":2000}', b'{"card":1,"at":"1970-01-01T00:00:02Z"}'))
    assert runner.cursor.counters.classes["counted"] == 2
    assert dict(runner.cursor.counters.dead_by_reason) == {"time": 1, "envelope": 1, "key": 1}


@pytest.mark.parametrize(("windows", "page"), [(1, 2), (2_000, 2), (1, 5_000), (2_000, 5_000)])
def test_idle_moves_a_shard_of_bare_documents_by_the_wall_clock(windows: int, page: int) -> None:
    store = Watched(MemoryStore(BARE))
    runner = Runner(BARE, store, SHARD, **limited(budget=Budget(windows=windows), page=page, cap=1))
    feed(runner, bare(b'{"card":1,"at":1000}', b'{"card":2,"at":2000}', b'{"card":3,"at":2000}'))
    assert runner.idle(12_999).watermark == 10_999
    assert not any(d["final"] for d in result(store.inner, runner.cursor).documents["minute"])
    commits = len(store.commits)
    assert runner.idle(13_000).watermark == 11_000
    parts = [e for e in store.commits[commits:] if list(e.documents)]
    assert [e.cursor.watermark for e in parts[:-1]] == [10_999] * (len(parts) - 1)
    assert [d["closed_by"] for d in result(store.inner, runner.cursor).documents["minute"]] == ["idle"] * 3
    assert runner.idle(5_000).watermark == 11_000
    assert Runner(BARE, store.inner, SHARD).cursor.watermark == 11_000


def test_a_snapshot_that_ends_while_time_passes_in_parts_stays_where_it_is() -> None:
    #  idle       | part | part | part | ... the clock's jump with the last one
    #  snapshot   a      b      c  ends
    store = Watched(MemoryStore(BARE))
    runner = Runner(BARE, store, SHARD, **limited(budget=Budget(windows=1), interval=0.0, chunk=1))
    feed(runner, bare(*(b'{"card":%d,"at":1000}' % n for n in range(12))))
    taken = runner.cursor.place
    assert runner.cursor.snapshot != taken, "it has begun, and is not over"
    commits = len(store.commits)
    runner.idle(13_000)
    ends = [n for n, e in enumerate(store.commits[commits:]) if e.cursor.snapshot == taken]
    jumps = [n for n, e in enumerate(store.commits[commits:]) if e.cursor.watermark == 11_000]
    assert 0 < ends[0] < jumps[0], "it ends on the way"
    assert all(e.cursor.snapshot.position >= taken.position for e in store.commits[commits + ends[0] :])


def test_two_shards_never_keep_windows_of_one_key_though_its_sender_put_it_on_both() -> None:
    #  the sender's partition keys are drawn; "c1" itself lies on the upper half
    low, high = HashRange(0, (1 << 127) - 1), HashRange(1 << 127)
    store, runners = MemoryStore(BARE), {}
    for name, hashes in (("low", low), ("high", high)):
        runners[hashes] = Runner(BARE, store, ShardId("s", 1, name), hashes)
    sent = {low: 0, high: 0}
    for n in range(20):
        key = "c1" if n % 4 == 0 else f"drawn {n}"
        [hashes] = [h for h in runners if h.low <= kinesis_hash(key) <= h.high]
        sent[hashes] += 1
        runners[hashes].feed([Raw(b'{"card": "c1", "at": %d}' % n, key, n + 1)])
    assert [d["n"] for d in store.collections["minute"].values()] == [sent[high]] and sent[low] > 0
    letters = [*store.collections["dead_letters"].values()]
    assert len(letters) == sent[low] and {(d["reason"], d["trigger"], d["route"]) for d in letters} == {("key", "pay", "card")}
    assert "'c1', would lie on another shard" in letters[0]["why"] and "drawn" in letters[0]["why"]
    assert sum(runner.cursor.counters.records for runner in runners.values()) == 20
