"""Edges on local clocks, from tables, are where the law has them: in every year, and the tables are small."""

from __future__ import annotations

from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windows.kernels.zones import last_edge, utc_of
from windows.law.spec import DAY, Tumbling
from windows.law.zones import Grid
from windows.plan.zones import Zones

HOUR = DAY // 24
YEAR_1, YEAR_9999 = -62_135_596_800_000 + 40 * DAY, 253_402_300_799_999 - 40 * DAY
STRANGE = [
    "Europe/Berlin", "Pacific/Apia", "Africa/Casablanca", "Africa/Freetown", "Asia/Gaza", "Australia/Lord_Howe", "Europe/Dublin",
    "Asia/Manila", "America/Juneau", "UTC",
]  # fmt: skip
TIMES = st.one_of(
    st.integers(YEAR_1, YEAR_9999), st.integers(-4_000_000_000_000, 5_000_000_000_000), st.integers(0, 2_000_000_000_000)
)


@given(
    st.sampled_from([*STRANGE, *sorted(available_timezones())]),
    TIMES,
    st.sampled_from([1, 2, 7, 30]),
    st.sampled_from([0, 2 * HOUR + HOUR // 2, HOUR, -5 * DAY]),
)
def test_edges_are_those_of_the_law(zone: str, t: int, days: int, offset: int) -> None:
    tables, size = Zones([zone]), days * DAY
    z = tables.place[zone]
    k = int(last_edge(tables.Z, z, offset, size, t))
    mine = tuple(int(utc_of(tables.Z, z, offset + n * size)) for n in (k, k + 1))
    assert mine == Grid(Tumbling(size, offset, zone)).holding(t)[-1]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Gaza"])
def test_every_day_around_each_change_of_a_century(zone: str) -> None:
    tables, grid = Zones([zone]), Grid(Tumbling(DAY, 0, zone))
    for t in range(1_600_000_000_000, 4_800_000_000_000, 10 * HOUR + 1):
        k = int(last_edge(tables.Z, 1, 0, DAY, t))
        assert int(utc_of(tables.Z, 1, k * DAY)) == grid.holding(t)[-1][0]


def test_zones_have_a_table_each_of_some_thousand_words() -> None:
    tables = Zones(["Europe/Berlin", "Asia/Tokyo", "Europe/Berlin"])
    assert list(tables.place) == ["Europe/Berlin", "Asia/Tokyo"]
    assert len(tables.Z) < 5_000
