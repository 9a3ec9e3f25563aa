"""A key of which nothing is left goes from the store: when, and that nobody can see it in the views."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.dues import Dues
from consumer.runner import Runner
from consumer.step.keys import LEAST, remembered
from consumer.store.contract import Due
from consumer.store.memory import MemoryStore
from tests.consumer.stream import SHARD, SPEC, Death, S, beat, change, feed, limited, raws, survived, whole
from tests.consumer.test_batches import DRAWN, _record, drawn, ways

DAY = 86_400 * S
PAYMENT = change(1, "pay", "card", "a", 1 * S, amount=2, shop="x")


def test_a_key_is_known_for_a_day_and_then_goes() -> None:
    #  record    1 s
    #  watermark    1 h: all windows are closed, the key is known       2 days: it is gone
    assert remembered(SPEC) > LEAST
    store, lines = MemoryStore(SPEC), raws([PAYMENT, beat(3_600 * S), beat(2 * DAY)])
    runner = Runner(SPEC, store, SHARD, **limited(interval=1e9))
    runner.feed(lines[:2])
    runner.flush()
    assert len(store._states) == 1
    views = {name: dict(documents) for name, documents in store.collections.items() if name != "health"}
    runner.feed(lines[2:])
    runner.flush()
    assert not store._states
    assert {name: documents for name, documents in store.collections.items() if name != "health"} == views


def test_a_key_that_nobody_has_in_memory_goes_as_well() -> None:
    store, lines = MemoryStore(SPEC), raws([PAYMENT, beat(3_600 * S), beat(2 * DAY)])
    first = Runner(SPEC, store, SHARD)
    first.feed(lines[:2])
    first.flush()
    first.close()
    second = Runner(SPEC, store, SHARD)
    second.feed(lines[2:])
    second.flush()
    assert not store._states


def test_a_repeat_is_one_for_as_long_as_its_key_is_known_and_late_afterwards() -> None:
    for known in (True, False):
        lines = [PAYMENT, beat(3_600 * S if known else 2 * DAY), PAYMENT]
        for end in ((), (1, 2)):
            store = MemoryStore(SPEC)
            runner = Runner(SPEC, store, SHARD, **limited(interval=0.0))
            feed(runner, raws(lines), end)
            classes = runner.flush().counters.classes
            assert (classes["repeat"], classes["late"]) == ((1, 0) if known else (0, 1))
            assert [d["n"] for d in store.collections["minute"].values()] == [1]


def test_a_key_with_an_event_since_stays() -> None:
    later = change(2, "pay", "card", "a", 2 * DAY, amount=2, shop="x")
    store, lines = MemoryStore(SPEC), raws([PAYMENT, beat(2 * DAY - 1), later, beat(2 * DAY + 3_600 * S)])
    runner = Runner(SPEC, store, SHARD, **limited(interval=1e9))
    runner.feed(lines)
    runner.flush()
    assert len(store._states) == 1


def days(some: list[dict[str, Any]]) -> list[bytes]:
    """A stream in which days pass now and then."""
    lines: list[bytes] = []
    now = 0
    for n, d in enumerate(some):
        now += d["later"] * S + (DAY * d["two"] if d["one"] == 0 else 0)
        lines.append(_record(n, max(0, now - d["behind"] * S), now, d, lines))
    return lines


@pytest.mark.timeout(1_800)
@drawn
@given(
    lines=st.lists(DRAWN, min_size=1, max_size=22).map(days),
    way=ways,
    dies_at=st.integers(0, 40),
    after=st.booleans(),
    back=st.integers(0, 30),
)
def test_neither_cuts_nor_deaths_show(lines: list[bytes], way: dict[str, Any], dies_at: int, after: bool, back: int) -> None:
    """And in the end nothing is left of anybody."""
    lines = [*lines, beat(400 * DAY)]
    found = survived(lines, way, Death(dies_at, after, back), end=Runner.flush)
    assert found.result == whole(lines, end=False)
    assert not found.store._states


@pytest.mark.parametrize("cap", [0, 1, 50_000])
@pytest.mark.parametrize("beats", [[400], [1.05, 400], [1.2, 1.3]], ids=str)
def test_one_heartbeat_behind_which_all_are_forgotten_is_come_to_an_end_with(cap: int, beats: list[float]) -> None:
    #  a b c d   1 s apart        400 days: pages of one key, and memory for hardly any, in one record
    lines = [change(n, "pay", "card", key, n * S, amount=2, shop="x") for n, key in enumerate("abcd", 1)]
    for interval in (0.0, 1e9):
        store = MemoryStore(SPEC)
        runner = Runner(SPEC, store, SHARD, **limited(page=1, cap=cap, interval=interval, chunk=1))
        feed(runner, raws([*lines, *(beat(int(days * DAY)) for days in beats)]), [4])
        runner.flush()
        assert not store._states


def test_a_question_goes_back_only_once_all_pages_are_told() -> None:
    dues = {"a": 10, "b": 20, "c": 30}

    def ask(until: int, after: tuple[int, int]) -> Due:
        found = sorted((due, 0, name) for name, due in dues.items() if after < (due, 0) and due <= until)
        return Due([("card", name) for _, _, name in found[:1]], found[0][:2] if len(found) > 1 else None, None)

    asked, told = Dues(ask), []
    while (page := asked.page(100)).up_to is not None:
        told += page.keys
        asked.gone([dues[str(key[1])] for key in page.keys])  # saved as it was, and out of memory
    assert [key[1] for key in [*told, *page.keys]] == ["a", "b", "c"]
    assert [key[1] for key in asked.page(100).keys] == ["a"]
