"""Times that stand in two columns: a date and a time of day, or a date that holds the separator."""

import datetime as dt
import json
from collections.abc import Callable, Sequence

import pytest
from raw_files import START_MS as FIRST_MS
from raw_files import read, rows_of

from chandlery.grid import HOUR_SECONDS, MINUTE_SECONDS
from chandlery.sources.doubts import UndecidedError

COUNT = 96
START_MS = FIRST_MS + 19 * 24 * HOUR_SECONDS * 1000  # a day that is no month
Moment = dt.datetime
Cells = Callable[[Moment], Sequence[object]]


def make(write: Cells, seconds: int = HOUR_SECONDS, count: int = COUNT) -> list[list[object]]:
    """Return rows that begin with what `write` makes of the time, and have prices and a volume."""
    rows, price = [], 100.0
    for step in range(count):
        opens, close = price + 0.01, price + (0.7 if step % 3 else -1.1)
        moment = dt.datetime.fromtimestamp(START_MS / 1000 + step * seconds, dt.UTC)
        values = (opens, max(opens, close) + 0.3, min(opens, close) - 0.3, close, 3.5 + step % 11)
        rows.append([*write(moment), *(round(value, 4) for value in values)])
        price = close
    return rows


def join(rows: Sequence[Sequence[object]], header: str = "", separator: str = ",") -> bytes:
    return "".join(f"{line}\n" for line in [header, *(separator.join(map(str, row)) for row in rows)] if line).encode()


def check(content: bytes, seconds: int = HOUR_SECONDS, source: str = "ltcusd.csv", **changes: object) -> None:
    """Check that all candles are read, at their times."""
    found = read(content, source, seconds=None, **changes)
    opens = rows_of(found)["open_time"].dt.epoch("ms").to_list()
    assert opens == [START_MS + step * seconds * 1000 for step in range(len(opens))]
    assert (len(opens), found.grid.seconds) == (found.rows_read, seconds)


PRICES = "open,high,low,close,volume"
CLOCKS: dict[str, tuple[str, Cells]] = {
    "marks": ("date,time", lambda at: (f"{at:%Y-%m-%d}", f"{at:%H:%M}")),
    "seconds": ("Date,Time (UTC)", lambda at: (f"{at:%Y%m%d}", f"{at:%H:%M:%S.000}")),
    "half days": ("date,time", lambda at: (f"{at:%Y-%m-%d}", f"{at:%I:%M %p}")),
    "half days without zeros": ("Date,Time", lambda at: (f"{at:%m/%d/%Y}", f"{at:%I:%M:%S %p}".lstrip("0"))),
    "four digits": ("<DATE>,<TIME>", lambda at: (f"{at:%Y%m%d}", f"{at:%H%M}")),
    "four digits that lost zeros": ("date,time", lambda at: (f"{at:%Y%m%d}", int(f"{at:%H%M}"))),
    "six digits that lost zeros": ("date,time", lambda at: (f"{at:%Y%m%d}", int(f"{at:%H%M%S}"))),
    "other words": ("Datum,Uhrzeit", lambda at: (f"{at:%d.%m.%Y}", f"{at:%H:%M}")),
    "short years": ("<DATE>,<TIME>", lambda at: (f"{at:%d/%m/%y}", f"{at:%H:%M}")),
    "names of months": ("date,time", lambda at: (f"{at:%d %b %Y}", f"{at:%H:%M}")),
}


@pytest.mark.parametrize("seconds", [MINUTE_SECONDS, HOUR_SECONDS])
@pytest.mark.parametrize("kind", CLOCKS)
def test_a_time_of_day_in_a_column_of_its_own_is_read(kind, seconds):
    names, write = CLOCKS[kind]
    if kind == "short years" and seconds == MINUTE_SECONDS:  # the first rows are of one day: 20/01/19 may be of 2020
        with pytest.raises(UndecidedError, match="the day or the year first"):
            read(join(make(write, seconds), f"{names},{PRICES}"), seconds=None)
        check(join(make(write, seconds), f"{names},{PRICES}"), seconds, layout={"time_format": "dmy"})
        return
    count = 2000 if seconds == MINUTE_SECONDS else COUNT  # more than a day
    check(join(make(write, seconds, count), f"{names},{PRICES}"), seconds)


@pytest.mark.parametrize("name", ["hour", "HOUR", "hr", "time"])
def test_hours_in_a_column_of_their_own_are_read(name):
    check(join(make(lambda at: (f"{at:%Y-%m-%d}", at.hour)), f"date,{name},{PRICES}"))


@pytest.mark.parametrize("date", ["%Y.%m.%d", "%Y%m%d", "%d/%m/%Y", "%Y-%m-%d"])
@pytest.mark.parametrize("seconds", [HOUR_SECONDS, 24 * HOUR_SECONDS])
def test_a_time_of_day_needs_no_name(date, seconds):
    content = join(make(lambda at: (at.strftime(date), f"{at:%H:%M}"), seconds))
    check(content, seconds)
    check(content, seconds, layout={"columns": ["time", "-", "open", "high", "low", "close", "volume"]})
    check(content, seconds, layout={"time_column": "1"})


