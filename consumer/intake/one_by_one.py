"""A batch in the making, row by row: a list a column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Any

import numpy as np

from models.base import Happening
from windows.engine import BY_EVENT, NEVER, VOID, Columns, Key
from windows.law.expr import FieldKind


@dataclass(slots=True)
class Rows:
    """All columns, and the keys, hashes and happenings that were found on the way."""

    n: int
    kind: list[int]
    cause: list[int]
    mark: list[int]
    stream: list[int]
    key: list[int]
    at: list[int]
    old_at: list[int]
    put: list[bool]
    take: list[bool]
    doc: list[Any]
    pair: list[int]
    tokens: list[str]
    fields: dict[tuple[str, FieldKind], list[Any]]
    keys: dict[Key, int] = field(default_factory=dict)
    hashes: list[int] = field(default_factory=list)
    happenings: dict[int, Happening] = field(default_factory=dict)

    @classmethod
    def of(cls, n: int, fields: Sequence[tuple[str, FieldKind]]) -> Rows:
        """n rows that are VOID."""
        empty: dict[FieldKind, Any] = {"number": nan, "flag": -1, "value": None}
        return cls(
            n=n,
            kind=[VOID] * n,
            cause=[BY_EVENT] * n,
            mark=[NEVER] * n,
            stream=[-1] * n,
            key=[-1] * n,
            at=[0] * n,
            old_at=[0] * n,
            put=[False] * n,
            take=[False] * n,
            doc=[None] * n,
            pair=[-1] * n,
            tokens=[""] * n,
            fields={(path, kind): [empty[kind]] * n for path, kind in fields},
        )

    def columns(self) -> Columns:
        """As the engine wants them."""
        return Columns(
            n=self.n,
            kind=np.array(self.kind, np.int8),
            cause=np.array(self.cause, np.int8),
            mark=np.array(self.mark, np.int64),
            stream=np.array(self.stream, np.int16),
            key=np.array(self.key, np.int32),
            keys=list(self.keys),
            at=np.array(self.at, np.int64),
            old_at=np.array(self.old_at, np.int64),
            put=np.array(self.put, np.bool_),
            take=np.array(self.take, np.bool_),
            doc=self.doc,
            number={path: np.array(c, np.float64) for (path, kind), c in self.fields.items() if kind == "number"},
            flag={path: np.array(c, np.int8) for (path, kind), c in self.fields.items() if kind == "flag"},
            value={path: c for (path, kind), c in self.fields.items() if kind == "value"},
        )
