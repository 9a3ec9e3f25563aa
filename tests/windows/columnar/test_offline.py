"""Sorted input agrees with pandas and polars on their own definitions, and a year of local days with the twin."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tests.windows.build import drive, window_set
from tests.windows.law.test_properties import assert_same, plain
from windows.columnar.engine import ColumnarEngine
from windows.law.spec import DAY, Rolling, Sliding, Tumbling
from windows.naive.engine import NaiveEngine

MEASURES = {"n": "count()", "s": "sum(x)", "m": "mean(x)", "sd": "std(x)", "lo": "min(x)", "hi": "max(x)"}


def events(n: int, seed: int) -> tuple[list[int], list[float]]:
    random = np.random.default_rng(seed)
    times = np.cumsum(random.integers(1, 4_000, n)) + 1_767_225_600_000
    return times.tolist(), np.round(random.lognormal(3, 2, n), 2).tolist()


def rows(times: list[int], xs: list[float]) -> list[dict[str, Any]]:
    return [{"at": t, "fields": {"x": x}} for t, x in zip(times, xs, strict=True)]


def close(ours: list[Any], theirs: Any) -> None:
    np.testing.assert_allclose(np.array(ours, float), np.array(theirs, float), rtol=1e-9)


@pytest.mark.parametrize("closed", ["right", "both"])
def test_pandas_rolling(closed: Any) -> None:
    times, xs = events(1_000, 1)
    folded = drive(ColumnarEngine, [window_set("w", Rolling(60_000, closed), measures=MEASURES)], rows(times, xs), [500])
    frame = pd.Series(xs, index=pd.to_datetime(times, unit="ms")).rolling("60s", closed=closed)
    ours = [folded.features["w"][i] for i in range(1_000)]
    for name, theirs in {"n": frame.count(), "s": frame.sum(), "m": frame.mean(), "lo": frame.min(), "hi": frame.max()}.items():
        close([o[name] for o in ours], theirs)
    # pandas takes values out of running sums again: its own error is larger
    some = [i for i in range(1_000) if ours[i]["n"] > 1]
    np.testing.assert_allclose([ours[i]["sd"] for i in some], frame.std().to_numpy()[some], rtol=1e-6)


def test_pandas_resample() -> None:
    times, xs = events(2_000, 2)
    folded = drive(ColumnarEngine, [window_set("w", Tumbling(60_000), measures=MEASURES)], rows(times, xs), range(0, 2_000, 300))
    theirs = pd.Series(xs, index=pd.to_datetime(times, unit="ms")).resample("60s")
    table = pd.DataFrame({"n": theirs.count(), "s": theirs.sum(), "m": theirs.mean(), "hi": theirs.max()})
    table = table[table["n"] > 0]
    ours = [folded.window("w", start) for start, _, _ in folded.spans("w")]
    assert len(ours) == len(table)
    for name in table:
        close([o[str(name)] for o in ours], table[name])


def test_polars_group_by_dynamic() -> None:
    times, xs = events(2_000, 3)
    folded = drive(ColumnarEngine, [window_set("w", Sliding(600_000, 60_000), measures=MEASURES)], rows(times, xs), [1_000])
    frame = pl.DataFrame({"t": times, "x": xs}).with_columns(pl.col("t").cast(pl.Datetime("ms")))
    grouped = frame.group_by_dynamic("t", every="1m", period="10m", closed="left", label="left").agg(
        n=pl.len(), s=pl.col("x").sum(), m=pl.col("x").mean(), sd=pl.col("x").std(), lo=pl.col("x").min(), hi=pl.col("x").max()
    )
    theirs = {int(row["t"].replace(tzinfo=UTC).timestamp() * 1_000): row for row in grouped.iter_rows(named=True)}
    ours = {start: folded.window("w", start) for start, _, _ in folded.spans("w")}
    shared = sorted(ours.keys() & theirs.keys())
    assert len(shared) == len(theirs) >= len(ours) - 10  # polars begins with the first window that starts at or behind an event
    for name in ("n", "s", "m", "lo", "hi"):
        close([ours[s][name] for s in shared], [theirs[s][name] for s in shared])


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_a_year_around_both_clock_changes(zone: str) -> None:
    start = int(datetime(2025, 12, 30, tzinfo=UTC).timestamp() * 1_000)
    sets = [
        window_set("day", Tumbling(DAY, zone=zone), measures=MEASURES),
        window_set("week", Sliding(7 * DAY, DAY, offset=6 * DAY, zone=zone), measures=MEASURES, where="x > 3"),
        window_set("odd", Sliding(3 * DAY, 2 * DAY, zone=zone), measures=MEASURES, lateness=DAY, late="drop"),
    ]
    stream = [{"at": start + i * 5_400_000, "fields": {"x": float(i % 17)}} for i in range(370 * 16)]
    ours = drive(ColumnarEngine, sets, stream, range(0, len(stream), 997))
    assert_same(plain(ours), plain(drive(NaiveEngine, sets, stream)))
    lengths = {end - begin for begin, end, _ in ours.spans("day")}
    assert lengths == {23 * 3_600_000, DAY, 25 * 3_600_000}
