"""Measures the table and writes benchmarks/results.md: `python -m benchmarks.run [--peers] [--only TEXT] [--scale 0.1]`.

Exits 1 if a line is not met, or could not be measured. Without --peers the lines against Flink and Bytewax are left out.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import venv
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.ours import factory
from benchmarks.paired import PEERS, ROOT
from benchmarks.same import check
from benchmarks.table import LINES, Bench, Line, Measured

RESULTS = ROOT / "benchmarks" / "results.md"
ENGINE = "windows.columnar.engine:ColumnarEngine"
HEAD = """# Results

{date}, {machine}, {cores} cores, load {load}; Python {python}, engine `{engine}`, {rounds} rounds, scale {scale}.
Written by `{command}`. Each side runs on one core, in turns, in a process of its own; rates are records a CPU second, reading
and decoding included, results into a sink that drops them (windows when they close, rolling values at each event). A ratio is the
median of the rounds' ratios. The workload is benchmarks/workload.py's. Against the prototype in pure Python: {same}.

| against | asked | measured | ours | theirs | rounds | met |
| --- | --- | --- | --- | --- | --- | --- |
"""


def environment() -> None:
    """Makes .venv-peers from benchmarks/peers/requirements.txt, if it is not as that says."""
    wanted = ROOT / "benchmarks" / "peers" / "requirements.txt"
    home = PEERS.parents[1]
    stamp = home / "made-from.txt"
    if stamp.exists() and stamp.read_text() == wanted.read_text():
        return
    venv.create(home, with_pip=True, clear=True)
    (home / ".gitignore").write_text("*\n")
    subprocess.run([str(PEERS), "-m", "pip", "install", "-q", "-r", str(wanted)], check=True)
    stamp.write_text(wanted.read_text())


def machine() -> str:
    """The processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def row(line: Line, measured: Measured | str) -> tuple[str, bool]:
    """The line of the table, and whether it is met."""
    asked = f"{'<' if line.below else '>='} {line.asked:g} {line.unit}"
    if isinstance(measured, str):
        return f"| {line.name} | {asked} | {measured} | | | | no |\n", False
    met = measured.value < line.asked if line.below else measured.value >= line.asked
    rounds = " ".join(f"{r:.2f}" for r in measured.rounds)
    value = f"{measured.value:.2f} {line.unit}"
    return (
        f"| {line.name} | {asked} | {value} | {measured.ours} | {measured.theirs} | {rounds} | {'yes' if met else '**no**'} |\n",
        met,
    )


def measured(line: Line, bench: Bench) -> Measured | str:
    """What came of a line, or why nothing did."""
    try:
        return line.run(bench)
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        print(f"{line.name}: {error}", file=sys.stderr, flush=True)
        return "could not be measured"


def main(arguments: list[str]) -> int:
    """Measures, writes, and says whether all lines are met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__, allow_abbrev=False)
    parser.add_argument("--peers", action="store_true", help="also Flink and Bytewax, in .venv-peers (made when it is due)")
    parser.add_argument("--only", default="", help="only lines whose name has this text; results.md stays as it is")
    parser.add_argument("--scale", type=float, default=1.0, help="part of the workload; results.md stays as it is")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engine", default=ENGINE)
    asked = parser.parse_args(arguments)
    if asked.peers:
        environment()
    bench, good, text = Bench(asked.engine, asked.rounds, asked.scale), True, ""
    same_results = check(factory(asked.engine))
    print(same_results, flush=True)
    for line in LINES:
        if (line.peers and not asked.peers) or asked.only not in line.name:
            continue
        made, met = row(line, measured(line, bench))
        print(made, end="", flush=True)
        text, good = text + made, good and met
    if not asked.only and asked.scale >= 1:
        command = f"python -m benchmarks.run {' '.join(arguments)}".strip()
        head = HEAD.format(
            date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", machine=machine(), cores=os.cpu_count(),
            load=f"{os.getloadavg()[0]:.1f}", python=platform.python_version(), engine=bench.engine, rounds=bench.rounds,
            scale=bench.scale, command=command, same=same_results,
        )  # fmt: skip
        RESULTS.write_text(head + text + sections(RESULTS.read_text()))
    return 0 if good else 1


def sections(text: str) -> str:
    """What others have written behind the table, each under a title of its own."""
    found = text.find("\n## ")
    return "" if found < 0 else text[found:]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
