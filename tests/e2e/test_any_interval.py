"""Whole runs on candles that last seconds, odd minutes, days and weeks, on grids with and without an offset."""

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from grids import Series
from lakes import digests

from chandlery.lake.reading import read_table
from chandlery.units import parse_minutes, to_interval_text

pytestmark = pytest.mark.slow

HOUR, DAY = 3_600, 86_400


def at(*when: int) -> dt.datetime:
    return dt.datetime(*when, tzinfo=dt.UTC)  # type: ignore[arg-type, misc]


MONDAYS = Series("1w", 7 * DAY, at(2012, 1, 2), 300, 4 * DAY, quiet=(100, 120))
FIVE_O_CLOCK = Series("1d", DAY, at(2016, 1, 1, 5), 500, 5 * HOUR, quiet=(200, 215))
SERIES = [
    pytest.param(MONDAYS, {"horizons": ["1w", "3w"], "min_train": "60d"}, id="weeks that open on Monday"),
    pytest.param(
        Series("1w", 7 * DAY, at(2012, 1, 5), 300, quiet=(100, 120)),
        {"min_train": "60d"},
        id="weeks that open on Thursday",
        marks=pytest.mark.slow,
    ),
    pytest.param(
        Series("3d", 3 * DAY, at(2015, 1, 2), 300, quiet=(100, 120)),
        {"horizons": ["3d", "6d"], "min_train": "90d"},
        id="three days",
        marks=pytest.mark.slow,
    ),
    pytest.param(
        FIVE_O_CLOCK, {"horizons": ["1d", "3d"], "min_train": "60d"}, id="days from 05:00", marks=pytest.mark.slow
    ),
    pytest.param(
        Series("4h", 4 * HOUR, at(2018, 10, 1), 1_200, quiet=(800, 830)),
        {"horizons": ["4h", "1d"], "min_train": "60d"},
        id="four hours",
        marks=pytest.mark.slow,
    ),
    pytest.param(
        Series("7m", 420, at(2019, 1, 1, 0, 3), 20_000, quiet=(9_000, 9_060)),
        {"horizons": ["7m", "35m"], "min_train": "30d"},
        id="seven minutes",
    ),
    pytest.param(
        Series("15s", 15, at(2019, 1, 27), 40_000, quiet=(20_000, 20_400)),
        {"horizons": ["1m", "30m"], "min_train": "2d"},
        id="fifteen seconds",
        marks=pytest.mark.slow,
    ),
    pytest.param(
        Series("1s", 1, at(2019, 1, 30, 23), 110_000, quiet=(50_000, 51_000)),
        {"horizons": ["1m"], "min_train": "1d"},
        id="a second",
        marks=pytest.mark.slow,
    ),
]


def check_forecasts(series: Series, lake: Path, horizon: int, quiet: tuple[int, int]) -> None:
    """Look up every forecast's outcome in the candles that were written, by the clock alone."""
    length, ahead = dt.timedelta(seconds=series.seconds), dt.timedelta(minutes=horizon)
    start, end = series.opens(quiet[0]), series.opens(quiet[1])
    for symbol in ("BTCUSD", "XRPUSD"):
        found = read_table(str(lake), "forecasts", symbol=symbol, horizon_minutes=horizon)
        candles = series.candles(symbol).with_columns(
            close_time=pl.from_epoch("time", "ms").dt.replace_time_zone("UTC") + length
        )
        first = found["issued_at"][0]
        issued = candles.filter(pl.col("close_time") >= first)
        assert found["issued_at"].to_list() == issued["close_time"].to_list()
        assert found["close"].to_list() == issued["close"].to_list()
        assert (found["target_time"] - found["issued_at"] == ahead).all()
        closes = dict(candles.select("close_time", "close").iter_rows())
        for issued_at, target, actual in found.select("issued_at", "target_time", "actual_close").iter_rows():
            crosses = symbol == "XRPUSD" and issued_at < end + length and target > start
            assert actual == (None if crosses else closes.get(target)), (symbol, issued_at)


