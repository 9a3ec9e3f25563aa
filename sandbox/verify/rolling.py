"""Rolling values by their definition: of each event as it arrived, and of each key as of a time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence

from contract.keys import typed, untyped
from contract.times import date_ms
from sandbox.verify.report import Report, Watermarks, ms
from sandbox.verify.rows import Document, Row, by_key, measured, same
from windows.law.spec import Rolling, WindowSet


def of_events(s: WindowSet, rows: Sequence[Row]) -> Iterator[tuple[Row, Sequence[Row]]]:
    """Each row with the rows in its window: those of its key that had arrived by then, itself too unless current is false."""
    assert isinstance(s.kind, Rolling)
    for own in by_key(rows, s.key).values():
        known: list[Row] = []
        for row in own:
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


def check_features(report: Report, s: WindowSet, rows: Sequence[Row], scores: Mapping[object, Document]) -> None:
    """The values that each scored event was scored on. scores: by the scored document's id."""
    for row, window in of_events(s, rows):
        features = scores.get(row.document["_id"], {}).get("features", {}).get(s.name)
        name = f"{s.name} of event n={row.n}"
        if features is None:
            report.differs(f"{name}: no values")
            continue
        _compare(report, name, s, features, window)


def check_views(
    report: Report, sets: Sequence[WindowSet], rows: Mapping[str, Sequence[Row]], stored: Iterable[Document], watermarks: Watermarks
) -> None:
    """The current values of each key of the sets of one view, as of the time its document says, that time itself, and when it says
    that it expires."""
    each = [
        {
            key: sorted((row for row in own if s.where is None or s.where.holds(row.get)), key=lambda r: (r.at, r.n))
            for key, own in by_key(rows[s.trigger], s.key).items()
        }
        for s in sets
    ]
    wanted = {key for own in each for key, held in own.items() if held}
    view = sets[0].shown_in
    for document in stored:
        key = typed(document["_id"])
        if key not in wanted:
            report.differs(f"{view} {document['_id']!r}: is there, and no event is in it")
            continue
        wanted.remove(key)
        _view(report, sets, document, [own.get(key, []) for own in each], watermarks.of(sets[0].key, key))
    for key in wanted:
        report.differs(f"{view} {untyped(key)!r}: is missing")


def _view(report: Report, sets: Sequence[WindowSet], document: Document, each: Sequence[Sequence[Row]], watermark: int) -> None:
    view, as_of = f"{sets[0].shown_in} {document['_id']!r}", date_ms(document["as_of"])
    expires = []
    for s, own in zip(sets, each, strict=True):
        assert isinstance(s.kind, Rolling)
        name, values = f"{s.name} {document['_id']!r}", document if s.view is None else document.get(s.name, {})
        report.compare(f"{name} config", values.get("config"), s.fingerprint)
        if own and as_of < own[-1].at:
            report.differs(f"{name}: as of {as_of}, before the key's last event {own[-1].at}")
        step, changes = max(s.kind.size // 60, 1_000), changes_next(s.kind, own, as_of)
        if changes is not None:
            expires.append(changes)
            if -(-changes // step) * step <= watermark:
                report.differs(f"{name}: expired at {changes} and was not refreshed by {watermark}")
        _compare(report, name, s, values, within(s.kind, own, as_of))
    report.compare(f"{view} key", typed(document["key"]), typed(document["_id"]))
    report.compare(f"{view} expires_at", ms(document["expires_at"]), min(expires, default=None))


def _compare(report: Report, name: str, s: WindowSet, values: Document, window: Sequence[Row]) -> None:
    for measure in s.measures:
        report.rolling += 1
        right = measured(measure, window)
        if measure.name not in values or not same(measure, values[measure.name], right, window):
            report.differs(f"{name} {measure.name}: is {values.get(measure.name)!r}, should be {right!r}")
