"""What a model may use of scored events: the features that `[fraud.features]` names, as columns; null is NaN.

The same columns are written by a replay and seen by a live model. Another entity's values are those that were looked up, each view
with its `as_of`; an entity that its view does not know has counts and sums of nothing, and no other values.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from config.specs import Fraud, Lookup
from contract.errors import Rejected
from contract.times import date_ms, spelled
from contract.values import flag, get, number, value
from models.base import Features, Happening
from windows.law.expr import FieldKind, Tree, merge_fields
from windows.law.spec import WindowSet

Floats = npt.NDArray[np.float64]
Column = npt.NDArray[Any]  # float64, flags as 1 and 0, null as NaN; of values objects, null as None
Looked = Mapping[tuple[str, Hashable], Mapping[str, Any]]  # (view, an entity's `_id` as contract.values.value gives it) -> document
OF_NOTHING = frozenset({"count", "sum", "distinct"})  # are 0
DAY, HOUR = 86_400_000, 3_600_000
EPOCH_DAY = 3  # 1970-01-01 was a Thursday
COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
}


class Inputs:
    """The features of `[fraud.features]`. Pure: they follow from the events, their rolling values and what was looked up."""

    def __init__(self, fraud: Fraud, sets: Iterable[WindowSet]) -> None:
        self._features, self._lookups, self._entities = fraud.features, fraud.lookups, fraud.entities
        self._fields = merge_fields(f.expr.fields for f in fraud.features)
        self._fn = {f"{s.name}.{m.name}": m.fn for s in sets for m in s.measures}
        self._away: dict[str, Lookup] = {name: lookup for lookup in fraud.lookups for name in lookup.sets}
        self.names = tuple(f.name for f in fraud.features)

    def wanted(self, happenings: Iterable[Happening]) -> dict[str, dict[Hashable, Any]]:
        """What is to be looked up for these events: view -> an entity's `_id`, by its hashable form."""
        found: dict[str, dict[Hashable, Any]] = {lookup.view: {} for lookup in self._lookups}
        for happening in happenings:
            for lookup in self._lookups:
                name, id = _entity(happening, lookup.key)
                if name is not None:
                    found[lookup.view][name] = id
        return {view: ids for view, ids in found.items() if ids}

    def columns(self, happenings: Sequence[Happening], features: Sequence[Features], looked: Looked) -> dict[str, Column]:
        """A column of each feature, floats; features[i] are the rolling values of event i."""
        documents = {
            lookup.view: [looked.get((lookup.view, _entity(h, lookup.key)[0]), {}) for h in happenings] for lookup in self._lookups
        }
        at = np.array([h.at for h in happenings], np.int64)
        made: dict[tuple[str, FieldKind], Column] = {
            (path, kind): self._column(path, kind, happenings, features, documents, at)
            for path, kinds in self._fields.items()
            for kind in kinds
        }
        with np.errstate(all="ignore"):
            found = {f.name: np.asarray(_vector(f.expr.tree, made, len(at)), np.float64) for f in self._features}
        for column in found.values():
            column[~np.isfinite(column)] = np.nan
        return found

    def shown(self, happenings: Sequence[Happening], features: Sequence[Features], looked: Looked) -> list[dict[str, Any]]:
        """Of each event all that a model may use, None where it is null: its features, the values of its other routes, and the time
        that looked-up values are as of (`<view>.as_of`)."""
        columns = {name: column.tolist() for name, column in self.columns(happenings, features, looked).items()}
        found: list[dict[str, Any]] = []
        for i, happening in enumerate(happenings):
            own: dict[str, Any] = {name: None if column[i] != column[i] else column[i] for name, column in columns.items()}
            for entity in self._entities:
                own[entity] = get(happening.document, entity)
            for lookup in self._lookups:
                document = looked.get((lookup.view, _entity(happening, lookup.key)[0]), {})
                as_of = document.get("as_of")
                own[f"{lookup.view}.as_of"] = None if as_of is None else spelled(as_of)
            found.append(own)
        return found

    def _column(
        self,
        path: str,
        kind: FieldKind,
        happenings: Sequence[Happening],
        features: Sequence[Features],
        documents: Mapping[str, Sequence[Mapping[str, Any]]],
        at: npt.NDArray[np.int64],
    ) -> Column:
        head, dot, name = path.partition(".")
        if dot and head == "event":
            return _of_time(name, at)
        if dot and head in self._away:
            lookup = self._away[head]
            nothing = 0.0 if self._fn[path] in OF_NOTHING else None
            own = documents[lookup.view]
            inner = [d.get(head, {}) for d in own] if lookup.shared else own
            given = [nothing if (v := d.get(name)) is None and not d else v for d in inner]
        elif dot and path in self._fn:
            given = [f[head].get(name) if head in f else None for f in features]
        else:
            given = [get(h.document, path) for h in happenings]
        if kind == "value":
            column = np.empty(len(given), object)
            column[:] = [_value(v) for v in given]
            return column
        read = _number if kind == "number" else _flag
        return np.array([read(v) for v in given], np.float64)


