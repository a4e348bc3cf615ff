"""Which column is the time of a candle, told by names, by how regular it is, and by how far others are from it."""

import datetime as dt
from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest
from raw_files import START_MS, read, rows_of

from chandlery.grid import DAY_SECONDS, HOUR_SECONDS, Grid
from chandlery.sources.doubts import UndecidedError

HOUR = HOUR_SECONDS * 1000
COUNT = 120
Time = Callable[[int], object]


def delay(ms: int) -> int:
    """Return some ms within the first minute of a candle, without order: as first trades have."""
    return (ms // HOUR) ** 2 % 47 * 1000 + 1


def iso(ms: int, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC).strftime(form)


def write(columns: dict[str, Time], step: int = HOUR, count: int = COUNT, *, headed: bool = True) -> bytes:
    """Return CSV with columns of times beside prices and a volume; each is a function of the open in ms."""
    lines = [",".join([*columns, "open,high,low,close,volume"])] if headed else []
    for row in range(count):
        opens, price = START_MS + row * step, 100 + row % 7
        times = [str(time(opens)) for time in columns.values()]
        lines.append(",".join([*times, f"{price},{price + 2},{price - 2},{price + (row % 3) - 0.5},{row % 11 + 0.25}"]))
    return "\n".join(lines).encode()


def opens_of(content: bytes, **changes: object) -> list[int]:
    return rows_of(read(content, seconds=None, **changes))["open_time"].dt.epoch("ms").to_list()


def expected(step: int = HOUR, count: int = COUNT) -> list[int]:
    return [START_MS + row * step for row in range(count)]


ENDS = (
    "bar_end candle_end end_ts time_end close_ts candle_close_time close_timestamp_ms period_end_ts timestamp_close "
    "endDate end_time_utc close_date kline_close_time closing_time end_datetime CLOSE_TIME closetime windowEnd "
    "ended_at _stop btc_close_time closed_at"
).split()
OPENS = "bar_start candle_begin start_ts time_open openDate OPEN_TIME opentime windowStart startedAt _start".split()
MOMENTS = "time Timestamp unix_ms time_bucket candle_time DateTime date_utc epoch ts".split()


@pytest.mark.parametrize("name", ENDS)
def test_a_name_with_the_word_of_an_end_is_that_of_the_end(name):
    assert opens_of(write({name: lambda ms: ms + HOUR})) == expected()


@pytest.mark.parametrize("name", [*OPENS, *MOMENTS])
def test_other_names_of_times_are_those_of_the_open(name):
    assert opens_of(write({name: lambda ms: ms})) == expected()


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("less", [0, 1, 1000])
def test_an_end_beside_a_time_is_not_the_time(name, less):
    content = write({name: lambda ms: ms + HOUR - less, "time": lambda ms: ms})
    found = read(content, seconds=None)
    assert rows_of(found)["open_time"].dt.epoch("ms").to_list() == expected()
    assert found.decisions["time_column"].value == "time"
    assert found.decisions["interval"].by == "its times of open and close"


@pytest.mark.parametrize("setting", [{"time_column": "bar_end"}, {"time_column": "1"}])
def test_an_end_that_is_set_by_hand_is_still_an_end(setting):
    content = write({"bar_end": lambda ms: ms + HOUR})
    assert opens_of(content, layout=setting) == expected()
    assert opens_of(content, layout=setting | {"stamps": "open"}) == [ms + HOUR for ms in expected()]


@pytest.mark.parametrize(
    "name", ["prev_time", "next_time", "created_at", "ingestion_time", "last_update_time", "fetchedAt", "expiry_date"]
)
@pytest.mark.parametrize("distance", [-HOUR, HOUR, HOUR + 5000, 5000])
def test_times_of_something_else_are_no_times_of_the_candle(name, distance):
    content = write({name: lambda ms: ms + distance, "time": lambda ms: ms})
    assert opens_of(content) == expected()


@pytest.mark.parametrize("distance", [5000, HOUR + 5000, 8 * HOUR, -8 * HOUR])
def test_an_end_is_as_far_away_as_candles_are_long(distance):
    content = write({"ours": lambda ms: ms + distance, "time": lambda ms: ms})
    found = read(content, seconds=None)
    assert rows_of(found)["open_time"].dt.epoch("ms").to_list() == expected()
    assert found.decisions["interval"].by == "the spacing of its times"


@pytest.mark.parametrize("step", [HOUR, 8 * HOUR, DAY_SECONDS * 1000])
def test_local_times_beside_epochs_are_no_ends(step):
    content = write({"timestamp": lambda ms: ms, "datetime": lambda ms: iso(ms + 8 * HOUR)}, step)
    assert opens_of(content) == expected(step)


@pytest.mark.parametrize("names", [("timestamp", "datetime_ny"), ("time_utc", "time"), ("date", "date_local")])
def test_of_times_in_two_zones_those_that_are_not_local_count(names):
    step = 4 * HOUR
    content = write({names[1]: lambda ms: iso(ms - step), names[0]: iso}, step)
    assert opens_of(content) == expected(step)


@pytest.mark.parametrize("names", [("timestamp", "ours"), ("time", "date"), ("time_berlin", "time_london")])
def test_times_that_may_be_of_two_zones_are_refused(names):
    step = 4 * HOUR
    content = write({names[0]: iso, names[1]: lambda ms: iso(ms - step)}, step)
    with pytest.raises(UndecidedError) as caught:
        read(content, seconds=None)
    assert caught.value.decision == "time_column"
    layout = {"time_column": names[0], "timezone": "UTC"}
    assert opens_of(content, layout=layout) == expected(step)


@pytest.mark.parametrize("others", ["constant", "trades", "trades after"])
def test_a_beginning_that_is_not_regular_is_not_the_time(others):
    def begin(ms: int) -> object:
        trade = ms + delay(ms)
        return {"constant": iso(START_MS), "trades": trade, "trades after": trade}[others]

    late = HOUR if others == "trades" else 0  # a first trade lies before the end of its candle, or after its open
    content = write({"openTimestamp": begin, "timestamp": lambda ms: ms + late})
    assert opens_of(content) == expected()
    assert opens_of(content, layout={"time_column": "timestamp"}) == expected()


def test_the_time_at_which_rows_were_made_counts_if_it_is_regular_and_nothing_else_is_a_time():
    assert opens_of(write({"created_at": lambda ms: ms})) == expected()
    with pytest.raises(UndecidedError, match="no column of times"):
        read(write({"created_at": lambda ms: ms + delay(ms)}), seconds=None)
    with pytest.raises(UndecidedError, match="no column of times"):
        read(write({"received_at": lambda ms: ms}), seconds=None)


@pytest.mark.parametrize("order", [("date", "datetime"), ("datetime", "date")])
def test_the_day_of_each_time_is_not_the_time(order):
    columns = {"date": lambda ms: iso(ms, "%Y-%m-%d"), "datetime": iso}
    assert opens_of(write({name: columns[name] for name in order})) == expected()


def test_an_interval_that_the_times_contradict_is_no_matter_of_the_lake():
    content = write({"timeframe": lambda _: "1min", "time": lambda ms: ms})
    with pytest.raises(UndecidedError, match="last 1m by its column of intervals, and its times are 60m apart"):
        read(content, seconds=None)
    assert read(content, seconds=None, layout={"interval": "1h"}).grid == Grid(HOUR_SECONDS)


ZONED = [
    ("Time (EET)", "Europe/Athens"),
    ("Time (UTC+8)", "Etc/GMT-8"),
    ("datetime_utc8", "Etc/GMT-8"),
    ("time_utc-5", "Etc/GMT+5"),
    ("Date (UTC+05:30)", "Asia/Kolkata"),
    ("Open Time (GMT+3)", "Etc/GMT-3"),
    ("datetime_msk", "Europe/Moscow"),
    ("time_et", "America/New_York"),
    ("Date (America/New_York)", "America/New_York"),
    ("time_new_york", "America/New_York"),
    ("time_berlin", "Europe/Berlin"),
    ("date_jst", "Asia/Tokyo"),
]


@pytest.mark.parametrize(("name", "zone"), ZONED)
def test_a_zone_in_the_name_of_the_column_is_not_ignored(name, zone):
    content = write({name: iso})
    with pytest.raises(UndecidedError) as caught:
        read(content, seconds=None)
    assert caught.value.decision == "timezone"
    assert f'timezone = "{zone}"' in caught.value.hint
    local = dt.datetime.fromtimestamp(START_MS / 1000, dt.UTC).replace(tzinfo=ZoneInfo(zone))
    assert opens_of(content, layout={"timezone": zone})[0] == local.timestamp() * 1000
    assert opens_of(write({name: lambda ms: ms})) == expected()  # an epoch has no zone


@pytest.mark.parametrize("name", ["Gmt time", "Date (UTC)", "time_utc+0", "utc_ms_time", "Time (GMT)"])
def test_utc_in_the_name_is_no_zone(name):
    assert opens_of(write({name: iso})) == expected()


def test_a_zone_that_is_set_holds_for_the_end_too():
    content = write({"Open Time (EET)": iso, "Close Time": lambda ms: iso(ms + HOUR)})
    with pytest.raises(UndecidedError, match="local times"):
        read(content, seconds=None)
    assert len(opens_of(content, layout={"timezone": "Europe/Athens"})) == COUNT
