"""Features, labels and fits on grids of long, odd and short candles: windows are counted in steps."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from chandlery.features.labels import label
from chandlery.features.market import RETURNS, run_market, start_market
from chandlery.features.run import FeatureRows, plan_features, run_features, start_features
from chandlery.forecasts.backtest import Fits, slice_days
from chandlery.grid import CandleArrays, Grid, to_arrays
from chandlery.models import Linear

HOUR, DAY = 3_600, 86_400
MONDAYS = Grid(7 * DAY, 4 * DAY)
REFERENCES = ("BTCUSD",)
NONE = np.empty((0, 2), np.int64)


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def ms(text: str) -> int:
    return round(moment(text).timestamp() * 1_000)


def make_candles(grid: Grid, first: str, count: int, seed: int) -> CandleArrays:
    """Return candles whose close is a random walk of a hundredth a step."""
    close = 100 * np.exp(np.cumsum(0.01 * np.random.default_rng(seed).standard_normal(count)))
    opens = pl.Series(ms(first) + 1_000 * grid.seconds * np.arange(count)).cast(pl.Datetime("ms", "UTC"))
    prices = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": np.ones(count)}
    return to_arrays(pl.DataFrame({"open_time": opens, **prices}), grid)


def features_of(grid: Grid, own: CandleArrays, leader: CandleArrays) -> tuple[FeatureRows, tuple[str, ...]]:
    start, stop = int(own.step[0]), int(own.step[-1]) + 1
    market, _ = run_market(start_market(REFERENCES, grid), [leader.cut(start, stop)], start, stop, grid)
    plan = plan_features("LTCUSD", grid, REFERENCES)
    return run_features(plan, start_features(plan), own.cut(start, stop), market)[0], plan.names


GRIDS = [(MONDAYS, "2018-01-01"), (Grid(3 * DAY), "2018-01-01"), (Grid(DAY, 5 * HOUR), "2018-01-01T05:00")]
GRIDS += [(Grid(4 * HOUR), "2018-01-01"), (Grid(420), "2019-01-01T00:03"), (Grid(15), "2018-01-01")]


@pytest.mark.parametrize(("grid", "first"), GRIDS)
def test_windows_are_so_many_steps_long(grid: Grid, first: str) -> None:
    own, leader = make_candles(grid, first, 120, 1), make_candles(grid, first, 120, 2)
    rows, names = features_of(grid, own, leader)
    logs, leading = np.log(own.close), np.log(leader.close)
    for k in (1, 5, 60):
        expected = np.clip((logs[100] - logs[100 - k]) / (rows.sigma[100] * np.sqrt(k)), -8, 8)
        assert rows.values[100, names.index(f"own_r_{k}")] == pytest.approx(expected, rel=1e-5)
    ratio = [rows.values[100, names.index(f"lead1_r_{k}")] * np.sqrt(k) for k in RETURNS[:3]]
    moves = [leading[100] - leading[100 - k] for k in RETURNS[:3]]
    assert np.array(ratio) / ratio[0] == pytest.approx(np.array(moves) / moves[0], rel=1e-4)


@pytest.mark.parametrize(
    ("grid", "first", "unready"),
    [
        (MONDAYS, "2018-01-01", 60),  # 90 days are 12 weeks, and the longest window over the market is 60
        (Grid(3 * DAY), "2018-01-01", 60),
        (Grid(DAY, 5 * HOUR), "2018-01-01T05:00", 90),
        (Grid(4 * HOUR), "2018-01-01", 540),
        (Grid(HOUR), "2018-01-01", 1_440),
        (Grid(420), "2019-01-01T00:03", 1_440),
        (Grid(60), "2018-01-01", 1_440),
    ],
)
def test_rows_count_after_1440_steps_or_90_days(grid: Grid, first: str, unready: int) -> None:
    own = make_candles(grid, first, 1_500, 1)
    rows, _ = features_of(grid, own, own)
    assert np.flatnonzero(rows.ready).tolist() == list(range(unready, 1_500))


def test_a_label_is_the_close_of_the_candle_that_closes_at_the_target() -> None:
    own = make_candles(MONDAYS, "2018-01-01", 30, 3)
    two = label(own.step, own.close, MONDAYS.count(20_160), NONE)
    # The candle of Monday the 1st is issued on the 8th; two weeks later, on the 22nd, that of the 15th closes.
    assert two[0] == own.close[2]
    assert MONDAYS.close_ms(int(own.step[0])) + 20_160 * 60_000 == ms("2018-01-22")
    assert np.isnan(two).tolist() == [False] * 28 + [True] * 2
    early = Grid(DAY, 5 * HOUR)
    days = make_candles(early, "2018-01-01T05:00", 10, 4)
    missing = np.array([[early.steps_of(ms("2018-01-05T05:00")), early.steps_of(ms("2018-01-06T05:00"))]])
    held = np.delete(np.arange(10), 4)
    one = label(days.step[held], days.close[held], early.count(1_440), missing)
    assert np.isnan(one).tolist() == [False] * 3 + [True] + [False] * 4 + [True]
    three = label(days.step[held], days.close[held], early.count(4_320), missing)
    assert np.isnan(three).tolist() == [False] + [True] * 3 + [False] * 2 + [True] * 3


def test_a_fit_predicts_what_closes_after_it() -> None:
    refits = np.array([ms("2019-01-01"), ms("2019-02-01")])
    fits = Fits(Linear(), 0, refits, [{"of": "January"}, {"of": "February"}], [None, None])
    week = MONDAYS.steps_of(ms("2019-01-28"))  # it closes on the 4th of February
    assert fits.newest_before(MONDAYS.close_ms(week)) == {"of": "February"}
    assert fits.newest_before(MONDAYS.close_ms(week - 1)) == {"of": "January"}
    day = Grid(DAY).steps_of(ms("2019-01-31"))  # it closes at the very moment of the fit
    assert fits.newest_before(Grid(DAY).close_ms(day)) == {"of": "January"}
    assert fits.newest_before(Grid(DAY).close_ms(day + 1)) == {"of": "February"}
    assert fits.newest_before(ms("2019-01-01")) is None


def test_rows_are_predicted_by_the_day_in_which_they_close() -> None:
    grid = Grid(420)
    first = grid.steps_of(ms("2019-01-01T00:03"))
    steps = np.arange(first, first + 410)
    # 00:03 + 205 · 7 min is 23:58: the candle that opens then closes on the day after.
    assert slice_days(steps, grid) == [slice(0, 205), slice(205, 410)]
    weeks = np.arange(5)
    assert slice_days(weeks, MONDAYS) == [slice(place, place + 1) for place in range(5)]
