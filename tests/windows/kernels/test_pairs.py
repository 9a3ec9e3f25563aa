"""Sums of squares as pairs, and the variance of them: what is read does not show how it was put together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiled.kernel import kernel
from compiled.pointers import fma
from tests.windows.build import columns, window_set
from windows.columnar.engine import ColumnarEngine
from windows.kernels.cells.pairs import pair_sum, spread, square_add
from windows.law.spec import Rolling

NUMBERS = st.floats(-1e100, 1e100).filter(lambda x: x == 0 or abs(x) > 1e-100)
PRICES = st.integers(-100_000_00, 100_000_00).map(lambda cents: cents / 100)


@kernel
def parts_of(xs: np.ndarray, ends: np.ndarray) -> tuple[float, float]:  # type: ignore[type-arg]
    """The pair of the squares of some values, put together from parts that end there."""
    high, low, begin = 0.0, 0.0, 0
    for end in ends:
        part = np.zeros(2)
        for i in range(begin, end):
            square_add(part, 0, xs[i])
        high, low = pair_sum(high, low, part[0], part[1])
        begin = end
    return high, low


@kernel
def fused(x: float, y: float, z: float) -> float:
    """As kernels see it."""
    return float(fma(x, y, z))


def var(xs: Sequence[float], cuts: Sequence[int] = ()) -> float:
    """The variance, from parts."""
    high = math.fsum(xs)
    low = float(sum(map(Fraction, xs)) - Fraction(high))
    squares, rest = parts_of(np.array(xs), np.array(sorted({*(c for c in cuts if c < len(xs)), len(xs)})))
    return float(spread(len(xs), high, low, squares, rest, False))


def true_var(xs: Sequence[float]) -> tuple[float, float]:
    """(the variance, rounded once; its condition)."""
    exact = [Fraction(x) for x in xs]
    mean = sum(exact) / len(xs)
    found = sum((x - mean) ** 2 for x in exact) / (len(xs) - 1)
    return float(found), math.sqrt(1 + float(mean**2 / found)) if found else math.inf


@given(st.floats(-1e100, 1e100), st.floats(-1e100, 1e100), st.floats(-1e100, 1e100))
def test_a_fused_product_and_sum_is_rounded_once(x: float, y: float, z: float) -> None:
    assert fused(x, y, z) == float(Fraction(x) * Fraction(y) + Fraction(z))


@given(st.lists(NUMBERS, min_size=2, max_size=40), st.lists(st.integers(1, 39), max_size=6))
def test_a_variance_is_true_to_the_square_of_its_condition(xs: list[float], cuts: list[int]) -> None:
    true, condition = true_var(xs)
    assert abs(var(xs, cuts) - true) <= (4e-16 + len(xs) * 2.0**-100 * condition**2) * true if true else var(xs, cuts) == 0


@given(st.lists(PRICES, min_size=2, max_size=200), st.lists(st.integers(1, 199), max_size=9), st.randoms(use_true_random=False))
def test_prices_in_any_order_and_any_parts_have_the_same_variance_to_the_last_digit(
    xs: list[float], cuts: list[int], random: Random
) -> None:
    shuffled = random.sample(xs, len(xs))
    assert var(shuffled, cuts) == var(xs)


@pytest.mark.parametrize("n", [2, 3, 7, 1_000, 300_000])
def test_equal_values_do_not_vary(n: int) -> None:
    random = Random(n)
    for x in (0.1, 19.99, 1e9 + 0.1, 3.7e-5, -1e16, random.random(), random.random()):
        assert var([x] * n, [n // 3, n // 2]) == 0


def test_what_is_out_of_range_is_infinite() -> None:
    assert var([1e200, -1e200]) == math.inf
    assert var([1e154, 1e154, -1e154]) == pytest.approx(4 / 3 * 1e308)  # three times the sum of the squares is
    assert var([1e200, 1e200]) == 0


def test_rolling_values_do_not_show_whether_a_key_was_ever_away() -> None:
    """A thousand prices, some late, in a window that holds two hundred: one life in one go, one with a reload now and then."""
    measures = {"s": "sum(x)", "m": "mean(x)", "v": "var(x)", "d": "std(x)"}
    sets = [window_set("w", Rolling(200), lateness=20, measures=measures)]
    random = Random(7)
    stayed, away = ColumnarEngine(sets), ColumnarEngine(sets)
    for now in range(1_000):
        at = now - random.choice([0, 0, 0, random.randint(0, 19)])
        row = [{"at": at, "mark": now - 20, "fields": {"x": random.randint(1, 50_000) / 100}}]
        if now % 9 == 8:
            away.load(away.dump(away.loaded()))
        here, there = (e.step(columns(sets, row)).features[0].measures for e in (stayed, away))
        assert {name: list(values) for name, values in here.items()} == {name: list(values) for name, values in there.items()}
