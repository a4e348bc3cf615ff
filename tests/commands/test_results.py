"""Results of `query` in every format and place, and tables of text in which numbers stay whole."""

import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from chandlery.commands.options import Format
from chandlery.commands.printing import render_table
from chandlery.commands.results import ENDINGS
from chandlery.lake.lake_file import LakeFile, write_lake_file
from chandlery.lake.store import Store
from chandlery.schema import LAKE_FORMAT

SQL = "SELECT range AS n, 'row ' || range AS label, range * 1.5 AS half FROM range(3)"
ROWS = [{"n": n, "label": f"row {n}", "half": n * 1.5} for n in range(3)]
FAILING = "SELECT CASE WHEN range < 200000 THEN range ELSE error('too far') END AS n FROM range(300000)"
DAMAGED = {"missing folder": "nowhere/result.csv", "folder": ".", "bucket": "s3://bucket"}
Ask = Callable[..., subprocess.CompletedProcess[bytes]]
READERS: dict[Format, Callable[[bytes], list[dict[str, object]]]] = {
    Format.JSON: json.loads,
    Format.CSV: lambda content: pl.read_csv(io.BytesIO(content)).to_dicts(),
    Format.PARQUET: lambda content: pl.read_parquet(content).to_dicts(),
    Format.ARROW: lambda content: pl.read_ipc(content).to_dicts(),
}


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Return a function that runs a query in a folder with a lake that has no tables yet."""
    write_lake_file(Store(str(tmp_path / "lake")), LakeFile(LAKE_FORMAT, []))

    def run(sql: str, *words: str) -> subprocess.CompletedProcess[bytes]:
        program = [sys.executable, "-m", "chandlery", "query", sql, "--lake", "lake", *words]
        return subprocess.run(program, capture_output=True, check=False, cwd=tmp_path)

    return run


@pytest.mark.slow
@pytest.mark.parametrize("form", READERS)
def test_a_format_is_the_same_on_the_standard_output_and_in_a_file(ask: Ask, tmp_path: Path, form: Format) -> None:
    ending = next(ending for ending, other in ENDINGS.items() if other == form)
    printed = ask(SQL, "--format", form)
    assert (printed.returncode, printed.stderr) == (0, b"")
    assert READERS[form](printed.stdout) == ROWS
    for words in (("--format", form, "--output", "named"), ("-o", f"named{ending}"), ("--format", form, "-o", "-")):
        done = ask(SQL, *words)
        assert (done.returncode, done.stderr) == (0, b"")
        content = done.stdout if words[-1] == "-" else (tmp_path / words[-1]).read_bytes()
        assert content == printed.stdout
    if form == Format.JSON:
        assert ask(SQL, "--json").stdout == printed.stdout


@pytest.mark.slow
def test_a_result_is_written_whole_or_not_at_all(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text("old")
    before = sorted(tmp_path.iterdir())
    for words in (("-o", "old.csv"), ("-o", "new.parquet"), ("--format", "json"), ("--format", "csv", "-o", "-")):
        done = ask(FAILING, *words)
        assert (done.returncode, done.stdout) == (2, b""), words
        assert b"too far" in done.stderr
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "old.csv").read_text() == "old"
    assert ask(SQL, "-o", "old.csv").returncode == 0
    assert (tmp_path / "old.csv").read_bytes() == ask(SQL, "--format", "csv").stdout


@pytest.mark.slow
@pytest.mark.parametrize("output", DAMAGED.values(), ids=DAMAGED)
def test_an_output_that_cannot_be_written_is_refused(ask: Ask, tmp_path: Path, output: str) -> None:
    before = sorted(tmp_path.iterdir())
    done = ask(SQL, "--format", "csv", "--output", output)
    assert (done.returncode, done.stdout) == (2, b"")
    assert f"chandlery: {output} ".encode() in done.stderr
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.slow
def test_two_formats_are_refused(ask: Ask) -> None:
    done = ask(SQL, "--json", "--format", "csv")
    assert done.returncode == 2
    assert b"--json and --format csv" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("form", [Format.PARQUET, Format.ARROW])
@pytest.mark.usefixtures("ask")
def test_a_terminal_gets_no_binary_format(tmp_path: Path, form: Format) -> None:
    leader, follower = pty.openpty()
    program = [sys.executable, "-m", "chandlery", "query", SQL, "--lake", "lake", "--format", form]
    ended = subprocess.run(program, stdout=follower, stderr=subprocess.PIPE, check=False, cwd=tmp_path)
    os.close(follower)
    os.close(leader)
    assert ended.returncode == 2
    assert f"--format {form} on a terminal; expected a file".encode() in ended.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("ask")
def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    line = '"$0" -m chandlery query "SELECT range FROM range(1000000)" --lake lake --format csv | head -n 2'
    ended = subprocess.run(["/bin/sh", "-c", line, sys.executable], capture_output=True, check=False, cwd=tmp_path)
    assert (ended.stdout, ended.stderr) == (b"range\n0\n", b"")


TABLES = {
    "a score": [
        {"symbol": "BTCUSD", "horizon": "30m", "model": "linear", "n": 1_234_567, "skill %": "16.67",
         "rmse": "0.00012346", "naive rmse": "12346", "direction %": "51.2", "p": "1.2e-16", "80 %": "80.1",
         "95 %": "95.0", "verdict": "no better"},
        {"symbol": "ETHUSD", "horizon": "1440m", "model": "naive", "n": 7, "skill %": "0.00", "rmse": "1.5",
         "naive rmse": "1.5", "direction %": None, "p": None, "80 %": None, "95 %": None, "verdict": "no better"},
    ],
    "long texts": [{"text": "word " * 40, "number": 123_456_789_012, "path": "a/" * 60, "count": 10**30}],
    "times": [{f"time {place}": f"2019-06-0{place} 12:00:00.123456+00" for place in range(1, 9)}],
    "one long number": [{"n": "9" * 100}],
    "many numbers": [{f"column {place}": 10**place for place in range(30)}],
}  # fmt: skip


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("rows", TABLES.values(), ids=TABLES)
def test_numbers_stay_whole(rows: list[dict[str, object]], width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    shown = render_table(rows, "a title of 1,234 rows")
    words = shown.split()
    for row in rows:
        for value in row.values():
            for number in re.findall(r"[-+]?\d[\d.,:e+-]*", f"{value:,}" if isinstance(value, int) else str(value)):
                assert any(number in word for word in words), (number, shown)
    unbroken = max(len(number) for number in re.findall(r"\S*\d\S*", shown))
    assert max(map(len, shown.splitlines())) <= max(width, unbroken)


def test_columns_that_do_not_fit_follow_below(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    rows = [{"symbol": symbol, "first": 10**12, "second": 2 * 10**12} for symbol in ("BTCUSD", "ETHUSD")]
    lines = render_table(rows).splitlines()
    assert [line.split() for line in lines] == [
        ["symbol", "first"],
        ["BTCUSD", f"{10**12:,}"],
        ["ETHUSD", f"{10**12:,}"],
        [],
        ["symbol", "second"],
        ["BTCUSD", f"{2 * 10**12:,}"],
        ["ETHUSD", f"{2 * 10**12:,}"],
    ]
