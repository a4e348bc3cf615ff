"""A file whose time of writing lies before its candles says so, and not that its spacing shows no interval."""

import datetime as dt
import os
from pathlib import Path

import pytest
from raw_files import HEADER, lines, read

from chandlery.errors import SourceError
from chandlery.runs.pipeline import Options, ingest
from chandlery.settings.model import load_settings


@pytest.mark.parametrize("year", [1960, 1970, 2018])
def test_a_file_that_is_older_than_its_candles(year: int) -> None:
    modified = dt.datetime(year, 1, 1, tzinfo=dt.UTC)
    told = rf"200 of its first 200 rows had not closed \(not_closed\) at {year}-01-01"
    with pytest.raises(SourceError, match=told) as met:
        read(HEADER + lines(200), seconds=None, modified_at=modified)
    assert "touch" in met.value.hint
    assert "interval" not in str(met.value)


def test_a_file_without_times_is_told_of_its_spacing() -> None:
    rows = b"".join(b"%d,1,1,1,1,1\n" % step for step in range(200))
    with pytest.raises(SourceError) as met:
        read(HEADER + rows, seconds=None)
    assert "not_closed" not in str(met.value)


def test_an_interval_that_is_set_by_hand_lets_its_rows_be_refused_one_by_one() -> None:
    modified = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    layout = {"interval": "1m"}
    file = read(HEADER + lines(200), seconds=None, modified_at=modified, layout=layout)
    assert (file.rows_read, file.rejects.height) == (200, 200)


@pytest.mark.parametrize("written", [-315_619_200, 0])
def test_a_run_says_so(tmp_path: Path, written: int) -> None:
    (tmp_path / "raw").mkdir()
    for name in ("ltcusd.csv", "ethusd.csv"):
        (tmp_path / "raw" / name).write_bytes(HEADER + lines(200))
    os.utime(tmp_path / "raw" / "ltcusd.csv", (written, written))
    sections = {"source": {"uri": str(tmp_path / "raw")}, "lake": {"uri": str(tmp_path / "lake")}}
    settings = load_settings(None, sections | {"engine": {"workers": 1}})
    report = ingest(settings, Options())
    assert report.exit_code == 3
    assert f"at {'1960' if written else '1970'}-01-01 00:00:00 UTC, when the file was written" in report.messages[0]
    os.utime(tmp_path / "raw" / "ltcusd.csv")
    assert ingest(settings, Options()).exit_code == 0
