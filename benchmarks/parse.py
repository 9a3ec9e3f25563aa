"""The MultiLang parse alone, theirs and ours in turns within one process: rates with and without each record's bytes."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from amazon_kclpy import dispatch

from benchmarks import workload
from consumer.kcl.channel import FastIO


def best(work: Callable[[], Any], times: int) -> float:
    """Seconds of the quickest of some runs."""
    took = []
    for _ in range(times):
        began = time.thread_time()
        work()
        took.append(time.thread_time() - began)
    return min(took)


def main(path: Path, rounds: int = 9) -> dict[str, float]:
    """Rates of one line, by CPU time: theirs, and ours as columns, as a list of records, and each with the records' bytes."""
    with path.open("rb") as lines:
        line = lines.readline()
    text, protocol = line.decode(), FastIO(io.StringIO(), io.StringIO(), io.StringIO())

    def theirs() -> Any:
        return json.loads(text, object_hook=dispatch.message_decode).records

    n = len(theirs())
    ways: dict[str, tuple[Callable[[], Any], int]] = {
        "theirs": (theirs, 2),
        "theirs_bytes": (lambda: [r.binary_data for r in theirs()], 2),
        "columns": (lambda: protocol.load_action(line).batch, 10),
        "columns_bytes": (lambda: list(protocol.load_action(line).batch.datas()), 10),
        "records": (lambda: protocol.load_action(line).records, 10),
        "records_bytes": (lambda: [r.binary_data for r in protocol.load_action(line).records], 10),
    }
    took: dict[str, float] = {}
    for _ in range(rounds):
        for name, (work, times) in ways.items():
            took[name] = min(best(work, times), took.get(name, 1e9))
    return {name: n / seconds for name, seconds in took.items()}


if __name__ == "__main__":
    print(json.dumps(main(workload.kcl_lines(20_000))), flush=True)
