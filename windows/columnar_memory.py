"""The arena as Python sees it: made empty, and grown before a kernel runs short."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from windows import arena
from windows import kernel_layout as w
from windows.columnar_parts import Memory
from windows.engine import NEVER
from windows.kernel_entry import codes_used, timers_new
from windows.layout import Group, Plan
from windows.layout_keep import spans_of
from windows.layout_out import out_spares, out_widths
from windows.spec import Rolling

FIRST_WORDS = 1 << 16
SORTED_WORDS = 5  # that a number of windows/kernel_sorted.py takes at most
# two words behind the arena's head that only this file reads: SLACK without, and the part of the arena (of WHOLE) that is, room to
# sort a key's events in one row
BASE, PART, WHOLE = arena.HEAD, arena.HEAD + 1, 1 << 16
Words = npt.NDArray[np.int64]


def memory(plan: Plan) -> Words:
    """An arena for a plan: nothing in it but its head."""
    words = np.zeros(FIRST_WORDS, np.int64)
    acc = max([1, *(g.cells.words for g in plan.groups)])
    words[arena.ACC], words[arena.MEMO] = PART + 1, PART + 1 + acc
    words[arena.BUMP] = PART + 1 + acc + plan.memo_words
    cells = sum(g.cells.words for g in plan.groups) + sum(plan.root_words)
    spans = sum(map(spans_of, plan.sets))
    words[BASE] = 4096 + 16 * cells + 64 * sum(len(g.cells.columns) + 4 for g in plan.groups) + 8 * w.K_WORDS * spans
    words[BASE] += 4096 * sum(_sorted_in(plan, g) for g in plan.groups)  # whatever their number: small lists, a node on each level
    words[PART] = _part(plan)
    set_slack(words)
    # what may double in one row: what sets keep of their measures, lists of spans, maps and lists of documents
    words[arena.GROWERS] = 4 + sum(len(s.measures) + 1 + 4 * g.alone for s, g in zip(plan.sets, plan.group_of, strict=True))
    words[arena.WATERMARK] = NEVER
    timers_new(words)
    return words


def with_room(words: Words, more: int) -> Words:
    """The arena, or a copy at least twice as large: with memory for the next thing that a kernel does and so many words more."""
    used, part = int(words[arena.BUMP]), int(words[PART])
    need = used + int(words[BASE] + 2 * words[arena.GROWERS] * words[arena.BIGGEST])
    if need + max(more, words.size * part // WHOLE) < words.size:
        return words
    most = need + max(more, need * part // (WHOLE - part) + 1)
    grown = np.empty(max(2 * words.size, 2 * most), np.int64)
    grown[:used] = words[:used]
    set_slack(grown)
    return grown


def set_slack(words: Words) -> None:
    """What a kernel must find free before each thing that it does, in an arena of this size."""
    words[arena.SLACK] = int(words[BASE]) + words.size * int(words[PART]) // WHOLE


def _sorted_in(plan: Plan, group: Group) -> int:
    """How often the rolling sets of a group keep a value of an event sorted."""
    kept = [group.cells.kept[i] for i in group.sets if isinstance(plan.sets[i].kind, Rolling) and group.grid is None]
    return sum(kind == w.I_SORTED for each in kept for kind, *_ in each)


def _part(plan: Plan) -> int:
    """The part of the arena that must be free, of WHOLE, where sets keep values sorted.

    When such a set is asked for a stretch that has nothing in common with the one before (the first after a load, or the first
    after a `delay`), all its events are put in within one row. They stand in the used part of the arena, in leaves: so for every
    word of it at most so many are asked for as the kept values of an event need for every word of an event.
    """
    most = 0.0
    for group in plan.groups:
        leaf = w.N_CELLS + w.LEAF * (w.V_EXTRA + len(group.cells.columns))
        most = max(most, SORTED_WORDS * _sorted_in(plan, group) * w.LEAF / leaf)
    return math.ceil(WHOLE * most / (1 + most))


def forget_codes(engine: Memory) -> None:
    """Give free the codes of values that no key holds any more."""
    used = np.zeros(len(engine.codes.values_by_code), np.int8)
    groups = np.array([g.at for g in engine.plan.groups], np.int64)
    codes_used(engine.M, engine.plan.P, engine.roots, len(engine.keys), groups, used)
    engine.codes.keep(used.astype(np.bool_))


def first_out(plan: Plan) -> Words:
    """Room for results."""
    spares = out_spares(plan)
    return _out([2 * words for words in spares], spares, None)


def with_out(plan: Plan, old: Words) -> Words:
    """The same with twice the room for kinds of rows that are short of it; what is written stays."""
    heads = old[: w.OUT_WORDS * len(out_widths(plan))].reshape(-1, w.OUT_WORDS)
    used, spares, caps = heads[:, w.OUT_N], heads[:, w.OUT_SPARE], heads[:, w.OUT_CAP]
    more = np.maximum(2 * caps, used + 2 * spares)
    return _out(np.where(used + spares > caps, more, caps).tolist(), spares.tolist(), old)


def _out(caps: Sequence[int], spares: Sequence[int], old: Words | None) -> Words:
    at = w.OUT_WORDS * len(caps)
    new = np.empty(at + sum(caps), np.int64)
    for head, cap, spare in zip(range(0, at, w.OUT_WORDS), caps, spares, strict=True):
        new[head : head + w.OUT_WORDS] = at, cap, 0, spare
        if old is not None:
            begin, _, n, _ = old[head : head + w.OUT_WORDS].tolist()
            new[head + w.OUT_N] = n
            new[at : at + n] = old[begin : begin + n]
        at += cap
    return new
