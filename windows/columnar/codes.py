"""Values as whole numbers: the engine's own codes, and columns that come with codes of their own.

Equal numbers are one value, and still not the same: `first` and `last` give back what was there. So a code says which value it is,
and how that is spelled (windows/kernels/slots.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from decimal import Context, Decimal
from math import copysign, inf, isfinite
from sys import float_info
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from windows.engine import Ints
from windows.kernels.slots import SPELLED, SPELLINGS, UNKNOWN, recode

CROWD = 50_000  # so many codes are no crowd
A_LOOK = 256  # words that are looked through in the time that a new value takes
INT64 = 1 << 63
OTHER = 1 << 62  # a value that is none of some
EXACT = Context(prec=64)  # more digits than a decimal of BSON's has
IDLE = 256  # a table that was not asked for in so many asks is forgotten
TEXTS: frozenset[type] = frozenset({str, bytes, type(None)})  # what they equal is spelled as they are
PLAIN = TEXTS | {int, bool}  # so is what they equal of their own type
NUMBERS: frozenset[type] = frozenset({int, float, bool, Decimal})
MOST = int(float_info.max)
MUTE: Any = object.__repr__  # says which object it is, and not what it is


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
    """Numbers beside the entries of tables that others own, `unset` where none has been set. Tables that are not used any more are
    not held for ever."""

    def __init__(self, unset: int = -1) -> None:
        self._kept: dict[int, _Known] = {}
        self._asks, self._unset = 0, unset

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
            more = np.full(2 * len(table) - len(kept.numbers), self._unset, np.int64)
            kept.numbers = np.concatenate([kept.numbers, more])
        return kept

    def numbers(self) -> list[Ints]:
        """All of them."""
        return [kept.numbers for kept in self._kept.values()]


class _Known:
    """numbers beside a table. seen: how many of its entries somebody has looked at."""

    __slots__ = ("asked", "numbers", "seen", "table")

    def __init__(self, table: Sequence[Hashable]) -> None:
        self.table, self.numbers, self.asked, self.seen = table, np.empty(0, np.int64), 0, 0


class Told:
    """Which of a few texts a value is: their codes, OTHER for all other values, -1 for None. New values need no code of their own,
    and are not even hashed.

    >>> told, column = Told({"x": 7}), np.empty(3, np.int64)
    >>> told.column(["x", None, "x"], column); column.tolist()
    [7, -1, 7]
    """

    def __init__(self, texts: Mapping[str, int]) -> None:
        self._codes = dict[Hashable, int]([(None, -1), *texts.items()])
        self._tables = Beside(OTHER)

    def column(self, values: Sequence[Hashable], out: Ints) -> None:
        """The codes of a column, to `out`."""
        if not isinstance(values, Codes):
            out[:] = [self._codes.get(v, OTHER) if v is None or type(v) is str else OTHER for v in values]
            return
        known, count = self._tables.of(values.table), len(values.table)
        if known.seen < count:
            for value, code in self._codes.items():
                self._tell(known, value, code, count)
            known.seen = count
        np.take(known.numbers, values.codes, out=out, mode="clip") if count else out.fill(-1)
        out[values.codes < 0] = -1

    def _tell(self, known: _Known, value: Hashable, code: int, count: int) -> None:
        """Notes where a value stands among the new entries of a table."""
        at, table = known.seen, known.table
        with suppress(ValueError):
            while at < count:
                at = table.index(value, at, count)
                known.numbers[at] = code
                at += 1


class Interner(dict[Any, int]):
    """Value -> code without a spelling, -1 for None; a new value gets the next free code. `values_by_code` is the way back, for a
    value as it was spelled first; `others` has those of another spelling.

    Values stand here under names (see `seeded`); most are their own.

    >>> codes = Interner()
    >>> codes["a"], codes[1], codes["a"], codes[1.0], codes[None]
    (0, 1, 0, 1, -1)
    >>> [codes.value(codes.spelled(v)) for v in (1, 1.0, True, None)]
    [1, 1.0, True, None]
    """

    def __init__(self) -> None:
        super().__init__({None: -1})
        self.values_by_code: list[Any] = []
        self.others: dict[int, Any] = {}
        self.free: list[int] = []
        self._spellings: dict[int, dict[Hashable, int]] = {}  # of a value that has several, by `spelling`, all but the first
        self._pinned = self._kept = 0
        self._renamed = False  # whether any value has another name than itself
        self._tables = Beside(UNKNOWN)
        self._missing = np.empty(0, np.int64)

    def __missing__(self, value: Hashable) -> int:
        name = seeded(value)
        if name is value or name not in self:
            code = self.free.pop() if self.free else len(self.values_by_code)
            self.values_by_code += [None] * (code + 1 - len(self.values_by_code))
            self.values_by_code[code] = value
            self[name] = code
            self._renamed = self._renamed or name is not value
        return self[name]

    def spelled(self, value: Hashable) -> int:
        """A value's code with its spelling. Raises OverflowError for more spellings than a code can tell apart."""
        code = self[value]
        if type(value) in TEXTS:
            return code
        first = self.values_by_code[code]
        if type(first) is type(value) and (type(value) in PLAIN or spelling(first) == spelling(value)):
            return code
        others, how = self._spellings.setdefault(code, {}), spelling(value)
        if how not in others:
            if len(others) + 1 >= SPELLINGS:
                raise OverflowError(f"one value has more than {SPELLINGS} spellings")
            others[how] = code + (len(others) + 1) * SPELLED
            self.others[others[how]] = value
        return others[how]

    def all_spelled(self, values: Sequence[Hashable]) -> list[int]:
        """The same of many."""
        return list(map(self.__getitem__ if TEXTS.issuperset(map(type, values)) else self.spelled, values))

    def value(self, code: int) -> Any:
        """What has this code."""
        return None if code < 0 else self.values_by_code[code] if code < SPELLED else self.others[code]

    def column(self, values: Sequence[Hashable], out: Ints, shown: bool = True) -> None:
        """The codes of a column, to `out`; where it is not `shown`, how values are spelled may be left out."""
        if not isinstance(values, Codes):
            out[:] = self.all_spelled(values) if shown else np.fromiter(map(self.__getitem__, values), np.int64, len(values))
            return
        codes, table = np.ascontiguousarray(values.codes, np.int64), values.table
        own = self._tables.of(table).numbers
        if len(self._missing) < len(codes):
            self._missing = np.empty(2 * len(codes), np.int64)
        n = recode(codes, own, out, self._missing)
        if n:
            places = self._missing[:n].copy()
            own[places] = UNKNOWN
            own[places] = self._coded(list(map(table.__getitem__, places.tolist())))
            recode(codes, own, out, self._missing)

    def pin(self) -> None:
        """All codes so far (constants of expressions) stay."""
        self._pinned = len(self.values_by_code)

    def crowded(self, words: int) -> bool:
        """Whether it is time to look which codes are still used, in a state of so many words: once as many values are new since the
        last time as were left then, and enough to pay for the look."""
        return len(self) + len(self.others) > 2 * self._kept + CROWD + words // A_LOOK

    def keep(self, used: npt.NDArray[np.bool_]) -> None:
        """Give free the codes that are not used, so that new values get them, and all spellings with them. used: bool, one for each
        code without a spelling."""
        used[: self._pinned] = True
        used[self.free] = True
        table, codes = self.values_by_code, np.flatnonzero(~used).tolist()
        if self._renamed or 2 * len(codes) < len(self):
            deque(map(self.__delitem__, map(seeded, map(table.__getitem__, codes))), maxlen=0)
        else:  # sooner made anew
            kept = [(table[code], code) for code in np.flatnonzero(used).tolist()]
            self.clear()
            self.update(kept)
            self[None] = -1  # also codes that are free have None
        for code in codes:
            table[code] = None
        for code in self._spellings.keys() & set(codes):
            deque(map(self.others.__delitem__, self._spellings.pop(code).values()), maxlen=0)
        self.free += codes
        self._kept = len(self) + len(self.others)
        gone = np.append(~used, [False, False])  # the last two are those of None, -1, and of what has no code, UNKNOWN
        for numbers in self._tables.numbers():
            numbers[gone[np.where(numbers < 0, numbers, numbers % SPELLED)]] = UNKNOWN

    def _coded(self, values: Sequence[Hashable]) -> list[int]:
        """The spelled codes of values. Most are new: each is offered a free one as it is looked up, and takes it if it has none."""
        kinds = set(map(type, values))
        if Decimal in kinds:
            return list(map(self.spelled, values))
        table, free = self.values_by_code, self.free
        again = max(len(free) - len(values), 0)
        offered = free[again:]
        offered += range(len(table), len(table) + len(values) - len(offered))
        try:
            codes = list(map(self.setdefault, values, offered))
        except TypeError:  # one that cannot be hashed, and none behind it has been asked for
            self._withdraw(values, offered)
            raise
        del free[again:]
        table += [None] * (max(offered, default=-1) + 1 - len(table))
        met = []
        for i, (value, code, offer) in enumerate(zip(values, codes, offered, strict=True)):
            if code == offer:
                table[code] = value
            else:
                free.append(offer)
                met.append(i)
        if met and not kinds <= TEXTS:
            for i in met:
                codes[i] = self.spelled(values[i])
        return codes

    def _withdraw(self, values: Sequence[Hashable], offered: Sequence[int]) -> None:
        """Codes that values have taken, up to one that cannot be hashed, are as they were."""
        with suppress(TypeError):
            for value, offer in zip(values, offered, strict=True):
                if self.get(value) == offer:
                    del self[value]


