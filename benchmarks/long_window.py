"""What an event costs in one busy key's rolling window of 30 days, by how many events it holds: `python -m benchmarks.long_window`.

Each line is one set with a few measures. Events come evenly, so that the window holds the asked number and the oldest leaves it
with each new one; the last 20,000 events are measured, in steps of 5,000. `--sizes 10000,100000` and `--only TEXT` measure less.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.ours import sink
from benchmarks.sets import window_set
from windows.columnar.codes import Codes
from windows.columnar.engine import ColumnarEngine
from windows.engine import BY_EVENT, CHANGE, Columns
from windows.kernels.memory import arena
from windows.law.spec import DAY, Rolling, WindowSet

SIZES = (10_000, 100_000, 1_000_000)
STEP, MEASURED, WARM = 5_000, 20_000, 1_000
T0 = 1_767_225_600_000  # 2026-01-01
KEYS = [("card_id", "c1")]
LINES = {
    "count, sum, mean, std": {"n": "count()", "total": "sum(amount)", "mean": "mean(amount)", "std": "std(amount)"},
    "min, max": {"low": "min(amount)", "top": "max(amount)"},
    "distinct of 20 values": {"few": "distinct(country)"},
    "distinct, half of all differ": {"many": "distinct(device)"},
    "first, last": {"first": "first(country)", "last": "last(country)"},
    "quantile": {"q": "quantile(amount, 0.95)"},
}


def batches(size: int, n: int) -> Iterator[Columns]:
    """n events of one key, so many in 30 days as the size says."""
    rng = np.random.default_rng(size)
    countries, devices = [f"C{i}" for i in range(20)], [f"d{i}" for i in range(size // 2)]
    for begin in range(0, n, STEP):
        many = min(STEP, n - begin)
        at = T0 + np.arange(begin, begin + many, dtype=np.int64) * (30 * DAY // size)
        nothing = np.zeros(many, np.bool_)
        yield Columns(
            n=many, kind=np.full(many, CHANGE, np.int8), cause=np.full(many, BY_EVENT, np.int8), mark=at,
            stream=np.zeros(many, np.int16), key=np.zeros(many, np.int32), keys=KEYS, at=at, old_at=at, put=~nothing, take=nothing,
            doc=None, number={"amount": rng.lognormal(3.2, 1.1, many).round(2)}, flag={},
            value={
                "country": Codes(rng.integers(0, len(countries), many), countries),
                "device": Codes(rng.integers(0, len(devices), many), devices),
            },
        )  # fmt: skip


def cost(spec: WindowSet, size: int) -> tuple[float, float]:
    """(microseconds of the processor an event, bytes of the arena's memory in use a retained event) at a size."""
    engine, made = ColumnarEngine([spec]), list(batches(size, size + MEASURED))
    for batch in made[: -(MEASURED // STEP)]:
        sink(engine.step(batch))
    gc.collect()
    began = time.process_time()
    for batch in made[-(MEASURED // STEP) :]:
        sink(engine.step(batch))
    return 1e6 * (time.process_time() - began) / MEASURED, 8 * int(engine.M[arena.USED]) / size


def main(arguments: list[str]) -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.long_window", description=__doc__, allow_abbrev=False)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="events that the window holds")
    parser.add_argument("--only", default="", help="only lines whose name has this text")
    asked = parser.parse_args(arguments)
    sizes = [int(size) for size in asked.sizes.split(",")]
    print(f"| measures | {' | '.join(f'{n:,}: µs | bytes' for n in sizes)} | last over first |")
    print(f"| --- |{' --- |' * (2 * len(sizes) + 1)}")
    for name, measures in LINES.items():
        if asked.only in name:
            spec = window_set("w", Rolling(30 * DAY), measures)
            cost(spec, WARM)
            found = [cost(spec, size) for size in sizes]
            cells = " | ".join(f"{took:.2f} | {held:.0f}" for took, held in found)
            print(f"| {name} | {cells} | {found[-1][0] / found[0][0]:.2f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
