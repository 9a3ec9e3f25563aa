"""Streams of bare documents, where the wall clock moves an idle shard."""

from __future__ import annotations

from typing import Any

import pytest

from config.load import parse
from consumer.intake.batch import Budget
from consumer.runner import Runner
from consumer.store.memory import MemoryStore
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