@pytest.mark.parametrize(("series", "forecast"), SERIES)
def test_a_lake_of_any_interval_is_forecast_and_an_append_equals_a_rebuild(
    tmp_path: Path, series: Series, forecast: dict[str, object]
) -> None:
    raw, lake = tmp_path / "raw", tmp_path / "lake"
    cut = 9 * series.count // 10
    series.write(raw, "a", 0, cut)
    report = series.run(raw, lake, models=["linear"], **forecast)
    assert (report.exit_code, report.messages, report.notes) == (0, [], [])
    for stop in (cut + 1, series.count):
        series.write(raw, f"b{stop}", cut, stop)
        oldest = min((lake / "state").glob("*/*/gather/*"))
        written = {path: path.stat().st_mtime_ns for path in oldest.iterdir()}
        series.run(raw, lake)
        if len(list((lake / "state").glob("*/*/gather/*"))) > 2:  # else the oldest rows are among the newest
            assert {path: path.stat().st_mtime_ns for path in oldest.iterdir()} == written
        cut = stop
    series.run(raw, tmp_path / "whole", models=["linear"], **forecast)
    assert digests(lake) == digests(tmp_path / "whole")
    assert series.run(raw, lake).run_id is None  # nothing is new

    gaps = read_table(str(lake), "gaps").select("symbol", "start", "end", "missing", "kind")
    first, last = series.quiet
    assert gaps.rows() == [("XRPUSD", series.opens(first), series.opens(last), last - first, "hole")]
    horizons = forecast.get("horizons", ["1w"])
    assert isinstance(horizons, list)
    for horizon in horizons:
        check_forecasts(series, lake, parse_minutes(horizon), series.quiet)
    forecasts = read_table(str(lake), "forecasts")
    assert forecasts["interval"].unique().to_list() == [to_interval_text(series.seconds)]
    assert forecasts["predicted_linear"].is_not_null().mean() > 0.9
    assert forecasts["predicted_close"].null_count() == 0
    models = read_table(str(lake), "models")
    assert (models["trained_until"] <= models["refit_at"]).all()
    assert read_table(str(lake), "scores").filter(pl.col("period") == "all")["n"].min() > 0  # type: ignore[operator]


def test_three_years_of_days_have_forecasts_by_every_model(tmp_path: Path) -> None:
    series = Series("1d", DAY, at(2015, 1, 1), 1_095)
    series.write(tmp_path / "raw", "a", 0, series.count)
    report = series.run(tmp_path / "raw", tmp_path / "lake")
    assert (report.exit_code, report.messages, report.notes) == (0, [], [])
    forecasts = read_table(str(tmp_path / "lake"), "forecasts", symbol="BTCUSD", horizon_minutes=1_440)
    # 180 days of history end in June 2015: models are first fitted on the 1st of July.
    assert forecasts["issued_at"].min() == at(2015, 7, 2)
    assert forecasts.select(pl.col("^predicted_.*$").null_count()).sum_horizontal().item() == 0


def test_models_without_rows_enough_are_not_fitted(tmp_path: Path) -> None:
    series = Series("1w", 7 * DAY, at(2012, 1, 2), 75, 4 * DAY)
    series.write(tmp_path / "raw", "a", 0, 62)
    report = series.run(tmp_path / "raw", tmp_path / "lake", min_train="60d")
    # A symbol's first 60 weeks do not count, and of the others' labels none is known before the newest refit.
    assert report.exit_code == 0
    assert [note.split(":")[0] for note in report.notes] == ["no forecasts yet"]
    assert read_table(str(tmp_path / "lake"), "forecasts").is_empty()
    series.write(tmp_path / "raw", "b", 62, 75)
    assert series.run(tmp_path / "raw", tmp_path / "lake").exit_code == 0
    forecasts = read_table(str(tmp_path / "lake"), "forecasts", symbol="BTCUSD")
    assert forecasts["predicted_linear"].is_not_null().any()
    assert forecasts["predicted_tree"].is_null().all()  # three symbols have 15 rows each at most, and a leaf wants 20
    assert forecasts["predicted_boosted"].is_null().all()
    assert forecasts["predicted_close"].null_count() == 0
