"""A name under which candles of another interval are uploaded: they are never taken for those of the first."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from rebuild import find_differences

from chandlery.lake.reading import read_table
from chandlery.runs.pipeline import Options, RunReport, ingest
from chandlery.settings.model import load_settings

pytestmark = pytest.mark.slow

START_MS, HOUR_MS = 1_538_352_000_000, 3_600_000  # 2018-10-01
DAYS = 40


def write(path: Path, hours: int, days: int = DAYS) -> None:
    """Write candles of some hours each."""
    count = days * 24 // hours
    close = 100 * np.exp(np.cumsum(np.random.default_rng(hours).standard_normal(count) * 0.004))
    times = START_MS + HOUR_MS * hours * np.arange(count)
    prices = {"open": close, "close": close, "high": close, "low": close, "volume": np.ones(count)}
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame({"time": times, **prices}).write_csv(path)


def bring(folder: Path, options: Options | None = None, lake: str = "lake", **source: Any) -> RunReport:
    flags = {
        "source": {"uri": str(folder / "raw"), **source},
        "lake": {"uri": str(folder / lake)},
        "engine": {"workers": 1},
    }
    return ingest(load_settings(None, flags), options or Options())


def intervals(folder: Path) -> dict[str, list[tuple[str, int]]]:
    """Return the interval and the number of kept rows of each file, by the ledger."""
    found: dict[str, list[tuple[str, int]]] = {}
    for row in read_table(str(folder / "lake"), "ledger").iter_rows(named=True):
        found.setdefault(row["source"], []).append((row["interval"], row["rows_kept"]))
    return found


@pytest.fixture
def hourly(tmp_path: Path) -> Path:
    write(tmp_path / "raw" / "btcusd.csv", 1)
    write(tmp_path / "raw" / "ethusd.csv", 1)
    bring(tmp_path)
    return tmp_path


BY_HAND = {"layout": [{"files": "btcusd.csv", "interval": "4h"}]}


@pytest.mark.parametrize("hours", [2, 4, 24])
@pytest.mark.parametrize("days", [4, DAYS])
def test_a_longer_one_is_refused_and_moved_by_a_restatement(hourly: Path, hours: int, days: int) -> None:
    write(hourly / "raw" / "btcusd.csv", hours, days)
    found = bring(hourly)
    assert found.exit_code == 3
    assert any(f"holds candles of {hours * 60}m" in text and "--restate" in text for text in found.messages)
    assert intervals(hourly)["btcusd.csv"] == [("60m", 24 * DAYS)]
    assert bring(hourly, Options(restate=True)).exit_code == 0
    assert intervals(hourly)["btcusd.csv"] == [(f"{hours * 60}m", days * 24 // hours)]


def test_the_interval_that_is_set_by_hand_is_never_ignored(hourly: Path) -> None:
    write(hourly / "raw" / "btcusd.csv", 4)
    found = bring(hourly, **BY_HAND)
    assert found.exit_code == 3
    assert any("is set to hold candles of 240m" in text for text in found.messages)
    assert intervals(hourly)["btcusd.csv"] == [("60m", 24 * DAYS)]
    assert bring(hourly, Options(restate=True), **BY_HAND).exit_code == 0
    assert intervals(hourly)["btcusd.csv"] == [("240m", 6 * DAYS)]


def test_a_shorter_one_is_refused_and_moved_by_a_restatement(tmp_path: Path) -> None:
    write(tmp_path / "raw" / "btcusd.csv", 4)
    bring(tmp_path)
    write(tmp_path / "raw" / "btcusd.csv", 1)
    assert bring(tmp_path).exit_code == 3
    assert intervals(tmp_path)["btcusd.csv"] == [("240m", 6 * DAYS)]
    assert bring(tmp_path, Options(restate=True)).exit_code == 0
    assert intervals(tmp_path)["btcusd.csv"] == [("60m", 24 * DAYS)]


def test_a_file_of_one_row_joins_the_files_of_its_folder_as_in_a_new_lake(tmp_path: Path) -> None:
    for hours in (1, 4):
        write(tmp_path / "raw" / f"{hours}h" / "btcusd.csv", hours)
    bring(tmp_path)
    last = tmp_path / "raw" / "4h" / "btcusd_last.csv"
    write(tmp_path / "whole.csv", 4, DAYS + 1)
    rows = pl.read_csv(tmp_path / "whole.csv")
    rows[DAYS * 6 : DAYS * 6 + 1].write_csv(last)
    assert bring(tmp_path).exit_code == 0
    assert intervals(tmp_path)["4h/btcusd_last.csv"] == [("240m", 1)]
    assert bring(tmp_path, lake="anew").exit_code == 0
    assert not find_differences(tmp_path / "lake", tmp_path / "anew", {})
