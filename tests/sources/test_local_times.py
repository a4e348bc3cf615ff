"""Times without an offset that are local ones are told by the nights in which clocks are changed."""

import datetime as dt

import pytest
from raw_files import read, rows_of

from chandlery.sources.doubts import UndecidedError
from local_hours import write_local

SPRING = dt.datetime(2024, 3, 20, tzinfo=dt.UTC)
# The day of 2024 or 2025 on which each zone begins or ends summer time.
CHANGES = [
    ("Europe/Berlin", (2024, 3, 31)),
    ("Europe/Berlin", (2024, 10, 27)),
    ("Europe/London", (2024, 3, 31)),
    ("Europe/Athens", (2024, 10, 27)),
    ("America/New_York", (2024, 3, 10)),
    ("America/Chicago", (2024, 11, 3)),
    ("Australia/Sydney", (2024, 10, 6)),
    ("Australia/Sydney", (2025, 4, 6)),
]


@pytest.mark.parametrize("minutes", [1, 15, 60])
@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_a_file_of_one_day_tells_that_its_times_are_local(zone: str, day: tuple[int, int, int], minutes: int) -> None:
    midnight = dt.datetime(*day, tzinfo=dt.UTC) - dt.timedelta(hours=12)  # the change lies within the file everywhere
    content = write_local(midnight, 36, zone, minutes=minutes)
    for seconds in (None, minutes * 60):  # by its first rows, and as it is read whole
        with pytest.raises(UndecidedError, match=r"(are|may be) local ones") as caught:
            read(content, seconds=seconds)
        assert caught.value.decision == "timezone"
        assert "timezone = " in caught.value.hint


@pytest.mark.parametrize("minutes", [1, 60])
def test_candles_in_utc_are_read_over_these_nights(minutes: int) -> None:
    content = write_local(SPRING, 24 * 14, "UTC", minutes=minutes)
    assert rows_of(read(content, seconds=None)).height == 24 * 14 * 60 // minutes


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_hour_that_is_missing_is_named_with_the_zone(newest_first: bool) -> None:  # noqa: FBT001
    head, *rows = write_local(SPRING, 24 * 14).splitlines(keepends=True)
    with pytest.raises(UndecidedError, match="2024-03-31 02:00 on") as caught:
        read(head + b"".join(rows[::-1] if newest_first else rows), seconds=3600)
    assert 'timezone = "Europe/Berlin"' in caught.value.hint
    assert '"UTC"' in caught.value.hint  # where the hour is missing by chance


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC"])
def test_with_a_zone_that_is_set_the_file_is_read(zone: str) -> None:
    layout = {"timezone": zone}
    found = rows_of(read(write_local(SPRING, 24 * 14), seconds=None, layout=layout))
    assert found.height == 24 * 14
    gaps = found["open_time"].diff().drop_nulls().dt.total_hours().unique().sort().to_list()
    assert gaps == ([1] if zone == "Europe/Berlin" else [1, 2])


def test_hours_that_are_missing_at_other_times_too_tell_nothing() -> None:
    nights = (30, 31)  # at 02:00 UTC of two days, and one of them is the last Sunday of March
    drop = frozenset((day - 20) * 24 + 2 for day in nights)
    assert rows_of(read(write_local(SPRING, 24 * 14, "UTC", drop=drop), seconds=None)).height == 24 * 14 - 2


def test_an_hour_that_is_missing_in_another_night_tells_nothing() -> None:
    drop = frozenset({8 * 24 + 2})
    assert rows_of(read(write_local(SPRING, 24 * 14, "UTC", drop=drop), seconds=None)).height == 24 * 14 - 1


def test_an_hour_that_is_missing_in_spring_tells_nothing_where_autumn_has_none_twice() -> None:
    new_year = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    missing = (dt.datetime(2024, 3, 31, 2, tzinfo=dt.UTC) - new_year) // dt.timedelta(hours=1)
    for hours, is_read in ((24 * 366, True), (24 * 200, False)):
        content = write_local(new_year, hours, "UTC", drop=frozenset({missing}))
        if is_read:
            assert rows_of(read(content, seconds=3600)).height == hours - 1
        else:
            with pytest.raises(UndecidedError, match="may be local ones"):
                read(content, seconds=3600)
