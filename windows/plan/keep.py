"""What window sets that keep their events say of themselves in the plan: sessions, and whatever values can be taken out of."""

from __future__ import annotations

from compiled.records import words_in
from windows.kernels import tables
from windows.kernels import words as w
from windows.law.spec import Rolling, Session, WindowSet
from windows.plan.conditions import Columns
from windows.plan.kinds import span_of

DOCUMENT = "\0document"  # as if a path: the column of the documents' ids


def alone(spec: WindowSet) -> bool:
    """Whether a set has a history of its own, as no other set takes the same events in and out."""
    return spec.retract or isinstance(spec.kind, Session)


def keeps(spec: WindowSet) -> bool:
    """Whether a set has spans over its history; else it is a rolling one, or its slices keep no events."""
    return alone(spec) and not isinstance(spec.kind, Rolling)


def more_columns(spec: WindowSet, columns: Columns) -> list[int]:
    """Columns of a set's events beside its fields: the document, and how the event came (that one stands last)."""
    document = [-1 - columns.keep(DOCUMENT)] if spec.retract else []
    return document + ([tables.RAW] if keeps(spec) else [])


def spans_of(spec: WindowSet) -> int:
    """The most windows that one event of a set that keeps its events is in; sessions ask for room when they need it."""
    return span_of(spec) if keeps(spec) and not isinstance(spec.kind, Session) else 0


def revised_by(spec: WindowSet) -> int:
    """The most closed windows that one late event of a set of slices revises."""
    return 0 if keeps(spec) or isinstance(spec.kind, Rolling) else span_of(spec)


def entity_words(spec: WindowSet, moving: int) -> int:
    """Words of the set's entity at a key. moving: how many things move along with a rolling set's window."""
    if keeps(spec):
        return words_in(w.KEEPER)
    return w.ROLLING_WORDS + moving if isinstance(spec.kind, Rolling) else words_in(w.GRID)
