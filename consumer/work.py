"""A batch on its way through the pipeline, and how much of it one part may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec import structs

from consumer.batch import NONE, Batch
from windows.engine import Columns, Ints

ARRAYS = ("kind", "cause", "mark", "stream", "key", "at", "old_at", "put", "take")
FIELDS = ("number", "flag", "value")


@dataclass(frozen=True, slots=True)
class Budget:
    """About how much one part may change: rows taken (a score or a dead letter each), documents of windows, silences judged."""

    rows: int = 1_500
    windows: int = 2_000
    judged: int = 500


NO_LIMIT = Budget(1 << 40, 1 << 40, 1 << 40)


@dataclass(slots=True)
class Work:
    """A batch whose repeats are found. watermarks[i] is the watermark once row i is in."""

    batch: Batch
    watermarks: Ints

    def put_in(self, rows: range) -> list[int]:
        """Those of the rows whose document goes in."""
        taken = slice(rows.start, rows.stop)
        put = self.batch.columns.put[taken] & (self.batch.verdict[taken] == NONE)
        found: list[int] = (np.flatnonzero(put) + rows.start).tolist()
        return found

    def upto(self, end: int) -> Columns:
        """The columns of the rows before `end`."""
        whole = self.batch.columns
        if end == whole.n:
            return whole
        cut: dict[str, Any] = {name: getattr(whole, name)[:end] for name in ARRAYS}
        for kind in FIELDS:
            cut[kind] = {path: column[:end] for path, column in getattr(whole, kind).items()}
        return structs.replace(whole, n=end, doc=None if whole.doc is None else whole.doc[:end], **cut)
