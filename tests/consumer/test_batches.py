"""Batching never shows, and a crash between any two steps changes nothing: any cut, any budget, any death, the same documents."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.specs import Pipeline
from consumer.intake.batch import Budget
from tests.consumer.stream import (
    SHARED,
    SMALL,
    SPEC,
    Death,
    S,
    beat,
    change,
    run,
    survived,
    whole,
)
from tests.windows.build import small_segments

DRAWN = st.fixed_dictionaries(
    {
        "what": st.sampled_from("pay pay pay cart cart cart stock stock beat again bad".split()),
        "later": st.integers(0, 6),
        "behind": st.sampled_from([0, 0, 0, 2, 12, 40]),
        "key": st.sampled_from(["a", "b", 3]),
        "one": st.integers(0, 11),
        "two": st.integers(0, 3),
        "old": st.integers(0, 60),
    }
)


def stream(drawn: list[dict[str, Any]]) -> list[bytes]:
    """A stream with all that can happen: changes in and out of order, late ones, repeats, heartbeats, ignored ones, bad ones."""
    lines: list[bytes] = []
    now = 0
    for n, d in enumerate(drawn):
        now += d["later"] * S
        lines.append(_record(n, max(0, now - d["behind"] * S), now, d, lines))
    return lines


def _record(n: int, at: int, now: int, d: dict[str, Any], lines: list[bytes]) -> bytes:
    what, key, one, two = d["what"], d["key"], d["one"], d["two"]
    if what == "pay":
        op, amount = ("insert", "insert", "update")[one % 3], (0.5, 2, 3.25, None)[two]
        return change(n, "pay", "shop" if one > 5 else "card", key, at, op, amount=amount, card="c", shop="x")  # type: ignore[arg-type]
    if what == "cart":
        return change(n, "carts", "cart", key, at, action="purchase" if one > 8 else "add", items=["sku"] * (two % 3), n=two)
    if what == "stock":
        op = ("insert", "insert", "update", "delete")[one % 4]
        return change(n, "stock", "sku", "a", at, op, None if op == "insert" else d["old"] * S, two, amount=1.5)  # type: ignore[arg-type]
    if what == "again" and lines:
        again: int = (one * 4 + two) % len(lines)
        return lines[again]
    return bad(n, at)[one % 9] if what == "bad" else beat(now)


def bad(n: int, at: int) -> list[bytes]:
    """Records that cannot be used, and two that are ignored."""
    return [
        b"{",
        b"\xff\x00",
        change(n, "pay", "card", None, at),
        change(n, "pay", "card", "a", None),
        change(n, "pay", "card", "a", at, amount="much"),
        change(n, "pay", "card", "a", 4_000 * S, "insert", None, None, 0, amount=1),
        change(n, "other", "card", "a", at),
        change(n, "carts", "cart", "a", at, "update"),
        change(n, "carts", "cart", None, at, "delete"),
    ]


records = st.lists(DRAWN, min_size=1, max_size=22).map(stream)
ways = st.fixed_dictionaries(
    {
        "cuts": st.lists(st.integers(1, 22), max_size=6),
        "budget": st.sampled_from([SMALL, Budget(1, 1, 1), Budget()]),
        "page": st.sampled_from([1, 2, 5_000]),
        "cap": st.sampled_from([0, 2, 50_000]),
        "interval": st.sampled_from([0.0, 1e9]),
        "chunk": st.sampled_from([1, 2, 1_000]),
        "chunk_bytes": st.sampled_from([1, 60, 4 << 20]),
        "overlap": st.booleans(),
    }
)
specs = st.sampled_from([SPEC, SHARED])
drawn = settings(max_examples=3_000 if "EDDY_SOAK" in os.environ else 50)


@pytest.fixture(scope="module", autouse=True)
def segments() -> Iterator[None]:
    """Histories of more than one event are saved in segments."""
    with small_segments():
        yield


@pytest.mark.timeout(1_800)
@drawn
@given(spec=specs, lines=records, way=ways)
def test_any_cut_gives_the_same(spec: Pipeline, lines: list[bytes], way: dict[str, Any]) -> None:
    expected = whole(lines, spec)
    assert run(lines, spec=spec, **way) == expected
    assert expected.counters.records == len(lines)
    kept = expected.documents["dead_letters"]
    assert len(kept) == sum(expected.counters.dead_by_reason.values())


@pytest.mark.timeout(1_800)
@drawn
@given(spec=specs, lines=records, way=ways, dies_at=st.integers(0, 40), after=st.booleans(), back=st.integers(0, 30))
def test_any_death_gives_the_same(
    spec: Pipeline, lines: list[bytes], way: dict[str, Any], dies_at: int, after: bool, back: int
) -> None:
    assert survived(lines, way, Death(dies_at, after, back), spec).result == whole(lines, spec)


LIFE = [
    change(1, "pay", "card", "a", 1 * S, amount=2, shop="x"),
    change(1, "pay", "shop", "x", 1 * S, amount=2, card="a"),
    change(2, "carts", "cart", "k", 2 * S, action="add", items=["sku"], n=1),
    change(3, "stock", "sku", "s", 2 * S, amount=1),
    change(4, "pay", "card", "b", 3 * S, amount=2, shop="x"),
    change(4, "pay", "card", "b", 3 * S, amount=2, shop="x"),
    b"{",
    change(5, "carts", "cart", "l", 4 * S, action="add", items=["sku"], n=1),
    change(6, "pay", "card", "a", 5 * S, amount=4, shop="y"),
    beat(30 * S),
    change(7, "pay", "card", "a", 6 * S, amount=4, shop="y"),
    change(8, "stock", "sku", "s", 2 * S, "update", 2 * S, 3, amount=7),
    change(9, "carts", "cart", "k", 31 * S, action="purchase", items=[], n=0),
    change(10, "pay", "card", "c", 45 * S, amount=1, shop="y"),
    beat(80 * S),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("cuts", "cap", "interval"),
    [((), 1, 1e9), ((3, 7, 10), 1, 0.0), ((3, 7, 10), 100, 1e9), (range(15), 100, 0.0)],
    ids=["one batch, little memory", "four batches, snapshots", "four batches, no snapshot", "a batch a record, snapshots"],
)
def test_a_death_at_every_call_of_the_store(cuts: Sequence[int], cap: int, interval: float, after: bool) -> None:
    #  open | load due | part commit | part commit | due ... commit | ...        dies at each |
    expected, deaths = whole(LIFE), 0
    way = {"cuts": cuts, "budget": Budget(2, 1, 1), "page": 2, "cap": cap, "interval": interval, "chunk": 1, "chunk_bytes": 60}
    while (found := survived(LIFE, way, Death(deaths, after, back=deaths))).died:
        assert found.result == expected
        deaths += 1
    assert deaths > 20


def test_the_life_has_everything_in_it() -> None:
    counters = whole(LIFE).counters
    assert dict(counters.classes) == {"counted": 10, "repeat": 1, "late": 1, "ignored": 0, "control": 2, "dead_letter": 1}
    assert dict(counters.dead_by_reason) == {"json": 1, "late": 1}
