"""Payments of the Fraud Detection Handbook's design, made by us from its public description: seeded, all at once, in columns.

"Reproducible Machine Learning for Credit Card Fraud Detection: Practical Handbook" (Le Borgne, Siblini, Lebichot, Bontempi; 2022),
chapter 3, section 2. Customers and terminals lie on a square of 100 by 100. A customer pays at terminals within a radius of 5, with
amounts and a number a day of their own. Three kinds of fraud are put in, a later one over an earlier one:

1. every amount above 220;
2. each day two terminals are drawn: all that is paid there in the next 28 days;
3. each day three customers are drawn: a third of their payments of the next 14 days, with five times the amount.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

BEGIN = 1_522_540_800_000  # 2018-04-01, ms
DAY = 86_400_000
SIDE, RADIUS = 100.0, 5.0
HIGH = 220.0
TERMINALS_A_DAY, TERMINAL_DAYS = 2, 28
CARDS_A_DAY, CARD_DAYS, TIMES, ONE_IN = 3, 14, 5.0, 3

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Payments(NamedTuple):
    """n payments in the order of their time. at: ms; day: from 0; kind: which fraud, 0 for none."""

    at: Ints
    day: Ints
    card: Ints
    terminal: Ints
    amount: Floats
    kind: Ints

    @property
    def n(self) -> int:
        """How many."""
        return len(self.at)

    def between(self, first: int, last: int) -> Payments:
        """Those of the days [first, last)."""
        begin, end = np.searchsorted(self.day, [first, last])
        return Payments(*(column[begin:end] for column in self))


def payments(days: int = 183, customers: int = 5_000, terminals: int = 10_000, seed: int = 0) -> Payments:
    """All payments of so many days."""
    draw = np.random.default_rng(seed)
    where = draw.uniform(0, SIDE, (customers, 2))
    mean = draw.uniform(5, 100, customers)
    a_day = draw.uniform(0, 4, customers)
    places = draw.uniform(0, SIDE, (terminals, 2))
    near = [np.flatnonzero(((places - here) ** 2).sum(axis=1) < RADIUS**2) for here in where]
    reach = np.array([len(own) for own in near])
    begin = np.concatenate([[0], np.cumsum(reach)[:-1]])
    flat = np.concatenate(near)

    many = draw.poisson(np.repeat(a_day, days))
    card = np.repeat(np.repeat(np.arange(customers), days), many)
    day = np.repeat(np.tile(np.arange(days), customers), many)
    second = draw.normal(43_200, 20_000, len(card)).astype(np.int64)
    amount = draw.normal(mean[card], mean[card] / 2)
    amount = np.where(amount < 0, draw.uniform(0, 2 * mean[card]), amount).round(2)
    terminal = flat[np.minimum(begin[card] + (draw.random(len(card)) * reach[card]).astype(np.int64), len(flat) - 1)]
    kept = (second > 0) & (second < 86_400) & (reach[card] > 0)
    at = BEGIN + day * DAY + second * 1_000
    order = np.flatnonzero(kept)[np.argsort(at[kept], kind="stable")]
    made = Payments(at[order], day[order], card[order], terminal[order], amount[order], np.zeros(len(order), np.int64))
    return _frauds(made, days, customers, terminals, draw)


def _frauds(made: Payments, days: int, customers: int, terminals: int, draw: np.random.Generator) -> Payments:
    kind, amount = made.kind, made.amount.copy()
    kind[made.amount > HIGH] = 1
    first = np.searchsorted(made.day, np.arange(days + 1))
    for day in range(days):
        bad = draw.choice(terminals, min(TERMINALS_A_DAY, terminals), replace=False)
        some = slice(first[day], first[min(day + TERMINAL_DAYS, days)])
        kind[some][np.isin(made.terminal[some], bad)] = 2
    for day in range(days):
        bad = draw.choice(customers, min(CARDS_A_DAY, customers), replace=False)
        begin, end = first[day], first[min(day + CARD_DAYS, days)]
        own = begin + np.flatnonzero(np.isin(made.card[begin:end], bad))
        stolen = draw.choice(own, len(own) // ONE_IN, replace=False)
        amount[stolen] = (amount[stolen] * TIMES).round(2)
        kind[stolen] = 3
    return made._replace(amount=amount, kind=kind)
