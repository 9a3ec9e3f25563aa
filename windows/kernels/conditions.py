# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Conditions over a row: a small machine of registers, three-valued, compiled once from the trees of windows/law/expr.py.

An operation is four words: [what, to, a, b]. A register is a number R[i] and a state T[i]: for numbers 0 null, 1 known; for flags
-1 null, 0, 1; for values the code, whatever its spelling, negative null. Constants stand in PX.
"""

from __future__ import annotations

import numpy as np

from compiled.kernel import inlined, kernel
from compiled.pointers import floats_of
from windows.kernels import tables
from windows.kernels.slots import alike
from windows.kernels.tables import group_at, stream_at

O_NUMBER, O_FLAG, O_CODE, O_CONST, O_CONST_FLAG, O_CONST_CODE = 0, 1, 2, 3, 4, 5
O_CMP, O_SAME, O_IN_NUMBERS, O_IN_CODES, O_AND, O_OR, O_NOT, O_IS_NULL = 10, 20, 22, 23, 24, 25, 26, 27
O_ARITH, O_NEG, O_ABS = 30, 40, 41
OP_WORDS = 4


@kernel
def compared(op, a, b):
    if op == 0:
        return a == b
    if op == 1:
        return a != b
    if op == 2:
        return a < b
    if op == 3:
        return a <= b
    if op == 4:
        return a > b
    return a >= b


@kernel
def computed(op, a, b):
    """(the result, whether it is known): + - * / %, null where something is divided by zero."""
    if op == 0:
        return a + b, 1
    if op == 1:
        return a - b, 1
    if op == 2:
        return a * b, 1
    if b == 0.0:
        return 0.0, 0
    if op == 3:
        return a / b, 1
    return remainder(a, b), 1


@kernel
def remainder(a, b):
    """Python's: of the sign of b."""
    r = np.fmod(a, b)
    if r != 0.0 and (r < 0.0) != (b < 0.0):
        r += b
    return r


@kernel
def both_known(op, to, a, b, R, T):
    """Operations on two numbers or values: null where either is."""
    if op >= O_ARITH:
        known = T[a] > 0 and T[b] > 0
        T[to] = 0
        if known:
            R[to], T[to] = computed(op - O_ARITH, R[a], R[b])
    elif op >= O_SAME:
        T[to] = -1 if T[a] < 0 or T[b] < 0 else (T[a] == T[b]) == (op == O_SAME)
    else:
        T[to] = -1 if T[a] < 1 or T[b] < 1 else compared(op - O_CMP, R[a], R[b])


@kernel
def one_known(op, to, a, b, R, T, P, PX):
    """Operations on one register, and logic."""
    if op == O_AND:
        T[to] = 0 if T[a] == 0 or T[b] == 0 else min(T[a], T[b])
    elif op == O_OR:
        T[to] = 1 if T[a] == 1 or T[b] == 1 else min(T[a], T[b])
    elif op == O_NOT:
        T[to] = T[a] if T[a] < 0 else 1 - T[a]
    elif op == O_IS_NULL:
        T[to] = T[a] < 0
    elif op in (O_IN_NUMBERS, O_IN_CODES):
        known = T[a] > 0 if op == O_IN_NUMBERS else T[a] >= 0
        found = 0
        for i in range(P[b]):
            if (op == O_IN_NUMBERS and R[a] == PX[b + 1 + i]) or (op == O_IN_CODES and T[a] == P[b + 1 + i]):
                found = 1
        T[to] = found if known else -1
    else:
        T[to] = T[a]
        R[to] = -R[a] if op == O_NEG else abs(R[a])


@inlined
def evaluate(core, rows, st, i):
    """All conditions of a stream over row i, into the registers."""
    n = rows.n
    P, PX = core.P, floats_of(core.P)
    NUM, FLAG, CODE, R, T = rows.numbers, rows.flags, rows.codes, rows.R, rows.T
    stream = stream_at(P, st)
    p = stream.code
    for _ in range(stream.ncode):
        op = P[p]
        to = P[p + 1]
        a = P[p + 2]
        if op == O_NUMBER:
            R[to] = NUM[a * n + i]
            T[to] = 0 if np.isnan(R[to]) else 1
        elif op == O_FLAG:
            T[to] = FLAG[a * n + i]
        elif op == O_CODE:
            T[to] = alike(CODE[a * n + i])
        elif op == O_CONST:
            R[to] = PX[a]
            T[to] = 1
        elif op <= O_CONST_CODE:
            T[to] = a
        elif op < O_IN_NUMBERS or (O_ARITH <= op < O_NEG):
            both_known(op, to, a, P[p + 3], R, T)
        else:
            one_known(op, to, a, P[p + 3], R, T, P, PX)
        p += OP_WORDS


@inlined
def bits_of(core, rows, g, i):
    """Which of a group's conditions hold for row i; a condition is a list of terms that must all hold."""
    P = core.P
    NUM, CODE, T, n = rows.numbers, rows.codes, rows.T, rows.n
    group = group_at(P, g)
    mask = np.int64(0)
    for b in range(group.nbits):
        p = P[group.bits + b]
        holds = True
        for j in range(P[p]):
            what = P[p + 1 + 2 * j]
            which = P[p + 2 + 2 * j]
            if what == tables.TRUE:
                holds = holds and T[which] == 1
            elif what == tables.KNOWN:
                holds = holds and T[which] >= 0
            elif what == tables.HAS_NUMBER:
                holds = holds and not np.isnan(NUM[which * n + i])
            else:
                holds = holds and CODE[which * n + i] >= 0
        if holds:
            mask |= np.int64(1) << b
    return mask
