"""The arena as Python sees it: made empty, and grown before a kernel runs short."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from windows.columnar.memory import Memory
from windows.engine import NEVER
from windows.kernels import tables
from windows.kernels import words as w
from windows.kernels.doors import codes_used, timers_new
from windows.kernels.memory import arena
from windows.plan.keep import revised_by, spans_of
from windows.plan.plan import Plan, out_spares, out_widths

FIRST_WORDS = 1 << 16
CAP, N, SPARE = 1, 2, 3  # columns of OUT in windows/kernels/words.py
AN_EVENT = {tables.COUNTS: 6, tables.SORTED: 5}  # words that an event takes at most in kernels/memory/codesets.py and sorted.py
GROWN = 2_048  # words that a small block may grow to within one row, by doubling more than once; larger ones double once
Words = npt.NDArray[np.int64]


def aligned(n: int) -> Words:
    """Memory for so many words, whose first one begins a cache line."""
    words = np.empty(n + arena.LINE - 1, np.int64)
    ahead = -(words.ctypes.data // words.itemsize) % arena.LINE
    return words[ahead : ahead + n]


def memory(plan: Plan) -> Words:
    """An arena for a plan: nothing in it but its head."""
    words = aligned(FIRST_WORDS)
    words[:] = 0
    acc = max([1, *(g.cells.words for g in plan.groups)])
    words[arena.ACC], words[arena.MEMO] = arena.HEAD, arena.HEAD + acc
    words[arena.BUMP] = -(-(arena.HEAD + acc + plan.memo_words) // arena.LINE) * arena.LINE
    cells = sum(g.cells.words for g in plan.groups) + sum(plan.root_words)
    spans = sum(map(spans_of, plan.sets))
    words[arena.SLACK] = 4096 + 16 * cells + 64 * sum(len(g.cells.columns) + 4 for g in plan.groups) + 8 * w.SPAN_WORDS * spans
    # a list of closed windows doubles several times where one late event revises many that were empty
    words[arena.SLACK] += 8 * w.CLOSED_WORDS * sum(map(revised_by, plan.sets))
    # a rolling set that is asked for a stretch far from the one before (the first after a load, or after a `delay`) takes all its
    # events in within one row
    kept = [kind for g in plan.groups for each in g.cells.moving.values() for kind, *_ in each]
    words[arena.AN_EVENT] = sum(AN_EVENT[kind] for kind in kept)
    words[arena.SLACK] += 4096 * len(kept)  # whatever their number: small lists, a node on each level
    # what may double in one row: what sets keep of their measures, lists of spans, maps and lists of documents
    words[arena.GROWERS] = 4 + sum(len(s.measures) + 1 + 4 * g.alone for s, g in zip(plan.sets, plan.group_of, strict=True))
    words[arena.SLACK] += GROWN * words[arena.GROWERS]
    words[arena.WATERMARK] = NEVER
    timers_new(words)
    return words


def need(words: Words, more: int) -> int:
    """The words that an arena must be larger than, so that there is memory for the next thing that a kernel does and so many words
    more. As `room` in kernels/memory/arena.py has it: all blocks that may double take no more than twice what is in use."""
    head = words.data  # numpy's own numbers are slow one by one
    growers = min(2 * head[arena.GROWERS] * head[arena.BIGGEST], 2 * head[arena.USED])
    most: int = more + head[arena.BUMP] + head[arena.SLACK] + growers + head[arena.AN_EVENT] * head[arena.CROWD]
    return most


def with_room(words: Words, more: int) -> Words:
    """The arena, or a copy that is larger by a quarter and more, with memory for the next thing and so many words more."""
    least = need(words, more)
    if least < words.size:
        return words
    grown, used = aligned(least + max(least // 4, FIRST_WORDS)), words[arena.BUMP]
    grown[:used] = words[:used]
    return grown


def forget_codes(engine: Memory) -> None:
    """Give free the codes of values that no key holds any more."""
    used = np.zeros(len(engine.codes.values_by_code), np.int8)
    groups = np.array([g.at for g in engine.plan.groups], np.int64)
    codes_used(engine.arrays, len(engine.keys), groups, used)
    engine.codes.keep(used.astype(np.bool_))


def first_out(plan: Plan) -> Words:
    """Room for results."""
    spares = out_spares(plan)
    return out_of([2 * words for words in spares], spares, None)


def with_out(plan: Plan, old: Words) -> Words:
    """The same with twice the room for kinds of rows that are short of it; what is written stays."""
    heads = old[: w.OUT_WORDS * len(out_widths(plan))].reshape(-1, w.OUT_WORDS)
    used, spares, caps = heads[:, N], heads[:, SPARE], heads[:, CAP]
    ran_over(heads)
    more = np.maximum(2 * caps, used + 2 * spares)
    return out_of(np.where(used + spares > caps, more, caps).tolist(), spares.tolist(), old)


def ran_over(heads: Words) -> None:
    """Ends the process, loudly, if results were written behind their room: no memory of it can be trusted any more."""
    used, caps = heads[:, N], heads[:, CAP]
    if (used > caps).any():
        raise SystemExit(f"results ran over their room: {used.tolist()} words of {caps.tolist()}")


def out_of(caps: Sequence[int], spares: Sequence[int], old: Words | None) -> Words:
    """Room for so many words of each kind, with the results that there are."""
    at = w.OUT_WORDS * len(caps)
    new = np.empty(at + sum(caps), np.int64)
    for head, cap, spare in zip(range(0, at, w.OUT_WORDS), caps, spares, strict=True):
        new[head : head + w.OUT_WORDS] = at, cap, 0, spare
        if old is not None:
            begin, _, n, _ = old[head : head + w.OUT_WORDS].tolist()
            new[head + N] = n
            new[at : at + n] = old[begin : begin + n]
        at += cap
    return new
