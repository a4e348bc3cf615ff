"""More rows than are held at once: the same tables as ever, an append included; candles of seconds are ingested."""

from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from lakes import digests, run_lake

from chandlery.lake import tables
from chandlery.lake.reading import read_table
from chandlery.runs import ingesting
from chandlery.tasks.ingest import IngestTask

pytestmark = pytest.mark.slow
START_MS = 1_546_300_800_000 - 3 * 86_400_000  # three days before 2019


def write_seconds(path: Path, first: int, last: int) -> None:
    """Write candles of some seconds, a tenth of them missing, some twice, two days in disorder."""
    random = np.random.default_rng(first)
    step = np.flatnonzero(random.random(last - first) < 0.9) + first
    step = np.concatenate([step[5_000:], step[:5_000], step[100:200]])
    close = 100 + (step % 997) / 100
    frame = pl.DataFrame(
        {
            "time": START_MS + step * 1_000,
            "open": close,
            "close": close,
            "high": close + 0.01,
            "low": close - 0.01,
            "volume": 1.0,
        }
    )
    path.parent.mkdir(exist_ok=True)
    frame.write_csv(path)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seconds") / "raw"
    write_seconds(folder / "ltcusd_a.csv", 0, 400_000)
    write_seconds(folder / "ltcusd_b.csv", 390_000, 500_000)
    return folder


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let little be held at once."""
    monkeypatch.setattr(ingesting, "IngestTask", partial(IngestTask, room_bytes=1_000_000, most_at_once=100_000))
    monkeypatch.setattr(tables, "MOST_AT_ONCE", 100_000)
    monkeypatch.setattr(tables, "PIECE_ROWS", 65_536)


def test_candles_of_seconds_are_ingested_and_forecast_once_there_are_enough(raw: Path, tmp_path: Path) -> None:
    report = run_lake(raw, tmp_path / "lake")
    told = "no forecasts yet: the first fit is in the first month after 10d of history"
    assert any(note.startswith(told) for note in report.notes)
    candles = read_table(str(tmp_path / "lake"), "candles", symbol="ltcusd")
    assert candles["interval"].unique().to_list() == ["1s"]
    assert candles["open_time"].is_sorted()
    ledger = read_table(str(tmp_path / "lake"), "ledger")
    assert ledger.select(pl.col("rows_read").sum()).item() == sum(
        len(path.read_text().splitlines()) - 1 for path in raw.iterdir()
    )
    assert ledger["rows_kept"].sum() == candles.height
    assert not read_table(str(tmp_path / "lake"), "gaps").is_empty()
    assert run_lake(raw, tmp_path / "lake").run_id is None


def test_much_at_once_gives_the_rows_of_little(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_lake(raw, tmp_path / "whole")
    shrink(monkeypatch)
    run_lake(raw, tmp_path / "lake")
    for name in ("candles", "rejects", "ledger", "gaps"):
        assert read_table(str(tmp_path / "lake"), name).equals(read_table(str(tmp_path / "whole"), name)), name


def test_an_append_to_many_rows_gives_the_bytes_of_a_rebuild(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink(monkeypatch)
    grown = tmp_path / "raw"
    grown.mkdir()
    for name in ("ltcusd_b.csv", "ltcusd_a.csv"):
        (grown / name).hardlink_to(raw / name)
        run_lake(grown, tmp_path / "lake")
    run_lake(grown, tmp_path / "whole")
    assert digests(tmp_path / "lake") == digests(tmp_path / "whole")
