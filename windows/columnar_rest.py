"""Window sets that the kernels do not know, kept by the naive engine behind the same calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from windows.engine import CAUSES, CHANGE, COUNTED, LATE_DROP, LATE_KEEP, NEVER, VOID, Columns, Key, StepResult
from windows.kernel_queue import KEPT, REFUSED, TOOK
from windows.naive import NaiveEngine
from windows.naive_rows import Rows
from windows.naive_set import REFUSED as SET_REFUSED
from windows.naive_set import TOOK as SET_TOOK
from windows.naive_state import Pack, Unpack
from windows.spec import WindowSet, streams

OUTCOMES = np.full(8, COUNTED, np.int8)  # of a row's verdict: TOOK | REFUSED | KEPT
OUTCOMES[REFUSED], OUTCOMES[REFUSED | KEPT] = LATE_DROP, LATE_KEEP


class Rest(NaiveEngine):
    """A naive engine over some of the sets, that takes rows of the whole and says of each what became of it (`verdicts`)."""

    def __init__(
        self, sets: Sequence[WindowSet], whole: Sequence[tuple[str, str]], pack: Pack | None, unpack: Unpack | None
    ) -> None:
        super().__init__(sets, pack, unpack)
        own = list(streams(sets))
        self._map = np.array([own.index(pair) if pair in own else -1 for pair in whole] + [-1], np.int16)
        self._some = bool(sets)
        self._begin = 0
        self.verdicts: npt.NDArray[np.int8] = np.zeros(0, np.int8)

    def __bool__(self) -> bool:
        return self._some

    def share(self, batch: Columns, begin: int, end: int, budget: int | None) -> tuple[int, int | None]:
        """How a step shares its budget: (the row to end in front of, what is left for the other sets). Does what time alone brings
        at the first row; begin - 1 if that is not done with the budget."""
        if budget is None or begin >= batch.n:
            return end, budget
        if batch.kind[begin] != VOID and not self._pass(int(batch.mark[begin]), CAUSES[batch.cause[begin]], budget):
            return begin - 1, 0
        left = budget - sum(s.waiting() for s in self._sets)
        marks = np.maximum.accumulate(batch.mark[begin:end])
        rows = np.cumsum((self._map[batch.stream[begin:end]] >= 0) & (batch.kind[begin:end] == CHANGE))
        first, due = self._timers.first(), np.zeros(len(rows), np.int64)
        if first is not None and len(marks) and first <= marks[-1]:
            due = np.searchsorted(np.sort(self._timers.dues(int(marks[-1]))), marks, side="right")
        full, crowd = np.searchsorted(rows + due, left), np.searchsorted(due, left, side="right")
        return min(end, begin + max(min(int(full) + 1, int(crowd)), 1)), max(left, 1)

    def told(self) -> StepResult:
        """What has changed so far, in no row."""
        return self._result(0, ())

    def rows(self, batch: Columns, begin: int, end: int) -> StepResult:
        """Take rows [begin, end)."""
        self._begin, self.verdicts = begin, np.zeros(end - begin, np.int8)
        return self.step(replace(batch, n=end, stream=self._map[batch.stream]), begin)

    def _change(self, rows: Rows, row: int, keys: Sequence[Key]) -> int:
        if rows.stream[row] < 0 or rows.key[row] < 0:
            return COUNTED
        stream, key = self._streams[rows.stream[row]], keys[rows.key[row]]
        wm = max(self.watermark, self._floors.setdefault(key, NEVER))
        for member, verdict in (*self._take(stream, rows, row, key, wm), *self._put(stream, rows, row, key, wm)):
            if verdict == SET_TOOK:
                self.verdicts[row - self._begin] |= TOOK
            elif verdict == SET_REFUSED:
                self._late[member.set.name] = self._late.get(member.set.name, 0) + 1
                self.verdicts[row - self._begin] |= REFUSED | (0 if member.set.late == "drop" else KEPT)
        if self.verdicts[row - self._begin] & TOOK:
            self._touch(key, wm)
        return COUNTED


def left(budget: int | None, rest: StepResult | None) -> int | None:
    """What is left of a budget after the documents of a result."""
    if budget is None or rest is None:
        return budget
    return budget - sum(len(block.key) for block in rest.windows) - len(rest.removed)


def join(result: StepResult, rest: StepResult) -> None:
    """Add to a step's result what the other sets did in it."""
    result.windows += rest.windows
    result.removed += rest.removed
    result.rolling += rest.rolling
    result.features += rest.features
    result.late.update(rest.late)
    result.changed = result.changed | rest.changed
