"""Abandoned carts and fraud scores by their definition, from the source documents."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from config.specs import Abandonment, Fraud
from contract.errors import Rejected
from contract.keys import untyped
from contract.times import date, date_ms
from contract.values import get, value
from query.verify.case import WHOLE, Case, Found
from query.verify.report import Wrong
from query.verify.rolling import of_events, wrong_values
from query.verify.rows import READ, Document, Row, as_key, ms
from windows.law.expr import FieldKind
from windows.law.spec import Rolling, WindowSet


class Left(NamedTuple):
    """A silence that something was left behind in: the event before it, and what retracted it, when."""

    row: Row
    by: str | None
    at: int | None


def check_carts(case: Case, spec: Abandonment) -> None:
    """Every abandonment has its signal, with items, value and fate right; there is no other signal."""
    first, *others = [_abandonments(spec, rows, case.high) for rows in case.variants(case.key.rows)]
    wanted = dict(first)
    for document in case.key.docs.get(spec.view, ()):
        since = date_ms(document["_id"]["s"])
        if since + spec.gap <= case.terms.span:
            continue
        left = wanted.pop(since, None)
        case.tally.carts += left is not None
        found = [_wrong_signal(case, spec, document, one) for one in (left, *(other.get(since) for other in others))]
        forgotten = case.key.rows if case.terms.strict else [r for r in case.key.rows if r.at < _forgotten(spec, since)]
        if len(forgotten) < len(case.key.rows):
            found.append(_wrong_signal(case, spec, document, _abandonments(spec, forgotten, case.high).get(since)))
        if not all(found):
            case.tally.right(spec.view)
            continue
        rows = [] if left is None else [left.row]
        verdict = "surplus" if left is None else "differs"
        wrong = Found(spec.view, document["_id"], verdict, found[0], rows, since)
        case.judge(wrong, _excuse(case, spec.view, document.get("config"), since))
    for since, left in wanted.items():
        judged = since + spec.gap + spec.lateness
        if since + spec.gap <= case.terms.span or case.gone(spec.view, judged):
            continue
        if judged <= case.low and all(since in other for other in others):  # not if events that may not be read yet made it
            name = {"k": untyped(case.key.value), "s": date(since)}
            wrong = Found(spec.view, name, "missing", [Wrong(WHOLE, None, None)], [left.row], since)
            case.judge(wrong, _excuse(case, spec.view, None, since))


def _abandonments(spec: Abandonment, rows: Sequence[Row], watermark: int) -> dict[int, Left]:
    """By `since`. A silence is followed by an event at least a gap later, or by nothing; it counts once the watermark has passed
    its gap and the lateness."""
    found: dict[int, Left] = {}
    ordered = sorted(rows, key=lambda row: (row.at, row.n))
    bought: int | None = None
    for i in range(len(ordered) - 1, -1, -1):  # from the last one on, so that what comes after is known
        row, after = ordered[i], ordered[i + 1].at if i + 1 < len(ordered) else None
        silent = after is None or after - row.at >= spec.gap
        if silent and _leaves(spec, row) and row.at + spec.gap + spec.lateness <= watermark:
            by = "purchase" if bought is not None else "activity" if after is not None else None
            found[row.at] = Left(row, by, bought if bought is not None else after)
        if spec.purchase.holds(row.lenient):
            bought = row.at
    return found


def _leaves(spec: Abandonment, row: Row) -> bool:
    items = get(row.document, spec.items)
    return isinstance(items, list) and bool(items) and not spec.purchase.holds(row.lenient)


def _forgotten(spec: Abandonment, since: int) -> int:
    """From when on nothing retracts the signal any more."""
    return since + spec.gap + spec.lateness + spec.keep


def _wrong_signal(case: Case, spec: Abandonment, document: Document, left: Left | None) -> list[Wrong]:
    if left is None:
        return [Wrong(WHOLE, "a signal", None)]
    known = [
        ("key", as_key(document["key"]), case.key.value),
        ("since", ms(document["since"]), left.row.at),
        ("items", document["items"], get(left.row.document, spec.items)),
        ("value", document["value"], left.row.lenient(spec.value, "number")),
        ("status", document["status"], "raised" if left.by is None else "retracted"),
        ("retracted_by", document["retracted_by"], left.by),
        ("retracted_at", ms(document["retracted_at"]), left.at),
    ]
    return [Wrong(*one) for one in known if one[1] != one[2]]


def _excuse(case: Case, view: str, config: str | None, at: int) -> str | None:
    """What speaks for a signal: it hangs on all events of its cart."""
    if config is not None and config != case.terms.configs.get(view, config):
        return "former"
    if at < case.terms.begun:
        return "before"
    if any(case.young(row) for row in case.key.rows):
        return "young"
    changed = case.changed(case.key.rows, None)
    if changed is not None:
        return changed
    tied = len({row.at for row in case.key.rows}) < len(case.key.rows)
    return "order" if tied and not case.terms.order else None


def check_scores(case: Case, spec: Fraud, sets: Sequence[WindowSet]) -> None:
    """Every event has its score; the rules, asked again on the features kept there, give the same; and so do those features.
    sets: rolling ones of the scored key."""
    documents = {value(d["_id"]): d for d in case.key.docs.get(spec.view, ()) if (ms(d["at"]) or 0) > case.terms.span}
    windows = zip(*(of_events(s, case.key.rows) for s in sets), strict=True) if sets else ([(row, [])] for row in case.key.rows)
    for own in windows:  # of one event, that of each set
        row = own[0][0]
        if row.at <= case.terms.span:
            continue
        document = documents.pop(row.id, None)
        if document is not None:
            _compare(case, spec, row, document, list(zip(sets, [window for _, window in own], strict=bool(sets))))
        elif row.id not in case.dead and not case.gone(spec.view, row.at):
            found = Found(spec.view, row.document["_id"], "missing", [Wrong(WHOLE, None, None)], [row], row.at)
            case.judge(found, _why_not(case, spec, row))
    for document in documents.values():
        at = date_ms(document["at"])
        case.judge(Found(spec.view, document["_id"], "surplus", [Wrong(WHOLE, "a score", None)], [], at), case.changed([], 1))


def _why_not(case: Case, spec: Fraud, row: Row) -> str | None:
    """What speaks for an event without a score."""
    if row.at < case.terms.begun:
        return "before"
    if case.young(row):
        return "young"
    own = [s.name for s in case.spec.windows if (s.trigger, s.key) == (spec.trigger, spec.key)]
    return case.changed([row], None) or ("late" if any(case.terms.refused.get(name) for name in own) else None)


def _compare(case: Case, spec: Fraud, row: Row, document: Document, windows: Sequence[tuple[WindowSet, Sequence[Row]]]) -> None:
    case.tally.scores += 1
    features = document["features"]
    fired = [rule for rule in spec.rules if rule.when.holds(_Reader(row, features).get)]
    score = 1.0 - math.prod(1.0 - rule.weight for rule in fired)
    decision = "block" if score >= spec.block else "review" if score >= spec.review else "approve"
    known = [
        ("rules", [r["rule"] for r in document["reasons"]], [rule.name for rule in fired]),
        ("score", document["score"], document["score"] if math.isclose(document["score"], score, abs_tol=1e-9) else score),
        ("decision", document["decision"], decision),
        ("at", ms(document["at"]), row.at),
    ]
    wrong = [Wrong(*one) for one in known if one[1] != one[2]]
    for s, window in windows:
        values = features.get(s.name)
        if values is None:
            wrong.append(Wrong(f"features.{s.name}", None, "values"))
            continue
        case.tally.rolling += len(s.measures)
        wrong += wrong_values(s, values, window, f"features.{s.name}.")
    if not wrong:
        case.tally.right(spec.view)
        return
    around = list({r.id: r for r in (row, *(r for _, window in windows for r in window))}.values())
    found = Found(spec.view, document["_id"], "differs", wrong, around, row.at)
    case.judge(found, _why_other(case, spec, row, document, [s for s, _ in windows], around))


def _why_other(
    case: Case, spec: Fraud, row: Row, document: Document, sets: Sequence[WindowSet], around: Sequence[Row]
) -> str | None:
    """What speaks for a score, or its features, that are not as recomputed."""
    if document.get("model") != case.terms.configs.get(spec.view, document.get("model")):
        return "former"
    if any(row.at < case.terms.whole_from(s) for s in sets):
        return "before"
    if any(case.young(r) for r in around):
        return "young"
    changed = case.changed(around, None)
    if changed is None and case.trigger.before and any(r.id in case.evidence.changed for r in around):
        changed = "updated"  # views follow a change; what an event was scored on stays as it was
    if changed is not None:
        return changed
    features = document["features"]
    if any(all(v is None for v in features.get(s.name, {0: 0}).values()) for s in sets):
        return "late"  # an event further behind than a set's lateness has no values of its own
    if any(case.terms.refused.get(s.name) for s in sets):
        return "late"
    return "order" if not case.terms.order and any(_in_doubt(case, row, s) for s in sets) else None


def _in_doubt(case: Case, row: Row, s: WindowSet) -> bool:
    """Whether another event may have arrived on the other side of this one."""
    assert isinstance(s.kind, Rolling)
    left = row.at - s.kind.delay - s.kind.size
    near = [r for r in case.key.rows if left <= r.at <= row.at and r is not row]
    return any(r.at == row.at or r.n > row.n for r in near)


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
