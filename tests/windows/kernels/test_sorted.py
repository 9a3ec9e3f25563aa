"""Sorted values of long windows: their structure against a plain sorted list, and through the engine against the twin."""

from __future__ import annotations

import math
from bisect import bisect_left, insort_left
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.windows.build import Factory, drive, window_set
from tests.windows.law.test_properties import assert_same, plain
from windows.columnar.room import AN_EVENT
from windows.kernels import tables
from windows.kernels.memory import arena
from windows.kernels.memory.sorted import (
    between,
    sorted_count,
    sorted_drop,
    sorted_free,
    sorted_item,
    sorted_put,
    sorted_quantile,
    sorted_rank,
)
from windows.law.spec import Rolling
from windows.naive.engine import NaiveEngine

POOLS: dict[str, Callable[[Random, int], float]] = {
    "one": lambda random, n: 7.0,
    "zeros": lambda random, n: random.choice([0.0, -0.0, 1e-300, -1e-300]),
    "few": lambda random, n: float(random.randrange(5)),
    "some": lambda random, n: random.randrange(300) / 8,
    "any": lambda random, n: random.choice([random.uniform(-1e3, 1e3), 1e308 * random.uniform(-1, 1)]),
    "rising": lambda random, n: float(n),
    "falling": lambda random, n: float(-n),
}


class Beside:
    """The structure beside a Python list."""

    def __init__(self) -> None:
        self.M: npt.NDArray[np.int64] = np.zeros(1 << 20, np.int64)
        self.M[arena.BUMP] = arena.HEAD
        self.X = self.M.view(np.float64)
        self.at, self.values, self.puts = 0, list[float](), 0

    def put(self, x: float) -> None:
        self.at, self.puts = sorted_put(self.M, self.X, self.at, x), self.puts + 1
        insort_left(self.values, x)

    def drop(self, x: float) -> None:
        self.at = sorted_drop(self.M, self.X, self.at, x)
        del self.values[bisect_left(self.values, x)]

    def check(self, random: Random) -> None:
        """All of it, and that it takes no more memory than is promised."""
        n = len(self.values)
        assert sorted_count(self.M, self.at) == n
        assert [float(self.X[sorted_item(self.M, self.at, i)]) for i in range(n)] == self.values
        for x in [random.choice(self.values) for _ in range(n and 5)] + [random.uniform(-400, 400), 7.0]:
            assert sorted_rank(self.M, self.X, self.at, x) == bisect_left(self.values, x)
        for q in [0.0, 1.0, *(random.random() for _ in range(5))]:
            ours, theirs = float(sorted_quantile(self.M, self.X, self.at, q)), between(np.array(self.values), 0, n, q)
            assert ours == theirs or (n == 0 and math.isnan(ours))
        assert self.M[arena.USED] <= AN_EVENT[tables.SORTED] * n + 1024


@given(st.sampled_from(sorted(POOLS)), st.lists(st.integers(-2_000, 2_000), min_size=1, max_size=12), st.integers(0, 2**32))
@example("some", [20_000, -19_000, 3_000, -2_000, 20_000], 1)
@example("rising", [25_000, -24_990, 25_000], 2)
@example("falling", [25_000, -24_990, 25_000], 3)
@example("few", [9_000, -9_000, 9_000], 4)
def test_sorted_values_are_those_of_a_plain_list(pool: str, phases: list[int], seed: int) -> None:
    both, random = Beside(), Random(seed)
    both.put(POOLS[pool](random, 0))
    for many in phases:
        for _ in range(abs(many)):
            if many > 0:
                both.put(POOLS[pool](random, both.puts))
            elif both.values:
                both.drop(random.choice(both.values))
        both.check(random)
    while both.values:
        both.drop(both.values[random.randrange(len(both.values))])
    both.check(random)
    both.put(3.0)
    both.check(random)
    sorted_free(both.M, both.at)
    assert both.M[arena.USED] == 0


@pytest.mark.parametrize("oldest", [True, False])
def test_values_that_come_and_go_many_times_take_no_more_memory(oldest: bool) -> None:
    """Few small neighbours lie beside full ones for long, whatever order values go in."""
    both, random, queue = Beside(), Random(5), list[float]()
    for turn in range(40_000):
        queue.append(random.gauss(turn / 500, 1.0))
        both.put(queue[-1])
        if len(queue) > 5_000:
            both.drop(queue.pop(0 if oldest else random.randrange(len(queue))))
    both.check(random)
    assert both.M[arena.USED] < 2.5 * 5_000
    sorted_free(both.M, both.at)
    assert both.M[arena.USED] == 0


QUANTILES = {"n": "count()", "low": "quantile(x, 0)", "mid": "quantile(x, 0.5)", "high": "quantile(x, 0.93) if x > -300"}


@pytest.mark.parametrize("seed", range(4))
def test_rolling_quantiles_of_many_events_out_of_order_are_the_twins(make: Factory, seed: int) -> None:
    random, now, rows = Random(seed), 10**12, list[dict[str, Any]]()
    for number in range(1_500):
        now += random.choice([0, 0, 1, 2, 3] if number % 500 < 400 else [20, 300])
        behind = random.choice([0, 0, 0, random.randrange(60), random.randrange(1_500)])
        x = random.choice([None, 0.0, -0.0, 5.0, 1e308, -1e308, random.uniform(-1e3, 1e3), random.uniform(-1e3, 1e3)])
        rows.append({"at": now - behind, "mark": now, "key": random.choice("aaaaab"), "fields": {"x": x}})
    sets = [
        window_set("long", Rolling(1_000), measures=QUANTILES, lateness=random.choice([0, 100])),
        window_set("later", Rolling(500, "both", delay=300), measures=QUANTILES),
        window_set("without", Rolling(5_000, current=False), "x != 5", measures=QUANTILES),
    ]
    twin = plain(drive(NaiveEngine, sets, rows))
    assert_same(plain(drive(make, sets, rows)), twin)
    assert_same(plain(drive(make, sets, rows, random.sample(range(1_500), 12), None, Random(seed))), twin)
