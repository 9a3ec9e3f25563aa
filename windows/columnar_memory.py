"""The arena as Python sees it: made empty, and grown before a kernel runs short."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from windows import arena
from windows import kernel_layout as w
from windows.columnar_parts import Memory
from windows.engine import NEVER
from windows.kernel_entry import codes_used, timers_new
from windows.kernel_rows import SPARE
from windows.layout import Plan

FIRST_WORDS = 1 << 16
Words = npt.NDArray[np.int64]


def memory(plan: Plan, measures: int) -> Words:
    """An arena for a plan: nothing in it but its head. `measures`: how many things may double in one row."""
    words = np.zeros(FIRST_WORDS, np.int64)
    acc = max([1, *(g.cells.words for g in plan.groups)])
    words[arena.ACC], words[arena.MEMO] = arena.HEAD, arena.HEAD + acc
    words[arena.BUMP] = arena.HEAD + acc + plan.memo_words
    cells = sum(g.cells.words for g in plan.groups) + sum(plan.root_words)
    words[arena.SLACK] = 4096 + 16 * cells + 64 * sum(len(g.cells.columns) + 4 for g in plan.groups)
    words[arena.GROWERS] = 4 + measures
    words[arena.WATERMARK] = NEVER
    timers_new(words)
    return words


def with_room(words: Words, more: int) -> Words:
    """The arena, or a copy at least twice as large: with memory for the next thing that a kernel does and so many words more."""
    need = more + int(words[arena.BUMP] + words[arena.SLACK] + 2 * words[arena.GROWERS] * words[arena.BIGGEST])
    if need < words.size:
        return words
    used = int(words[arena.BUMP])
    grown = np.empty(max(2 * words.size, 2 * need), np.int64)
    grown[:used] = words[:used]
    return grown


def forget_codes(engine: Memory) -> None:
    """Give free the codes of values that no key holds any more."""
    used = np.zeros(len(engine.codes.values_by_code), np.int8)
    groups = np.array([g.at for g in engine.plan.groups], np.int64)
    codes_used(engine.M, engine.plan.P, engine.roots, len(engine.keys), groups, used)
    engine.codes.keep(used.astype(np.bool_))


def first_rows(plan: Plan) -> Words:
    """Room for rows of results (windows/kernel_rows.py)."""
    return _rows([2 * SPARE * (w.ROW_WORDS + len(s.measures)) for s in plan.sets], None)


def with_rows(plan: Plan, old: Words) -> Words:
    """The same with twice the room for sets that are short of it; what is written stays."""
    heads = old[: w.ROWS_WORDS * len(plan.sets)].reshape(-1, w.ROWS_WORDS)
    widths = [w.ROW_WORDS + len(s.measures) for s in plan.sets]
    short = heads[:, w.ROWS_N] + SPARE * np.array(widths, np.int64) > heads[:, w.ROWS_CAP]
    return _rows((heads[:, w.ROWS_CAP] * np.where(short, 2, 1)).tolist(), old)


def _rows(caps: Sequence[int], old: Words | None) -> Words:
    at = w.ROWS_WORDS * len(caps)
    new = np.zeros(at + sum(caps), np.int64)
    for head, cap in zip(range(0, at, w.ROWS_WORDS), caps, strict=True):
        new[head : head + w.ROWS_WORDS] = at, cap, 0
        if old is not None:
            begin, _, n = old[head : head + w.ROWS_WORDS].tolist()
            new[head + w.ROWS_N] = n
            new[at : at + n] = old[begin : begin + n]
        at += cap
    return new
