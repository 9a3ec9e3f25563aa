"""Windows on the local days of a time zone: a day is 23 or 25 hours when the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.windows.build import Factory, drive, window_set
from windows.law.spec import DAY, MS, Sliding, Tumbling
from windows.law.zones import Grid

HOUR = MS["h"]
BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def ms(text: str, zone: str | None = None) -> int:
    moment = datetime.fromisoformat(text)
    return round(moment.replace(tzinfo=ZoneInfo(zone) if zone else UTC).timestamp() * 1_000)


def lengths(zone: str, year: int) -> list[int]:
    """Hours of each local day of a year, as the grid has them."""
    grid, t, found = Grid(Tumbling(DAY, zone=zone)), ms(f"{year}-01-01T00:00", zone), []
    while t < ms(f"{year + 1}-01-01T00:00", zone):
        ((start, end),) = grid.holding(t)
        assert start == t
        found.append((end - start) // HOUR)
        t = end
    return found


@pytest.mark.parametrize(("zone", "short", "long"), [(BERLIN, "2024-03-31", "2024-10-27"), (NEW_YORK, "2024-03-10", "2024-11-03")])
def test_a_year_of_days_around_both_clock_changes(zone: str, short: str, long: str) -> None:
    hours = lengths(zone, 2024)
    assert len(hours) == 366
    first = datetime(2024, 1, 1)
    assert [str((first + timedelta(days=i)).date()) for i, h in enumerate(hours) if h == 23] == [short]
    assert [str((first + timedelta(days=i)).date()) for i, h in enumerate(hours) if h == 25] == [long]
    assert hours.count(24) == 364


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, "Asia/Kolkata", "America/Sao_Paulo", "Australia/Lord_Howe"])
@pytest.mark.parametrize("year", [1955, 1969, 1980, 2016, 2024])
def test_days_start_at_local_midnight_or_past_the_gap_there(zone: str, year: int) -> None:
    #  hour by hour through the year: every hour lies in the day that the local calendar says
    grid, local = Grid(Tumbling(DAY, zone=zone)), ZoneInfo(zone)
    for hour in range(0, 366 * 24, 5):
        t = ms(f"{year}-01-01T00:30") + hour * HOUR
        ((start, end),) = grid.holding(t)
        assert start <= t < end
        day = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=t)).astimezone(local).date()
        midnight = datetime(day.year, day.month, day.day, tzinfo=local)
        assert start == round((midnight.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))


def test_sliding_days_are_of_any_length_that_their_clocks_say() -> None:
    #  two days, every day, Berlin; the clocks go forward in the night to Sunday 2024-03-31
    #  |---Fri---|---Sat---|--Sun--|---Mon---|
    #  [=========Fri+Sat===)                     48 h
    #            [====Sat+Sun======)             47 h
    #                      [===Sun+Mon=======)   47 h
    grid = Grid(Sliding(2 * DAY, DAY, zone=BERLIN))
    spans = grid.holding(ms("2024-03-30T12:00", BERLIN)) + grid.holding(ms("2024-03-31T12:00", BERLIN))[1:]
    assert [(end - start) // HOUR for start, end in spans] == [48, 47, 47]
    assert spans[0][0] == ms("2024-03-29T00:00", BERLIN)


def test_an_offset_is_on_the_wall_clock() -> None:
    #  days that start at 06:00 local, on both sides of the change
    grid = Grid(Tumbling(DAY, offset=6 * HOUR, zone=BERLIN))
    for day in ("2024-03-30", "2024-03-31", "2024-04-01"):
        assert grid.holding(ms(f"{day}T07:00", BERLIN))[0][0] == ms(f"{day}T06:00", BERLIN)


def test_a_start_that_does_not_exist_or_comes_twice() -> None:
    #  days that start at 02:30: on 2024-03-31 there is none (taken as 03:30 summer time), on 2024-10-27 two (the first)
    grid = Grid(Tumbling(DAY, offset=5 * HOUR // 2, zone=BERLIN))
    assert grid.holding(ms("2024-03-31T12:00"))[0][0] == ms("2024-03-31T01:30")
    assert grid.holding(ms("2024-10-27T12:00"))[0][0] == ms("2024-10-27T00:30")


def test_the_ends_of_the_calendar_have_windows_too() -> None:
    for zone in (BERLIN, NEW_YORK, "Pacific/Kiritimati"):
        for text in ("0001-01-01T00:00:00", "9999-12-31T23:59:59"):
            t = (datetime.fromisoformat(text) - datetime(1970, 1, 1)) // timedelta(milliseconds=1)
            ((start, end),) = Grid(Tumbling(DAY, zone=zone)).holding(t)
            assert start <= t < end


def test_a_day_that_a_country_skipped_holds_nothing() -> None:
    grid = Grid(Tumbling(DAY, zone="Pacific/Apia"))  # there was no 2011-12-30
    before, after = ms("2011-12-29T23:59", "Pacific/Apia"), ms("2011-12-31T00:01", "Pacific/Apia")
    assert grid.holding(before)[0][1] == grid.holding(after)[0][0]
    assert grid.holding(after)[0][1] - grid.holding(before)[0][0] == 2 * DAY


@given(st.integers(-(10**15), 10**14), st.integers(1, 200), st.integers(1, 200), st.integers(-500, 500))
def test_plain_spans_are_those_of_the_law(t: int, size: int, every: int, offset: int) -> None:
    every = min(every, size)
    near = range((t - size - offset) // every - 1, (t - offset) // every + 2)
    expected = [
        (offset + k * every, offset + k * every + size) for k in near if offset + k * every <= t < offset + k * every + size
    ]
    assert Grid(Sliding(size, every, offset)).holding(t) == expected
    start = offset + (t - offset) // size * size
    assert Grid(Tumbling(size, offset)).holding(t) == [(start, start + size)]


@given(st.sampled_from([BERLIN, NEW_YORK]), st.integers(-(10**12), 3 * 10**12), st.integers(1, 5), st.integers(1, 5))
def test_spans_of_days_hold_their_time_and_are_all_that_do(zone: str, t: int, size: int, every: int) -> None:
    grid = Grid(Sliding(max(size, every) * DAY, every * DAY, zone=zone))
    spans = grid.holding(t)
    assert all(start <= t < end for start, end in spans)
    assert spans == sorted(spans)
    for start, _ in spans:  # each is one that the zone's own arithmetic gives
        wall = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=start)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        assert (wall - datetime(1970, 1, 1)) % timedelta(days=every) in (timedelta(), timedelta(hours=1))
    assert max(size, every) // every <= len(spans) <= max(size, every) // every + 1


def test_an_engine_closes_a_short_day_an_hour_sooner(make: Factory) -> None:
    sets = [window_set("w", Tumbling(DAY, zone=BERLIN))]
    start = ms("2024-03-31T00:00", BERLIN)
    rows = [{"at": start + HOUR}, {"at": start + 23 * HOUR - 1}, {"at": start + 23 * HOUR}]
    f = drive(make, sets, rows, end=False)
    assert f.spans("w") == [(start, start + 23 * HOUR, 2), (start + 23 * HOUR, start + 47 * HOUR, 1)]
    assert f.window("w", start)["final"]
