"""The reductions to small frames, by examples."""

import datetime as dt

import polars as pl
import pytest

from chandlery.grid import Grid
from chandlery.report.figures.fan import cut_at_holes
from chandlery.report.figures.skill import cut_axis
from chandlery.report.measures import add_errors, find_deciles, pool_skill, resample, share_naive, to_calendar


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def test_a_gap_over_midnight_is_cut_there() -> None:
    gaps = pl.DataFrame(
        {
            "start": [at("2019-01-01T23:50"), at("2019-01-02T08:00"), at("2019-01-02T09:00")],
            "end": [at("2019-01-03T00:00"), at("2019-01-02T08:07"), at("2019-01-02T10:00")],
            "kind": ["hole", "outage", "no_trade"],
        }
    )
    days = to_calendar(gaps).rows()
    assert days == [
        (dt.date(2019, 1, 1), "hole", 600),
        (dt.date(2019, 1, 2), "hole", 86_400),
        (dt.date(2019, 1, 2), "outage", 420),
    ]
    assert to_calendar(gaps.clear()).is_empty()


def test_the_error_of_skill_is_skill_over_the_statistic() -> None:
    scores = pl.DataFrame({"skill": [0.02, -0.01, 0.0, None], "dm_statistic": [4.0, -2.0, 0.0, None]})
    assert add_errors(scores)["error"].to_list() == [0.005, 0.005, None, None]


def test_one_month_has_a_skill_and_no_spread() -> None:
    row = {"symbol": "A", "horizon_minutes": 1, "n": 4, "sse_naive": 2.0}
    rows = [
        {**row, "model": "naive", "period": "all", "sse": 2.0},
        {**row, "model": "linear", "period": "2019-01", "sse": 1.0},
    ]
    pooled = pool_skill(pl.DataFrame(rows, schema_overrides={"horizon_minutes": pl.Int32})).row(0, named=True)
    assert (pooled["skill"], pooled["error"], pooled["months"]) == (0.5, None, 1)


def forecasts(count: int, served_by: str) -> pl.DataFrame:
    issued = pl.datetime_range(at("2019-01-01"), at("2019-01-01") + dt.timedelta(minutes=count - 1), "1m", eager=True)
    return pl.DataFrame(
        {"issued_at": issued, "close": 100.0, "actual_close": 101.0, "predicted_close": 100.5, "served_by": served_by}
    )


@pytest.mark.parametrize(("count", "served_by", "tenths"), [(200, "linear", 10), (199, "linear", 0), (400, "naive", 0)])
def test_few_forecasts_make_no_tenths(count: int, served_by: str, tenths: int) -> None:
    assert find_deciles(forecasts(count, served_by), 1).height == tenths


def test_targets_of_tenths_do_not_overlap() -> None:
    assert find_deciles(forecasts(6000, "linear"), 30)["n"].sum() == 200


def test_naive_is_counted_by_month() -> None:
    rows = pl.concat([forecasts(2, "naive"), forecasts(2, "linear")])
    assert share_naive(rows).row(0) == ("2019-01", 4, 2, 0.5)


def test_bars_join_candles() -> None:
    candles = pl.DataFrame(
        {
            "open_time": [at("2019-01-01T00:01"), at("2019-01-01T00:03"), at("2019-01-01T00:06")],
            "open": [1.0, 2.0, 3.0],
            "high": [5.0, 9.0, 4.0],
            "low": [1.0, 0.5, 3.0],
            "close": [2.0, 3.0, 4.0],
        }
    )
    assert resample(candles, at("2019-01-01"), Grid(300)).rows() == [
        (at("2019-01-01T00:00"), 1.0, 9.0, 0.5, 3.0),
        (at("2019-01-01T00:05"), 3.0, 4.0, 3.0, 4.0),
    ]


def test_bars_of_weeks_open_when_the_weeks_do() -> None:
    mondays = [at("2018-12-31") + dt.timedelta(weeks=place) for place in range(4)]
    prices = {name: [1.0, 2.0, 3.0, 4.0] for name in ("open", "high", "low", "close")}
    candles = pl.DataFrame({"open_time": mondays, **prices})
    weeks = Grid(604_800, 345_600)
    assert resample(candles, at("2018-01-01"), weeks)["open_time"].to_list() == mondays
    pairs = resample(candles, at("2018-01-01"), Grid(2 * weeks.seconds, weeks.offset))
    assert all(time.weekday() == 0 for time in pairs["open_time"])
    assert pairs["close"].to_list() in ([2.0, 4.0], [1.0, 3.0, 4.0])


def test_tenths_count_forecasts_on_the_grid_of_the_series() -> None:
    mondays = [at("2018-12-31") + dt.timedelta(weeks=place) for place in range(250)]
    closes = {"close": 100.0, "actual_close": 101.0, "predicted_close": 100.5, "served_by": "blend"}
    rows = pl.DataFrame({"issued_at": mondays}).with_columns(**{name: pl.lit(value) for name, value in closes.items()})
    assert find_deciles(rows, 10_080).is_empty()
    assert find_deciles(rows, 10_080, 345_600)["n"].sum() == 250


def test_an_axis_is_cut_for_a_month_far_beyond_the_others() -> None:
    months = pl.DataFrame(
        {"period": [f"2019-{month:02d}" for month in range(1, 13)], "n": [9] * 12, "skill": [1.0] * 11 + [40.0]}
    )
    cut, notes = cut_axis(months)
    assert cut["range"][1] == 3.0
    assert notes[0]["text"] == "2019-12: 40 %, 9 forecasts"
    assert cut_axis(months.head(11)) == ({}, [])
    assert cut_axis(months.clear()) == ({}, [])


def test_no_band_is_drawn_across_a_hole() -> None:
    rows = pl.DataFrame({"target_time": [at("2019-01-01T00:00"), at("2019-01-01T00:05"), at("2019-01-01T03:00")]})
    assert [part.height for part in cut_at_holes(rows, 300)] == [2, 1]
    assert cut_at_holes(rows.clear(), 300) == []