def seeded(value: Hashable) -> Hashable:
    """What a value is looked up by. Python's hashes of texts have a seed of this process, those of numbers have none: of whole
    numbers within 64 bits and of floats a few share one, of decimals as many as anybody likes to find. So a decimal goes by the
    number of those that it equals, else by its text.

    >>> seeded("a"), seeded(Decimal("5.0")), seeded(Decimal("2.5"))
    ('a', 5, 2.5)
    """
    if type(value) is not Decimal or not value.is_finite():
        return value
    number = normal(value)
    return (Decimal, str(number)) if type(number) is Decimal else number


def normal(value: Any) -> Any:
    """A value in the one spelling that stands for all equal ones: a number as a whole one within 64 bits, else as a float, else as
    it is, a decimal without zeros at its end.

    >>> normal(5.0), normal(Decimal("2.50")), normal(Decimal("0.10")), normal(("a", True))
    (5, 2.5, Decimal('0.1'), ('a', 1))
    """
    kind = type(value)
    if kind is tuple:
        return tuple(map(normal, value))
    if kind not in NUMBERS or (kind is not int and not isfinite(value)):
        return value
    if abs(value) < INT64 and value == int(value):
        return int(value)
    near = float(value) if abs(value) <= MOST else inf
    return near if near == value else value.normalize(EXACT) if kind is Decimal else value


def spelling(value: Any) -> Hashable:
    """What tells equal values apart: their type, a zero's sign, all digits of a decimal; of any other type what it says of itself.

    >>> spelling(5) == spelling(5.0), spelling(Decimal("5.0")) == spelling(Decimal("5.00")), spelling(5) == spelling(6)
    (False, False, True)
    """
    kind = type(value)
    if kind in PLAIN:
        return (kind,)
    if kind is tuple:
        return tuple(map(spelling, value))
    if kind is float:
        return kind, copysign(1.0, value)
    return kind, "" if kind.__repr__ is MUTE else str(value) if kind is Decimal else repr(value)
