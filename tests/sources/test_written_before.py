"""The time at which a file was written, by the store's clock, tells only whether its last candle had closed."""

import datetime as dt
import os
from pathlib import Path

import pytest
from raw_files import HEADER, START_MS, line, lines, read, rows_of

from chandlery.errors import SourceError
from chandlery.runs.pipeline import Options, ingest
from chandlery.settings.model import load_settings

START = dt.datetime.fromtimestamp(START_MS / 1000, dt.UTC)


@pytest.mark.parametrize("year", [1960, 1970, 2018])
def test_a_file_that_is_older_than_its_candles_is_read_and_says_so(year: int) -> None:
    found = read(HEADER + lines(200), seconds=None, modified_at=dt.datetime(year, 1, 1, tzinfo=dt.UTC))
    assert rows_of(found).height == 200
    assert found.rejects.is_empty()
    assert found.early == 200


@pytest.mark.parametrize("seconds", [1, 30, 59])
def test_a_candle_that_had_not_closed_is_refused(seconds: int) -> None:
    written = START + dt.timedelta(minutes=199, seconds=seconds)
    found = read(HEADER + lines(200), seconds=None, modified_at=written)
    assert rows_of(found).height == 199
    assert found.rejects.select("row", "raw", "reasons").rows() == [
        (200, line(199, price=10 + 199 % 7).decode().rstrip(), ["not_closed"])
    ]
    assert found.early == 0


def test_a_candle_that_closed_when_the_file_was_written_is_read() -> None:
    found = read(HEADER + lines(200), seconds=None, modified_at=START + dt.timedelta(minutes=200))
    assert found.rejects.is_empty()


def test_a_file_whose_clock_was_behind_is_read_whole() -> None:
    found = read(HEADER + lines(3000), seconds=None, modified_at=START + dt.timedelta(minutes=1000))
    assert rows_of(found).height == 3000
    assert found.early == 1999


def test_a_row_far_behind_all_others_is_refused() -> None:
    for stray, reasons in ((20_000, ["time_out_of_range"]), (40_000, ["off_grid_time", "time_out_of_range"])):
        row = f"{4_000_000_000_000 + stray},10,10.1,10.2,9.8,1.5\n".encode()
        found = read(HEADER + lines(200) + row, modified_at=START + dt.timedelta(days=2))
        assert rows_of(found).height == 200
        assert found.rejects["reasons"].to_list() == [reasons]


@pytest.mark.parametrize(("flag", "closed"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_a_row_may_say_itself_that_its_candle_had_not_closed(flag: str, closed: bool) -> None:  # noqa: FBT001
    header = HEADER.replace(b"volume", b"volume,confirm")
    rows = lines(20).replace(b"\n", b",1\n") + line(20).replace(b"\n", f",{flag}\n".encode())
    found = read(header + rows)
    assert found.rejects["reasons"].to_list() == ([] if closed else [["not_closed"]])
    assert rows_of(found).height == 20 + closed


def test_a_file_without_times_is_told_of_its_times() -> None:
    rows = b"".join(b"%d,1,1,1,1,1\n" % step for step in range(200))
    with pytest.raises(SourceError) as met:
        read(HEADER + rows, seconds=None)
    assert "in the place of the time" in str(met.value)


@pytest.mark.parametrize("written", [-315_619_200, 0])
def test_a_run_says_so(tmp_path: Path, written: int) -> None:
    (tmp_path / "raw").mkdir()
    for name in ("ltcusd.csv", "ethusd.csv"):
        (tmp_path / "raw" / name).write_bytes(HEADER + lines(200))
    os.utime(tmp_path / "raw" / "ltcusd.csv", (written, written))
    sections = {"source": {"uri": str(tmp_path / "raw")}, "lake": {"uri": str(tmp_path / "lake")}}
    report = ingest(load_settings(None, sections | {"engine": {"workers": 1}}), Options())
    assert report.exit_code == 0
    told = [note for note in report.notes if "ltcusd.csv" in note]
    assert told[0].startswith("200 candles open after their files were written")
    assert not any("ethusd.csv" in note for note in report.notes)
