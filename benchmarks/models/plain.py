"""What ours is measured against: the handbook's 15 features, a plain logistic regression on them, and LightGBM on our features."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmarks.models.handbook import DAY, Payments
from models.learned.logistic import newton, sigmoid

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
DAYS = (1, 7, 30)
DELAY = 7 * DAY


def fifteen(made: Payments) -> Floats:
    """(n, 15): amount, weekend, night; of the card in 1, 7 and 30 days how many and how much on average; of the terminal, in
    as many days until a week ago, how many and which share of them frauds."""
    weekday, hour = (made.at // DAY + 3) % 7, made.at % DAY // 3_600_000
    columns = [made.amount, (weekday >= 5).astype(np.float64), (hour <= 6).astype(np.float64)]
    bad = (made.kind > 0).astype(np.float64)
    for days in DAYS:
        n, total = _rolling(made.card, made.at, made.amount, days * DAY, 0)
        columns += [n, total / np.maximum(n, 1)]
    for days in DAYS:
        n, total = _rolling(made.terminal, made.at, bad, days * DAY, DELAY)
        columns += [n, total / np.maximum(n, 1)]
    return np.column_stack(columns)


def _rolling(key: Ints, at: Ints, value: Floats, size: int, delay: int) -> tuple[Floats, Floats]:
    """Of each row how many rows of its key lie in (at - delay - size, at - delay], and the sum of their values."""
    wide = int(at.max() - at.min()) + size + delay + 1
    place = key * wide + (at - at.min())
    order = np.argsort(place, kind="stable")
    ends, sums = place[order], np.concatenate([[0.0], np.cumsum(value[order])])
    first = np.maximum(place - delay - size, key * wide - 1)
    low, high = np.searchsorted(ends, first, "right"), np.searchsorted(ends, place - delay, "right")
    begin = np.searchsorted(ends, key * wide, "left")
    high = np.maximum(high, begin)
    low = np.minimum(np.maximum(low, begin), high)
    return (high - low).astype(np.float64), sums[high] - sums[low]


def logistic(x: Floats, frauds: npt.NDArray[np.bool_], test: Floats) -> Floats:
    """Scores of `test`: features scaled to deviations, ridge 1, as scikit-learn's LogisticRegression has it by default."""
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    weight, offset = newton((x - mean) / scale, frauds.astype(np.float64), 1.0)
    return sigmoid((test - mean) / scale @ weight + offset)
