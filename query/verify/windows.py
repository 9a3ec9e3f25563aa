"""Tumbling, sliding and session windows by their definition, and the comparison with what a view holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from contract.keys import untyped
from contract.times import date, date_ms
from query.verify.case import WHOLE, Case, Found
from query.verify.report import Wrong
from query.verify.rows import Document, Row, as_key, measured, ms, same
from windows.law.spec import Rolling, Session, Sliding, Tumbling, WindowSet


@dataclass(slots=True)
class Window:
    """One expected window: its bounds in ms and its rows in order of arrival."""

    start: int
    end: int
    rows: list[Row]


def expected(s: WindowSet, rows: Iterable[Row]) -> dict[int, Window]:
    """Every window of one key that holds a row, by start. rows: in order of arrival."""
    taken = [row for row in rows if s.where is None or s.where.holds(row.get)]
    windows = sessions(s.kind, taken) if isinstance(s.kind, Session) else aligned(s.kind, taken)
    return {window.start: window for window in windows}


def aligned(kind: Tumbling | Sliding | Rolling, rows: Iterable[Row]) -> Iterable[Window]:
    """Windows that stand on the clock."""
    assert not isinstance(kind, Rolling)
    found: dict[int, Window] = {}
    for row in rows:
        for start, end in holding(kind, row.at):
            found.setdefault(start, Window(start, end, [])).rows.append(row)
    return found.values()


def holding(kind: Tumbling | Sliding, t: int) -> Iterable[tuple[int, int]]:
    """The (start, end) of every window that holds t; in a zone every start is tried that could."""
    every = kind.every if isinstance(kind, Sliding) else kind.size
    if kind.zone is None:
        last = (t - kind.offset) // every * every + kind.offset
        yield from ((start, start + kind.size) for start in range(last, t - kind.size, -every))
        return
    around = range((t - kind.offset - kind.size) // every - 3, (t - kind.offset) // every + 4)
    for k in around:
        start, end = (moment(kind.offset + k * every + more, kind.zone) for more in (0, kind.size))
        if start <= t < end:
            yield start, end


def moment(wall: int, zone: str | None) -> int:
    """UTC ms of a wall time in ms: the earlier of two where the clock is set back; past the gap where it is set forward."""
    if zone is None:
        return wall
    local = datetime(1970, 1, 1, tzinfo=ZoneInfo(zone)) + timedelta(milliseconds=wall)
    return date_ms(local.replace(fold=0).astimezone(UTC))


def sessions(kind: Session, rows: Iterable[Row]) -> Iterable[Window]:
    """Greedily from the first event on: close enough to the one before, and not too long from the first."""
    windows: list[Window] = []
    for row in sorted(rows, key=lambda r: (r.at, r.n)):
        now = windows[-1] if windows else None
        near = now is not None and row.at + kind.gap - now.end < kind.gap
        if now is not None and near and (kind.max is None or row.at + kind.gap - now.start <= kind.max):
            now.rows.append(row)
            now.end = row.at + kind.gap
        else:
            windows.append(Window(row.at, row.at + kind.gap, [row]))
    return windows


def check(case: Case, s: WindowSet) -> None:
    """Every expected window is there with every value right and open or closed as the watermark says; no other one is there."""
    first, *others = [expected(s, rows) for rows in case.variants(case.key.rows)]
    wanted = dict(first)
    for document in case.key.docs.get(s.name, ()):
        start, end = date_ms(document["_id"]["s"]), ms(document["end"])
        if end is None or end > case.terms.span:
            _compare(case, s, document, wanted.pop(start, None), [other.get(start) for other in others])
    for window in wanted.values():
        if not case.gone(s.name, window.end):
            _missing(case, s, window, others)


def _compare(case: Case, s: WindowSet, document: Document, window: Window | None, others: Sequence[Window | None]) -> None:
    wrong = _wrong(case, s, document, window)
    if window is not None:
        final = window.end + s.lateness <= case.low
        case.tally.windows += final
        case.tally.still_open += not final
    if not wrong or any(not _wrong(case, s, document, other) for other in others):
        case.tally.right(s.name)
        return
    verdict, rows = ("surplus", []) if window is None else ("differs", window.rows)
    found = Found(s.name, document["_id"], verdict, wrong, rows, date_ms(document["_id"]["s"]))
    case.judge(found, _excuse(case, s, document, found))


def _missing(case: Case, s: WindowSet, window: Window, others: Sequence[Mapping[int, Window]]) -> None:
    if any(window.start not in other for other in others) and not any(case.young(row) for row in window.rows):
        return  # all that it holds are dead letters
    name = {"k": untyped(case.key.value), "s": date(window.start)}
    found = Found(s.name, name, "missing", [Wrong(WHOLE, None, f"{len(window.rows)} events")], window.rows, window.start)
    case.judge(found, _excuse(case, s, None, found))


def _wrong(case: Case, s: WindowSet, document: Document, window: Window | None) -> list[Wrong]:
    """Each field that is not as it should be. A window that was emptied by changes to its documents may stay."""
    if window is None:
        empty = s.retract and document["events"] == 0
        return [] if empty else [Wrong(WHOLE, f"{document['events']} events", None)]
    known = [
        ("key", as_key(document["key"]), case.key.value),
        ("start", ms(document["start"]), window.start),
        ("end", ms(document["end"]), window.end),
        ("events", document["events"], len(window.rows)),
        ("config", document["config"], s.fingerprint),
    ]
    if window.end + s.lateness <= case.low or window.end + s.lateness > case.high:
        final = window.end + s.lateness <= case.low
        told = document["closed_by"]
        known += [("final", document["final"], final), ("closed_by", told, told if final else None)]
        if final and document["closed_by"] not in ("event", "heartbeat", "idle", "end"):
            known.append(("closed_by", document["closed_by"], "event, heartbeat, idle or end"))
    found = [Wrong(*one) for one in known if one[1] != one[2]]
    found += _late(case, s, document)
    rows = sorted(window.rows, key=lambda row: row.n)
    for measure in s.measures:
        right = measured(measure, rows)
        if measure.name not in document or not same(measure, document[measure.name], right, rows):
            found.append(Wrong(measure.name, document.get(measure.name), right))
    return found


def _late(case: Case, s: WindowSet, document: Document) -> list[Wrong]:
    """What came late, and how often a window was revised, the documents do not say; but some of it cannot be."""
    revision, late = document["revision"], document["late"]
    if case.terms.strict and not s.retract and (revision, late) != (0, 0):
        return [Wrong("revision and late", (revision, late), (0, 0))]
    if not 0 <= late <= document["events"]:
        return [Wrong("late", late, f"0 to {document['events']}")]
    reopens = isinstance(s.kind, Session)
    return [Wrong("revision", revision, 0)] if revision and not document["final"] and not reopens else []


def _excuse(case: Case, s: WindowSet, document: Document | None, found: Found) -> str | None:
    """What speaks for a window that is not as recomputed. How a session is cut hangs on all events of its key."""
    session, rows = isinstance(s.kind, Session), found.rows
    late = case.began_late(s, document, found.at)
    if late is not None:
        return late
    if isinstance(s.kind, Session) and found.at - s.kind.gap < case.terms.read_from:
        return "since"
    around = case.key.rows if session else rows
    if any(case.young(row) for row in around):
        return "young"
    events = document["events"] if document is not None else 0
    changed = case.changed(around, None if session else events - len(rows))
    if changed is not None:
        return changed
    if case.terms.refused.get(s.name) and (session or events < len(rows)):
        return "late"
    return case.tied([w.field for w in found.wrong], s.measures, rows)
