"""What a window set means: frozen specs, in whole milliseconds. The machinery is built from these and from saved state."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from windows.law.expr import Expr, FieldKind, merge_fields

MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
DAY = MS["d"]
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

    `retract` is true where the trigger has `before = true`: the set keeps its events so that values can be taken out.
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
    fingerprint: str = field(init=False, compare=False, default="")

    def __post_init__(self) -> None:
        said = (self.name, self.trigger, self.key, repr(self.kind), self.lateness, self.late, self.retain, self.retract)
        parts = (*said, source(self.where), *(measure_text(m) for m in self.measures))
        digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:12]
        object.__setattr__(self, "fingerprint", digest)

    def fields(self) -> Mapping[str, frozenset[FieldKind]]:
        """Field paths this set reads, and as what: a batch carries one column for each pair."""
        where = [self.where.fields] if self.where is not None else []
        return merge_fields([*where, *(m.fields() for m in self.measures)])


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
        raise ValueError(f"{text!r} is not a duration; write a whole number and ms, s, m, h or d, as in 500ms 3s 10m 1h 7d")
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