def test_dates_and_times_of_day_of_json_are_read():
    rows = make(lambda at: (f"{at:%Y-%m-%d}", at.hour))
    names = f"date,hour,{PRICES}".split(",")
    check(json.dumps([dict(zip(names, row, strict=True)) for row in rows]).encode(), source="ltcusd.json")
    rows = make(lambda at: (f"{at:%Y-%m-%d}", f"{at:%H:%M}"))
    check(json.dumps(rows).encode(), source="ltcusd.json")


@pytest.mark.parametrize("pattern", ["%d/%m/%y", "%d/%m/%y %H:%M", "dmy"])
def test_a_form_that_is_set_by_hand_may_leave_out_the_time_of_day(pattern):
    names, write = CLOCKS["short years"]
    check(join(make(write), f"{names},{PRICES}"), layout={"time_format": pattern})


@pytest.mark.parametrize(("name", "first"), [("hour", 1), ("time", 0)])
def test_times_of_day_that_are_not_clear_are_refused(name, first):
    rows = make(lambda at: (f"{at:%Y-%m-%d}", at.hour + first), count=24)  # hours up to 24; hours, or some minutes
    with pytest.raises(UndecidedError, match="which times of day") as caught:
        read(join(rows, f"date,{name},{PRICES}"), seconds=None)
    assert caught.value.decision == "time_format"


def test_a_time_of_a_high_is_no_time_of_the_candle():
    rows = make(lambda at: (f"{at:%Y-%m-%d}", f"{at.day % 24:02}:15"), 24 * HOUR_SECONDS)
    check(join(rows, f"date,high_time,{PRICES}"), 24 * HOUR_SECONDS)


def test_the_zone_in_the_name_of_a_time_of_day_is_not_ignored():
    content = join(make(lambda at: (f"{at:%Y-%m-%d}", f"{at:%H:%M}")), f"Date,Time (UTC+2),{PRICES}")
    with pytest.raises(UndecidedError, match="local times") as caught:
        read(content, seconds=None)
    assert 'timezone = "Etc/GMT-2"' in caught.value.hint
    found = read(content, seconds=None, layout={"timezone": "Etc/GMT-2"})
    first = rows_of(found)["open_time"].dt.epoch("ms")[0]
    assert START_MS - first == 2 * HOUR_SECONDS * 1000


COMMAS: dict[str, tuple[int, Cells]] = {
    "a date": (24 * HOUR_SECONDS, lambda at: (f"{at:%b %d, %Y}",)),
    "a date and a time of day": (HOUR_SECONDS, lambda at: (f"{at:%B %d, %Y %H:%M}",)),
    "a day of the week": (HOUR_SECONDS, lambda at: (f"{at:%a, %d %b %Y %H:%M:%S} GMT",)),
    "a comma before the time of day": (HOUR_SECONDS, lambda at: (f"{at:%m/%d/%Y, %I:%M:%S %p}",)),
}


@pytest.mark.parametrize("header", [f"Date,{PRICES}", f"timestamp,{PRICES}", ""])
@pytest.mark.parametrize("kind", COMMAS)
def test_a_date_with_a_comma_and_without_quotes_is_read(kind, header):
    seconds, write = COMMAS[kind]
    check(join(make(write, seconds), header), seconds)


def test_rows_with_one_field_more_than_names_are_refused_or_read_by_hand():
    rows = [
        [*row[:-1], index % 7 + 0.5, row[-1]] for index, row in enumerate(make(lambda at: (f"{at:%Y-%m-%d %H:%M}",)))
    ]
    content = join(rows, f"Date,{PRICES}")
    with pytest.raises(UndecidedError, match=r"6 names .* and 7 fields"):
        read(content, seconds=None)
    check(content, layout={"columns": ["time", "open", "high", "low", "close", "-", "volume"]})


def test_a_date_before_a_whole_price_is_no_time():
    rows = [[row[0], 100 + index % 3, 110, 90, 101, row[-1], 5.5 * row[-1]]
            for index, row in enumerate(make(lambda at: (f"{at:%Y-%m-%d}",), 24 * HOUR_SECONDS))]  # fmt: skip
    with pytest.raises(UndecidedError, match="6 names"):
        read(join(rows, f"Date,{PRICES}"), seconds=None)


@pytest.mark.parametrize("pattern", ["%d/%m/%y %H:%M", "%m/%d/%y %H:%M", "%y-%m-%d %H:%M", "%d.%m.%y %H:%M"])
def test_years_of_two_digits_are_read_in_the_order_that_is_regular(pattern):
    check(join(make(lambda at: (at.strftime(pattern),), 24 * HOUR_SECONDS), f"date,{PRICES}"), 24 * HOUR_SECONDS)


@pytest.mark.parametrize("pattern", ["%Y-%m-%d %H", "%Y-%m-%d %I %p", "%d.%m.%Y %Hh"])
def test_a_format_may_have_hours_alone(pattern):
    content = join(make(lambda at: (at.strftime(pattern),)), f"date,{PRICES}")
    check(content, layout={"time_format": pattern})


@pytest.mark.parametrize("pattern", ["%Y-%m-%d %Q", "%d-%m-%Y %H:%M", "%H"])
def test_a_format_that_does_not_fit_is_refused_in_words(pattern):
    content = join(make(lambda at: (f"{at:%Y-%m-%d %H:%M}",)), f"date,{PRICES}")
    with pytest.raises(UndecidedError, match=r"time_format = .* is set") as caught:
        read(content, seconds=None, layout={"time_format": pattern})
    assert caught.value.decision == "time_format"
