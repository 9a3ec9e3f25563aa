"""What window sets that keep their events say of themselves in the plan: sessions, and whatever values can be taken out of."""

from __future__ import annotations

from windows.kernels import words as w
from windows.law.spec import Rolling, Session, Sliding, Tumbling, WindowSet
from windows.plan.conditions import Columns
from windows.plan.kinds import every_of, span_of

DOCUMENT = "\0document"  # as if a path: the column of the documents' ids
ENDLESS = 1 << 61  # ms: the longest session


def alone(spec: WindowSet) -> bool:
    """Whether a set has a history of its own, as no other set takes the same events in and out."""
    return spec.retract or isinstance(spec.kind, Session)


def keeps(spec: WindowSet) -> bool:
    """Whether a set has spans over its history; else it is a rolling one, or its slices keep no events."""
    return alone(spec) and not isinstance(spec.kind, Rolling)


def check(spec: WindowSet) -> None:
    """Raises ValueError for a session that no gap fits into."""
    if isinstance(spec.kind, Session) and spec.kind.max is not None and spec.kind.max < spec.kind.gap:
        raise ValueError(f"{spec.name}: a session of max {spec.kind.max} ms cannot hold a gap of {spec.kind.gap} ms")


def more_columns(spec: WindowSet, columns: Columns) -> list[int]:
    """Columns of a set's events beside its fields: the document, and how the event came (that one stands last)."""
    document = [-1 - columns.value(DOCUMENT)] if spec.retract else []
    return document + ([w.RAW] if keeps(spec) else [])


def spans_of(spec: WindowSet) -> int:
    """The most windows that one event of a set that keeps its events is in; sessions ask for room when they need it."""
    return span_of(spec) if keeps(spec) and not isinstance(spec.kind, Session) else 0


def entity_words(spec: WindowSet, kept: int) -> int:
    """Words of the set's entity at a key. kept: how many things a rolling set keeps beside its history."""
    if keeps(spec):
        return w.E_KEPT_WORDS
    return w.E_ROLLING_WORDS + kept if isinstance(spec.kind, Rolling) else w.E_GRID_WORDS


def lay_kept(spec: WindowSet, row: list[int], kept: int) -> None:
    """The words of a set with spans. kept: how many measures need each event."""
    row[w.S_NINC] = kept
    if isinstance(spec.kind, Session):
        row[w.S_KIND], row[w.S_GAP] = w.SESSION, spec.kind.gap
        row[w.S_MAX] = ENDLESS if spec.kind.max is None else spec.kind.max
        return
    assert isinstance(spec.kind, (Tumbling, Sliding))
    row[w.S_KIND], row[w.S_SIZE], row[w.S_EVERY], row[w.S_OFF] = w.TAKEN, spec.kind.size, every_of(spec), spec.kind.offset
