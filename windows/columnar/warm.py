"""`python -m windows.columnar.warm`: have numba compile all kernels of the columnar engine, and keep them on disk, ahead of need.

The first step of an engine after that takes about half a second; without it, it waits a minute for the compiler.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from compiled.ahead import compile_calls
from windows.columnar.codes import Codes
from windows.columnar.engine import ColumnarEngine
from windows.columnar.room import forget_codes
from windows.columnar.saved import TAIL
from windows.engine import BY_EVENT, CHANGE, END, Columns, StepResult
from windows.law.spec import Kind, Measure, Rolling, Session, Sliding, Tumbling, WindowSet

FUNCTIONS = ("count", "sum", "mean", "min", "max", "var", "std", "distinct", "first", "last", "quantile")
KEY = ("k", 1)


def sets() -> list[WindowSet]:
    """A window set of each kind that kernels know, with all measures."""
    measures = tuple(Measure(fn, fn, None if fn == "count" else "x") for fn in FUNCTIONS)
    kinds: tuple[Kind, ...] = (Tumbling(10), Sliding(10, 3), Rolling(10), Session(10))
    return [WindowSet(f"w{n}", "t", "k", kind, measures) for n, kind in enumerate(kinds)]


def batch(times: list[int], watermark: int = 0) -> Columns:
    """Changes of one key, at a time that has come as far as the watermark."""
    n, at = len(times), np.array(times, np.int64)
    return Columns(
        n=n, kind=np.full(n, CHANGE, np.int8), cause=np.full(n, BY_EVENT, np.int8), mark=np.maximum(at, watermark),
        stream=np.zeros(n, np.int16), key=np.zeros(n, np.int32), keys=[KEY], at=at, old_at=at, put=np.ones(n, np.bool_),
        take=np.zeros(n, np.bool_), doc=None, number={"x": np.ones(n)}, flag={}, value={"x": Codes(np.zeros(n, np.int64), ["a"])},
    )  # fmt: skip


def read(result: StepResult) -> None:
    """Look at all that a step says."""
    for window in result.windows:
        list(window.events)
    for view in result.rolling:
        list(view.expires_at)


def warm() -> None:
    """Run every kernel once, those too that are needed seldom: whoever meets them first would wait for the compiler."""
    engine = ColumnarEngine(sets())
    read(engine.step(batch([1, 2, 30, 5_000_000])))
    read(engine.advance(10_000_000))
    read(engine.step(batch([10_000_001])))
    read(engine.step(batch([9_990_000], watermark=10_000_001)))  # late: closed windows are revised
    busy = dict(engine.dump([KEY]))
    engine.evict([KEY])
    engine.load(busy)
    read(engine.step(batch([10_000_002] * (TAIL // 3))))  # a history that is too long for its key's head
    dumps = engine.dump([KEY])
    engine.load(dumps, {KEY: dumps.segments[KEY].new})
    engine.dues([KEY])
    engine.due()
    engine.current(KEY, 10_000_003)
    forget_codes(engine)
    engine.renew_timers()
    list(engine.views(sets()[2], [KEY], [10_000_003]).as_of)
    read(engine.advance(END))


def main() -> int:
    """Compile, run all of it, and say how long it took."""
    begin = time.perf_counter()
    compile_calls("windows.columnar.warm")
    warm()
    print(f"kernels are ready after {time.perf_counter() - begin:.1f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
