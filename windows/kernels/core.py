"""What kernels hand on: all that an engine has, and the rows of a batch, as two named tuples of bare addresses.

Python gives the arrays as plain tuples in the same order (a named tuple costs two microseconds at each call from Python).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from compiled.kernel import inlined
from compiled.pointers import bytes_of, floats, shorts, words
from windows.kernels.memory.arena import SCRATCH, SIZE

Words = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.int8]

# (arena, plan, zones, roots, scratch, stamps, results)
Arrays = tuple[Words, Words, Words, Words, Words, Words, Words]
# (kind, cause, mark, stream, slot, at, put, take, old_at, numbers, flags, codes, R, T, late, outcome)
RowArrays = tuple[Any, ...]


class Core(NamedTuple):
    """All that an engine has. int64 words, each:

    M        the arena, all state (memory/arena.py, words.py); its floats are floats_of(M)
    P        the plan (tables.py); its constants are floats_of(P)
    Z        the clocks of time zones (zones.py)
    ROOTS    by slot: the place of a key's root in M, 0 where nothing is known of it
    S        scratch: the items of a window, three words each (cells/cells.py); from its end, stacks
    STAMP    by a value, however spelled: the mark under which it was counted last
    OUT      results: heads of kinds of rows, then the rows (words.py)
    """

    M: Any
    P: Any
    Z: Any
    ROOTS: Any
    S: Any
    STAMP: Any
    OUT: Any


class Rows(NamedTuple):
    """The rows of a batch (windows/engine.py, Columns), n of them, and what is said of them.

    kind cause mark stream slot at put take old_at     of each row; slot is its key's, -1 for none
    numbers flags codes     columns of fields, one behind the other, as the plan numbers them
    R T                     registers of the conditions at hand (conditions.py)
    late                    by set: how many values it refused;  outcome: of each row, TOOK | REFUSED | KEPT
    """

    n: Any
    kind: Any
    cause: Any
    mark: Any
    stream: Any
    slot: Any
    at: Any
    put: Any
    take: Any
    old_at: Any
    numbers: Any
    flags: Any
    codes: Any
    R: Any
    T: Any
    late: Any
    outcome: Any


@inlined
def core_of(arrays: Arrays) -> Core:
    """From the arrays, which the caller keeps alive."""
    M, P, Z, ROOTS, S, STAMP, OUT = arrays
    M[SIZE], M[SCRATCH] = M.size, S.size
    return Core(words(M), words(P), words(Z), words(ROOTS), words(S), words(STAMP), words(OUT))


@inlined
def rows_of(arrays: RowArrays) -> Rows:
    """The same for the rows of a batch."""
    kind, cause, mark, stream, slot, at, put, take, old_at, numbers, flags, codes, R, T, late, outcome = arrays
    return Rows(
        slot.size, bytes_of(kind), bytes_of(cause), words(mark), shorts(stream), words(slot), words(at), bytes_of(put),
        bytes_of(take), words(old_at), floats(numbers), bytes_of(flags), words(codes), floats(R), words(T), words(late),
        bytes_of(outcome),
    )  # fmt: skip
