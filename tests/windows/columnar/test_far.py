"""Times that lie far from each other: the first year, the last one, and marks beyond all of them."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.windows.build import beat, columns, drive, window_set
from tests.windows.law.test_properties import assert_same, plain
from windows.columnar.engine import ColumnarEngine
from windows.engine import END
from windows.law.spec import DAY, Kind, Rolling, Session, Sliding, Tumbling
from windows.naive.engine import NaiveEngine

YEAR_1, YEAR_9999, NOW = -62_135_596_800_000, 253_402_300_799_999, 1_700_000_000_000
KINDS: list[Kind] = [
    Tumbling(DAY, zone="Europe/Berlin"), Sliding(7 * DAY, DAY, 3_600_000, "America/New_York"), Tumbling(60_000),
    Sliding(3_600_000, 7_000), Rolling(3_600_000), Rolling(30 * DAY, "both", False, DAY), Session(1_200_000),
    Session(DAY, 3 * DAY), Tumbling(400_000 * DAY), Rolling(400_000 * DAY), Tumbling(1), Rolling(1),
]  # fmt: skip
MEASURES = {"n": "count()", "s": "sum(x)", "d": "distinct(x)", "q": "quantile(x, 0.5)"}


@given(
    st.sampled_from(KINDS),
    st.lists(
        st.tuples(
            st.sampled_from([NOW, YEAR_1, YEAR_9999, 0, 4_000_000_000_000]),
            st.integers(0, 3 * DAY),
            st.sampled_from([None, None, NOW, YEAR_9999, YEAR_1, END - 1]),
        ),
        min_size=1,
        max_size=12,
    ),
    st.booleans(),
    st.sampled_from([0, 3_000, 400_000 * DAY]),
    st.integers(0, 9),
)
def test_jumps_of_any_length_are_what_the_twin_makes_of_them(
    kind: Kind, times: list[tuple[int, int, int | None]], retract: bool, retain: int, seed: int
) -> None:
    sets = [window_set("w", kind, measures=MEASURES, retract=retract, lateness=1_000, retain=retain)]
    rows: list[dict[str, Any]] = []
    for n, (base, off, mark) in enumerate(times):
        at = base - off if base == YEAR_9999 else base + off
        rows.append({"at": at, "mark": NOW if mark is None else at, "doc": n, "fields": {"x": float(n % 3)}})
        if mark is not None:
            rows.append(beat(mark))
    twin = plain(drive(NaiveEngine, sets, rows))
    assert_same(plain(drive(ColumnarEngine, sets, rows, [len(rows) // 2], 3, Random(seed))), twin)


@pytest.mark.parametrize("kind", KINDS[:2])
def test_no_table_grows_with_the_times_that_come(kind: Kind) -> None:
    engine = ColumnarEngine([window_set("w", kind)])
    size, memory = engine.zones.Z.size, engine.M.size
    for row in ({"at": NOW}, {"at": YEAR_1, "mark": NOW}, beat(NOW + DAY), beat(YEAR_9999), beat(END - 1), {"at": YEAR_9999}):
        engine.step(columns(engine.sets, [row]))
    assert engine.zones.Z.size == size < 5_000
    assert engine.M.size == memory


def test_open_windows_far_apart_are_told_apart() -> None:
    #  windows of 1 ms, a key at each end of time and 70,000 keys between: a window's number and its key's do not run together
    sets = [window_set("w", Tumbling(1))]
    engine = ColumnarEngine(sets)
    rows = [{"at": YEAR_1 if i % 2 else YEAR_9999, "mark": YEAR_1, "key": i} for i in range(70_000)]
    [block] = engine.step(columns(sets, rows)).windows
    assert len(block.start) == 70_000
