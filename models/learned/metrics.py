"""How good scores are against the truth: plain figures over arrays, as the Fraud Detection Handbook defines them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
DAY = 86_400_000
TOP = 100  # cards that people look at in a day
BINS = 10


class Bin(NamedTuple):
    """Scores from `low` on, below the next bin's: how many, their mean, and the share of frauds among them."""

    low: float
    n: int
    score: float
    frauds: float


def auc(scores: Floats, frauds: Flags) -> float | None:
    """The chance that a fraud scores above another event, equal ones counting half; None where there is only one kind.

    >>> auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
    n, bad = len(scores), int(frauds.sum())
    if bad in (0, n):
        return None
    _, place, many = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(many) - (many - 1) / 2)[place]  # the mean rank of equal scores
    return float((rank[frauds].sum() - bad * (bad + 1) / 2) / (bad * (n - bad)))


def average_precision(scores: Floats, frauds: Flags) -> float | None:
    """The mean of the precision at each threshold, weighted by the recall that it adds; None without frauds.

    >>> round(average_precision(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])), 4)
    0.8333
    """
    if not frauds.any():
        return None
    precision, recall, _ = curve(scores, frauds)
    return float((precision * np.diff(recall, prepend=0.0)).sum())


def curve(scores: Floats, frauds: Flags) -> tuple[Floats, Floats, Floats]:
    """(precision, recall, threshold) at each score that there is, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    sorted_scores, hits = scores[order], np.cumsum(frauds[order])
    last = np.append(np.flatnonzero(np.diff(sorted_scores)), len(scores) - 1)
    return hits[last] / (last + 1), hits[last] / max(int(frauds.sum()), 1), sorted_scores[last]


def card_precision(scores: Floats, frauds: Flags, cards: Ints, at: Ints, top: int = TOP) -> float | None:
    """Of each day's `top` cards by their highest score, the share that had a fraud that day, as a mean over days (UTC). A card that
    was found is not looked at again on later days."""
    found: set[int] = set()
    shares = []
    for day in np.unique(at // DAY):
        rows = np.flatnonzero(at // DAY == day)
        rows = rows[~np.isin(cards[rows], list(found))]
        if not len(rows):
            continue
        own, place = np.unique(cards[rows], return_inverse=True)
        highest, bad = np.full(len(own), -np.inf), np.zeros(len(own), np.bool_)
        np.maximum.at(highest, place, scores[rows])
        np.logical_or.at(bad, place, frauds[rows])
        best = np.argsort(-highest, kind="stable")[:top]
        found |= set(own[best][bad[best]].tolist())
        shares.append(bad[best].sum() / top)
    return float(np.mean(shares)) if shares else None


def calibration(scores: Floats, frauds: Flags, bins: int = BINS) -> list[Bin]:
    """Bins of equal width from 0 to 1, those that are not empty."""
    place = np.minimum((scores * bins).astype(np.int64), bins - 1)
    found = []
    for b in range(bins):
        own = place == b
        if own.any():
            found.append(Bin(b / bins, int(own.sum()), float(scores[own].mean()), float(frauds[own].mean())))
    return found


def calibration_error(scores: Floats, frauds: Flags, bins: int = BINS) -> float | None:
    """The expected calibration error: how far score and share of frauds are apart in a bin, as a mean over events."""
    if not len(scores):
        return None
    return sum(b.n * abs(b.score - b.frauds) for b in calibration(scores, frauds, bins)) / len(scores)


def judged(scores: Floats, frauds: Flags, cards: Ints, at: Ints) -> dict[str, Any]:
    """All of them by name, as `python -m models evaluate` and a version's `metrics` say them."""
    return {
        "n": len(scores),
        "frauds": int(frauds.sum()),
        "auc": auc(scores, frauds),
        "average_precision": average_precision(scores, frauds),
        f"card_precision_at_{TOP}": card_precision(scores, frauds, cards, at),
        "calibration_error": calibration_error(scores, frauds),
        "calibration": [b._asdict() for b in calibration(scores, frauds)],
    }
