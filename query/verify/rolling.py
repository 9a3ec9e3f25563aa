"""Rolling values by their definition: of each event as it arrived, and of each key as of a time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from contract.keys import untyped
from contract.times import date_ms
from query.verify.case import WHOLE, Case, Found
from query.verify.report import Wrong
from query.verify.rows import Document, Row, as_key, measured, ms, same
from query.verify.terms import NEVER
from windows.law.spec import Rolling, WindowSet


def of_events(s: WindowSet, rows: Sequence[Row]) -> Iterator[tuple[Row, Sequence[Row]]]:
    """Each row of a key with the rows in its window: those that had arrived by then, itself too unless current is false."""
    assert isinstance(s.kind, Rolling)
    known: list[Row] = []
    for row in rows:
        before = within(s.kind, known, row.at)
        if s.where is None or s.where.holds(row.get):
            insort(known, row, key=lambda r: r.at)
        yield row, within(s.kind, known, row.at) if s.kind.current else before


def within(kind: Rolling, ordered: Sequence[Row], as_of: int) -> Sequence[Row]:
    """The rows of `(as_of - delay - size, as_of - delay]`, or with both edges; ordered by event time."""
    left, right = as_of - kind.delay - kind.size, as_of - kind.delay
    first = (bisect_left if kind.closed == "both" else bisect_right)(ordered, left, key=lambda r: r.at)
    return ordered[first : bisect_right(ordered, right, key=lambda r: r.at)]


def changes_next(kind: Rolling, ordered: Iterable[Row], as_of: int) -> int | None:
    """The first time after `as_of` at which a row enters or leaves by silence alone."""
    leaves = kind.delay + kind.size + (kind.closed == "both")
    times = (t for row in ordered for t in (row.at + kind.delay, row.at + leaves) if t > as_of)
    return min(times, default=None)


def wrong_values(s: WindowSet, values: Mapping[str, Any], window: Sequence[Row], prefix: str = "") -> list[Wrong]:
    """Each measure that is not as it should be."""
    found = []
    for measure in s.measures:
        right = measured(measure, window)
        if measure.name not in values or not same(measure, values[measure.name], right, window):
            found.append(Wrong(prefix + measure.name, values.get(measure.name), right))
    return found


def check(case: Case, s: WindowSet) -> None:
    """A key's current value as of the time it says, that time itself, and when it says that it expires."""
    assert isinstance(s.kind, Rolling)
    key = case.key
    raw = list(case.variants(key.rows))
    variants = [_ordered(s, rows) for rows in raw]
    own, documents = variants[0], key.docs.get(s.shown_in, [])
    last = own[-1].at if own else NEVER
    if own and not documents and not case.gone(s.shown_in, last):
        found = Found(s.name, untyped(key.value), "missing", [Wrong(WHOLE, None, f"{len(own)} events")], own[-100:], last)
        case.judge(found, _excuse(case, s, None, found))
    for document in documents:
        as_of = date_ms(document["as_of"])
        if max(as_of, last) <= case.terms.span:
            continue
        if not own and s.view is None and case.terms.read_from == NEVER:
            found = Found(s.name, document["_id"], "surplus", [Wrong(WHOLE, "a value", None)], [], as_of)
            case.judge(found, _excuse(case, s, document, found))
            continue
        case.tally.rolling += len(s.measures)
        wrong = [_wrong(case, s, document, as_of, rows) + _expiry(case, s, document, as_of, rows) for rows in raw]
        if all(wrong):
            found = Found(s.name, document["_id"], "differs", wrong[0], within(s.kind, own, as_of), as_of)
            case.judge(found, _excuse(case, s, document, found))
        else:
            case.tally.right(s.name)


def _ordered(s: WindowSet, rows: Iterable[Row]) -> list[Row]:
    return sorted((row for row in rows if s.where is None or s.where.holds(row.get)), key=lambda r: (r.at, r.n))


def _expiry(case: Case, s: WindowSet, document: Document, as_of: int, rows: Sequence[Row]) -> list[Wrong]:
    """A document expires with the first of the sets that share it; those of other triggers are not at hand here."""
    sharing = [s] if s.view is None else [other for other in case.spec.windows if other.view == s.view]
    own = [o for o in sharing if o.trigger == s.trigger]
    times = [changes_next(o.kind, _ordered(o, rows), as_of) for o in own if isinstance(o.kind, Rolling)]
    first, said = min((t for t in times if t is not None), default=None), ms(document["expires_at"])
    all_here = len(own) == len(sharing)
    right = said == first if all_here else first is None or (said is not None and said <= first)
    return [] if right else [Wrong("expires_at", said, first)]


def _wrong(case: Case, s: WindowSet, document: Document, as_of: int, rows: Sequence[Row]) -> list[Wrong]:
    assert isinstance(s.kind, Rolling)
    own = _ordered(s, rows)
    expires = changes_next(s.kind, own, as_of)
    values = document if s.view is None else document.get(s.name, {})
    known: list[tuple[str, Any, Any]] = [
        ("key", as_key(document["key"]), case.key.value),
        ("config", values.get("config"), s.fingerprint),
    ]
    found = [Wrong(*one) for one in known if one[1] != one[2]]
    if own and as_of < own[-1].at:
        found.append(Wrong("as_of", as_of, f"{own[-1].at}, the key's last event, or later"))
    step = max(s.kind.size // 60, 1_000)
    if expires is not None and -(-expires // step) * step <= case.low:
        found.append(Wrong("expires_at", expires, f"refreshed by {case.low}"))
    return found + wrong_values(s, values, within(s.kind, own, as_of))


def _excuse(case: Case, s: WindowSet, document: Document | None, found: Found) -> str | None:
    """What speaks for a value that is not as recomputed."""
    late = case.began_late(s, document, found.at)
    if late is not None:
        return late
    if any(case.young(row) for row in case.key.rows):
        return "young"
    changed = case.changed(found.rows, None)
    if changed is not None:
        return changed
    if case.terms.refused.get(s.name):
        return "late"
    return case.tied([w.field for w in found.wrong], s.measures, found.rows)
