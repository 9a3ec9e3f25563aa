"""A gap in the relayed history: which times it touches, and that the views say so however and wherever the shard was cut."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from consumer import gaps
from consumer.gaps import joined, marks, of
from consumer.runner import Runner
from consumer.store.memory import MemoryStore
from contract.codec import encode
from contract.event import Gap
from tests.consumer.stream import SHARD, SPEC, S, beat, change, raws

spans = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 20)).map(lambda s: (s[0], s[0] + s[1])), max_size=30)


@given(spans, spans)
def test_joined_holds_each_time_that_one_of_them_holds(some: list[tuple[int, int]], others: list[tuple[int, int]]) -> None:
    found: gaps.Gaps = {}
    for span in [*some, *others]:
        found = joined(found, {"pay": (span,)})
    held = found.get("pay", ())
    assert {t for low, high in held for t in range(low, high + 1)} == {
        t for low, high in [*some, *others] for t in range(low, high + 1)
    }
    assert all(a[1] + 1 < b[0] for a, b in pairwise(held))


def test_there_are_never_many_and_none_is_forgotten() -> None:
    found: gaps.Gaps = {}
    for n in range(3 * gaps.MOST):
        found = joined(found, {"pay": ((n * 100, n * 100 + n % 7),)})
    assert len(found["pay"]) == gaps.MOST
    assert all(any(low <= n * 100 and n * 100 + n % 7 <= high for low, high in found["pay"]) for n in range(3 * gaps.MOST))


def test_only_sets_on_the_triggers_that_are_named_are_touched() -> None:
    found = of(Gap(50 * S, 60 * S, ("carts", "elsewhere")), 2 * S, ["pay", "carts", "stock"])
    assert found == {"carts": ((48 * S, 60 * S),)}
    [mark] = marks(SPEC.windows, found)
    assert mark == gaps.Mark("visits", "start", "end", 48 * S, 66 * S)


def test_windows_that_a_gap_may_have_touched_say_so() -> None:
    #  settle 2 s; gap of 25..41
    #  0         10        20        30        40        50
    #  |---------|---------|---------|---------|---------|
    #  a                     a   [=============]   a        b is seen for the first time behind the gap
    store = MemoryStore(SPEC)
    runner = Runner(SPEC, store, SHARD)
    lines = [
        change(1, "pay", "card", "a", 5 * S, amount=1),
        change(2, "pay", "card", "a", 21 * S, amount=1),
        encode(Gap(25 * S, 41 * S, ("pay",))),
        change(3, "pay", "card", "a", 46 * S, amount=1),
        change(4, "pay", "card", "b", 47 * S, amount=1),
        change(5, "pay", "card", "b", 55 * S, amount=1),
        beat(90 * S),
    ]
    runner.feed(raws(lines))
    whole = {(d["key"], int(d["start"].timestamp())): d.get("complete", True) for d in store.collections["minute"].values()}
    assert whole == {("a", 0): True, ("a", 20): False, ("a", 40): False, ("b", 40): False, ("b", 50): True}
    counters = runner.cursor.counters
    assert (
        counters.classes["control"] == 2 and counters.classes["counted"] == 5 and runner.cursor.gaps == {"pay": ((23 * S, 41 * S),)}
    )


def test_a_gap_that_makes_no_sense_is_a_dead_letter() -> None:
    store = MemoryStore(SPEC)
    runner = Runner(SPEC, store, SHARD)
    runner.feed(raws([encode(Gap(5, 4, ("pay",))), encode(Gap(-(1 << 60), 0, ("pay",)))]))
    assert [d["reason"] for d in store.collections["dead_letters"].values()] == ["time", "time"] and not runner.cursor.gaps
