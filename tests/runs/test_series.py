"""Several series in one lake: each comes up to date by itself, and with the bytes of a lake of its own."""

import shutil
from pathlib import Path

import polars as pl
import pytest
from rebuild import find_differences
from several import DAYS, SERIES, make_settings, write_candles, write_raw

from chandlery.errors import SettingsError
from chandlery.lake.reading import read_table
from chandlery.runs.pipeline import Options, ingest, plan, run

pytestmark = pytest.mark.slow


def bring(folder: Path, options: Options | None = None, **flags: object):
    return run(make_settings(folder, **flags), options or Options())


def tables_of(lake: Path, series: str) -> dict[str, bytes]:
    """Return the objects of the tables of a series, by their path below it."""
    exchange, interval = series.split("/")
    part = f"exchange={exchange}/interval={interval}/"
    return {
        path.relative_to(lake).as_posix(): path.read_bytes()
        for path in sorted(lake.rglob("*.parquet"))
        if part in path.as_posix()
    }


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of several series that was made in three runs: most days, one series more, and the last days."""
    folder = tmp_path_factory.mktemp("several")
    for series in list(SERIES)[:3]:
        for symbol in ("BTCUSD", "ETHUSD") if series == "kraken/60m" else ("BTCUSD",):
            write_candles(folder / "raw", series, symbol, 0, DAYS - 6)
    bring(folder)
    for symbol in ("BTCUSD",):
        write_candles(folder / "raw", list(SERIES)[3], symbol, 0, DAYS - 6)
    bring(folder)
    for series in SERIES:
        for symbol in ("BTCUSD", "ETHUSD") if series == "kraken/60m" else ("BTCUSD",):
            write_candles(folder / "raw", series, symbol, DAYS - 6, DAYS)
    report = bring(folder)
    assert report.exit_code == 0
    return folder


def test_a_lake_that_grew_by_series_and_by_days_is_the_one_made_at_once(grown: Path, tmp_path: Path) -> None:
    shutil.copytree(grown / "raw", tmp_path / "raw")
    bring(tmp_path)
    assert not find_differences(grown / "lake", tmp_path / "lake", {})
    assert bring(grown).run_id is None
    assert plan(make_settings(grown)).steps == []


@pytest.mark.parametrize("series", SERIES)
def test_each_series_has_the_bytes_of_a_lake_of_its_own(grown: Path, tmp_path: Path, series: str) -> None:
    exchange, interval = series.split("/")
    shutil.copytree(grown / "raw" / exchange / interval, tmp_path / "raw" / exchange / interval)
    bring(tmp_path)
    assert tables_of(tmp_path / "lake", series) == tables_of(grown / "lake", series)


def test_an_append_to_one_series_leaves_the_others_as_they_are(grown: Path, tmp_path: Path) -> None:
    shutil.copytree(grown, tmp_path / "copy")
    folder = tmp_path / "copy"
    bring(folder)  # copied files are new versions
    before = {series: tables_of(folder / "lake", series) for series in SERIES}
    (folder / "raw" / "bitfinex" / "60m" / f"btcusd_{DAYS - 6:03}.csv").unlink()
    bring(folder, Options(prune=True))
    after = {series: tables_of(folder / "lake", series) for series in SERIES}
    assert [series for series in SERIES if after[series] != before[series]] == ["bitfinex/60m"]


def test_a_section_of_its_own_restates_one_series(grown: Path, tmp_path: Path) -> None:
    shutil.copytree(grown, tmp_path / "copy")
    folder = tmp_path / "copy"
    bring(folder)
    own = {"series": [{"exchange": "kraken", "interval": "1h", "horizons": ["2h"]}]}
    before = {series: tables_of(folder / "lake", series) for series in SERIES}
    with pytest.raises(SettingsError, match=r"\[\[series\]\] horizons \[120m\] instead of \[60m\] for kraken/60m"):
        bring(folder, **own)
    assert bring(folder, Options(restate=True), **own).exit_code == 0
    after = {series: tables_of(folder / "lake", series) for series in SERIES}
    assert [series for series in SERIES if after[series] != before[series]] == ["kraken/60m"]
    found = read_table(str(folder / "lake"), "forecasts", series="kraken/60m")
    assert found["horizon_minutes"].unique().to_list() == [120]


def test_only_the_chosen_series_is_forecast(tmp_path: Path) -> None:
    write_raw(tmp_path / "raw")
    bring(tmp_path, chosen_series=["kraken/60m"])
    found = read_table(str(tmp_path / "lake"), "forecasts").select("exchange", "interval").unique()
    assert found.rows() == [("kraken", "60m")]
    candles = read_table(str(tmp_path / "lake"), "candles").select("exchange", "interval").unique()
    assert candles.height == len(SERIES)
    with pytest.raises(SettingsError, match="series kraken/1m"):
        bring(tmp_path, chosen_series=["kraken/1m"])


def test_horizons_for_all_series_are_taken_where_they_are_multiples(tmp_path: Path) -> None:
    write_raw(tmp_path / "raw")
    forecast = {"models": ["linear"], "min_train": "60d", "horizons": ["15m", "2h"]}
    bring(tmp_path, forecast=forecast)
    found = read_table(str(tmp_path / "lake"), "forecasts").select("exchange", "interval", "horizon_minutes").unique()
    assert sorted(found.rows()) == [
        ("bitfinex", "15m", 15),
        ("bitfinex", "15m", 120),
        ("bitfinex", "60m", 120),
        ("kraken", "240m", 240),  # none is a multiple of four hours: the default
        ("kraken", "60m", 120),
    ]
    assert bring(tmp_path, forecast=forecast).run_id is None


def test_a_file_that_finds_its_series_leaves_the_ledger_of_those_without(tmp_path: Path) -> None:
    raw, lake = tmp_path / "raw" / "bitfinex", tmp_path / "lake"
    raw.mkdir(parents=True)
    (raw / "ltcusd_a.csv").write_text("time,open,close,high,low,volume\n1546300800000,1,1,1,1,1\n")
    assert bring(tmp_path).exit_code == 3
    assert read_table(str(lake), "ledger").select("exchange", "interval", "symbol", "status").rows() == [
        ("unknown", "unknown", "UNKNOWN", "refused")
    ]
    rows = [f"{1546304400000 + 3_600_000 * step},1,1,1,1,1" for step in range(200)]
    (raw / "ltcusd_b.csv").write_text("\n".join(["time,open,close,high,low,volume", *rows]))
    assert bring(tmp_path).exit_code == 0
    ledger = read_table(str(lake), "ledger")
    assert ledger.select("exchange", "interval", "symbol").unique().rows() == [("bitfinex", "60m", "LTCUSD")]
    assert ledger.filter(pl.col("source").str.ends_with("_a.csv"))["rows_kept"].item() == 1
    assert bring(tmp_path).run_id is None


def test_a_plan_names_what_is_computed_of_series_that_were_never_forecast(tmp_path: Path) -> None:
    write_raw(tmp_path / "raw")
    (tmp_path / "raw" / "kraken" / "dogeusd.csv").unlink()
    whole = {
        "bitfinex/15m": "compute the whole past of bitfinex/15m: horizons 30m; models linear",
        "kraken/240m": "compute the whole past of kraken/240m: horizons 240m; models linear",
    }
    steps = {step.series: step for step in plan(make_settings(tmp_path)).steps if step.stage == "forecast"}
    assert {name: steps[name].what for name in whole} == whole
    ingest(make_settings(tmp_path))
    bring(tmp_path, chosen_series=["kraken/60m"])
    steps = {step.series: step for step in plan(make_settings(tmp_path)).steps}
    assert sorted(steps) == sorted(set(SERIES) - {"kraken/60m"})
    assert {name: steps[name].what for name in whole} == whole
    assert {step.why for step in steps.values()} == {"never forecast: the whole past"}


def test_settings_of_forecasts_are_free_until_there_are_forecasts(tmp_path: Path) -> None:
    write_raw(tmp_path / "raw")
    ingest(make_settings(tmp_path), Options())
    bring(tmp_path, forecast={"models": ["linear"], "horizons": ["4h"], "min_train": "60d"})
    found = read_table(str(tmp_path / "lake"), "forecasts")
    assert set(found["horizon_minutes"]) == {240}
    with pytest.raises(SettingsError, match=r"min_train 90d instead of 60d"):
        bring(tmp_path, forecast={"models": ["linear"], "horizons": ["4h"], "min_train": "90d"})
