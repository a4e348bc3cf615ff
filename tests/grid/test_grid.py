"""Steps of any length, from any moment on; what is expected was worked out with a calendar."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from chandlery.grid import Grid, to_arrays

HOUR, DAY = 3_600, 86_400
MONDAYS = Grid(7 * DAY, 4 * DAY)  # 1970 began on a Thursday, four days before the first Monday


def ms(text: str) -> int:
    return round(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp() * 1_000)


def day(text: str) -> int:
    return ms(text) // 86_400_000


GRIDS = [
    (Grid(1), "2019-01-01T00:00:07"),
    (Grid(15), "2019-01-01T00:00:45"),
    (Grid(420), "2019-01-01T00:03"),  # 2019 begins 4 minutes after a step, 1,546,300,560 = 420 · 3,681,668
    (Grid(4 * HOUR), "2019-01-01T08:00"),
    (Grid(DAY, 5 * HOUR), "2019-01-01T05:00"),
    (Grid(3 * DAY), "2019-01-02T00:00"),  # 17,898 days after 1970
    (Grid(7 * DAY), "2019-01-03T00:00"),  # a Thursday
    (MONDAYS, "2019-01-07T00:00"),
]


@pytest.mark.parametrize(("grid", "opens"), GRIDS)
def test_a_candle_opens_on_its_grid_and_nowhere_else(grid: Grid, opens: str) -> None:
    step = grid.steps_of(ms(opens))
    assert grid.open_ms(step) == ms(opens)
    assert grid.first_at(ms(opens)) == step
    assert grid.first_at(ms(opens) + 1) == step + 1
    assert grid.steps_of(ms(opens) - 1) == step - 1
    assert grid.close_ms(step) == ms(opens) + 1_000 * grid.seconds == grid.open_ms(step + 1)


def test_a_step_belongs_to_the_day_in_which_it_closes() -> None:
    week = MONDAYS.steps_of(ms("2019-01-07"))
    assert MONDAYS.days_of(week) == day("2019-01-13")  # it closes at the midnight that ends that Sunday
    assert MONDAYS.step_at(day("2019-01-13")) == week
    assert MONDAYS.step_at(day("2019-01-14")) == week + 1
    early = Grid(DAY, 5 * HOUR)
    step = early.steps_of(ms("2019-01-07T05:00"))
    assert early.days_of(step) == day("2019-01-08")
    assert early.step_at(day("2019-01-08")) == step
    minutes = Grid(60)
    last = minutes.steps_of(ms("2019-01-07T23:59"))
    assert minutes.days_of(last) == day("2019-01-07")
    assert minutes.step_at(day("2019-01-08")) == last + 1


@pytest.mark.parametrize("grid", [grid for grid, _ in GRIDS])
def test_the_steps_of_a_day_are_those_between_two_midnights(grid: Grid) -> None:
    first, last = day("2018-11-20"), day("2018-11-22" if grid.seconds < 60 else "2019-02-10")
    steps = np.arange(grid.step_at(first), grid.step_at(last))
    days = grid.days_of(steps)
    for midnight in range(first, last):
        expected = np.arange(grid.step_at(midnight), grid.step_at(midnight + 1))
        assert np.array_equal(steps[days == midnight], expected)
        assert (grid.close_ms(expected) > midnight * 86_400_000).all()


def test_candles_are_laid_out_on_steps_of_their_grid() -> None:
    opens = [dt.datetime(2018, 12, 31, tzinfo=dt.UTC), dt.datetime(2019, 1, 14, tzinfo=dt.UTC)]
    prices = {name: [1.0, 2.0] for name in ("open", "high", "low", "close", "volume")}
    candles = pl.DataFrame({"open_time": pl.Series(opens).cast(pl.Datetime("ms", "UTC")), **prices})
    step = to_arrays(candles, MONDAYS).step
    assert step[1] - step[0] == 2
    assert MONDAYS.open_ms(step).tolist() == [ms("2018-12-31"), ms("2019-01-14")]


def test_horizons_are_counted_in_steps() -> None:
    assert [Grid(15).count(1), Grid(45).count(3), Grid(420).count(35), MONDAYS.count(20_160)] == [4, 4, 5, 2]
