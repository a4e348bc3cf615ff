"""An ingest that is killed between two objects, and files that change before the next run."""

import os
import shutil
from pathlib import Path

import polars as pl
import pytest
from hours import Lake, start_lake
from interruption import Kill, killed

from chandlery.errors import StoreUnavailableError
from chandlery.lake.reading import read_table
from chandlery.lake.store import Store
from chandlery.runs.pipeline import Options, forecast, ingest, run

pytestmark = pytest.mark.slow

BTC = "btcusd_000.csv"
WRITES = pytest.mark.parametrize(
    "at", range(2, 8)
)  # of the summary, two years of candles, rejects or ledger, and state


def kill(lake: Lake, at: int, options: Options | None = None) -> None:
    """Start a run that ends after a write."""
    death = Kill(at, applied=True)
    with killed(death):
        lake.bring(run, options)
    assert death.dead


def check(lake: Lake) -> None:
    """Make sure that no candle is there twice, and that the ledger counts the candles that there are."""
    candles = read_table(str(lake.folder), "candles")
    assert candles.height == candles.unique(["symbol", "open_time"]).height
    ledger = read_table(str(lake.folder), "ledger").filter(pl.col("rows_kept") > 0)
    found = dict(candles.group_by("source").len().iter_rows())
    assert found == dict(ledger.select("source", "rows_kept").iter_rows())


@WRITES
def test_a_new_file_that_is_gone_before_the_next_run(lake: Lake, at: int) -> None:
    published = read_table(str(lake.folder), "candles").select("symbol", "open_time")
    other = lake.put("BTCUSD", 85, 112, revision=1)
    kill(lake, at)
    lake.source.remove(other)
    assert lake.bring().exit_code == 0
    check(lake)
    now = read_table(str(lake.folder), "candles")
    assert not published.join(now, on=["symbol", "open_time"], how="anti").height
    lake.put("BTCUSD", 100, 113, revision=2)
    assert lake.bring().exit_code == 0
    check(lake)
    assert lake.bring().run_id is None


@WRITES
def test_a_file_whose_earlier_version_is_back_before_the_next_run(lake: Lake, tmp_path: Path, at: int) -> None:
    earlier, held = tmp_path / "earlier", lake.source.files[BTC].version
    (lake.raw / BTC).rename(earlier)
    lake.put("BTCUSD", 1, 110, revision=1, name=BTC)
    kill(lake, at)
    earlier.replace(lake.raw / BTC)
    lake.source.files[BTC].version = held
    assert lake.bring().exit_code == 0
    assert not lake.compare_with_rebuild(tmp_path / "new")
    assert lake.bring().run_id is None


@WRITES
def test_forecasts_of_half_written_candles_are_not_kept(lake: Lake, tmp_path: Path, at: int) -> None:
    earlier, held = tmp_path / "earlier", lake.source.files[BTC].version
    (lake.raw / BTC).rename(earlier)
    lake.put("BTCUSD", 1, 112, revision=1, name=BTC)
    lake.put("ETHUSD", 110, 112)
    kill(lake, at)
    lake.bring(ingest, symbols=("ETHUSD",))
    lake.bring(forecast)
    earlier.replace(lake.raw / BTC)
    lake.source.files[BTC].version = held
    lake.bring()
    assert not lake.compare_with_rebuild(tmp_path / "new")


def test_a_record_that_cannot_be_put_does_not_hide_what_ended_the_run(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Store.put

    def put_some(self: Store, path: str, content: bytes, media_type: str | None = None) -> None:
        if path.startswith("runs/") or "/candles/" in path:
            raise StoreUnavailableError(f"no room for {path}")
        put(self, path, content, media_type)

    lake.put("BTCUSD", 110, 112)
    monkeypatch.setattr(Store, "put", put_some)
    with pytest.raises(StoreUnavailableError, match="candles/"):
        lake.bring()


@WRITES
def test_a_new_version_that_is_spoilt_before_the_next_run(lake: Lake, at: int) -> None:
    lake.put("BTCUSD", 1, 108, revision=1, name=BTC)
    kill(lake, at)
    (lake.raw / BTC).write_bytes(b"garbage")
    os.utime(lake.raw / BTC, (lake.source.clock_s + 60,) * 2)
    assert lake.bring().exit_code == 3
    check(lake)
    lake.put("BTCUSD", 100, 113, revision=2)
    assert lake.bring().exit_code == 3
    check(lake)


@WRITES
def test_a_run_that_prunes_and_one_that_does_not(lake: Lake, tmp_path: Path, at: int) -> None:
    other = lake.put("BTCUSD", 85, 112, revision=1)
    lake.bring()
    lake.source.remove(other)
    lake.bring()
    kill(lake, at, Options(prune=True))
    report = lake.bring()
    assert (report.exit_code, report.notes) == (0, [])
    check(lake)
    lake.bring(options=Options(prune=True))
    del lake.source.files[other]
    assert not lake.compare_with_rebuild(tmp_path / "new")


def test_state_of_an_earlier_run_that_was_restored(lake: Lake, tmp_path: Path) -> None:
    shutil.copytree(lake.state / "ingest", tmp_path / "ingest")
    other = lake.put("BTCUSD", 85, 112, revision=1)
    lake.bring()
    shutil.copytree(tmp_path / "ingest", lake.state / "ingest", dirs_exist_ok=True)
    lake.source.remove(other)
    lake.bring()
    lake.put("BTCUSD", 100, 113, revision=2)
    lake.bring()
    check(lake)
    assert not lake.compare_with_rebuild(tmp_path / "new")


@pytest.mark.parametrize("stage", ["ingest", "checkpoints/*/gather", "checkpoints/*/forecast", "scores"])
def test_objects_of_two_symbols_that_were_exchanged(tmp_path: Path, stage: str) -> None:
    lake = start_lake(tmp_path)
    for folder in sorted(lake.state.glob(stage)):
        one, other = (folder / f"{symbol}.state" for symbol in ("BTCUSD", "ETHUSD"))
        held = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(held)
    lake.put("BTCUSD", 110, 112)
    lake.bring()
    assert not lake.compare_with_rebuild(tmp_path / "new")
