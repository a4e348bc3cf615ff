"""Forecasts of symbols without candles stay until they are pruned."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hours import LAST_DAY, Lake
from uploads import BTC, ETH, PRUNE, put_back, read

from chandlery.lake.reading import read_table
from chandlery.runs.pipeline import RunReport, forecast, ingest, run

pytestmark = pytest.mark.slow


def test_forecasts_of_a_symbol_without_candles_stay_until_they_are_pruned(lake: Lake, tmp_path: Path) -> None:
    lake.source.remove(ETH)
    del lake.source.files[ETH]
    before = read(lake, "forecasts", "ETHUSD")
    lake.bring(ingest, PRUNE)
    assert set(read_table(str(lake.folder), "candles")["symbol"]) == {"BTCUSD"}
    report = lake.bring(forecast)
    assert any("forecasts of ETHUSD are kept" in note and "--prune" in note for note in report.notes)
    assert read(lake, "forecasts", "ETHUSD").equals(before)
    assert set(read_table(str(lake.folder), "scores")["symbol"]) == {"BTCUSD", "ETHUSD"}
    assert lake.bring(forecast).run_id is None
    lake.bring(forecast, PRUNE)
    assert set(read_table(str(lake.folder), "forecasts")["symbol"]) == {"BTCUSD"}
    assert set(read_table(str(lake.folder), "scores")["symbol"]) == {"BTCUSD"}
    assert not lake.compare_with_rebuild(tmp_path / "new")
    assert lake.bring(options=PRUNE).run_id is None


def test_a_run_that_prunes_takes_candles_and_forecasts(lake: Lake, tmp_path: Path) -> None:
    lake.source.remove(ETH)
    del lake.source.files[ETH]
    lake.bring(options=PRUNE)
    assert not lake.compare_with_rebuild(tmp_path / "new")


def test_forecasts_of_a_lake_without_any_candles_stay_until_they_are_pruned(lake: Lake, tmp_path: Path) -> None:
    for name in (BTC, ETH):
        lake.source.remove(name)
    lake.source.put_bad("LTCUSD", "empty")  # a source without any file is a mistake
    assert lake.bring(ingest, PRUNE).exit_code == 3
    assert not list(lake.folder.glob("candles/**/*.parquet"))
    lake.bring(forecast)
    assert set(read_table(str(lake.folder), "forecasts")["symbol"]) == {"BTCUSD", "ETHUSD"}
    lake.bring(forecast, PRUNE)
    for table in ("forecasts", "scores", "models"):
        assert not list(lake.folder.glob(f"{table}/**/*.parquet"))
    assert lake.bring(forecast, PRUNE).run_id is None
    for name in (BTC, ETH):
        put_back(lake, name)
    (lake.raw / "ltcusd_000.csv").unlink()
    del lake.source.files["ltcusd_000.csv"]
    lake.bring(options=PRUNE)
    assert not lake.compare_with_rebuild(tmp_path / "new")


@pytest.mark.parametrize("stage", [run, ingest])
def test_of_the_symbols_that_are_named_alone_something_is_pruned(
    lake: Lake, tmp_path: Path, stage: Callable[..., RunReport]
) -> None:
    later = {name: lake.put(name, LAST_DAY, LAST_DAY + 9) for name in ("BTCUSD", "ETHUSD")}
    lake.bring()
    before = {table: read(lake, table, "ETHUSD") for table in ("candles", "ledger")}
    for name in later.values():
        lake.source.remove(name)
    report = lake.bring(stage, PRUNE, symbols=("BTCUSD",))
    assert any("were deleted" in note for note in report.notes)
    now = {table: read(lake, table, "ETHUSD") for table in ("candles", "ledger")}
    assert now["candles"].equals(before["candles"])
    assert later["ETHUSD"] in now["ledger"]["source"]
    assert later["BTCUSD"] not in read(lake, "ledger", "BTCUSD")["source"]
    lake.bring(options=PRUNE)
    for name in later.values():
        del lake.source.files[name]
    assert not lake.compare_with_rebuild(tmp_path / "new")
