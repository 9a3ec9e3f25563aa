"""Columns of a result: numpy arrays that turn into Python values when they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

import numpy.typing as npt

Turn = Callable[[npt.NDArray[Any]], list[Any]]


class Column(Sequence[Any]):
    """One column. `array` is what the kernels made; items are Python values, None where the law says null."""

    __slots__ = ("_array", "_list", "_turn")

    def __init__(self, array: Callable[[], npt.NDArray[Any]], turn: Turn) -> None:
        self._array, self._turn = array, turn
        self._list: list[Any] | None = None

    @property
    def array(self) -> npt.NDArray[Any]:
        """As numpy: numbers with nan for null, codes for values."""
        return self._array()

    def __len__(self) -> int:
        return len(self._array())

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self._values()[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._values() == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._values())

    def _values(self) -> list[Any]:
        if self._list is None:
            self._list = self._turn(self._array())
        return self._list


class Once:
    """Columns that are made together, when the first of them is read, and not after the engine has gone on."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], Sequence[npt.NDArray[Any]]]) -> None:
        self._make: Callable[[], Sequence[npt.NDArray[Any]]] | None = make
        self._made: Sequence[npt.NDArray[Any]] = ()

    def get(self) -> Sequence[npt.NDArray[Any]]:
        """All of them."""
        if self._make is not None:
            self._made = self._make()
            self._make = None
        return self._made

    def column(self, place: int, turn: Turn) -> Column:
        """One of them."""
        return Column(lambda: self.get()[place], turn)


def whole(array: npt.NDArray[Any]) -> list[Any]:
    """Whole numbers that may have come as floats."""
    return [None if x != x else int(x) for x in array.tolist()]


def numbers(array: npt.NDArray[Any]) -> list[Any]:
    """Floats, None for nan."""
    return [None if x != x else x for x in array.tolist()]
