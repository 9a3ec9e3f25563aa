"""Values as whole numbers: the engine's own codes, and columns that come with codes of their own."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from windows.engine import Ints
from windows.kernels.slots import recode

CROWD = 50_000  # so many codes are no crowd
IDLE = 256  # a table that was not asked for in so many asks is forgotten


class Codes(Sequence[Hashable]):
    """A column of values that a decoder has numbered: value i is table[codes[i]], None where the code is negative.

    codes: int64 (n,). table: the values by code; it may grow at its end while it is used, and its entries never change. Batches
    that share one table object are numbered anew only once a value.
    """

    __slots__ = ("codes", "table")

    def __init__(self, codes: Ints, table: Sequence[Hashable]) -> None:
        self.codes, self.table = codes, table

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, index: int) -> Hashable: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Hashable]: ...
    def __getitem__(self, index: int | slice) -> Hashable | Sequence[Hashable]:
        if isinstance(index, slice):
            return Codes(self.codes[index], self.table)
        code = int(self.codes[index])
        return None if code < 0 else self.table[code]


class Beside:
    """Numbers beside the entries of tables that others own, -1 where none has been set. Tables that are not used any more are not
    held for ever."""

    def __init__(self) -> None:
        self._kept: dict[int, _Known] = {}
        self._asks = 0

    def of(self, table: Sequence[Hashable]) -> _Known:
        """What is kept beside a table, with room for all its entries."""
        self._asks += 1
        kept = self._kept.get(id(table))
        if kept is None:
            kept = self._kept[id(table)] = _Known(table)
            for other in [i for i, k in self._kept.items() if k.asked < self._asks - IDLE and k is not kept]:
                del self._kept[other]
        elif self._asks % IDLE == 0:
            self._kept = {i: k for i, k in self._kept.items() if k.asked >= self._asks - IDLE or k is kept}
        kept.asked = self._asks
        if len(kept.numbers) < len(table):
            kept.numbers = np.concatenate([kept.numbers, np.full(2 * len(table) - len(kept.numbers), -1, np.int64)])
        return kept

    def numbers(self) -> list[Ints]:
        """All of them."""
        return [kept.numbers for kept in self._kept.values()]

    def clear(self) -> None:
        """Forget all tables."""
        self._kept.clear()


class _Known:
    """numbers beside a table; the first `known` of them are set, where that is kept count of."""

    __slots__ = ("asked", "known", "numbers", "table")

    def __init__(self, table: Sequence[Hashable]) -> None:
        self.table, self.numbers, self.known, self.asked = table, np.empty(0, np.int64), 0, 0


class Interner(dict[Any, int]):
    """Value -> code, -1 for None; a new value gets the next free code. `values` is the way back.

    >>> codes = Interner()
    >>> codes["a"], codes["b"], codes["a"], codes[None]
    (0, 1, 0, -1)
    """

    def __init__(self) -> None:
        super().__init__({None: -1})
        self.values_by_code: list[Any] = []
        self.free: list[int] = []
        self._pinned = self._kept = 0
        self._tables = Beside()

    def __missing__(self, value: Hashable) -> int:
        if self.free:
            code = self.free.pop()
            self.values_by_code[code] = value
        else:
            code = len(self.values_by_code)
            self.values_by_code.append(value)
        self[value] = code
        return code

    def column(self, values: Sequence[Hashable], out: Ints) -> None:
        """The codes of a column, to `out`."""
        if isinstance(values, Codes):
            recode(np.ascontiguousarray(values.codes, np.int64), self._table(values.table), out)
        else:
            out[:] = np.fromiter(map(self.__getitem__, values), np.int64, len(values))

    def pin(self) -> None:
        """All codes so far (constants of expressions) stay."""
        self._pinned = len(self.values_by_code)

    @property
    def crowded(self) -> bool:
        """Whether it is time to look which codes are still used: twice as many as there were the last time."""
        return len(self.values_by_code) - len(self.free) > 2 * self._kept + CROWD

    def keep(self, used: npt.NDArray[np.bool_]) -> None:
        """Give free the codes that are not used, so that new values get them. used: bool, one for each code."""
        used[: self._pinned] = True
        used[self.free] = True
        for code in np.flatnonzero(~used).tolist():
            del self[self.values_by_code[code]]
            self.values_by_code[code] = None
            self.free.append(code)
        self._kept = len(self.values_by_code) - len(self.free)
        self._tables.clear()

    def _table(self, table: Sequence[Hashable]) -> Ints:
        kept, length = self._tables.of(table), len(table)
        if kept.known < length:
            kept.numbers[kept.known : length] = list(map(self.__getitem__, table[kept.known : length]))
            kept.known = length
        return kept.numbers
