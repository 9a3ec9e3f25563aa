"""That both sides of a measure compute the same: ours and the prototype in pure Python over the first payments, value by value."""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import isclose
from typing import Any

from benchmarks import sets, workload
from benchmarks.ours import Engines, of_file
from benchmarks.peers.pure import Engine
from windows.engine import BY_END, END, StepResult

Results = dict[Any, tuple[float, ...]]
N = 30_000
CLOSE = 1e-6  # the prototype's running sums drift


def ours(engines: Engines) -> tuple[Results, Results, list[tuple[float, ...]]]:
    """(tumbling, sliding) by card and end, and rolling by event."""
    specs = sets.workload("w123")
    engine, closed, rolled = engines(specs), dict[str, Results](w1={}, w2={}), list[tuple[float, ...]]()
    for batch in of_file(workload.payments(N), specs, True, 1_000, N):
        result = engine.step(batch)
        take(result, closed)
        for block in result.features:
            rolled += zip(*block.measures.values(), strict=True)
    take(engine.advance(END, BY_END), closed)
    return closed["w1"], closed["w2"], rolled


def take(result: StepResult, closed: dict[str, Results]) -> None:
    """The windows of a step that are final."""
    for block in result.windows:
        rows = zip(*block.measures.values(), strict=True)
        for key, end, final, row in zip(block.key, block.end, block.final, rows, strict=True):
            if final:
                closed[block.set.name][key[1], end] = row


def theirs() -> tuple[Results, Results, list[tuple[float, ...]]]:
    """The same, by the prototype."""
    engine, w1, w2, w3 = Engine(), list[Any](), list[Any](), list[Any]()
    with workload.payments(N).open("rb") as lines:
        for batch in workload.batches(lines, 1_000):
            events = [(d["card_id"], d["merchant"], d["amount"], d["ts"]) for d in map(json.loads, batch)]
            engine.process(events, w1, w2, w3)
    engine.finish(w1, w2)
    return {row[:2]: row[2:] for row in w1}, {row[:2]: row[2:] for row in w2}, [row[2:] for row in w3]


def differences(mine: Iterable[tuple[Any, ...]], other: Iterable[tuple[Any, ...]]) -> int:
    """How many rows differ; std of one is null here, 0 there."""
    pairs = zip(mine, other, strict=True)
    return sum(not all(isclose(a or 0, b, rel_tol=CLOSE, abs_tol=CLOSE) for a, b in zip(x, y, strict=True)) for x, y in pairs)


def check(engines: Engines) -> str:
    """What was compared. Raises RuntimeError if anything differs."""
    w1, w2, w3 = ours(engines)
    p1, p2, p3 = theirs()
    wrong = [differences(w3, p3)]
    for mine, other in ((w1, p1), (w2, p2)):
        if mine.keys() != other.keys():
            raise RuntimeError(f"other windows: {len(mine)} here, {len(other)} there")
        wrong.append(differences(mine.values(), [other[key] for key in mine]))
    if any(wrong):
        raise RuntimeError(f"{wrong} rolling, tumbling and sliding values differ from the prototype's")
    return f"checked {len(w1)} tumbling and {len(w2)} sliding windows and {len(w3)} rolling values of {N} events: 0 differ"
