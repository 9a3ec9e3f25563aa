"""What a window set means: frozen specs, in whole milliseconds. The machinery is built from these and from saved state."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from windows.law.expr import Expr, FieldKind, merge_fields
from windows.law.shown import cut

MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
DAY = MS["d"]
LONGEST = 366 * 10_000 * DAY  # ms: what a set's times may come to, so that no sum of them leaves 64 bits
MOST_WINDOWS = 10_000  # that hold one event: a day by every 10 s has 8,640
MOST_CONDITIONS = 63  # of one set: an event says in the bits of a word which of them hold
RESERVED = frozenset("_id key start end events revision final closed_by late config updated_at as_of expires_at complete".split())
NUMERIC = frozenset({"sum", "mean", "min", "max", "var", "std", "quantile"})
VALUED = frozenset({"distinct", "first", "last"})
Late = Literal["update", "dead_letter", "drop"]


@dataclass(frozen=True, slots=True)
class Tumbling:
    """`[start, start + size)`, start = offset + floor((t - offset) / size) * size; in `zone`, whole local days."""

    size: int
    offset: int = 0
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Sliding:
    """Every `[start, start + size)` with start = offset + k * every that holds t."""

    size: int
    every: int
    offset: int = 0
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Rolling:
    """Per event `(t - delay - size, t - delay]`; closed="both" takes in the left edge; current=False leaves the event out."""

    size: int
    closed: Literal["right", "both"] = "right"
    current: bool = True
    delay: int = 0


@dataclass(frozen=True, slots=True)
class Session:
    """Events less than `gap` apart; cut where (t + gap - first) would exceed `max`."""

    gap: int
    max: int | None = None


Kind = Tumbling | Sliding | Rolling | Session


@dataclass(frozen=True, slots=True)
class Measure:
    """One named aggregate: `fn(field)`, or `share(expr)`, or `quantile(field, q)`, over events where `where` is true."""

    name: str
    fn: str
    field: str | None = None
    q: float | None = None
    expr: Expr | None = None
    where: Expr | None = None

    def fields(self) -> Mapping[str, frozenset[FieldKind]]:
        """Field paths this measure reads, and as what."""
        own: dict[str, frozenset[FieldKind]] = {}
        if self.field is not None:
            own[self.field] = frozenset({"number" if self.fn in NUMERIC else "value"})
        return merge_fields([own, *(e.fields for e in (self.expr, self.where) if e is not None)])


@dataclass(frozen=True, slots=True)
class WindowSet:
    """Several measures over one kind of window, for one trigger and one key. All times in ms.

    `retract` is true where the trigger has `before = true`: the set keeps its events so that values can be taken out. view: the
    view that a rolling set shows its values in with others of its key, None for one of its own. It is no part of what the set
    means, nor of its fingerprint.
    """

    name: str
    trigger: str
    key: str
    kind: Kind
    measures: tuple[Measure, ...]
    where: Expr | None = None
    lateness: int = 3_000
    late: Late = "update"
    retain: int = 3_600_000
    retract: bool = False
    view: str | None = None
    fingerprint: str = field(init=False, compare=False, default="")

    def __post_init__(self) -> None:
        said = (self.name, self.trigger, self.key, repr(self.kind), self.lateness, self.late, self.retain, self.retract)
        parts = (*said, source(self.where), *(measure_text(m) for m in self.measures))
        digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:12]
        object.__setattr__(self, "fingerprint", digest)

    @property
    def shown_in(self) -> str:
        """The view that its documents lie in."""
        return self.name if self.view is None else self.view

    def fields(self) -> Mapping[str, frozenset[FieldKind]]:
        """Field paths this set reads, and as what: a batch carries one column for each pair."""
        where = [self.where.fields] if self.where is not None else []
        return merge_fields([*where, *(m.fields() for m in self.measures)])


def conditions(spec: WindowSet) -> int:
    """How many different conditions a set's events are put to: its own, and for each measure that its `where` and `if` hold and
    that its field is there (and for a share that what it is of is known).

    >>> measures = (Measure("n", "count"), Measure("s", "sum", "x"), Measure("m", "mean", "x"))
    >>> conditions(WindowSet("w", "t", "k", Tumbling(1), measures))
    2
    """
    own: list[object] = [("true", spec.where.tree)] if spec.where is not None else []
    found = {_all_of(own)}
    for m in spec.measures:
        terms = own if m.where is None else [*own, ("true", m.where.tree)]
        if m.fn == "share" and m.expr is not None:
            found.add(_all_of([*terms, ("known", m.expr.tree)]))
            terms = [*terms, ("true", m.expr.tree)]
        if m.field is not None:
            terms = [*terms, ("number" if m.fn in NUMERIC else "value", m.field)]
        found.add(_all_of(terms))
    return len(found)


def _all_of(terms: list[object]) -> tuple[object, ...]:
    return tuple(dict.fromkeys(terms))


def check(spec: WindowSet) -> None:
    """Raises ValueError, saying what would be right, for a set that no engine can keep."""
    kind = spec.kind
    if isinstance(kind, Session) and kind.max is not None and kind.max < kind.gap:
        raise ValueError(f"a session of max {kind.max} ms cannot hold a gap of {kind.gap} ms")
    inner = (kind.gap, kind.max or 0) if isinstance(kind, Session) else (kind.size, kind.delay if isinstance(kind, Rolling) else 0)
    if sum((*inner, spec.lateness, spec.retain)) > LONGEST:
        raise ValueError(f"its times come to more than {LONGEST // (365 * DAY)} years; shorten size, lateness or retain")
    if isinstance(kind, (Tumbling, Sliding)) and abs(kind.offset) > LONGEST:
        raise ValueError(f"an offset of {kind.offset} ms is longer than {LONGEST // (365 * DAY)} years")
    if isinstance(kind, Sliding) and (n := -(-kind.size // kind.every)) > MOST_WINDOWS:
        raise ValueError(f"an event lies in {n:,} of its windows, and each is a document; {MOST_WINDOWS:,} at most: lengthen every")
    if (n := conditions(spec)) > MOST_CONDITIONS:
        raise ValueError(
            f"its measures ask {n} different things of an event (a field that is there, a condition that holds); "
            f"one set may ask {MOST_CONDITIONS}: make two sets of it"
        )


def source(expr: Expr | None) -> str:
    """The text of an expression, or nothing."""
    return expr.source if expr is not None else ""


def measure_text(m: Measure) -> str:
    """A measure as one would write it, for fingerprints and messages."""
    inner = source(m.expr) or (m.field or "")
    args = inner if m.q is None else f"{inner}, {m.q!r}"
    tail = f" if {m.where.source}" if m.where is not None else ""
    return f"{m.name} = {m.fn}({args}){tail}"


_DURATION = re.compile(r"([0-9]{1,15})\s*(ms|s|m|h|d)")


def duration(text: str) -> int:
    """Milliseconds of `500ms 3s 10m 1h 7d`. Zero is allowed here; ValueError says what would be right.

    >>> duration("10m"), duration("500ms")
    (600000, 500)
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{cut(text)!r} is not a duration; write a whole number and ms, s, m, h or d, as in 500ms 3s 10m 1h 7d")
    return int(match[1]) * MS[match[2]]


def duration_text(ms: int) -> str:
    """The shortest text of a duration.

    >>> duration_text(600_000), duration_text(1_500)
    ('10m', '1500ms')
    """
    unit = next(u for u in ("d", "h", "m", "s", "ms") if ms % MS[u] == 0)
    return f"{ms // MS[unit]}{unit}"


def streams(sets: Iterable[WindowSet]) -> Sequence[tuple[str, str]]:
    """The distinct (trigger, route) pairs that sets read, in order of first mention."""
    return list(dict.fromkeys((s.trigger, s.key) for s in sets))
