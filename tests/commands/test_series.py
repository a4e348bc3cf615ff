"""Each command on a lake of several series: what it shows of them, and how one is chosen."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from lakes import OWN_FEATURE
from polars.testing import assert_frame_equal
from several import DAYS, HORIZONS, LARGEST, LAYOUT, LEFT, SERIES, make_settings, write_candles
from typer.testing import CliRunner, Result

from chandlery.commands.cli import app
from chandlery.errors import SettingsError
from chandlery.lake.lake_file import UNASSIGNED_KEYS
from chandlery.lake.query import query
from chandlery.lake.reading import read_table
from chandlery.runs import pipeline
from chandlery.schema import TABLES

pytestmark = pytest.mark.slow
UNKNOWN = UNASSIGNED_KEYS["symbol"]
Call = Callable[..., Result]


@pytest.fixture
def call(several_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return the command line in this process, in an empty folder, on the lake."""

    def run(*words: str) -> Result:
        monkeypatch.chdir(tmp_path)
        return CliRunner().invoke(app, [*words, "--lake", str(several_lake)])

    return run


def read_json(done: Result) -> Any:
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def names_of(rows: list[dict[str, Any]]) -> set[str]:
    return {f"{row['exchange']}/{row['interval']}" for row in rows}


@pytest.mark.parametrize("table", TABLES)
def test_read_table_reads_one_series_or_all(several_lake: Path, table: str) -> None:
    everything = read_table(str(several_lake), table)
    assert everything.columns[:2] == ["exchange", "interval"]
    order = [name for name in TABLES[table].partitions if name != "year"]
    assert_frame_equal(everything, everything.sort([*order, *TABLES[table].sort]))
    parts = []
    for series in SERIES:
        exchange, _, interval = series.partition("/")
        part = read_table(str(several_lake), table, series=series)
        same = everything.filter(exchange=exchange, interval=interval)
        assert all(same[name].is_null().all() for name in set(same.columns) - set(part.columns))  # of others' models
        assert_frame_equal(part, same.select(part.columns))
        parts.append(part.height)
    assert sum(parts) == everything.filter(pl.col("interval") != "unknown").height


@pytest.mark.parametrize(
    ("series", "same"),
    [("kraken/1h", "kraken/60m"), (" Kraken / 4h", "kraken/240m"), ("bitfinex/15min", "bitfinex/15m")],
)
def test_a_series_is_known_in_any_spelling(several_lake: Path, series: str, same: str) -> None:
    found = read_table(str(several_lake), "scores", series=series)
    assert_frame_equal(found, read_table(str(several_lake), "scores", series=same))


