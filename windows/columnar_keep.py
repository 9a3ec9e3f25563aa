"""Sets that keep their events, as Python sees them: what a step says of their sessions and windows, and what is saved of these."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from windows import arena
from windows import kernel_layout as w
from windows.columnar_parts import Memory
from windows.engine import Key
from windows.kernel_kept_entry import emit_spans, kept_since, spans_dump, spans_load
from windows.kernel_spans import SAVED
from windows.spec import Session, WindowSet

Words = npt.NDArray[np.int64]
Gone = dict[tuple[int, int], int]  # (slot, start) of a session: so many rows were written before it was removed the last time


def write_spans(engine: Memory, i: int) -> tuple[list[tuple[WindowSet, Key, int]], Gone]:
    """Have set i's sessions or windows that changed in this step written as rows: the documents that are to be removed, and which
    of the rows that were written on the way are theirs."""
    head, done = (2 * i + 1) * w.OUT_WORDS, 0
    at, _, n, _ = engine.out[head : head + w.OUT_WORDS].tolist()
    said = engine.out[at : at + n].copy().reshape(-1, 3)
    while done < n:
        engine.make_room()
        done = emit_spans(
            engine.M, engine.plan.P, engine.zones.Z, engine.roots, engine.plan.set_at(i), done, engine.scratch, engine.stamps,
            engine.out,
        )  # fmt: skip
    gone = {(slot, start): before for slot, start, before in said[said[:, 2] != w.TOUCHED].tolist()}
    return [(engine.sets[i], key, start) for slot, start in gone if (key := engine.keys[slot]) is not None], gone


def dump_spans(engine: Memory, i: int, root: int) -> Words:
    """A set's spans at a key: [the first time that they reach, the last, how many are not emptied, a row each]; nothing of none."""
    at, kind = root + engine.plan.entity[i], engine.sets[i].kind
    spans = spans_dump(engine.M, at + w.E_SPANS)
    emptied = spans_dump(engine.M, at + w.E_EMPTIED)
    if not len(spans) and not len(emptied):
        return np.zeros(0, np.int64)
    first = last = 0
    if len(spans):
        first = int(kept_since(engine.M, engine.plan.P, engine.zones.Z, engine.plan.set_at(i), root))
        last = first if isinstance(kind, Session) else first + kind.size
    return np.concatenate([np.array([first, last, len(spans)]), spans.ravel(), emptied.ravel()])


def load_spans(engine: Memory, i: int, root: int, words: Words) -> None:
    """Inverse of dump_spans, once the set's events are loaded."""
    at, chain = root + engine.plan.entity[i], root + engine.plan.group_of[i].chain
    engine.zones.cover(int(words[0]), int(words[1]))
    rows = words[3:].reshape(-1, SAVED)
    for n in range(len(rows)):
        engine.make_room()
        spans_load(engine.M, at, at + (w.E_SPANS if n < words[2] else w.E_EMPTIED), rows, n)
    events = int(engine.M[int(engine.M[chain]) + w.H_N]) if engine.M[chain] else 0
    engine.M[arena.LONGEST] = max(int(engine.M[arena.LONGEST]), events // 2 + 1)
