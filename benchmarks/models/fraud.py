"""Fraud on the handbook's payments, by the product's own ways: replayed, learned from, scored, judged.

The handbook's protocol: learned from 7 days, 7 days of delay, tested on the 7 days after them, without the cards that are known to
be compromised by then (a fraud of theirs lies in the days of learning, or after them and is 7 days old); four folds a week apart.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.models.handbook import BEGIN, DAY, Payments, payments
from benchmarks.models.plain import fifteen, logistic
from benchmarks.models.stream import write
from benchmarks.models.table import Line, Part
from config.load import load
from consumer.replay.replay import replay
from models.learned import boosted, examples
from models.learned.examples import Examples
from models.learned.metrics import judged
from models.learned.train import train
from models.learned.version import load as loaded
from models.offline import chosen

CONFIG = Path(__file__).parent / "handbook.toml"
HISTORY, WEEK, FOLDS = 30, 7, 4  # days; days; weeks
DAYS = HISTORY + WEEK * (FOLDS + 2)
KINDS = {1: "high amounts", 2: "compromised terminals", 3: "stolen cards"}
LINEAR, BOOSTED, OURS = (
    "logistic regression on the handbook's 15 features",
    "LightGBM (200 trees of 15 leaves) on our features",
    "ours",
)
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Fold(NamedTuple):
    """Rows of payments. begin: the first day of learning; until: the moment of learning, ms."""

    begin: int
    until: int
    learned: Ints
    tested: Ints


def folds(made: Payments) -> Iterator[Fold]:
    """The four, as the handbook cuts them."""
    for fold in range(FOLDS):
        begin = HISTORY + WEEK * fold
        frauds = made.kind > 0
        rows = []
        for day in range(WEEK):
            known = np.unique(made.card[frauds & (made.day >= begin) & (made.day < begin + WEEK + day)])
            today = np.flatnonzero(made.day == begin + 2 * WEEK + day)
            rows.append(today[~np.isin(made.card[today], known)])
        learned = np.flatnonzero((made.day >= begin) & (made.day < begin + WEEK))
        yield Fold(begin, BEGIN + (begin + 2 * WEEK) * DAY, learned, np.concatenate(rows))


def run(seed: int = 1) -> Part:
    """All folds of the payments that this seed gives."""
    made = payments(DAYS, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        events, labels = Path(folder) / "events.jsonl", Path(folder) / "labels.jsonl"
        write(made, events, labels)
        began = time.monotonic()
        with events.open("rb") as lines:
            replay(load(CONFIG), lines, Path(folder), None, True)
        rate = made.n / (time.monotonic() - began)
        return measured(made, Path(folder) / "scored.jsonl", labels, rate)


def measured(made: Payments, scored: Path, labels: Path, rate: float = 0.0) -> Part:
    """The table, of what a replay wrote."""
    names, entities = chosen(load(CONFIG), scored)
    seen, known = examples.read(scored, names, entities), examples.labels(labels)
    order = np.array([int(id[1:]) for id in seen.ids])
    if not np.array_equal(order, np.arange(made.n)):
        raise RuntimeError("the replay has not scored each payment once, in order")
    frauds, plain = made.kind > 0, fifteen(made)
    found: dict[str, list[tuple[float, float, float, float]]] = {}
    recalls: list[list[float]] = []
    for fold in folds(made):
        learned, tested = fold.learned, fold.tested
        model = train(seen, known, BEGIN + fold.begin * DAY, fold.until)
        model = loaded(model.dump())
        ours = model.scores(some(seen, tested))
        trees = boosted.fit(seen.x[learned], frauds[learned].astype(np.float64), [(1.0, {})]).log_odds(seen.x[tested])
        scores = {
            "a constant": np.full(len(tested), 0.01),
            "the amount": made.amount[tested] / made.amount.max(),
            LINEAR: logistic(plain[learned], frauds[learned], plain[tested]),
            BOOSTED: 0.5 * (1 + np.tanh(0.5 * trees)),
            OURS: ours,
        }
        for name, own in scores.items():
            m = judged(own, frauds[tested], made.card[tested], made.at[tested])
            found.setdefault(name, []).append(
                (m["average_precision"], m["auc"], m["card_precision_at_100"], m["calibration_error"])
            )
        recalls.append([recall(ours, made.kind[tested], kind) for kind in KINDS])
    return table(found, np.mean(recalls, axis=0).tolist(), rate)


def some(made: Examples, rows: Ints) -> Examples:
    """Only those rows."""
    places = rows.tolist()
    return Examples(
        [made.ids[i] for i in places],
        [made.keys[i] for i in places],
        made.key[rows],
        made.at[rows],
        made.names,
        made.x[rows],
        {name: [own[i] for i in places] for name, own in made.entities.items()},
    )


def recall(scores: Floats, kind: Ints, which: int) -> float:
    """Of the frauds of a kind, how many are among as many highest scores as there are frauds of all kinds."""
    best = np.argsort(-scores, kind="stable")[: int((kind > 0).sum())]
    return float((kind[best] == which).sum() / max(int((kind == which).sum()), 1))


def table(found: dict[str, list[tuple[float, float, float, float]]], recalls: list[float], rate: float) -> Part:
    """Means over the folds, and what must hold of them."""
    mean = {name: np.mean(rows, axis=0) for name, rows in found.items()}
    rows = [
        "| scored by | average precision | AUC | card precision at 100 | calibration error |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, (ap, area, cards, error) in mean.items():
        each = ", ".join(f"{row[0]:.3f}" for row in found[name])
        rows.append(f"| {name} | {ap:.3f} ({each}) | {area:.3f} | {cards:.3f} | {error:.4f} |")
    rows += ["", "Means over the folds, in parentheses each fold."]
    said = ", ".join(f"{KINDS[kind]} {share:.2f}" for kind, share in zip(KINDS, recalls, strict=True))
    rows += ["", f"Recall of ours at as many alarms as there are frauds: {said}."]
    if rate:
        rows.append(f"Replayed with features: {rate:,.0f} payments a second.")
    ours, linear, trees = mean[OURS], mean[LINEAR], mean[BOOSTED]
    return Part(
        "Fraud, on payments of the Fraud Detection Handbook's design",
        rows,
        [
            Line("average precision above the logistic regression's", ours[0] - linear[0], 0.10),
            Line("AUC above the logistic regression's", ours[1] - linear[1], 0.015),
            Line("average precision above LightGBM's", ours[0] - trees[0], 0.0),
            Line("AUC above LightGBM's", ours[1] - trees[1], 0.0),
            Line("calibration error below 0.02, by", 0.02 - ours[3], 0.0),
        ],
    )
