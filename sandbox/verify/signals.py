"""Abandoned carts and fraud scores by their definition, from the source documents."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from config.specs import Abandonment, Fraud
from contract.errors import Rejected
from contract.keys import typed, untyped
from contract.times import date_ms
from contract.values import get
from sandbox.verify.report import Report, Watermarks, ms
from sandbox.verify.rows import READ, Document, Row, by_key
from windows.law.expr import FieldKind

Signals = dict[tuple[Any, int], tuple[Row, str | None, int | None]]


def abandonments(spec: Abandonment, rows: Sequence[Row], watermarks: Watermarks) -> Signals:
    """(typed key, since) -> (the event before the silence, what retracted it, when). A silence is followed by an event at least
    a gap later, or by nothing; it counts once the watermark has passed its gap and the lateness."""
    found: Signals = {}
    for key, own in by_key(rows, spec.key).items():
        ordered = sorted(own, key=lambda row: (row.at, row.n))
        watermark = watermarks.of(spec.key, key)
        for i, row in enumerate(ordered):
            later = ordered[i + 1 :]
            silent = not later or later[0].at - row.at >= spec.gap
            if silent and _leaves(spec, row) and row.at + spec.gap + spec.lateness <= watermark:
                found[key, row.at] = (row, *_answer(spec, later))
    return found


def _leaves(spec: Abandonment, row: Row) -> bool:
    items = get(row.document, spec.items)
    return isinstance(items, list) and bool(items) and not spec.purchase.holds(row.get)


def _answer(spec: Abandonment, later: Sequence[Row]) -> tuple[str | None, int | None]:
    bought = next((row for row in later if spec.purchase.holds(row.get)), None)
    if bought is not None:
        return "purchase", bought.at
    return ("activity", later[0].at) if later else (None, None)


def check_carts(report: Report, spec: Abandonment, rows: Sequence[Row], stored: Iterable[Document], watermarks: Watermarks) -> None:
    """Every abandonment has its signal, with items, value and fate right; there is no other signal."""
    wanted = abandonments(spec, rows, watermarks)
    for document in stored:
        name = f"{spec.view} {document['_id']['k']!r} {document['_id']['s']:%H:%M:%S.%f}"
        found = wanted.pop((typed(document["_id"]["k"]), date_ms(document["_id"]["s"])), None)
        if found is None:
            report.differs(f"{name}: is there, and the cart was not left then")
            continue
        row, by, at = found
        report.carts += 1
        report.compare(f"{name} since", ms(document["since"]), row.at)
        report.compare(f"{name} items", document["items"], get(row.document, spec.items))
        report.compare(f"{name} value", document["value"], row.get(spec.value, "number"))
        report.compare(f"{name} status", document["status"], "raised" if by is None else "retracted")
        report.compare(f"{name} retracted_by, at", (document["retracted_by"], ms(document["retracted_at"])), (by, at))
    for key, since in wanted:
        report.differs(f"{spec.view} {untyped(key)!r} since {since}: is missing")


def check_scores(report: Report, spec: Fraud, rows: Sequence[Row], scores: Mapping[object, Document]) -> None:
    """Every event has its score, and the rules, asked again on the features kept there, give the same."""
    for row in rows:
        document = scores.get(row.document["_id"])
        if document is None:
            report.differs(f"{spec.view} n={row.n}: is missing")
            continue
        report.scores += 1
        fired = [rule for rule in spec.rules if rule.when.holds(_Reader(row, document["features"]).get)]
        score = 1.0 - math.prod(1.0 - rule.weight for rule in fired)
        decision = "block" if score >= spec.block else "review" if score >= spec.review else "approve"
        report.compare(f"{spec.view} n={row.n} rules", [r["rule"] for r in document["reasons"]], [rule.name for rule in fired])
        report.compare(f"{spec.view} n={row.n} score is near", math.isclose(document["score"], score, abs_tol=1e-9), True)
        report.compare(f"{spec.view} n={row.n} decision", document["decision"], decision)
        report.compare(f"{spec.view} n={row.n} at", ms(document["at"]), row.at)
    if len(scores) > len(rows):
        report.differs(f"{spec.view}: {len(scores)} documents for {len(rows)} events")


class _Reader:
    """An event's fields and its features, as a rule names them."""

    def __init__(self, row: Row, features: Mapping[str, Mapping[str, Any]]) -> None:
        self.row, self.features = row, features

    def get(self, path: str, kind: FieldKind) -> Any:
        head, _, measure = path.partition(".")
        try:
            return READ[kind](self.features[head].get(measure)) if head in self.features else self.row.get(path, kind)
        except Rejected:
            return None
