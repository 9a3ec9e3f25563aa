"""Tumbling, sliding and session windows by their definition, and the comparison with what a view holds."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from contract.keys import typed
from contract.times import date_ms
from sandbox.verify.report import Report, Watermarks, ms
from sandbox.verify.rows import Document, Row, by_key, measured, same
from windows.law.spec import Rolling, Session, Sliding, Tumbling, WindowSet


@dataclass(slots=True)
class Window:
    """One expected window: its bounds in ms and its rows in order of arrival."""

    start: int
    end: int
    rows: list[Row]


def expected(s: WindowSet, rows: Sequence[Row]) -> Mapping[tuple[Hashable, int], Window]:
    """Every window of the set that holds a row, by (typed key, start)."""
    found: dict[tuple[Hashable, int], Window] = {}
    for key, own in by_key(rows, s.key).items():
        taken = [row for row in own if s.where is None or s.where.holds(row.get)]
        windows = sessions(s.kind, taken) if isinstance(s.kind, Session) else aligned(s.kind, taken)
        found.update({(key, window.start): window for window in windows})
    return found


def aligned(kind: Tumbling | Sliding | Rolling, rows: Iterable[Row]) -> Iterable[Window]:
    """Windows that stand on the clock."""
    assert not isinstance(kind, Rolling)
    found: dict[int, Window] = {}
    for row in rows:
        for start, end in holding(kind, row.at):
            found.setdefault(start, Window(start, end, [])).rows.append(row)
    return found.values()


def holding(kind: Tumbling | Sliding, t: int) -> Iterable[tuple[int, int]]:
    """The (start, end) of every window that holds t: every start is tried that could."""
    every = kind.every if isinstance(kind, Sliding) else kind.size
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


def check(report: Report, s: WindowSet, rows: Sequence[Row], stored: Iterable[Document], watermarks: Watermarks) -> None:
    """Every expected window is there with every value right and open or closed as the watermark says; no other one is there."""
    wanted = dict(expected(s, rows))
    for document in stored:
        key, start = typed(document["_id"]["k"]), date_ms(document["_id"]["s"])
        name = f"{s.name} {document['_id']['k']!r} {document['_id']['s']:%H:%M:%S.%f}"
        window = wanted.pop((key, start), None)
        if window is not None:
            _compare(report, name, s, document, window, watermarks.of(s.key, key))
        elif not (s.retract and document["events"] == 0):
            report.differs(f"{name}: is there, and no event is in it")
    for (key, start), window in wanted.items():
        report.differs(f"{s.name} {key!r} from {start}: is missing, with {len(window.rows)} events")


def _compare(report: Report, name: str, s: WindowSet, document: Document, window: Window, watermark: int) -> None:
    final = window.end + s.lateness <= watermark
    report.windows += final
    report.still_open += not final
    report.compare(f"{name} key", typed(document["key"]), typed(document["_id"]["k"]))
    report.compare(f"{name} start", ms(document["start"]), window.start)
    report.compare(f"{name} end", ms(document["end"]), window.end)
    report.compare(f"{name} events", document["events"], len(window.rows))
    report.compare(f"{name} final", document["final"], final)
    report.compare(f"{name} closed_by is told", document["closed_by"] in ("event", "heartbeat", "idle"), final)
    report.compare(f"{name} config", document["config"], s.fingerprint)
    if not s.retract:
        report.compare(f"{name} revision and late", (document["revision"], document["late"]), (0, 0))
    for measure in s.measures:
        right = measured(measure, _arrived(window.rows))
        if not same(measure, document[measure.name], right, window.rows):
            report.differs(f"{name} {measure.name}: is {document[measure.name]!r}, should be {right!r}")


def _arrived(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row.n)
