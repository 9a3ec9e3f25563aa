"""Bytewax over the same file: `python -m benchmarks.peers.bytewax_flow FILE N w123`. Runs in .venv-peers.

Bytewax has no trailing window per event, so W3 is the prototype's code in a stateful map.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
import bytewax.operators.windowing as win
import msgspec
from bytewax.dataflow import Dataflow
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.operators.windowing import EventClock, SlidingWindower, TumblingWindower
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main

from benchmarks.peers.pure import Card, roll, roll_late

MINUTE = timedelta(minutes=1)
ALIGNED = datetime(2026, 1, 1, tzinfo=UTC)


class Payment(msgspec.Struct, gc=False):
    """What of a line is needed."""

    card_id: str
    merchant: str
    amount: float
    ts: int


class Lines(StatelessSourcePartition[Any]):
    """The first n lines of a file, a thousand at once."""

    def __init__(self, path: str, n: int) -> None:
        self._file, self._left = open(path, "rb", buffering=1 << 20), n  # noqa: SIM115

    def next_batch(self) -> list[bytes]:
        batch = [line for _, line in zip(range(min(1_000, self._left)), self._file, strict=False)]
        self._left -= len(batch)
        if not batch:
            raise StopIteration
        return batch


class Source(DynamicSource[Any]):
    """One worker reads it all."""

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Lines:
        return Lines(sys.argv[1], int(sys.argv[2]))


class Nothing(StatelessSinkPartition[Any]):
    """Drops everything."""

    def write_batch(self, items: list[Any]) -> None:
        return


class Sink(DynamicSink[Any]):
    """Drops everything."""

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Nothing:
        return Nothing()


def rolled(state: Card | None, e: Payment) -> tuple[Card, Any]:
    """W3 of one event."""
    state = state or Card()
    return state, (roll if e.ts >= state.newest else roll_late)(state, e.ts, e.amount, e.merchant)


def flow(what: str) -> Dataflow:
    """The dataflow of W1, W2 and W3, as asked."""
    made = Dataflow("payments")
    lines = op.map("decode", op.input("in", made, Source()), msgspec.json.Decoder(Payment).decode)
    keyed = op.key_on("key", lines, lambda e: e.card_id)
    clock = EventClock(
        ts_getter=lambda e: datetime.fromtimestamp(e.ts / 1000, UTC),
        wait_for_system_duration=timedelta(seconds=30),
        to_system_utc=lambda _: None,
    )
    if "1" in what:
        windower = TumblingWindower(length=MINUTE, align_to=ALIGNED)
        fold = lambda a, e: (a[0] + 1, a[1] + e.amount, max(a[2], e.amount))  # noqa: E731
        out = win.fold_window("w1", keyed, clock, windower, lambda: (0, 0.0, 0.0), fold, _merged, ordered=False)
        op.output("o1", out.down, Sink())
    if "2" in what:
        slider = SlidingWindower(length=10 * MINUTE, offset=MINUTE, align_to=ALIGNED)
        fold = lambda a, e: (a[0] + 1, a[1] + e.amount)  # noqa: E731
        out = win.fold_window("w2", keyed, clock, slider, lambda: (0, 0.0), fold, _merged, ordered=False)
        op.output("o2", op.map_value("mean", out.down, lambda v: (v[0], (*v[1], v[1][1] / v[1][0]))), Sink())
    if "3" in what:
        op.output("o3", op.stateful_map("w3", keyed, rolled), Sink())
    return made


def _merged(a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
    return (a[0] + b[0], a[1] + b[1], *(max(x, y) for x, y in zip(a[2:], b[2:], strict=True)))


if __name__ == "__main__":
    dataflow = flow(sys.argv[3])
    wall, cpu = time.perf_counter(), time.process_time()
    run_main(dataflow)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"n": int(sys.argv[2]), "seconds": wall, "cpu": cpu}), flush=True)
