"""A file whose times are local ones speaks for the files that are like it."""

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from chandlery.lake.reading import read_table
from chandlery.progress import Silent
from chandlery.runs.pipeline import Options, RunReport, ingest
from chandlery.runs.plan import plan
from chandlery.settings.model import Settings, load_settings
from local_hours import write_local

pytestmark = pytest.mark.slow

FRIDAY = dt.datetime(2024, 10, 25, tzinfo=dt.UTC)  # on Sunday summer time ends
PAIRS = ("BTC-USD", "ETH-USD")


def write_days(folder: Path, days: range, *, minutes: int = 60, pair: str = "BTC-USD") -> None:
    """Write a file for each day of local time."""
    for day in days:
        local = (FRIDAY + dt.timedelta(days=day)).date()
        path = folder / f"kraken/{pair}/{local}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        header, *rows = write_local(FRIDAY - dt.timedelta(hours=6), 24 * 12, minutes=minutes).splitlines(keepends=True)
        path.write_bytes(header + b"".join(row for row in rows if row.startswith(str(local).encode())))


def make_settings(folder: Path, **source: object) -> Settings:
    given = {"source": {"uri": str(folder / "raw"), **source}, "lake": {"uri": str(folder / "lake")}}
    return load_settings(None, {**given, "engine": {"workers": 1}})


def bring(folder: Path, options: Options | None = None, **source: object) -> RunReport:
    return ingest(make_settings(folder, **source), options or Options(), Silent())


def statuses(folder: Path) -> set[str]:
    return set(read_table(str(folder / "lake"), "ledger")["status"])


@pytest.mark.parametrize("minutes", [60, 1])
def test_no_file_like_one_with_local_times_is_read(tmp_path: Path, minutes: int) -> None:
    write_days(tmp_path / "raw", range(6), minutes=minutes)
    write_days(tmp_path / "raw", range(2), minutes=minutes, pair="ETH-USD")  # none of its own files shows it
    assert "timezone" in str(plan(make_settings(tmp_path)))
    report = bring(tmp_path)
    assert report.exit_code == 3
    assert statuses(tmp_path) == {"refused"}
    assert all("local" in message for message in report.messages[:8])
    assert bring(tmp_path, layout=[{"files": "kraken/*", "timezone": "Europe/Berlin"}]).exit_code == 0
    candles = read_table(str(tmp_path / "lake"), "candles").filter(pl.col("symbol") == "BTCUSD")
    assert candles["open_time"].diff().drop_nulls().dt.total_minutes().unique().to_list() == [minutes]


def test_files_that_the_lake_has_stay_and_later_ones_are_refused(tmp_path: Path) -> None:
    write_days(tmp_path / "raw", range(2))
    assert bring(tmp_path).exit_code == 0
    before = read_table(str(tmp_path / "lake"), "candles")
    write_days(tmp_path / "raw", range(3))
    report = bring(tmp_path)
    assert report.exit_code == 3
    assert "2 files like it were read as UTC" in report.messages[0]
    write_days(tmp_path / "raw", range(4))
    assert bring(tmp_path).exit_code == 3
    assert read_table(str(tmp_path / "lake"), "candles").equals(before)
    layout = [{"files": "kraken/*", "timezone": "Europe/Berlin"}]
    assert bring(tmp_path, Options(restate=True), layout=layout).exit_code == 0
    assert statuses(tmp_path) == {"read"}


def test_what_only_the_whole_of_a_file_shows_speaks_for_the_files_of_its_symbol(tmp_path: Path) -> None:
    folder = tmp_path / "raw/kraken"
    folder.mkdir(parents=True)
    for month in (9, 10):  # the first rows of October do not reach the end of summer time
        first = dt.datetime(2024, month, 1, tzinfo=dt.UTC)
        (folder / f"BTC-USD_2024-{month:02}.csv").write_bytes(write_local(first, 24 * 30, minutes=1))
    assert bring(tmp_path).exit_code == 3
    assert statuses(tmp_path) == {"refused"}
    first = dt.datetime(2024, 11, 2, tzinfo=dt.UTC)
    (folder / "BTC-USD_2024-11.csv").write_bytes(write_local(first, 24 * 20, minutes=1))
    assert bring(tmp_path).exit_code == 3
    assert statuses(tmp_path) == {"refused"}


