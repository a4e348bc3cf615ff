"""Gaps of candles that do not divide a day, are longer than one, or open at an odd hour: worked out by a calendar."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from chandlery.candles.gaps import barriers, combine_activity, find_gaps, measure_activity
from chandlery.grid import Grid, Traded

HOUR, DAY = 3_600, 86_400
# interval, offset, opening of the first candle, its place where the gap starts, missing ones, start and end of the gap
CASES = [
    (Grid(7 * DAY, 4 * DAY), "2018-01-01T00:00", 22, 10, "2018-06-04T00:00", "2018-08-13T00:00"),
    (Grid(7 * DAY), "2018-01-04T00:00", 22, 10, "2018-06-07T00:00", "2018-08-16T00:00"),
    (Grid(3 * DAY), "2018-01-01T00:00", 20, 10, "2018-03-02T00:00", "2018-04-01T00:00"),
    (Grid(DAY, 5 * HOUR), "2018-01-01T05:00", 31, 12, "2018-02-01T05:00", "2018-02-13T05:00"),
    (Grid(4 * HOUR), "2018-01-01T00:00", 6 * 31, 24, "2018-02-01T00:00", "2018-02-05T00:00"),
    (Grid(420), "2019-01-01T00:03", 1_851, 60, "2019-01-10T00:00", "2019-01-10T07:00"),  # 9 days and 3 minutes less
    (Grid(15), "2018-12-31T00:00", 4 * (1_440 + 600), 240, "2019-01-01T10:00", "2019-01-01T11:00"),
    (Grid(1), "2018-12-31T00:00", DAY + 36_000, 90, "2019-01-01T10:00", "2019-01-01T10:01:30"),
]


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def gaps_of(grid: Grid, own: np.ndarray, *others: np.ndarray) -> pl.DataFrame:
    activity = combine_activity((measure_activity(Traded.of(steps), grid) for steps in (own, *others)), grid)
    return find_gaps(Traded.of(own), grid, activity)


def leave_out(grid: Grid, first: str, place: int, missing: int) -> tuple[np.ndarray, np.ndarray]:
    """Return steps with a gap, and the same without."""
    start = grid.steps_of(round(moment(first).timestamp() * 1_000))
    whole = np.arange(start, start + 2 * (place + missing))
    return np.delete(whole, slice(place, place + missing)), whole


@pytest.mark.parametrize(("grid", "first", "place", "missing", "start", "end"), CASES)
def test_a_gap_starts_and_ends_where_candles_would_have_opened(
    grid: Grid, first: str, place: int, missing: int, start: str, end: str
) -> None:
    own, whole = leave_out(grid, first, place, missing)
    expected = moment(start), moment(end), missing
    alone, together = gaps_of(grid, own, whole, whole), gaps_of(grid, own, own, own)
    assert alone.select("start", "end", "missing", "kind").rows() == [(*expected, "hole")]
    assert together.select("start", "end", "missing", "kind").rows() == [(*expected, "outage")]
    crossed = barriers(alone, grid)
    assert crossed.tolist() == [[own[place - 1] + 1, own[place]]]


def test_the_habit_of_long_candles_is_that_of_seven() -> None:
    grid, first, place, missing, *_ = CASES[0]
    own, whole = leave_out(grid, first, place, missing)
    evidence = gaps_of(grid, own, whole, whole)["evidence"][0]
    # all seven traded, which counts as 7 of 8: (1/8)^10 is 9.3e-10
    assert "traded 100.0 % of the 7 steps before; chance of mere quiet 1e-9.0; " in evidence
    own, whole = leave_out(grid, first, place, 3)  # (1/8)^3 is 0.002
    assert gaps_of(grid, own, whole, whole)["kind"].to_list() == ["no_trade"]


def test_the_habit_of_seven_minutes_is_that_of_seven_days() -> None:
    grid, first, place, missing, *_ = CASES[5]
    own, whole = leave_out(grid, first, place, missing)
    evidence = gaps_of(grid, own, whole, whole)["evidence"][0]
    assert "traded 100.0 % of the steps of the 7 days before" in evidence  # 1,435 steps


def test_the_chance_of_an_outage_is_that_of_all_listed_symbols_at_once() -> None:
    grid, first, place, *_ = CASES[3]
    own, _ = leave_out(grid, first, place, 5)  # (1/8)^5 is 3e-5 for one of them, and 2.8e-14 for three
    gaps = gaps_of(grid, own, own, own)
    assert gaps["kind"].to_list() == ["outage"]
    assert gaps["evidence"][0] == (
        "traded 100.0 % of the steps of the 7 days before; chance of mere quiet of it and the others at once 1e-13.5; "
        "2 others listed, 0 candles of theirs"
    )


def test_the_habit_of_a_young_symbol_is_that_of_the_steps_since_its_first_candle() -> None:
    grid, first, *_ = CASES[4]
    own, whole = leave_out(grid, first, 12, 24)
    evidence = gaps_of(grid, own, whole, whole)["evidence"][0]
    assert evidence.startswith("traded 100.0 % of the 12 steps since the first candle; chance of mere quiet 1e-")


def test_quiet_is_summed_by_the_year_in_which_candles_open() -> None:
    grid = Grid(7 * DAY, 4 * DAY)
    start = grid.steps_of(round(moment("2018-01-01T00:00").timestamp() * 1_000))
    own = np.delete(np.arange(start, start + 104), [52, 53, 70])  # 2018-12-31 and 2019-01-07; 2019-05-06
    quiet = gaps_of(grid, own).select("start", "end", "missing", "kind")
    assert quiet.rows() == [
        (moment("2018-12-31T00:00"), moment("2019-01-14T00:00"), 2, "no_trade"),
        (moment("2019-05-06T00:00"), moment("2019-05-13T00:00"), 1, "no_trade"),
    ]
