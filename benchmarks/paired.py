"""Two sides measured in turns, each time in a fresh process on one core: only ratios within a round count, their median is taken.

Rates are by CPU time, so what else the machine does shows less: on one core that is not shared, it is the time on the clock.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".venv-peers" / "bin" / "python"
PATIENCE = 1_800
Result = dict[str, Any]
Side = Callable[[], Result]


@dataclass(frozen=True, slots=True)
class Pair:
    """Medians of both sides, and of the ratios of the rounds."""

    ours: float
    theirs: float
    ratio: float
    rounds: Sequence[float]


def child(python: str | Path, *arguments: str) -> Result:
    """What a process prints in its last line, run on the last core alone. Raises RuntimeError with what it said if it fails."""
    core = {max(os.sched_getaffinity(0))}
    command = [str(python), *arguments]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE,
        preexec_fn=lambda: os.sched_setaffinity(0, core),
    )  # fmt: skip
    if done.returncode or not done.stdout.strip():
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    result: Result = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def ours(**ask: Any) -> Result:
    """One of our measures (benchmarks/ours.py)."""
    return child(sys.executable, "-m", "benchmarks.ours", json.dumps(ask))


def rate(result: Result) -> float:
    """Units of work a CPU second."""
    return float(result["n"] / result["cpu"])


def paired(mine: Side, theirs: Side, rounds: int, by: Callable[[Result], float] = rate) -> Pair:
    """Rounds of both, in changing order."""
    mines, others = list[float](), list[float]()
    for number in range(rounds):
        sides = [(mine, mines), (theirs, others)]
        for side, into in sides if number % 2 else reversed(sides):
            into.append(by(side()))
    ratios = [a / b for a, b in zip(mines, others, strict=True)]
    return Pair(median(mines), median(others), median(ratios), ratios)
