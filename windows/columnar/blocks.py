"""Columns of a result: numpy arrays that turn into Python values when they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from windows.engine import FeatureBlock, Key, RollingBlock, WindowBlock
from windows.law.spec import WindowSet

Turn = Callable[[npt.NDArray[Any]], list[Any]]
Fill = tuple[Any, ...]  # a function that gives what a block says, by its fields' names, and its arguments


class Once:
    """Columns that are made together, when the first of them is read."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], Sequence[npt.NDArray[Any]]]) -> None:
        self._make: Callable[[], Sequence[npt.NDArray[Any]]] | None = make
        self._made: Sequence[npt.NDArray[Any]] = ()

    @classmethod
    def made(cls, *columns: npt.NDArray[Any]) -> Once:
        """Columns that are there."""
        once = cls.__new__(cls)
        once._make, once._made = None, columns
        return once

    def get(self) -> Sequence[npt.NDArray[Any]]:
        """All of them."""
        if self._make is not None:
            self._made = self._make()
            self._make = None
        return self._made


class Column(Sequence[Any]):
    """One of them. `array` is what the kernels made; items are Python values, None where the law says null."""

    __slots__ = ("_list", "_once", "_place", "_turn")

    def __init__(self, once: Once, place: int, turn: Turn) -> None:
        self._once, self._place, self._turn = once, place, turn
        self._list: list[Any] | None = None

    @property
    def array(self) -> npt.NDArray[Any]:
        """As numpy: numbers with nan for null, codes for values, slots for keys."""
        return self._once.get()[self._place]

    def __len__(self) -> int:
        return len(self.array)

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
            self._list = self._turn(self.array)
        return self._list


class _Lazy:
    """A block whose fields are made when the first of them is read: many blocks of a small step are not."""

    __slots__ = ()
    _fill: Fill

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        fill, *arguments = self._fill
        for field, value in fill(*arguments).items():
            setattr(self, field, value)
        return object.__getattribute__(self, name)


class LazyWindows(_Lazy, WindowBlock):
    """Windows, when they are read."""

    __slots__ = ("_fill",)

    def __init__(self, spec: WindowSet, fill: Fill) -> None:
        self.set, self._fill = spec, fill


class LazyViews(_Lazy, RollingBlock):
    """Views, when they are read."""

    __slots__ = ("_fill",)

    def __init__(self, spec: WindowSet, fill: Fill) -> None:
        self.set, self._fill = spec, fill


class LazyFeatures(_Lazy, FeatureBlock):
    """Values of events; which ones is known at once."""

    __slots__ = ("_fill",)

    def __init__(self, spec: WindowSet, row: Sequence[int], fill: Fill) -> None:
        self.set, self.row, self._fill = spec, row, fill


class Changed(Set[Key]):
    """Keys by their slots; they become Python values when they are read, which must be before the engine goes on."""

    __slots__ = ("_array", "_keys", "_turn")

    def __init__(self, slots: npt.NDArray[np.int64], turn: Turn) -> None:
        self._array, self._turn = slots, turn
        self._keys: set[Key] | None = None

    def _values(self) -> set[Key]:
        if self._keys is None:
            self._keys = set(self._turn(self._array))
        return self._keys

    def __contains__(self, key: object) -> bool:
        return key in self._values()

    def __iter__(self) -> Iterator[Key]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._array)

    def __eq__(self, other: object) -> bool:
        return self._values() == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._values())

    @classmethod
    def _from_iterable(cls, it: Any) -> Any:
        return set(it)


def whole(array: npt.NDArray[Any]) -> list[Any]:
    """Whole numbers that may have come as floats."""
    return [None if x != x else int(x) for x in array.tolist()]


def numbers(array: npt.NDArray[Any]) -> list[Any]:
    """Floats, None for nan."""
    return [None if x != x else x for x in array.tolist()]


def list_of(array: npt.NDArray[Any]) -> list[Any]:
    """As Python values."""
    values: list[Any] = array.tolist()
    return values
