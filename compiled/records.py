"""Words in memory as records: a dtype says what stands where, and kernels read and write its fields by name.

    NODE = record("level parent n")          # three words of int64
    node_at = at(NODE)                       # in a kernel: node_at(memory, place).n += 1
    View(words, place, NODE).n               # in Python, over an array

It costs nothing: a record is the address of its first word, and a field a load from there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from numba import types

from compiled.kernel import PURE
from compiled.pointers import built

WORD = 8  # bytes


def record(fields: str, **other: str) -> np.dtype[np.void]:
    """A record of words, one a field, in the order of their names; other: the fields that are no int64."""
    return np.dtype([(name, other.get(name, "i8")) for name in fields.split()], align=True)


def words_in(kind: np.dtype[np.void]) -> int:
    """How many words a record takes."""
    return kind.itemsize // WORD


def laid(kind: np.dtype[np.void], /, **fields: int) -> list[int]:
    """The words of a record, 0 for a field that is not named; KeyError for one that it has not."""
    unknown = fields.keys() - set(kind.names or ())
    if unknown:
        raise KeyError(*unknown)
    return [fields.get(name, 0) for name in kind.names or ()]


class View:
    """A record in an array, whose fields are its attributes. (numpy's own records have attributes like `size` and `max`
    already.)"""

    __slots__ = ("_record",)
    _record: Any

    def __init__(self, words: npt.NDArray[np.int64], place: int, kind: np.dtype[np.void]) -> None:
        object.__setattr__(self, "_record", words[place : place + words_in(kind)].view(kind)[0])

    def __getattr__(self, name: str) -> Any:
        return self._record[name].item()

    def __setattr__(self, name: str, value: float) -> None:
        self._record[name] = value


def at(kind: np.dtype[np.void]) -> Callable[..., Any]:
    """For kernels: the record at a word of the memory that a pointer (see compiled/kernel.py) points to."""
    if PURE:
        return lambda words, place: View(words, place, kind)
    known: Any = numba.from_dtype(kind)

    def build(typing: Any, memory: Any, place: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.bitcast(builder.gep(args[0], [args[1]]), context.get_value_type(signature.return_type))

        return known(memory, types.int64), code

    return built(build, kind)
