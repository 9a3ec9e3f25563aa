"""python -m tests.sim.run SEED: repeats one run and tells its story. --seeds 0-300: many, and which points were never hit.

The same seed is the same run, to the last step; for that the process' hash seed has to be the same too, and it begins itself anew.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
import traceback
from collections import Counter

import structlog

from tests.sim.points import POINTS
from tests.sim.world import World

COMMAND = ".venv/bin/python -m tests.sim.run"


def one(seed: int) -> tuple[World, str]:
    """A run, and what is wrong with it."""
    world = World(seed)
    try:
        world.run()
    except Exception as error:
        trace = "" if isinstance(error, AssertionError) and error.__cause__ is None else traceback.format_exc()
        return world, f"{trace}{type(error).__name__}: {error}"
    return world, ""


def timeline(world: World) -> str:
    """The story: when, which shard in which lane, who and what."""
    lanes = list(world.leases)
    heads = "  ".join(f"{name:<4}" for name in lanes)
    lines = [f"{'s':>9}  {heads}"]
    for clock, shard, what in world.story:
        row = "  ".join(f"{what.split()[0] if name == shard else '.':<4}" for name in lanes)
        lines.append(f"{clock / 1000:9.1f}  {row}  {what}")
    return "\n".join(lines)


def many(first: int, last: int) -> int:
    """Exit status: whether all were right, and every point was hit."""
    begin, hits, faults, wrong = time.monotonic(), Counter[str](), Counter[str](), []
    for seed in range(first, last):
        world, error = one(seed)
        hits += world.hits
        faults += world.faults
        if error:
            wrong.append(seed)
            print(f"seed {seed}: {error}\n  again, with its story: {COMMAND} {seed}\n", flush=True)
    never = [point for point in POINTS if not hits[point]]
    seconds = time.monotonic() - begin
    points = f"{len(POINTS) - len(never)} of {len(POINTS)} points"
    print(f"{last - first} seeds in {seconds:.0f} s, {sum(hits.values())} deaths at {points}")
    print(", ".join(f"{name}: {n}" for name, n in sorted((hits + faults).items())))
    if wrong:
        print(f"{len(wrong)} differ: {' '.join(map(str, wrong))}")
    if never:
        print(f"never hit: {', '.join(never)}")
    return int(bool(wrong or never))


def main() -> int:
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(sys.executable, [sys.executable, "-m", "tests.sim.run", *sys.argv[1:]], {**os.environ, "PYTHONHASHSEED": "0"})
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    parser = argparse.ArgumentParser(prog="python -m tests.sim.run", description=__doc__, allow_abbrev=False)
    parser.add_argument("seed", type=int, nargs="?")
    parser.add_argument("--seeds", help="first-last, the last one left out")
    given = parser.parse_args()
    if given.seeds is not None:
        first, last = map(int, given.seeds.split("-"))
        return many(first, last)
    if given.seed is None:
        parser.error("a seed, or --seeds")
    world, error = one(given.seed)
    print(timeline(world))
    print(f"\n{error or 'all as it must be'}")
    return int(bool(error))


if __name__ == "__main__":
    sys.exit(main())
