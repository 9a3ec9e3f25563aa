"""What a batch says in its own numbers, in the engine's: slots for keys, codes for values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from compiled.kernel import kernel

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
CHANGE = 1  # as in windows.engine


@kernel
def find_slots(
    kind: npt.NDArray[np.int8],
    stream: npt.NDArray[np.int16],
    key: npt.NDArray[np.int32],
    begin: int,
    codes: Ints,
    own: Ints,
    slot: Ints,
    missing: Ints,
) -> tuple[int, int]:
    """The slot of each row's key, own[codes[key]]; -1 before `begin` and where a row is no change of a key that a set reads. Gives
    how many rows have a key without a slot, whose codes go to `missing`, and how many have any."""
    slot[:begin] = -1
    n, keyed = 0, 0
    for i in range(begin, kind.size):
        slot[i] = -1
        if kind[i] == CHANGE and stream[i] >= 0 and key[i] >= 0:
            keyed += 1
            code = codes[key[i]]
            slot[i] = own[code]
            if own[code] < 0:
                missing[n] = code
                n += 1
    return n, keyed


@kernel
def recode(codes: Ints, own: Ints, out: Ints) -> None:
    """own[code] for each code, -1 where it is negative."""
    for i in range(codes.size):
        out[i] = own[codes[i]] if codes[i] >= 0 else -1


@kernel
def span(at: Ints, put: Bools, mark: Ints, begin: int, end: int, least: int) -> tuple[int, int]:
    """The least and the greatest of the times that are put in and of the marks above `least`; 0 and 0 where there are none."""
    low, high, some = 0, 0, False
    for i in range(begin, end):
        if put[i]:
            low = min(low, at[i]) if some else at[i]
            high = max(high, at[i]) if some else at[i]
            some = True
        if mark[i] > least:
            low = min(low, mark[i]) if some else mark[i]
            high = max(high, mark[i]) if some else mark[i]
            some = True
    return low, high