def write_month(folder: Path, month: int, pair: str, days: int = 30) -> Path:
    """Write a file of minutes whose first rows do not reach the end of summer time, which is in October."""
    path = folder / f"raw/kraken/{pair}_2024-{month:02}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(write_local(dt.datetime(2024, month, 2, tzinfo=dt.UTC), 24 * days, minutes=1))
    return path


@pytest.mark.parametrize("witness", ["AAA-USD", "ZZZ-USD"])
def test_what_only_the_whole_of_a_file_shows_speaks_for_files_of_other_symbols(tmp_path: Path, witness: str) -> None:
    """It does so in one run and in two, and files that are not like it, or have a zone, are read."""
    shows = write_month(tmp_path, 10, witness)
    write_month(tmp_path, 8, "BTC-USD", days=5)
    write_month(tmp_path, 8, "LTC-USD", days=5)
    layout = [{"files": "kraken/LTC*", "timezone": "Europe/Berlin"}]
    report = bring(tmp_path, layout=layout)
    assert report.exit_code == 3
    ledger = read_table(str(tmp_path / "lake"), "ledger")
    assert ledger.filter(pl.col("status") == "read")["symbol"].to_list() == ["LTCUSD"]
    assert read_table(str(tmp_path / "lake"), "candles")["symbol"].unique().to_list() == ["LTCUSD"]
    write_month(tmp_path, 8, "XRP-USD", days=5)
    assert bring(tmp_path, layout=layout).exit_code == 3
    assert read_table(str(tmp_path / "lake"), "candles")["symbol"].unique().to_list() == ["LTCUSD"]
    shows.unlink()
    layout = [*layout, {"files": "kraken/*", "timezone": "UTC"}]
    assert bring(tmp_path, layout=layout).exit_code == 0
    assert sorted(set(read_table(str(tmp_path / "lake"), "candles")["symbol"])) == ["BTCUSD", "LTCUSD", "XRPUSD"]


def test_a_file_that_another_symbol_shows_to_be_local_keeps_what_the_lake_has(tmp_path: Path) -> None:
    """Objects that were staged before another file showed it are not published."""
    grows = write_month(tmp_path, 8, "BTC-USD", days=5)
    assert bring(tmp_path).exit_code == 0
    before = read_table(str(tmp_path / "lake"), "candles")
    grows.write_bytes(write_local(dt.datetime(2024, 8, 2, tzinfo=dt.UTC), 24 * 7, minutes=1))
    write_month(tmp_path, 10, "ZZZ-USD")
    report = bring(tmp_path)
    assert report.exit_code == 3
    assert any("BTC-USD_2024-08.csv" in message and "stays in force" in message for message in report.messages)
    assert read_table(str(tmp_path / "lake"), "candles").equals(before)


def test_files_with_offsets_are_read_beside_one_with_local_times(tmp_path: Path) -> None:
    write_days(tmp_path / "raw", range(3))
    path = tmp_path / "raw/kraken/BTC-USD/2024-11-05.csv"
    header, *rows = write_local(dt.datetime(2024, 11, 5, tzinfo=dt.UTC), 24, "UTC").decode().splitlines()
    path.write_text("\n".join([header, *(row.replace(",", "+00:00,", 1) for row in rows)]) + "\n")
    assert bring(tmp_path).exit_code == 3
    read = read_table(str(tmp_path / "lake"), "ledger").filter(pl.col("status") == "read")
    assert read["source"].to_list() == ["kraken/BTC-USD/2024-11-05.csv"]


def test_a_zone_that_is_set_for_one_file_is_asked_of_the_files_like_it(tmp_path: Path) -> None:
    write_days(tmp_path / "raw", range(6))
    write_days(tmp_path / "raw", range(1), pair="ETH-USD")
    (tmp_path / "raw/kraken/ETH-USD/2024-10-25.csv").rename(tmp_path / "raw/kraken/ETH-USD/2024-11-25.csv")
    one = {"files": "kraken/BTC-USD/2024-10-27.csv", "timezone": "Europe/Berlin"}
    assert bring(tmp_path, layout=[one]).exit_code == 3
    read = read_table(str(tmp_path / "lake"), "ledger").filter(pl.col("status") == "read")
    assert read["source"].to_list() == [one["files"]]
    assert bring(tmp_path, layout=[one, {"files": "*", "timezone": "Europe/Berlin"}]).exit_code == 0
    assert statuses(tmp_path) == {"read"}
