"""What a measure is worth over the values of a window: exact sums, two passes, nothing ever taken back out of a float."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from windows.law.expr import Expr, FieldKind
from windows.law.spec import NUMERIC, Measure

SCALE = 2**544  # brings the root of what is out of the range of floats back into it


@dataclass(frozen=True, slots=True)
class Input:
    """What measures read of one event: a field, a condition (`expr`), or neither: that it is there at all.

    An event whose value is None, or for which `where` is not true, does not enter.
    """

    path: str | None
    kind: FieldKind
    expr: Expr | None
    where: Expr | None


def input_of(m: Measure) -> Input:
    """What a measure reads; measures with equal inputs share them."""
    kind: FieldKind = "number" if m.fn in NUMERIC else "value"
    return Input(m.field, kind, m.expr, m.where)


class Values:
    """The values that entered one input of one window, ordered by (event time, arrival). Sums are made once and shared."""

    __slots__ = ("_total", "_var", "n", "xs")

    def __init__(self, xs: Sequence[Any]) -> None:
        self.xs = xs
        self.n = len(xs)
        self._total: float | None = None
        self._var: float | None = None

    @property
    def total(self) -> float:
        """The exact sum, rounded once."""
        if self._total is None:
            self._total = exact_sum(self.xs)
        return self._total

    @property
    def mean(self) -> float | None:
        """The exact sum over the count; finite even where the sum is not."""
        if not self.n:
            return None
        total = self.total
        if math.isinf(total):
            return rounded(exact(self.xs) / self.n)
        return total / self.n

    @property
    def var(self) -> float | None:
        """Of the sample (n - 1); None below two values."""
        if self.n < 2:
            return None
        if self._var is None:
            self._var = _variance(self.xs, self.mean or 0.0)
        return self._var

    @property
    def std(self) -> float | None:
        """The root of the variance; finite also where that is not."""
        if self.var is None or not math.isinf(self.var):
            return None if self.var is None else math.sqrt(self.var)
        return math.sqrt(rounded(true_variance(self.xs) / SCALE**2)) * SCALE


def exact_sum(xs: Sequence[float]) -> float:
    """The sum, rounded once (Shewchuk, by math.fsum); infinite only if the sum itself is out of range.

    >>> exact_sum([1e16, 1.0, 2.0, 3.0, -1e16])
    6.0
    """
    try:
        return math.fsum(xs)
    except OverflowError:
        return rounded(exact(xs))


def exact(xs: Iterable[float]) -> Fraction:
    """The sum, not rounded."""
    return sum(map(Fraction, xs), Fraction())


def rounded(x: Fraction) -> float:
    """The nearest float, infinite where none is near.

    >>> rounded(Fraction(10) ** 400), rounded(Fraction(1, 4))
    (inf, 0.25)
    """
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


def true_variance(xs: Sequence[float]) -> Fraction:
    """Of the sample (n - 1), not rounded. xs: at least two."""
    mean = exact(xs) / len(xs)
    return sum(((Fraction(x) - mean) ** 2 for x in xs), Fraction()) / (len(xs) - 1)


def _variance(xs: Sequence[float], mean: float) -> float:
    """Two passes, less what the rounding of the mean added (Chan, Golub, LeVeque 1983)."""
    apart = [x - mean for x in xs]
    try:
        squares, rest = math.fsum(d * d for d in apart), math.fsum(apart)
    except OverflowError:
        return rounded(true_variance(xs))
    if not math.isfinite(squares):
        return rounded(true_variance(xs))
    squares -= rest * rest / len(xs)
    return squares / (len(xs) - 1) if squares > 0 else 0.0


def quantile(xs: Iterable[float], q: float) -> float | None:
    """The exact quantile with linear interpolation between neighbours (numpy's default); None of nothing.

    >>> quantile([4.0, 1.0, 2.0], 0.5), quantile([], 0.5)
    (2.0, None)
    """
    ordered = sorted(xs)
    if not ordered:
        return None
    at = (len(ordered) - 1) * q
    low = math.floor(at)
    a, b, part = ordered[low], ordered[min(low + 1, len(ordered) - 1)], at - low
    if math.isinf(b - a):
        return a * (1 - part) + b * part
    return a + (b - a) * part if part < 0.5 else b - (b - a) * (1 - part)


FUNCTIONS: dict[str, Callable[[Values, Measure], Any]] = {
    "count": lambda v, m: v.n,
    "sum": lambda v, m: v.total,
    "mean": lambda v, m: v.mean,
    "min": lambda v, m: min(v.xs) if v.n else None,
    "max": lambda v, m: max(v.xs) if v.n else None,
    "var": lambda v, m: v.var,
    "std": lambda v, m: v.std,
    "distinct": lambda v, m: len(set(v.xs)),
    "first": lambda v, m: v.xs[0] if v.n else None,
    "last": lambda v, m: v.xs[-1] if v.n else None,
    "quantile": lambda v, m: quantile(v.xs, 0.5 if m.q is None else m.q),
    "share": lambda v, m: v.xs.count(True) / v.n if v.n else None,
}
Step = tuple[int, Callable[[Values, Measure], Any], Measure]


class Plan:
    """The measures of one window set, grouped by what they read.

    `inputs` are the distinct inputs; a plain count() has none, it is the number of events. `compute` takes one column for each
    input, without its None values, and gives one value for each measure, in order.
    """

    def __init__(self, measures: Sequence[Measure]) -> None:
        self.names = [m.name for m in measures]
        plain = [m.fn == "count" and m.where is None for m in measures]
        self.inputs = list(dict.fromkeys(input_of(m) for m, p in zip(measures, plain, strict=True) if not p))
        self._steps: list[list[Step]] = [[] for _ in self.inputs]
        for place, m in enumerate(measures):
            if not plain[place]:
                self._steps[self.inputs.index(input_of(m))].append((place, FUNCTIONS[m.fn], m))

    def compute(self, events: int, columns: Iterable[Sequence[Any]]) -> list[Any]:
        """One value a measure, over `events` events."""
        out: list[Any] = [events] * len(self.names)
        for column, steps in zip(columns, self._steps, strict=True):
            values = Values(column)
            for place, function, measure in steps:
                out[place] = function(values, measure)
        return out
