"""Checks every view against the source collections, by the definitions alone: no engine, no state, no shortcut.

    source documents ── rows ──┬── windows.py   tumbling, sliding, session: every window, every measure, open or closed
                               ├── rolling.py   what each event was scored on; each key's current value as of its time
                               └── signals.py   abandonments; scores, by asking the rules again

It stands beside the product, and shares with it only the specs of pipeline.toml and how a BSON value is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pymongo import MongoClient

from config.specs import Pipeline
from contract.times import date_ms
from sandbox.verify import rolling, signals, windows
from sandbox.verify.report import Report, Watermarks
from sandbox.verify.rows import Document, Row, rows_of
from windows.law.spec import Rolling

__all__ = ["Report", "Row", "Watermarks", "check", "check_database", "watermarks"]
View = Callable[[str], Iterable[Document]]


def watermarks(client: MongoClient[Document], spec: Pipeline, ranges: Mapping[str, tuple[int, int]]) -> Watermarks:
    """How far the views say that they are. Raises LookupError for a shard that has committed nothing yet."""
    health = {d["_id"]: d for d in client[spec.views.database]["health"].find()}
    at = {shard: health[f"{spec.stream.name}/{shard}"]["watermark"] for shard in ranges}
    silent = [shard for shard, when in at.items() if when is None]
    if silent:
        raise LookupError(f"no watermark yet: {', '.join(silent)}")
    return Watermarks(ranges, {shard: date_ms(when) for shard, when in at.items()})


def check_database(
    client: MongoClient[Document], spec: Pipeline, marks: Watermarks, say: Callable[[str], Any] = lambda text: None
) -> Report:
    """Compare everything in MongoDB. client: must give aware dates; nothing may be writing to the views meanwhile."""
    rows = {t.name: rows_of(client[t.database][t.collection], t) for t in spec.triggers}
    say(f"recomputing from {sum(map(len, rows.values()))} source documents")
    views = client[spec.views.database]
    return check(spec, rows, lambda name: views[name].find(), marks)


def check(spec: Pipeline, rows: Mapping[str, Sequence[Row]], view: View, marks: Watermarks, whole: bool = True) -> Report:
    """Compare everything. rows: by trigger, in order of arrival; view: a view's documents by its name. whole: the stream holds
    every change since the first, so its counts must say so too."""
    report = Report()
    scores: dict[object, Document] = {}
    if spec.fraud is not None:
        scores = {d["_id"]: d for d in view(spec.fraud.view)}
        signals.check_scores(report, spec.fraud, rows[spec.fraud.trigger], scores)
    for s in spec.windows:
        if not isinstance(s.kind, Rolling):
            windows.check(report, s, rows[s.trigger], view(s.name), marks)
            continue
        sharing = [other for other in spec.windows if other.shown_in == s.shown_in]
        if s is sharing[0]:
            rolling.check_views(report, sharing, rows, view(s.shown_in), marks)
        if spec.fraud is not None and (s.trigger, s.key) == (spec.fraud.trigger, spec.fraud.key):
            rolling.check_features(report, s, rows[s.trigger], scores)
    if spec.abandonment is not None:
        signals.check_carts(report, spec.abandonment, rows[spec.abandonment.trigger], view(spec.abandonment.view), marks)
    if whole:
        _check_health(report, spec, rows, list(view("health")))
    return report


def _check_health(report: Report, spec: Pipeline, rows: Mapping[str, Sequence[Row]], health: Sequence[Document]) -> None:
    """Every record in one class; every change of the source counted, once for each of its routes; none late, none rejected."""
    own = [d for d in health if d["_id"].startswith(f"{spec.stream.name}/")]
    classes = ("counted", "repeat", "late", "ignored", "control", "dead_letter")
    for document in own:
        report.compare(f"health {document['_id']}: sum of classes", sum(document[c] for c in classes), document["records"])
    changes = sum(len(rows[t.name]) * len(t.routes) for t in spec.triggers)
    for name, right in (("counted", changes), ("late", 0), ("ignored", 0), ("dead_letter", 0)):
        report.compare(f"health: {name}", sum(d[name] for d in own), right)
