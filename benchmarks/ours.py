"""Our side of every pair, one measure a process: `python -m benchmarks.ours '{"what": "windows", ...}'` prints a line of JSON."""

from __future__ import annotations

import gc
import importlib
import io
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import feed, sets, workload
from consumer.kcl.channel import FastIO, Line, Lines
from windows.engine import BY_END, END, Columns, Engine, StepResult
from windows.law.spec import WindowSet

WARM = 20_000
Engines = Callable[[list[WindowSet]], Engine]


def factory(name: str) -> Engines:
    """The engine of a name like `windows.naive.engine:NaiveEngine`."""
    module, _, attribute = name.partition(":")
    made: Engines = getattr(importlib.import_module(module), attribute)
    return made


def sink(result: StepResult) -> int:
    """Takes what is final: closed windows and values per event. They are made; nothing is done with them."""
    made = len(result.windows)
    for block in result.features:
        made += len(block.row)
    return made


def run(engine: Engine, batches: Iterator[Columns]) -> tuple[int, float, float]:
    """(records, seconds, CPU seconds) of all batches, reading included."""
    gc.collect()
    gc.freeze()
    n, wall, cpu = 0, time.perf_counter(), time.process_time()
    for batch in batches:
        sink(engine.step(batch))
        n += batch.n
    sink(engine.advance(END, BY_END))
    return n, time.perf_counter() - wall, time.process_time() - cpu


def of_file(path: Path, specs: list[WindowSet], bare: bool, size: int, most: int) -> Iterator[Columns]:
    """A file's lines in batches."""
    reader = feed.reader(specs, bare)
    return (feed.columns(reader, feed.Lines(data, places)) for data, places in feed.slices(path, size, most))


def of_kcl(path: Path, specs: list[WindowSet]) -> Iterator[Columns]:
    """MultiLang lines, a batch a line."""
    reader, protocol = feed.reader(specs, True), FastIO(io.StringIO(), io.StringIO(), io.StringIO())
    with path.open("rb", buffering=0) as file:
        lines = Lines(file.fileno())
        while line := lines.readline():
            batch = protocol.load_action(line).batch
            yield feed.columns(reader, Line(batch))


def windows(engines: Engines, ask: dict[str, Any]) -> dict[str, Any]:
    """Rate over a file of bare documents; with `before`, every card is seen once before it is measured."""
    specs, n = sets.workload(ask["sets"]), ask["n"]
    path, size = workload.payments(n, ask.get("cards", 20_000)), ask.get("batch", 5_000)
    run(engines(specs), of_file(path, specs, True, size, min(WARM, n)))
    engine = engines(specs)
    if ask.get("before"):
        for batch in of_file(workload.every_card(ask["cards"]), specs, True, 5_000, ask["cards"]):
            sink(engine.step(batch))
    return rates(*run(engine, of_file(path, specs, True, size, n)))


def kcl(engines: Engines, ask: dict[str, Any]) -> dict[str, Any]:
    """Rate from MultiLang lines to windows."""
    specs = sets.workload(ask["sets"])
    run(engines(specs), of_kcl(workload.kcl_lines(WARM), specs))
    return rates(*run(engines(specs), of_kcl(workload.kcl_lines(ask["n"]), specs)))


def generic(engines: Engines, ask: dict[str, Any]) -> dict[str, Any]:
    """n: (event x measure). Each change is two records, each of which is in the measures of its own key's sets."""
    specs = sets.generic()
    path = workload.relayed(ask["n"])
    run(engines(specs), of_file(path, specs, False, 5_000, WARM))
    measured = rates(*run(engines(specs), of_file(path, specs, False, 5_000, 2 * ask["n"])))
    return measured | {"n": measured["n"] * sum(len(s.measures) for s in specs) // 2}


def single(engines: Engines, ask: dict[str, Any]) -> dict[str, Any]:
    """Seconds for a step of one event, its reading included: the median, and the one in a hundred."""
    specs, n = sets.workload(ask["sets"]), ask["n"]
    path = workload.payments(max(n, WARM))
    run(engines(specs), of_file(path, specs, True, 5_000, WARM))
    engine, took = engines(specs), []
    batches = of_file(path, specs, True, 1, n)
    while True:
        began = time.thread_time()
        batch = next(batches, None)
        if batch is None:
            break
        sink(engine.step(batch))
        took.append(time.thread_time() - began)
    took.sort()
    return {"seconds": took[len(took) // 2], "worst_hundredth": took[-(len(took) // 100) - 1]}


def first(engines: Engines, ask: dict[str, Any]) -> dict[str, Any]:
    """Seconds of the first step of a process, its reading and what is loaded for it included."""
    specs = sets.workload(ask["sets"])
    path, began = workload.payments(WARM), time.perf_counter()
    for batch in of_file(path, specs, True, 5_000, 5_000):
        sink(engines(specs).step(batch))
    return {"seconds": time.perf_counter() - began}


def dump(engines: Engines, ask: dict[str, Any]) -> dict[str, Any]:
    """Seconds that a key takes in a dump of 5,000, and its bytes: about a kilobyte."""
    specs = sets.workload(ask["sets"])
    engine = engines(specs)
    run(engine, of_file(workload.payments(60_000, 5_000), specs, True, 5_000, 60_000))
    keys, took = list(engine.loaded())[:5_000], []
    for _ in range(5):
        began = time.process_time()
        dumps = engine.dump(keys)
        took.append((time.process_time() - began) / len(keys))
    return {"seconds": sorted(took)[len(took) // 2], "bytes": sum(map(len, dumps.values())) / len(keys)}


def rates(n: int, wall: float, cpu: float) -> dict[str, Any]:
    """What a run says of itself."""
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"n": n, "seconds": wall, "cpu": cpu, "megabytes": memory}


MEASURES = {f.__name__: f for f in (windows, kcl, generic, single, first, dump)}

if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps(MEASURES[asked["what"]](factory(asked["engine"]), asked)), flush=True)
