"""The law once more, by brute force and independent of windows/: every event is kept for ever, every window is looked for by
trying all starts, sessions are cut anew from the first event on, every value is a comprehension over everything.

Slow on purpose. It reads rows as tests/windows/build.py has them, and gives what a reader finds in the end.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.windows.build import Folded, Row
from tests.windows.reference_kinds import REFUSED, TOOK, Event, GridTrack, SessionTrack, Track, holds
from tests.windows.reference_rolling import RollingTrack
from windows.engine import BY_EVENT, CAUSES, CHANGE, COUNTED, LATE_DROP, LATE_KEEP, NEVER, VOID, Key
from windows.law.spec import Rolling, Session, WindowSet


def track(spec: WindowSet) -> Track:
    kinds: dict[type, type[Track]] = {Rolling: RollingTrack, Session: SessionTrack}
    return kinds.get(type(spec.kind), GridTrack)(spec)


def reference(sets: Sequence[WindowSet], rows: Sequence[Row], end: bool = True) -> Folded:
    """What the law says of rows, in the end."""
    folded, tracks, wm = Folded(), dict[tuple[str, Key], Track](), NEVER
    for number, row in enumerate(rows):
        kind, cause = row.get("kind", CHANGE), CAUSES[row.get("cause", BY_EVENT)]
        if kind != VOID and row.get("mark", row.get("at")) > wm:
            wm = row.get("mark", row.get("at"))
            for each in tracks.values():
                each.close(wm, cause)
        folded.outcomes.append(_change(sets, tracks, folded, number, row, wm, cause) if kind == CHANGE else COUNTED)
    for (name, key), each in tracks.items():
        if isinstance(each, RollingTrack):
            if end:
                each.finish(wm)
            if each.view is not None:
                folded.rolling.setdefault(name, {})[key] = each.view
            continue
        each.close(1 << 62 if end else NEVER, "end")
        for start in each.docs:
            folded.windows.setdefault(name, {})[key, start] = each.document(start)
    return folded


def _change(
    sets: Sequence[WindowSet], tracks: dict[tuple[str, Key], Track], folded: Folded, number: int, row: Row, wm: int, cause: str
) -> int:
    route, said = row.get("route", sets[0].key), []
    for spec in sets:
        if (spec.trigger, spec.key) != (row.get("trigger", sets[0].trigger), route):
            continue
        each = tracks.setdefault((spec.name, (route, row.get("key", "a"))), track(spec))
        if row.get("take", False) and spec.retract:
            said.append((spec, each.take(row, wm, cause)))
        if row.get("put", True):
            event = Event(number, row)
            enters = holds(spec.where, event)
            if isinstance(each, RollingTrack):
                folded.features.setdefault(spec.name, {})[number] = each.own(event, wm, enters)
            if enters:
                said.append((spec, each.put(event, wm, cause)))
    refused = [spec for spec, verdict in said if verdict == REFUSED]
    folded.late.update(spec.name for spec in refused)
    if not refused or any(verdict == TOOK for _, verdict in said):
        return COUNTED
    return LATE_DROP if all(spec.late == "drop" for spec in refused) else LATE_KEEP