def test_refused_files_without_a_series_can_be_read(several_lake: Path) -> None:
    files = read_table(str(several_lake), "ledger", series="unknown/unknown")
    assert files["source"].to_list() == ["kraken/dogeusd.csv"]
    assert files["symbol"].to_list() == [UNKNOWN]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"series": "kraken/15m"}, "no series kraken/15m in .*; expected one of bitfinex/15m, bitfinex/60m, kraken/2"),
        ({"series": "kraken"}, "series 'kraken'; expected an exchange and an interval, as in kraken/1m"),
        ({"series": "kraken/soon"}, "series 'kraken/soon': duration 'soon'"),
        ({"series": "kraken/4h", "symbol": "ETHUSD"}, "nothing is known of ETHUSD as kraken/240m .*one of BTCUSD"),
    ],
)
def test_a_series_that_is_not_there_is_named(several_lake: Path, wanted: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        read_table(str(several_lake), "candles", **wanted)


def test_a_query_filters_by_exchange_and_interval(several_lake: Path) -> None:
    sql = "SELECT exchange, interval, count(*) AS n FROM candles GROUP BY ALL ORDER BY ALL"
    found = {f"{exchange}/{interval}": n for exchange, interval, n in query(str(several_lake), sql).rows()}
    symbols = {"kraken/60m": 2}
    assert found == {name: DAYS * 86_400 // seconds * symbols.get(name, 1) for name, seconds in SERIES.items()}


def test_tables_has_a_row_a_table_and_series(call: Call) -> None:
    rows = read_json(call("tables", "--json"))
    candles = {f"{row['exchange']}/{row['interval']}": row["rows"] for row in rows if row["table"] == "candles"}
    assert set(candles) == set(SERIES)
    assert candles["kraken/240m"] == DAYS * 6
    assert names_of([row for row in rows if row["table"] == "ledger"]) == {*SERIES, "unknown/unknown"}
    chosen = read_json(call("tables", "--series", "kraken/4h", "--series", "kraken/1h", "--json"))
    assert names_of(chosen) == {"kraken/240m", "kraken/60m"}
    assert len(chosen) == 2 * len(TABLES)


def test_scores_name_their_series_and_compare_with_its_own_naive(call: Call, several_lake: Path) -> None:
    shown = call("scores").stdout
    assert [shown.index(f"{name} ") for name in SERIES] == sorted(shown.index(f"{name} ") for name in SERIES)
    rows = read_json(call("scores", "--json"))
    assert len(rows) == read_table(str(several_lake), "scores").filter(period="all").height
    for row in (row for row in rows if row["model"] == "naive"):
        assert row["naive_rmse"] == row["rmse"]
    chosen = read_json(call("scores", "--series", "kraken/1h", "--symbol", "BTCUSD", "--json"))
    assert names_of(chosen) == {"kraken/60m"}
    late = call("scores", "--series", "kraken/1h", "--period", "2001")
    assert isinstance(late.exception, SettingsError)
    assert "no scores for 2001 in kraken/60m" in str(late.exception)


def test_explain_names_every_series_and_counts_files_without_one(call: Call) -> None:
    shown = call("explain", "btc/usd").stdout
    for name in SERIES:
        assert f"BTCUSD, {name}: files" in shown
    assert "1 refused file belongs to no symbol and no series" in shown
    assert f"chandlery explain {UNKNOWN}" in shown
    assert "ETHUSD, kraken/60m: files" in call("explain", "ETHUSD").stdout
    held = read_json(call("explain", "BTCUSD", "--series", "kraken/4h", "--json"))
    assert (names_of(held["ledger"]), held["files_without_series"]) == ({"kraken/240m"}, 1)
    listed = call("explain", UNKNOWN).stdout
    assert "kraken/dogeusd.csv" in listed
    assert "belongs to no" not in listed


def test_a_symbol_whose_only_file_was_refused_is_found_by_explain(call: Call) -> None:
    shown = call("explain", "DOGEUSD").stdout
    assert "DOGEUSD, no series: files" in shown
    assert "kraken/dogeusd.csv" in shown
    error = call("explain", "XRPUSD").exception
    assert isinstance(error, SettingsError)
    assert "nothing is known of XRPUSD" in error.found
    assert "1 refused file belongs to no symbol and no series" in error.hint
    assert f"`chandlery explain {UNKNOWN} --lake" in error.hint
    other = call("explain", "ETHUSD", "--series", "kraken/4h").exception
    assert isinstance(other, SettingsError)
    assert "nothing is known of ETHUSD in kraken/240m" in other.found


def test_a_report_is_of_the_series_with_the_most_candles(call: Call, tmp_path: Path) -> None:
    done = read_json(call("report", "--json"))
    assert (done["series"], done["other_series"]) == (LARGEST, ["bitfinex/60m", "kraken/60m", "kraken/240m"])
    assert (done["symbols"], done["horizons"]) == (["BTCUSD"], [HORIZONS[LARGEST]])
    assert sorted(done["other_series"]) == LEFT
    page = (tmp_path / "report.html").read_text()
    assert f"<h1>{LARGEST}: candles and forecasts</h1>" in page
    assert f"This page shows {LARGEST}, the series with the most candles" in page
    assert "To show another, give --series bitfinex/60m" in page
    assert "kraken/dogeusd.csv" in page
    assert f"Of {DAYS * 96:,} rows in 2 files" in page
    assert "the lake also has bitfinex/60m, kraken/60m" in call("report").stdout


def test_a_report_of_a_chosen_series(call: Call, tmp_path: Path) -> None:
    done = read_json(call("report", "--series", "kraken/4h", "--json"))
    assert (done["series"], done["horizons"]) == ("kraken/240m", [240])
    page = (tmp_path / "report.html").read_text()
    assert "Candles of 240m, 2 symbols, forecasts 240m ahead by linear" in page  # BTCUSD and UNKNOWN
    assert "the series with the most candles" not in page
    assert "The same on the last 50 days, candles of 240m" in page
    assert read_json(call("report", "--symbol", "ETHUSD", "--json"))["series"] == "kraken/60m"


def test_a_plot_is_of_the_series_with_the_most_candles_of_its_symbol(call: Call, tmp_path: Path) -> None:
    assert read_json(call("plot", "BTCUSD", "--json"))["series"] == LARGEST
    assert read_json(call("plot", "ETHUSD", "--json"))["series"] == "kraken/60m"
    assert read_json(call("plot", "BTCUSD", "--series", "kraken/4h", "--json"))["series"] == "kraken/240m"
    page = (tmp_path / "BTCUSD_kraken_240m.html").read_text()
    assert "BTCUSD, kraken/240m: candles of 240m, 10 days up to 2019-01-18 20:00 UTC" in page
    assert isinstance(call("plot", "ETHUSD", "--series", "kraken/4h").exception, SettingsError)


def test_check_names_each_series_that_is_late(several_lake: Path, tmp_path: Path) -> None:
    shutil.copytree(several_lake, tmp_path / "lake")
    shutil.copytree(several_lake.parent / "raw", tmp_path / "raw")
    (tmp_path / "raw" / "kraken" / "dogeusd.csv").unlink()  # which is refused
    words = ["check", "--source", str(tmp_path / "raw"), "--lake", str(tmp_path / "lake")]
    done = CliRunner().invoke(app, [*words, "--until", "2019-01-19"])
    assert done.exit_code == 0, done.output
    for name, horizon in HORIZONS.items():
        assert f"{name}: horizons {horizon}m" in done.stdout
        assert f"{name}: the newest candle closes at 2019-01-19 00:00 UTC" in done.stdout
    shutil.rmtree(tmp_path / "lake" / "candles" / "exchange=kraken" / "interval=60m")
    for part in (tmp_path / "lake" / "candles" / "exchange=kraken" / "interval=240m").rglob("year=2019"):
        shutil.rmtree(part)
    late = CliRunner().invoke(app, [*words, "--until", "2019-01-19"])
    assert late.exit_code == 2
    told = "kraken/60m: no candle; kraken/240m: the newest candle closes at 2019-01-01 00:00 UTC, before 2019-01-19"
    assert f"FAIL fresh        {told}" in late.stdout


def test_compare_needs_the_name_of_one_series(call: Call, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN_FEATURE)
    error = call("compare", "own.py").exception
    assert isinstance(error, SettingsError)
    assert "give --series, one of bitfinex/15m, bitfinex/60m, kraken/60m, kraken/240m" in error.hint
    (tmp_path / "chandlery.toml").write_text('[forecast]\nmin_train = "60d"\n')
    done = read_json(call("compare", "own.py", "--series", "kraken/1h", "--days", "10", "--json"))
    assert done["series"] == "kraken/60m"
    assert {row["horizon_minutes"] for row in done["rows"]} == {60, 240}
    assert {row["symbol"] for row in done["rows"]} == {"BTCUSD", "ETHUSD", "all"}


def test_plan_run_and_forecast_take_the_chosen_series_alone(several_lake: Path, tmp_path: Path) -> None:
    shutil.copytree(several_lake.parent / "raw", tmp_path / "raw")
    (tmp_path / "raw" / "kraken" / "dogeusd.csv").unlink()
    for series in ("kraken/60m", "kraken/240m"):
        (tmp_path / "raw" / series / "btcusd_000.csv").unlink()
        write_candles(tmp_path / "raw", series, "BTCUSD", 0, DAYS - 2)
    settings = make_settings(tmp_path)
    assert pipeline.run(settings).exit_code == 0
    for series in ("kraken/60m", "kraken/240m"):
        write_candles(tmp_path / "raw", series, "BTCUSD", DAYS - 2, DAYS)
    config = tmp_path / "chandlery.toml"
    layouts = "".join(
        f'[[source.layout]]\nfiles = "{layout["files"]}"\nexchange = "{layout["exchange"]}"\n' for layout in LAYOUT
    )
    config.write_text(f'[source]\nuri = "{tmp_path / "raw"}"\n[lake]\nuri = "{tmp_path / "lake"}"\n{layouts}')

    def call(command: str) -> Any:
        words = [command, "--config", str(config), "--series", "kraken/4h", "--json"]
        return read_json(CliRunner().invoke(app, words))

    planned = {step["series"] for step in call("plan")["steps"] if step["stage"] == "forecast"}
    assert planned == {"kraken/240m"}
    done = {stage["series"] for stage in call("run")["stages"] if stage["name"] == "forecast" and stage["computed"]}
    assert done == {"kraken/240m"}
    assert not call("forecast")["published"]
    rest = pipeline.run(settings)
    assert {stage.series for stage in rest.stages if stage.name == "forecast" and stage.computed} == {"kraken/60m"}


def test_nonsense_is_one_text_and_exit_2(several_lake: Path) -> None:
    program = [sys.executable, "-m", "chandlery", "scores", "--lake", str(several_lake), "--series"]
    for series, told in (("kraken", "expected an exchange and an interval"), ("kraken/2h", "one of bitfinex/15m")):
        done = subprocess.run([*program, series], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert told in done.stderr
        assert "Traceback" not in done.stderr


def test_pictures_of_one_symbol_stand_beside_each_other(call: Call, tmp_path: Path) -> None:
    for chosen in ((), ("--series", "kraken/1h"), ("--series", "kraken/4h")):
        assert call("plot", "BTCUSD", *chosen).exit_code == 0
    assert {path.name for path in tmp_path.glob("*.html")} == {
        "BTCUSD.html", "BTCUSD_kraken_240m.html", "BTCUSD_kraken_60m.html",
    }  # fmt: skip


def test_a_run_names_the_series_of_each_stage(tmp_path: Path) -> None:
    for series in ("kraken/60m", "kraken/240m"):
        write_candles(tmp_path / "raw", series, "BTCUSD", 0, DAYS)
    done = CliRunner().invoke(
        app, ["run", "--source", str(tmp_path / "raw"), "--lake", str(tmp_path / "lake"), "--model", "linear"]
    )
    assert done.exit_code == 0, done.output
    for stage in ("gaps", "fit", "scores"):
        lines = [line for line in done.stdout.splitlines() if line.startswith(stage)]
        assert [line.split()[-1] for line in lines] == ["kraken/60m", "kraken/240m"]
