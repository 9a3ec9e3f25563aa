"""Features of an event: the rolling values that were current when it came, and what an expression may name beside its fields."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any, Protocol

from contract.errors import Rejected
from contract.values import flag, get, number, original, value
from models.base import Features
from windows.law.expr import FieldKind
from windows.law.spec import WindowSet

READERS = {"number": number, "flag": flag, "value": value}
AS_GIVEN = frozenset({"first", "last"})  # these measures give a field's value back; all others are numbers


class Values(Protocol):
    """Values of one rolling set for some rows (the face of windows.engine.FeatureBlock)."""

    @property
    def set(self) -> WindowSet: ...
    @property
    def row(self) -> Sequence[int]: ...
    @property
    def measures(self) -> Mapping[str, Sequence[Any]]: ...


def by_row(blocks: Sequence[Values], rows: Container[int]) -> dict[int, dict[str, dict[str, Any]]]:
    """The features of each of those rows that has any: row -> window set -> measure -> value, None where there is none."""
    found: dict[int, dict[str, dict[str, Any]]] = {}
    for block in blocks:
        columns = [(m.name, as_documents(m.fn, block.measures[m.name])) for m in block.set.measures]
        for i, row in enumerate(block.row):
            if row in rows:
                found.setdefault(int(row), {})[block.set.name] = {name: column[i] for name, column in columns}
    return found


def as_documents(fn: str, column: Sequence[Any]) -> Sequence[Any]:
    """A measure's values as documents hold them: what `first` and `last` give back has its BSON type again."""
    return [original(v) for v in column] if fn in AS_GIVEN else column


class Named:
    """Names over one event: `set.measure` is a feature, all else a field of its document. What cannot be read as wanted is null."""

    __slots__ = ("document", "features")

    def __init__(self, document: Mapping[str, Any], features: Features) -> None:
        self.document = document
        self.features = features

    def raw(self, path: str) -> Any:
        """The value as it is, None where there is none."""
        head, dot, measure = path.partition(".")
        return self.features[head].get(measure) if dot and head in self.features else get(self.document, path)

    def get(self, path: str, kind: FieldKind) -> Any:
        """The value as an expression wants it (windows.law.expr.Get)."""
        try:
            return READERS[kind](self.raw(path))
        except Rejected:
            return None
