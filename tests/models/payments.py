"""Drawn payments with known frauds, for what learns: high amounts are fraud, and so is all that is paid at a bad shop."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from models.learned.examples import Examples, Label
from models.learned.train import DAY, DELAY

DAYS, A_DAY, SHOPS, CARDS = 48, 120, 40, 60
CONFIG = """
[stream]
name = "s"

[[trigger]]
name = "pay"
database = "shop"
collection = "pay"
routes = ["card", "shop"]
time = "at"

[[windows]]
name = "habit"
trigger = "pay"
key = "card"
rolling = { size = "7d", current = false }
measures = { mean = "mean(amount)" }

[fraud]
trigger = "pay"
key = "card"

[[fraud.rules]]
name = "high"
when = "amount > 200"
weight = 0.5
reason = "{amount}"

[fraud.features]
amount = "amount"
ratio = "amount / habit.mean"
"""


def drawn(seed: int) -> tuple[Examples, dict[str, Label]]:
    """Examples of DAYS days from 1970 on, and a label for each, known a week later."""
    draw = np.random.default_rng(seed)
    n = DAYS * A_DAY
    at = np.sort(draw.integers(0, DAYS * DAY, n))
    shop, card = draw.integers(0, SHOPS, n), draw.integers(0, CARDS, n)
    amount = draw.exponential(40, n).round(2)
    ratio = np.where(draw.random(n) < 0.05, np.nan, amount / 40)
    fraud = (amount > 180) | ((shop < 2) & (draw.random(n) < 0.8))
    ids = [f"p{i}" for i in range(n)]
    entities = {"shop": [f"s{s}" for s in shop.tolist()]}
    x = np.column_stack([amount, ratio])
    made = Examples(ids, [f"c{c}" for c in card.tolist()], card, at, ("amount", "ratio"), x, entities)
    labels = {id: Label(bool(bad), int(t) + DELAY) for id, bad, t in zip(ids, fraud, at, strict=True)}
    return made, labels


def lines(made: Examples) -> bytes:
    """As scored.jsonl has them."""
    out = []
    for i, (id, key, at) in enumerate(zip(made.ids, made.keys, made.at.tolist(), strict=True)):
        values = {name: None if v != v else v for name, v in zip(made.names, made.x[i].tolist(), strict=True)}
        out.append(json.dumps({"id": id, "key": key, "at": at, "features": {**values, "shop": made.entities["shop"][i]}}))
    return "\n".join(out).encode() + b"\n"


def labels_of(labels: Mapping[str, Label]) -> bytes:
    """As labels.jsonl has them."""
    return b"".join(json.dumps({"id": id, "fraud": t.fraud, "at": t.at}).encode() + b"\n" for id, t in labels.items())
