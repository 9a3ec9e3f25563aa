"""Every measure, over nothing, over what is missing, and over sums that floats find hard."""

from __future__ import annotations

import math
import statistics
import sys
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.windows.build import Factory, beat, drive, window_set
from windows.law.spec import Kind, Rolling, Session, Sliding, Tumbling
from windows.naive.exact import Values, exact_sum, quantile, rounded, true_variance

ALL = {
    "n": "count()", "s": "sum(x)", "m": "mean(x)", "lo": "min(x)", "hi": "max(x)", "v": "var(x)", "sd": "std(x)",
    "d": "distinct(shop)", "f": "first(shop)", "l": "last(shop)", "q": "quantile(x, 0.25)", "r": "share(ok)",
}  # fmt: skip
SPELLINGS: list[Any] = [5, 5.0, "5", None, b"5", ("a", 1), ("a", 1)]
HARD = [1e16, 1.0, 2.0, 3.0, -1e16]


def rows(*fields: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"at": i, "fields": f} for i, f in enumerate(fields)]


def measured(make: Factory, fields: list[dict[str, Any]], **texts: str) -> dict[str, Any]:
    return drive(make, [window_set("w", Tumbling(1_000), measures=texts or ALL)], rows(*fields)).window("w", 0)


def test_each_measure(make: Factory) -> None:
    d = measured(make, [{"x": 4, "shop": "b", "ok": True}, {"x": 1, "shop": "a", "ok": False}, {"x": 7, "shop": "b", "ok": True}])
    assert (d["n"], d["s"], d["m"], d["lo"], d["hi"], d["d"], d["f"], d["l"]) == (3, 12.0, 4.0, 1.0, 7.0, 2, "b", "b")
    assert (d["v"], d["sd"], d["q"], d["r"]) == (9.0, 3.0, 2.5, 2 / 3)
    assert [type(d[name]) for name in ("n", "d", "s")] == [int, int, float]


def test_of_nothing_counts_and_sums_are_zero_and_the_rest_is_null(make: Factory) -> None:
    nothing = {
        "s": 0.0,
        "m": None,
        "lo": None,
        "hi": None,
        "v": None,
        "sd": None,
        "d": 0,
        "f": None,
        "l": None,
        "q": None,
        "r": None,
    }
    d = measured(make, [{}])
    assert {name: d[name] for name in nothing} == nothing
    assert d["n"] == 1  # a missing field does not enter its measure; the event enters the others
    view = drive(make, [window_set("w", Rolling(10), measures=ALL)], [{"at": 0}, beat(5_000)]).view("w")
    assert {name: view[name] for name in ALL} == {"n": 0, **nothing}


def test_var_and_std_are_null_below_two(make: Factory) -> None:
    d = measured(make, [{"x": 4}, {}])
    assert (d["n"], d["m"], d["v"], d["sd"]) == (2, 4.0, None, None)
    assert measured(make, [{"x": 4}, {"x": 4}])["v"] == 0.0


def test_a_measures_own_where(make: Factory) -> None:
    fields: list[dict[str, Any]] = [{"x": 1, "ok": True}, {"x": 2, "ok": False}, {"x": 4}, {"ok": True}]
    d = measured(make, fields, n="count()", bad="count() if not ok", good="sum(x) if ok", big="share(x > 1) if x is not None")
    assert (d["n"], d["bad"], d["good"], d["big"]) == (4, 1, 1.0, 2 / 3)


def test_share_is_of_the_events_where_the_expression_is_not_null(make: Factory) -> None:
    assert measured(make, [{"x": 1}, {"x": 5}, {}], r="share(x > 3)")["r"] == 0.5


def test_first_and_last_go_by_event_time_and_then_by_arrival(make: Factory) -> None:
    sets = [window_set("w", kind, measures={"f": "first(shop)", "l": "last(shop)"}) for kind in (Tumbling(100), Session(100))]
    for s in sets:
        stream = [
            {"at": t, "mark": 0, "fields": {"shop": shop}}
            for t, shop in [(5, "a"), (5, "b"), (2, "c"), (9, "d"), (9, "e"), (2, "f")]
        ]
        d = drive(make, [s], stream).windows["w"]
        assert [(w["f"], w["l"]) for w in d.values()] == [("c", "e")]


def test_distinct_counts_values_not_spellings(make: Factory) -> None:
    spelled: list[dict[str, Any]] = [{"shop": v} for v in SPELLINGS]
    assert measured(make, spelled, d="distinct(shop)")["d"] == 4


@pytest.mark.parametrize("kind", [Tumbling(5), Sliding(5, 5), Session(2), Rolling(5)])
def test_hard_sums_are_exact(make: Factory, kind: Any) -> None:
    sets = [window_set("w", kind, measures={"s": "sum(x)", "m": "mean(x)", "v": "var(x)"})]
    f = drive(make, sets, rows(*({"x": x} for x in HARD)))
    d = next(iter(f.windows["w"].values())) if f.windows else f.view("w")
    assert d["s"] == 6.0
    assert d["m"] == 1.2
    assert d["v"] == pytest.approx(5e31, rel=1e-9)


