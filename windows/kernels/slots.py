"""What a batch says in its own numbers, in the engine's: slots for keys, codes for values.

A code says two things: its low 32 bits which value it is, the 20 bits above how that is spelled: 1, 1.0 and the decimal 1.00 are
one value of three spellings, and the first one that was met has 0. What is shown (`first`, `last`) is the whole code; wherever
values are compared or counted, codes are `alike`. A code is below 2^52, so a float64 holds it. A negative one is no value.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from compiled.kernel import inlined, kernel

Ints = npt.NDArray[np.int64]
CHANGE = 1  # as in windows.engine
UNKNOWN, ASKED = -2, -3  # no number yet
SPELLED = 1 << 32  # codes from here on are values of another spelling than the first
SPELLINGS = 1 << 20  # of one value. MongoDB has 34 of a decimal at most, of zero 24,576: no document comes near
ALIKE = ~((SPELLINGS - 1) * SPELLED)
ANYHOW = SPELLED * SPELLINGS  # in a dump's words: a code whose spelling says nothing


@inlined
def alike(code: int) -> int:
    """A code without the spelling: the same of equal values, negative of none."""
    return code & ALIKE


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
def recode(codes: Ints, own: Ints, out: Ints, missing: Ints) -> int:
    """own[code] for each code, -1 where it is negative. Gives how many codes have no number yet (own[code] is UNKNOWN): they go to
    `missing`, each once, and are ASKED from then on."""
    n = 0
    for i in range(codes.size):
        out[i] = own[codes[i]] if codes[i] >= 0 else -1
        if out[i] == UNKNOWN:
            missing[n] = codes[i]
            own[codes[i]] = ASKED
            n += 1
    return n
