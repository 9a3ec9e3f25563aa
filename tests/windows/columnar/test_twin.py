"""Equal to the naive twin through the public contract: drawn sets and timelines, cuts, budgets, reloads; and long busy ones."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.windows.build import Driver, Factory, beat, drive, window_set
from tests.windows.drawn import stories
from tests.windows.law.test_properties import assert_same, plain
from windows.columnar.engine import ColumnarEngine
from windows.law.spec import Kind, Rolling, Sliding, Tumbling, WindowSet
from windows.naive.engine import NaiveEngine

Story = tuple[list[WindowSet], list[dict[str, Any]]]
MEASURES = {
    "n": "count()", "s": "sum(x)", "m": "mean(x)", "sd": "std(x)", "lo": "min(x)", "hi": "max(x)", "d": "distinct(shop)",
    "f": "first(shop)", "l": "last(shop)", "q": "quantile(x, 0.9)", "big": "sum(x) if x > 100",
}  # fmt: skip


@pytest.mark.timeout(1_800)
@settings(max_examples=max(2_000, int(os.environ.get("EDDY_SOAK") or 0)))
@given(stories(), st.lists(st.integers(0, 30)), st.sampled_from([None, 1, 2, 5]), st.integers(0, 2**32), st.booleans())
def test_it_does_what_the_twin_does(story: Story, cuts: list[int], budget: int | None, seed: int, end: bool) -> None:
    sets, rows = story
    twin = plain(drive(NaiveEngine, sets, rows, end=end))
    assert_same(plain(drive(ColumnarEngine, sets, rows, end=end)), twin)
    assert_same(plain(drive(ColumnarEngine, sets, rows, cuts, budget, Random(seed), end=end)), twin)


@given(stories(), st.lists(st.integers(0, 30)))
def test_dues_and_current_values_are_the_twins(story: Story, cuts: list[int]) -> None:
    sets, rows = story
    both = [Driver(make, sets) for make in (ColumnarEngine, NaiveEngine)]
    edges = sorted({0, len(rows), *(c for c in cuts if c < len(rows))})
    for begin, stop in itertools.pairwise(edges):
        for driver in both:
            driver.feed(rows[begin:stop], begin)
        ours, twin = (driver.engine for driver in both)
        assert set(ours.loaded()) == set(twin.loaded())
        assert dict(ours.dues(ours.loaded())) == dict(twin.dues(twin.loaded()))
        assert ours.due() == twin.due()
        for key in twin.loaded():
            for a, b in zip(ours.current(key, twin.watermark + 3), twin.current(key, twin.watermark + 3), strict=True):
                assert list(a.expires_at) == list(b.expires_at)
                for name, column in b.measures.items():
                    assert_same(next(iter(a.measures[name])), column[0], (a.set.name, name))


def busy(random: Random, n: int, shops: int, late: int) -> list[dict[str, Any]]:
    """Many events of few keys, some of them late, with values between 1e-3 and 1e16 and far more shops than fit in a small set."""
    rows: list[dict[str, Any]] = []
    now = random.choice([-5_000, 0, 10**12])
    for number in range(n):
        now += random.choice([0, 0, 1, 2, 7, 30])
        at = now - (random.randrange(late) if random.random() < 0.1 else 0)
        x = random.choice([None, 1e16, -1e16, 0.125, random.uniform(-1e3, 1e3), random.uniform(0, 1e-3)])
        fields = {"x": x, "shop": random.choice([None, f"s{random.randrange(shops)}"])}
        rows.append({"at": at, "mark": now - random.choice([0, 5]), "key": random.choice("aaab"), "doc": number, "fields": fields})
        if random.random() < 0.02:
            rows.append(beat(now + random.choice([0, 50, 900])))
    return rows


KINDS: Sequence[Kind] = (
    Tumbling(700), Sliding(900, 70), Sliding(500, 130, 17), Tumbling(5_000, 3), Rolling(400), Rolling(3_000, "both", False),
    Rolling(2_000, delay=350), Rolling(20_000),
)  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_long_busy_histories(make: Factory, seed: int) -> None:
    random = Random(seed)
    sets = [
        window_set(
            f"w{i}", kind, random.choice([None, "x > -500"]), measures=MEASURES, lateness=random.choice([0, 40]),
            late=random.choice(["update", "drop"]), retain=random.choice([0, 600, 100_000]),
        )
        for i, kind in enumerate(random.sample(list(KINDS), 4))
    ]  # fmt: skip
    rows = busy(random, 700, random.choice([5, 300]), random.choice([60, 2_500]))
    cuts = random.sample(range(700), 20)
    twin = plain(drive(NaiveEngine, sets, rows))
    assert_same(plain(drive(make, sets, rows)), twin)
    assert_same(plain(drive(make, sets, rows, cuts, random.choice([None, 40]), Random(seed))), twin)