def test_a_rolling_mean_over_hard_values_has_forgotten_what_left(make: Factory) -> None:
    #  the mean of two over 1e16 1 2 3 is 2.5 in the end; a running float says 2.0
    f = drive(make, [window_set("w", Rolling(2), measures={"m": "mean(x)"})], rows(*({"x": x} for x in HARD)))
    assert [values["m"] for values in f.features["w"].values()] == [1e16, (1e16 + 1) / 2, 1.5, 2.5, (3.0 - 1e16) / 2]


NUMBERS = st.lists(st.floats(allow_nan=False, allow_infinity=False, width=64), max_size=30)


@given(NUMBERS)
def test_a_sum_is_the_true_sum_rounded_once(xs: list[float]) -> None:
    true = sum(map(Fraction, xs), Fraction())
    try:
        expected = float(true)
    except OverflowError:
        expected = math.inf if true > 0 else -math.inf
    assert exact_sum(xs) == expected


@given(st.lists(st.floats(-1e12, 1e12), min_size=2, max_size=30))
def test_a_variance_is_within_its_condition_of_the_truth(xs: list[float]) -> None:
    true = float(statistics.variance(map(Fraction, xs)))
    values = Values(xs)
    condition = math.sqrt(1 + (values.mean or 0.0) ** 2 / true) if true > 0 else math.inf
    assert values.var is not None
    assert values.var >= 0
    squares_of_almost_nothing = len(xs) * 5e-324  # are whole multiples of the least float
    assert true == 0 or abs(values.var - true) <= 1e-9 * condition * true + squares_of_almost_nothing


@given(NUMBERS.filter(bool), st.floats(0, 1))
def test_a_quantile_is_numpys(xs: list[float], q: float) -> None:
    xs = [max(min(x, 1e300), -1e300) for x in xs]
    assert quantile(xs, q) == pytest.approx(float(np.quantile(xs, q)), rel=1e-12, abs=1e-300)


def test_sums_out_of_range_are_infinite_and_means_are_not() -> None:
    assert exact_sum([1e308, 1e308, -1e308]) == 1e308
    assert exact_sum([1e308, 1e308]) == math.inf
    assert exact_sum([-1e308, -1e308]) == -math.inf
    assert Values([1e308, 1e308]).mean == 1e308
    assert Values([1e200, -1e200]).var == math.inf
    assert Values([1e200, -1e200]).std == pytest.approx(math.sqrt(2) * 1e200)
    assert Values([1e200, 1e200]).var == 0.0


RANGE = st.one_of(st.floats(1e-100, 1e100), st.floats(1e153, 1e155), st.floats(1e300, 1.7e308))
SIGNED = st.tuples(st.sampled_from([1, -1]), RANGE).map(lambda pair: pair[0] * pair[1])
TWINS = st.lists(SIGNED, max_size=8).map(lambda xs: [y for x in xs for y in (x, -x)])  # what comes to nothing


@given(
    st.lists(SIGNED, max_size=20), TWINS, st.sampled_from([Tumbling(99), Sliding(99, 4), Rolling(99), Session(99)]), st.randoms()
)
def test_sums_that_leave_the_range_on_their_way_are_the_true_ones(
    make: Factory, xs: list[float], twins: list[float], kind: Kind, random: Random
) -> None:
    xs = random.sample([*xs, *twins], len(xs) + len(twins))
    sets = [window_set("w", kind, measures={"s": "sum(x)", "m": "mean(x)", "v": "var(x)", "d": "std(x)"})]
    f = drive(make, sets, rows(*({"x": x} for x in xs), {}), [len(xs) // 2], reload=Random(len(xs)))
    d = f.view("w") if isinstance(kind, Rolling) else f.window("w", 0)
    total = sum(map(Fraction, xs), Fraction())
    lost = Fraction(max(map(abs, xs), default=0.0)) * len(xs) / 2**100  # pairs have a hundred bits and more
    assert abs(Fraction(clamped(d["s"])) - Fraction(clamped(rounded(total)))) <= abs(total) / 10**9 + lost
    if len(xs) > 1:
        mean, var = total / len(xs), true_variance(xs)
        assert abs(Fraction(d["m"]) - mean) <= abs(mean) / 10**9 + lost
        condition = 1 + float(mean**2 / var) ** 0.5 if var else math.inf
        for mine, true in ((d["v"], var), (d["d"] ** 2 if d["d"] < 1e154 else None, var)):
            if mine is not None and condition < 1e6:
                assert clamped(mine) == pytest.approx(clamped(rounded(true)), rel=1e-9 * condition)


def clamped(x: float) -> float:
    return max(min(x, sys.float_info.max), -sys.float_info.max)
