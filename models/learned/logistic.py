"""Logistic regression over features as they are and their logarithms: Newton's method, with a little ridge."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
ROUNDS, ENOUGH = 100, 1e-9
HALVES = 30  # of a step that goes too far
WIDE = 3  # columns of one feature
WIDEST = 8.0  # deviations; a feature further out says no more


class Logistic(msgspec.Struct, frozen=True):
    """One weight for each prepared column. usual: what stands for null; plain lists, as they are published."""

    usual: list[float]
    logged: list[bool]
    mean: list[float]
    scale: list[float]
    weight: list[float]
    offset: float

    def log_odds(self, x: Floats) -> Floats:
        """Of the rows of x, (n, features), null as NaN."""
        prepared = (_prepared(x, np.array(self.usual), np.array(self.logged)) - np.array(self.mean)) / np.array(self.scale)
        found: Floats = np.clip(prepared, -WIDEST, WIDEST) @ np.array(self.weight) + self.offset
        return found


def fit(x: Floats, frauds: Floats, ridge: float = 1.0) -> Logistic:
    """Learns from x, (n, features), null as NaN, and frauds, (n,), 1 or 0."""
    known = np.where(np.isnan(x).all(axis=0), 0.0, x)
    usual = np.nanmedian(known, axis=0)
    logged = np.nanmin(known, axis=0) > 0
    prepared = _prepared(x, usual, logged)
    mean, scale = prepared.mean(axis=0), prepared.std(axis=0)
    scale = np.where(scale > 1e-12, scale, 1.0)
    weight, offset = newton(np.clip((prepared - mean) / scale, -WIDEST, WIDEST), frauds, ridge)
    return Logistic(usual.tolist(), logged.tolist(), mean.tolist(), scale.tolist(), weight.tolist(), offset)


def newton(x: Floats, y: Floats, ridge: float) -> tuple[Floats, float]:
    """(weights, offset) that make y likeliest, less ridge / 2 * the weights' squares."""
    full = np.column_stack([x, np.ones(len(x))])
    share = min(max(float(y.mean()), 1e-6), 1 - 1e-6)
    w = np.zeros(full.shape[1])
    w[-1] = np.log(share / (1 - share))
    penalty = np.full(full.shape[1], ridge)
    penalty[-1] = 1e-9
    cost = _cost(full, y, w, penalty)
    for _ in range(ROUNDS):
        p = sigmoid(full @ w)
        slope = full.T @ (p - y) + penalty * w
        bend = (full * (p * (1 - p))[:, None]).T @ full + np.diag(penalty + 1e-9)
        step = np.linalg.solve(bend, slope)
        for _ in range(HALVES):
            better = _cost(full, y, w - step, penalty)
            if better <= cost:
                break
            step /= 2
        else:
            break
        w, gained, cost = w - step, cost - better, better
        if gained < ENOUGH * max(cost, 1.0):
            break
    return w[:-1], float(w[-1])


def _cost(x: Floats, y: Floats, w: Floats, penalty: Floats) -> float:
    z = x @ w
    return float((np.logaddexp(0.0, z) - y * z).sum() + 0.5 * (penalty * w * w).sum())


def sigmoid(z: Floats) -> Floats:
    """The chance of log-odds."""
    found: Floats = 0.5 * (1.0 + np.tanh(0.5 * z))
    return found


def _prepared(x: Floats, usual: Floats, logged: npt.NDArray[np.bool_]) -> Floats:
    """Each feature, its logarithm (of one that is always above 0 its own, else that of 1 + its size, with its sign), and whether it
    is null."""
    full = np.where(np.isnan(x), usual, x)
    logs = np.where(logged, np.log(np.maximum(full, 1e-12)), np.sign(full) * np.log1p(np.abs(full)))
    return np.column_stack([full, logs, np.isnan(x)])
