"""`[views] refresh`: fewer documents, and in the end the same ones, whenever somebody dies."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.load import parse
from consumer.runner import Runner
from consumer.step.documents import Changes
from consumer.step.early import MOST, Early
from consumer.store.contract import Effects
from consumer.store.memory import MemoryStore
from tests.consumer.stream import (
    SHARD,
    SPEC,
    TOML,
    Death,
    S,
    Watched,
    beat,
    change,
    feed,
    limited,
    raws,
    result,
    survived,
    whole,
)
from tests.consumer.test_batches import drawn, records, ways


def seldom(seconds: int) -> Any:
    """The pipeline of these tests, with a refresh."""
    return replace(SPEC, views=replace(SPEC.views, refresh=seconds * S))


def written(commits: list[Effects], view: str) -> list[tuple[int, Any, Any]]:
    """(watermark, key, events or spend) of each document of a view, as it was committed."""
    found = []
    for effects in commits:
        found += [(effects.cursor.watermark // S, d["_id"], d.get("n")) for name, d in effects.documents if name == view]
    return found


def test_a_rolling_value_is_written_when_the_watermark_passes_a_multiple() -> None:
    #  refresh 10 s   watermark   1    4    9    10
    #  written                    n=1             n=3     the first one, as time begins; then one in ten seconds
    store = Watched(MemoryStore(SPEC))
    runner = Runner(seldom(10), store, SHARD, **limited(interval=1e9))
    lines = raws([*(change(n, "pay", "card", "a", at * S, amount=1) for n, at in enumerate((1, 4, 9))), beat(10 * S)])
    for n in range(3):
        runner.feed(lines[n : n + 1])
    assert [row[0] for row in written(store.commits, "recent")] == [1]
    assert runner.cursor.watermark == 9 * S, "the cursor does not wait"
    runner.feed(lines[3:])
    assert [(row[0], row[2]) for row in written(store.commits, "recent")] == [(1, 1), (9, 3)], "in front of what passes it"
    assert len(store.inner.collections["fraud_scores"]) == 3, "scores do not wait"


def test_what_is_final_does_not_wait_and_nothing_older_comes_behind_it() -> None:
    store = Watched(MemoryStore(SPEC))
    runner = Runner(seldom(3_600), store, SHARD, **limited(interval=1e9))
    lines = raws([*(change(n, "pay", "card", "a", at * S, amount=1) for n, at in enumerate((1, 2, 3, 70))), beat(200 * S)])
    runner.feed(lines[:4])
    runner.feed(lines[4:])
    final = [d for d in store.inner.collections["minute"].values() if d["final"]]
    assert [d["n"] for d in final] == [3, 1]
    runner.flush()
    assert [d for d in store.inner.collections["minute"].values() if d["final"]] == final


def test_a_snapshot_and_the_end_of_a_file_write_what_waits() -> None:
    lines = raws([change(n, "pay", "card", "a", at * S, amount=1) for n, at in enumerate((1, 2, 3))])
    for end in (Runner.flush, Runner.finish):
        store = MemoryStore(SPEC)
        runner = Runner(seldom(3_600), store, SHARD, **limited(interval=1e9))
        runner.feed(lines[:1])
        runner.feed(lines[1:])
        assert [d["n"] for d in store.collections["recent"].values()] == [1]
        end(runner)
        assert [d["n"] for d in store.collections["recent"].values()] == [3]


@pytest.mark.timeout(1_800)
@drawn
@given(lines=records, way=ways, seconds=st.sampled_from([1, 7, 30, 10_000]))
def test_any_cut_gives_the_same_in_the_end(lines: list[bytes], way: dict[str, Any], seconds: int) -> None:
    store, options = MemoryStore(SPEC), {name: value for name, value in way.items() if name != "cuts"}
    runner = Runner(seldom(seconds), store, SHARD, **limited(**options))
    feed(runner, raws(lines), way["cuts"])
    assert result(store, runner.flush()) == whole(lines, end=False)
    runner.close()


@pytest.mark.timeout(1_800)
@drawn
@given(
    lines=records,
    way=ways,
    seconds=st.sampled_from([1, 7, 30, 10_000]),
    dies_at=st.integers(0, 40),
    after=st.booleans(),
    back=st.integers(0, 30),
)
def test_any_death_gives_the_same_in_the_end(
    lines: list[bytes], way: dict[str, Any], seconds: int, dies_at: int, after: bool, back: int
) -> None:
    """Nothing ends here but by an orderly stop, so what was lost with the dead would be missed."""
    found = survived(lines, way, Death(dies_at, after, back), seldom(seconds), Runner.flush)
    assert found.result == whole(lines, end=False)


def test_what_waited_when_a_process_died_is_written_by_the_next() -> None:
    #  snapshot        |
    #  records         | 21 22 23   dies      beat 30
    #  in the view     | n=1        n=1       n=3        not a record of the key more
    inner = MemoryStore(SPEC)
    lines = raws([*(change(n, "pay", "card", "a", (21 + n) * S, amount=1) for n in range(3)), beat(30 * S)])
    first = Runner(seldom(10), inner, SHARD, **limited(interval=1e9))
    for n in range(3):
        first.feed(lines[n : n + 1])
    first.close()
    second = Runner(seldom(10), inner, SHARD, **limited(interval=1e9))
    second.feed(lines[:3])
    assert [d["n"] for d in inner.collections["recent"].values()] == [1]
    second.feed(lines[3:])
    assert [d["n"] for d in inner.collections["recent"].values()] == [3]


def test_more_documents_than_may_wait_do_not() -> None:
    early, numbers = Early(3_600 * S), count()
    for _ in range(MOST // 1_000 + 1):
        spec_changes = _many(numbers)
        assert not len(early.hold(spec_changes, 1, 2))
    assert early.over(2, 3)
    assert len(early.all()) == MOST + 1_000
    assert not early.over(3, 4)


def _many(numbers: Any) -> Any:
    changes = Changes()
    for _ in range(1_000):
        changes.put("recent", {"_id": next(numbers)}, early=True)
    return changes


def test_refresh_is_read_from_the_file() -> None:
    assert parse(TOML + '\n[views]\nrefresh = "10s"\n').views.refresh == 10 * S
