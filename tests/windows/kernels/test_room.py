"""Memory for all values of a long window at once: nothing is written behind what the engine has."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.windows.build import Driver, columns, window_set
from tests.windows.law.test_properties import assert_same
from windows.columnar.engine import ColumnarEngine
from windows.columnar.room import with_room
from windows.kernels.memory import arena
from windows.law.spec import DAY, Rolling

HOUR = DAY // 24
MARK = 0x5A5A5A5A5A5A5A5A
QUANTILES = {"n": "count()", "low": "quantile(x, 0)", "mid": "quantile(x, 0.5)", "high": "quantile(x, 0.93) if x > -300"}
DISTINCT = {"n": "count()", "shops": "distinct(shop)", "some": "distinct(shop) if x > -300"}
MEASURES = QUANTILES | DISTINCT


def tight(engine: ColumnarEngine) -> npt.NDArray[np.int64]:
    """Leave an engine no more memory than the next row is promised. What lies behind it, full of marks, is not the engine's."""
    engine.make_room()

    def cut(size: int) -> npt.NDArray[np.int64]:
        whole = np.full(size + (1 << 20), MARK, np.int64)
        whole[:size] = engine.M[:size]
        return whole

    low, high = int(engine.M[arena.BUMP]), engine.M.size
    while low < high:
        size = (low + high) // 2
        words = cut(size)[:size]
        low, high = (low, size) if with_room(words, 0) is words else (size + 1, high)
    whole = cut(low)
    engine.M = whole[:low]
    return whole[low:]


def asked_at(engine: ColumnarEngine, at: int) -> dict[str, Any]:
    """The values of one more event, of x 0.5."""
    result = engine.step(columns(engine.sets, [{"at": at, "fields": {"x": 0.5}}]))
    return {name: column[0] for name, column in result.features[0].measures.items()}


def expected(rows: list[dict[str, Any]], asking: int = 1) -> dict[str, Any]:
    """What numpy makes of these rows, and of the event that asks."""
    fields = [row["fields"] for row in rows] + [{"x": 0.5, "shop": None}] * asking
    values, kept = [f["x"] for f in fields], [f for f in fields if f["x"] > -300]
    return {
        "n": len(values), "low": min(values), "mid": float(np.quantile(values, 0.5)),
        "high": float(np.quantile([f["x"] for f in kept], 0.93)),
        "shops": len({f["shop"] for f in fields} - {None}), "some": len({f["shop"] for f in kept} - {None}),
    }  # fmt: skip


def held(n: int, seed: int) -> list[dict[str, Any]]:
    random = Random(seed)
    return [{"at": i, "fields": {"x": random.uniform(-1e3, 1e3), "shop": f"s{random.randrange(3 * n)}"}} for i in range(n)]


@pytest.mark.parametrize("others", [0, 2_000])
@pytest.mark.parametrize("measures", [QUANTILES, DISTINCT])
def test_the_first_row_after_a_load_has_memory_for_all_values_at_once(measures: dict[str, str], others: int) -> None:
    spec, rows = [window_set("w", Rolling(30 * DAY), measures=measures)], held(50_000, 1)
    driver = Driver(ColumnarEngine, spec)
    driver.feed(rows)
    engine = ColumnarEngine(spec)
    engine.watermark = driver.engine.watermark
    dumps = driver.engine.dump(driver.engine.loaded())
    engine.load(dumps, {key: mine.new for key, mine in dumps.segments.items()})
    engine.step(columns(spec, [{"at": 50_000, "key": f"k{i}", "fields": {"x": 1.0}} for i in range(others)]))
    marks = tight(engine)
    assert_same(asked_at(engine, 50_001), {name: value for name, value in expected(rows).items() if name in measures})
    assert (marks == MARK).all()
    assert engine.M[arena.BUMP] <= engine.M.size
    engine.evict(list(engine.loaded()))
    assert engine.M[arena.USED] < 4_096


def test_all_values_that_a_delay_held_back_come_in_one_row() -> None:
    #  50,000 events in a minute, nobody asks for them; a week later one event's window holds them all, the next one's none
    spec, rows = [window_set("w", Rolling(HOUR, delay=7 * DAY), measures=MEASURES)], held(50_000, 2)
    engine = ColumnarEngine(spec)
    engine.step(columns(spec, rows))
    marks = tight(engine)
    for at in (7 * DAY + 50_000, 7 * DAY + 50_001):
        assert_same(asked_at(engine, at), expected(rows, asking=0))
    assert asked_at(engine, 7 * DAY + HOUR + 50_000)["n"] == 0
    assert (marks == MARK).all()
    assert engine.M[arena.BUMP] <= engine.M.size


def test_a_look_far_back_and_forth_again_has_memory() -> None:
    spec, rows = [window_set("w", Rolling(20_000), measures=MEASURES, lateness=DAY)], held(60_000, 3)
    engine = ColumnarEngine(spec)
    engine.step(columns(spec, rows))
    marks = tight(engine)
    assert_same(asked_at(engine, 30_000), expected(rows[10_001:30_001]))
    assert_same(asked_at(engine, 59_999), expected(rows[40_000:60_000]))
    assert_same(asked_at(engine, 20_000), expected(rows[1:20_001]))
    assert (marks == MARK).all()
    assert engine.M[arena.BUMP] <= engine.M.size
