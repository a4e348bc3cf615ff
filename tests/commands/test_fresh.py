"""`check --until`: is a day in the lake?"""

import datetime as dt
import re
from pathlib import Path

import polars as pl
import pytest
from grids import Series
from lakes import START, run_lake, write_days
from typer.testing import CliRunner, Result

from chandlery.commands.cli import app
from chandlery.lake.reading import read_table

DAYS = 3


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh")
    write_days(folder / "raw", 0, DAYS - 1, symbols=2)
    write_days(folder / "raw", 0, DAYS, symbols=1)
    run_lake(folder / "raw", folder / "lake")
    return folder / "lake"


def check(lake: Path, until: str) -> Result:
    return CliRunner().invoke(
        app, ["check", "--source", str(lake.parent / "raw"), "--lake", str(lake), "--until", until]
    )


def test_the_newest_candle_of_all_symbols_counts(lake: Path) -> None:
    newest = read_table(str(lake), "candles").group_by("symbol").agg(last=pl.col("open_time").max())["last"]
    assert newest.min() < newest.max() == START + dt.timedelta(days=DAYS, minutes=-1)
    reached = f"{START + dt.timedelta(days=DAYS):%Y-%m-%d}"
    good = check(lake, reached)
    assert good.exit_code == 0, good.stdout
    assert f"ok   fresh        the newest candle closes at {reached} 00:00 UTC" in good.stdout


def test_a_day_that_is_not_in_the_lake_fails(lake: Path) -> None:
    late = check(lake, f"{START + dt.timedelta(days=DAYS + 1):%Y-%m-%d}")
    assert late.exit_code == 2
    assert (
        f"FAIL fresh        the newest candle closes at {START + dt.timedelta(days=DAYS):%Y-%m-%d} 00:00 UTC, before"
        in late.stdout
    )
    assert "check whether the files of the day have arrived" in late.stdout


def test_a_lake_without_candles_fails(tmp_path: Path) -> None:
    empty = check(tmp_path / "lake", "2019-01-01")
    assert empty.exit_code == 2
    assert "no candle at" in empty.stdout


def test_without_a_day_nothing_is_asked(lake: Path) -> None:
    done = CliRunner().invoke(app, ["check", "--source", str(lake.parent / "raw"), "--lake", str(lake)])
    assert done.exit_code == 0
    assert not re.search(r"^(ok|FAIL)\s+fresh\b", done.stdout, re.MULTILINE)


def test_a_week_that_has_not_closed_is_not_missing(tmp_path: Path) -> None:
    """The newest of ten weeks from Monday, 2012-01-02, closes on 2012-03-12, the next one on the 19th."""
    series = Series("1w", 604_800, dt.datetime(2012, 1, 2, tzinfo=dt.UTC), 10, 345_600)
    series.write(tmp_path / "raw", "a", 0, 10)
    series.run(tmp_path / "raw", tmp_path / "lake", models=["linear"])
    assert check(tmp_path / "lake", "2012-03-12").exit_code == 0
    assert check(tmp_path / "lake", "2012-03-18").exit_code == 0
    assert check(tmp_path / "lake", "2012-03-19").exit_code != 0


def test_a_check_of_a_lake_that_is_not_there_says_so_and_makes_none(lake: Path, tmp_path: Path) -> None:
    wanted = ["check", "--source", str(lake.parent / "raw"), "--lake", str(tmp_path / "new" / "nolake")]
    done = CliRunner().invoke(app, wanted)
    assert done.exit_code == 0, done.stdout
    assert f"there is no lake at {tmp_path / 'new' / 'nolake'} yet: `chandlery run` creates one" in done.stdout
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "new").mkdir()
    assert CliRunner().invoke(app, wanted).exit_code == 0
    assert list(tmp_path.rglob("*")) == [tmp_path / "new"]
