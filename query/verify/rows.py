"""The source documents as the definition sees them: rows with an event time and an order of arrival, and measures over rows.

Nothing here knows how the product computes: a measure is taken over a plain list of rows, each time from the start.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from contract.errors import Rejected
from contract.keys import typed
from contract.times import date_ms
from contract.values import flag, get, number, value
from windows.law.expr import FieldKind
from windows.law.spec import Measure

READ = {"number": number, "flag": flag, "value": value}
Document = dict[str, Any]


class Row:
    """One document: `at` in ms, `n` its place in the order of arrival, `id` its id as a hashable."""

    __slots__ = ("_read", "at", "document", "id", "n")

    def __init__(self, at: int, n: float, document: Document) -> None:
        self.at, self.n, self.document = at, n, document
        self.id: Hashable = value(document["_id"])
        self._read: dict[tuple[str, str], Any] | None = None

    def get(self, path: str, kind: FieldKind) -> Any:
        """A field as number, flag or value; None for missing (windows.law.expr.Get). Raises Rejected."""
        if self._read is None:
            self._read = {}
        name = (path, kind)
        if name not in self._read:
            self._read[name] = READ[kind](get(self.document, path))
        return self._read[name]

    def lenient(self, path: str, kind: FieldKind) -> Any:
        """The same, and None for what cannot be read as wanted, as models see it."""
        try:
            return self.get(path, kind)
        except Rejected:
            return None

    def sound(self, fields: Iterable[tuple[str, FieldKind]]) -> bool:
        """Whether all of these can be read; else the record was a dead letter."""
        try:
            for path, kind in fields:
                self.get(path, kind)
        except Rejected:
            return False
        return True


def as_key(v: Any) -> Hashable:
    """A key's typed value; of what can be no key the repr, which is nobody's."""
    try:
        return typed(v)
    except Rejected:
        return ("?", repr(v))


def ms(v: Any) -> int | None:
    """A BSON date in ms, None for none."""
    return None if v is None else date_ms(v)


def measured(measure: Measure, rows: Sequence[Row]) -> Any:
    """A measure by its definition. rows: in order of arrival; first and last go by (event time, arrival)."""
    taken = [row for row in rows if measure.where is None or measure.where.holds(row.get)]
    if measure.expr is not None:
        said = [measure.expr.value(row.get) for row in taken]
        known = [one for one in said if one is not None]
        return sum(one is True for one in known) / len(known) if known else None
    if measure.field is None:
        return len(taken)
    if measure.fn in ("distinct", "first", "last"):
        ordered = sorted(taken, key=lambda row: (row.at, row.n))
        values = [v for v in (row.get(measure.field, "value") for row in ordered) if v is not None]
        return _of_values(measure.fn, values)
    numbers = [v for v in (row.get(measure.field, "number") for row in taken) if v is not None]
    return _of_numbers(measure, numbers)


def _of_values(fn: str, values: Sequence[Hashable]) -> Any:
    if fn == "distinct":
        return len(set(values))
    return (values[0] if fn == "first" else values[-1]) if values else None


def _of_numbers(measure: Measure, x: Sequence[float]) -> float | None:
    if measure.fn == "sum":
        return math.fsum(x)
    if not x:
        return None
    if measure.fn in ("min", "max"):
        return min(x) if measure.fn == "min" else max(x)
    if measure.fn == "quantile":
        return _quantile(sorted(x), measure.q or 0.0)
    mean = math.fsum(x) / len(x)
    if measure.fn == "mean":
        return mean
    if len(x) < 2:
        return None
    variance = math.fsum((v - mean) ** 2 for v in x) / (len(x) - 1)
    return variance if measure.fn == "var" else math.sqrt(variance)


def _quantile(x: Sequence[float], q: float) -> float:
    place = q * (len(x) - 1)
    low = math.floor(place)
    return x[low] + (x[min(low + 1, len(x) - 1)] - x[low]) * (place - low)


def same(measure: Measure, stored: Any, expected: Any, rows: Sequence[Row]) -> bool:
    """Equal as the law asks: exactly, floats within 1e-9 relative (variances: times their condition)."""
    if measure.fn in ("first", "last"):
        return bool(value(stored) == expected)
    if not isinstance(expected, float) or stored is None or isinstance(stored, bool):
        return bool(stored == expected)
    room = 1e-9
    if measure.fn in ("var", "std") and measure.field is not None and expected > 0:
        x = [v for v in (row.get(measure.field, "number") for row in rows) if v is not None]
        variance = expected if measure.fn == "var" else expected**2
        room *= math.sqrt(1 + (math.fsum(x) / len(x)) ** 2 / variance)
    return math.isclose(float(stored), expected, rel_tol=room, abs_tol=1e-12)
