"""Models on files: learn from what a replay wrote, score, and judge the scores."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from config.load import load
from config.signals import usual
from config.specs import Pipeline
from contract.errors import Misconfigured, Rejected
from contract.times import date, spelled
from models.learned import examples, version
from models.learned.examples import Examples, Label, hashable
from models.learned.metrics import TOP, judged

MOMENT = "the moment of learning: labels that became known later are not there"


def train(given: argparse.Namespace) -> int:
    """`python -m models train … --features … --out …`."""
    from models.learned.train import train as learn  # LightGBM is of the training extra

    names, entities = chosen(load(given.config), given.features)
    made = examples.read(given.features, names, entities)
    if not made.n:
        raise Misconfigured(f"{given.features}: holds no examples")
    model = learn(made, examples.labels(given.labels), given.since, given.until)
    given.out.write_bytes(msgspec.json.format(model.dump(), indent=1) + b"\n")
    t = model.trained
    print(
        f"{model.name}: learned from {t['n']:,} events of {spelled(date(t['from']))} to {spelled(date(t['to']))}, "
        f"{t['frauds']:,} of them frauds, with what was known at {spelled(date(model.until))}",
        file=sys.stderr,
    )
    if model.metrics:
        print(f"on the last part of them, before it was learned from: {said(model.metrics)}", file=sys.stderr)
    return 0


def score(given: argparse.Namespace) -> int:
    """`python -m models score …`."""
    model = version.load(given.model.read_bytes(), str(given.model))
    there = set().union(*examples.names_in(given.features))
    missing = [name for name in (*model.features, *model.entities) if name not in there]
    if missing and there:
        raise Misconfigured(f"{given.features}: has no {', '.join(missing)}, which {model.name} was made of")
    made = examples.read(given.features, model.features, model.entities)
    examples.write_scores(given.out, made, model.scores(made))
    print(f"{model.name}: scored {made.n:,} events", file=sys.stderr)
    return 0


def evaluate(given: argparse.Namespace) -> int:
    """`python -m models evaluate …`."""
    made, labels = examples.scores(given.scores), examples.labels(given.labels)
    found = judge(made, labels, given.since, given.until)
    print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() if given.json else shown(found))
    return 0


def judge(made: Examples, labels: Mapping[Hashable, Label], since: int | None, until: int | None) -> dict[str, Any]:
    """The metrics of scores in [since, until), ms. What has no label is legitimate."""
    given = [labels.get(hashable(id)) for id in made.ids]
    fraud = np.array([label is not None and label.fraud for label in given], np.bool_)
    rows = np.flatnonzero(
        (made.at >= (-(1 << 62) if since is None else since)) & (made.at < ((1 << 62) if until is None else until))
    )
    found = judged(made.x[rows, 0], fraud[rows], made.key[rows], made.at[rows])
    return {**found, "unlabelled": sum(given[i] is None for i in rows.tolist())}


def chosen(spec: Pipeline, file: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(features, entities) to learn from: what the configuration names; of a file of somebody else's all that is there. An entity
    whose labels a window tells, with its delay, is not remembered by the model too."""
    numbers, others = examples.names_in(file)
    fraud, trigger = spec.fraud, None if spec.fraud is None else spec.trigger(spec.fraud.trigger)
    if fraud is not None and trigger is not None:
        fraud = usual(fraud, trigger, spec.windows)
        names, there = tuple(f.name for f in fraud.features), {*numbers, *others}
        missing = [name for name in names if name not in there]
        if not missing:
            told = {lookup.key for lookup in fraud.lookups if lookup.delay}
            return names, tuple(e for e in fraud.entities if e not in told and e in there)
        if len(missing) < len(names):
            raise Misconfigured(f"{file}: has no {', '.join(missing)}; the configuration is another than that of the replay")
    routes = {route for t in spec.triggers for route in t.routes}
    return tuple(n for n in numbers if n not in routes), tuple(n for n in (*numbers, *others) if n in routes or n in others)


def shown(found: Mapping[str, Any]) -> str:
    """Metrics for people: a line, and a table of the calibration."""
    rows = [f"  from {b['low']:.1f}  {b['n']:>9,}  says {b['score']:.4f}  is {b['frauds']:.4f}" for b in found["calibration"]]
    return "\n".join(
        [f"{found['n']:,} events, {found['frauds']:,} frauds, {found['unlabelled']:,} without a label", said(found), *rows]
    )


def said(found: Mapping[str, Any]) -> str:
    """Metrics in one line."""
    words = {
        "AUC": found["auc"],
        "average precision": found["average_precision"],
        f"card precision at {TOP} a day": found[f"card_precision_at_{TOP}"],
        "calibration error": found["calibration_error"],
    }
    return ", ".join(f"{name} {'unknown' if value is None else f'{value:.4f}'}" for name, value in words.items())


def moment(text: str) -> int:
    """A time of the command line, in ms: ISO 8601, or whole milliseconds."""
    try:
        at = examples.moment(int(text) if text.lstrip("-").isdigit() else text)
    except Rejected:
        at = None
    if at is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write one as in 2018-07-25 or 2018-07-25T12:00:00Z")
    return at


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m models", description="Versions of the fraud model.", allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser("train", help="learn from files of a replay", allow_abbrev=False)
    one.set_defaults(run=train)
    one.add_argument("--config", type=Path, required=True, help="pipeline.toml, as the replay had it")
    one.add_argument("--features", type=Path, required=True, help="scored.jsonl of a replay")
    one.add_argument("--labels", type=Path, required=True, help='labels.jsonl: {"id", "fraud", "at": when it became known}')
    one.add_argument("--from", type=moment, dest="since", metavar="TIME", help="learn from events at or after it")
    one.add_argument(
        "--until", type=moment, required=True, metavar="TIME", help="the moment of learning: labels known later are not there"
    )
    one.add_argument("--out", type=Path, required=True, help="model.json")
    two = commands.add_parser("score", help="score a file of a replay", allow_abbrev=False)
    two.set_defaults(run=score)
    two.add_argument("--model", type=Path, required=True, help="model.json")
    two.add_argument("--features", type=Path, required=True, help="scored.jsonl of a replay")
    two.add_argument("--out", type=Path, required=True, help="scores.jsonl")
    three = commands.add_parser("evaluate", help="judge scores", allow_abbrev=False)
    three.set_defaults(run=evaluate)
    three.add_argument("--scores", type=Path, required=True, help="scores.jsonl")
    three.add_argument("--labels", type=Path, required=True, help="labels.jsonl")
    three.add_argument("--from", type=moment, dest="since", metavar="TIME", help="only events at or after it")
    three.add_argument("--until", type=moment, metavar="TIME", help="only events before it")
    three.add_argument("--json", action="store_true", help="as JSON")
    return parser.parse_args(argv)