def _entity(happening: Happening, key: str) -> tuple[Hashable | None, Any]:
    given = get(happening.document, key)
    try:
        return value(given), given
    except Rejected:
        return None, None


def _of_time(name: str, at: npt.NDArray[np.int64]) -> Floats:
    if name == "hour":
        return (at % DAY / HOUR).astype(np.float64)
    return ((at // DAY + EPOCH_DAY) % 7 if name == "weekday" else at).astype(np.float64)


def _number(given: Any) -> float:
    if type(given) is float:
        return given
    if isinstance(given, datetime):
        return float(date_ms(given))
    try:
        found = number(given)
    except Rejected:
        return np.nan
    return np.nan if found is None else found


def _flag(given: Any) -> float:
    try:
        found = flag(given)
    except Rejected:
        return np.nan
    return np.nan if found is None else float(found)


def _value(given: Any) -> Any:
    try:
        return value(given)
    except Rejected:
        return None


def _vector(tree: Tree, columns: Mapping[tuple[str, FieldKind], Column], n: int) -> Column:
    """The value of a windows.law.expr.Expr's tree over columns, as the law on expressions has it over one record."""
    head = tree[0]
    if head == "field":
        return columns[tree[1], tree[2]]
    if head == "const":
        return np.full(n, tree[1], object if isinstance(tree[1], str) else np.float64)
    if head == "null":
        return np.array([v is None for v in columns[tree[1], "value"]], np.float64)
    if head in ("and", "or"):
        return _logic(head == "or", [_vector(part, columns, n) for part in tree[1]])
    if head == "cmp":
        return _compared(tree[1], _vector(tree[2], columns, n), _vector(tree[3], columns, n))
    first = _vector(tree[1], columns, n)
    if head == "in":
        return _known(np.array([v in tree[2] for v in first.tolist()], np.float64), first)
    if head == "chain":
        for sign, part in tree[2]:
            other = _vector(part, columns, n)
            first = ARITHMETIC[sign](first, np.where(other == 0, np.nan, other) if sign in "/%" else other)
        return first
    return 1.0 - first if head == "not" else -first if head == "neg" else np.abs(first)


def _compared(sign: str, a: Column, b: Column) -> Floats:
    if a.dtype == b.dtype == np.float64:
        return _known(COMPARE[sign](a, b).astype(np.float64), a, b)
    pairs = zip(a.tolist(), b.tolist(), strict=True)
    return np.array([np.nan if x is None or y is None else float(COMPARE[sign](x, y)) for x, y in pairs], np.float64)


def _known(found: Floats, *given: Column) -> Floats:
    """Null where one of those is."""
    for column in given:
        null = np.isnan(column) if column.dtype == np.float64 else np.array([v is None for v in column], np.bool_)
        found[null] = np.nan
    return found


def _logic(decides: bool, parts: Sequence[Column]) -> Floats:
    stacked = np.vstack(parts)
    decided = (stacked == float(decides)).any(axis=0)
    return np.where(decided, float(decides), np.where(np.isnan(stacked).any(axis=0), np.nan, float(not decides)))
