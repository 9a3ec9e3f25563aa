"""Rows that were read one by one, put among those that were read in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from consumer.batch import Batch
from consumer.record import Ints, Records
from contract.keys import kinesis_hash, partition_key
from windows.columns import Codes
from windows.engine import Key

ARRAYS = ("kind", "cause", "mark", "stream", "at", "old_at", "put", "take")


class Hashes(Sequence[int]):
    """The Kinesis hashes of a batch's keys, made when they are asked for. Bare documents lie where their sender's partition key put
    them, all others where ours does."""

    def __init__(self, key: npt.NDArray[np.int32], keys: Sequence[Key], records: Records, own: bool) -> None:
        self._key, self._keys, self._records, self._own = key, keys, records, own
        self._first: Ints | None = None

    def __len__(self) -> int:
        return len(self._keys)

    @overload
    def __getitem__(self, i: int) -> int: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[int]: ...
    def __getitem__(self, i: int | slice) -> int | Sequence[int]:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        if i >= len(self):
            raise IndexError(i)
        theirs = None if self._own else self._records.raw(self._first_row(i)).partition_key
        return kinesis_hash(partition_key(*self._keys[i]) if theirs is None else theirs)

    def _first_row(self, i: int) -> int:
        if self._first is None:
            self._first = np.zeros(len(self._keys), np.int64)
            found, first = np.unique(self._key, return_index=True)
            self._first[found[found >= 0]] = first[found >= 0]
        return int(self._first[i])


def merge(whole: Batch, rows: Ints, part: Batch) -> None:
    """Puts a part's rows in their places of the whole, whose hashes are void then."""
    into, given = whole.columns, part.columns
    for name in ARRAYS:
        getattr(into, name)[rows] = getattr(given, name)
    places = {key: place for place, key in enumerate(into.keys)} if len(given.keys) else {}
    table = np.array([*(places.setdefault(key, len(places)) for key in given.keys), -1], np.int32)
    into.key[rows] = table[given.key]
    into.keys = list(places) or into.keys
    for path, numbers in given.number.items():
        into.number[path][rows] = numbers
    for path, flags in given.flag.items():
        into.flag[path][rows] = flags
    into.value = {path: _values(column, rows, given.value[path]) for path, column in into.value.items()}
    whole.verdict[rows], whole.pair[rows] = part.verdict, part.pair
    at, docs = rows.tolist(), list(into.doc or [None] * into.n)
    for i, row in enumerate(at):
        docs[row], whole.tokens[row] = given.doc[i] if given.doc is not None else None, part.tokens[i]
    into.doc = docs
    whole.events |= {at[i]: event for i, event in part.events.items()}
    whole.rejected = {at[i]: cause for i, cause in part.rejected.items()}
    whole.happenings = {**whole.happenings, **{at[i]: happening for i, happening in part.happenings.items()}}


def _values(column: Any, rows: Ints, given: Sequence[Any]) -> Any:
    """A column with other values in some rows. It keeps its codes where those are all missing."""
    if isinstance(column, Codes):
        if all(v is None for v in given):
            codes = column.codes.copy()
            codes[rows] = -1
            return Codes(codes, column.table)
        column = [None if code < 0 else column.table[code] for code in column.codes.tolist()]
    for row, v in zip(rows.tolist(), given, strict=True):
        column[row] = v
    return column
