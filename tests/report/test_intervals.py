"""Reports and pictures of lakes whose candles last seconds, odd minutes, days or weeks, with and without forecasts."""

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import pytest
from grids import Series
from pages import HORIZONS, figures_of, make_lake, settings_of

from chandlery.config import to_interval_text
from chandlery.report import write_plot, write_report
from chandlery.report.markup import when
from chandlery.tables import read_table

GAP = 400  # of the candles below, so many in a row are missing


@pytest.mark.parametrize("seconds", HORIZONS)
@pytest.mark.parametrize("count", [1, 1500])
def test_a_lake_of_any_interval_has_a_report_and_a_picture(tmp_path: Path, seconds: int, count: int) -> None:
    if seconds == 604_800:
        count = min(count, 400)  # as many weeks as there were until today
    gap = 0 if count == 1 else count // 5
    lake, interval = make_lake(tmp_path, seconds, count, gap=gap), to_interval_text(seconds)
    report, plot = tmp_path / "report.html", tmp_path / "plot.html"
    done, drawn = write_report(settings_of(lake), report), write_plot(settings_of(lake), "BTCUSD", plot)
    newest = read_table(str(lake), "candles", symbol="BTCUSD")["open_time"].max()
    assert isinstance(newest, dt.datetime)
    assert done.newest == drawn.newest == newest.isoformat()
    text = report.read_text()
    assert f"Candles of {interval}, 2 symbols" in text
    assert f"newest candle {when(newest)} UTC" in text
    known = read_table(str(lake), "gaps", symbol="BTCUSD")
    missing = known.filter(known["kind"] != "no_trade")["missing"].sum()
    assert f"BTCUSD: {missing:,} candles missing in {int(missing > 0)} gap" in text
    candles = next(trace for trace in figures_of(plot)["plot"]["data"] if trace["type"] == "candlestick")
    assert candles["x"][-1] <= f"{newest:%Y-%m-%dT%H:%M:%S}"
    assert candles["name"] == f"candles, {interval}" or count > 1
    shown = figures_of(report)["gaps-BTCUSD"]["data"][1:]
    assert any(any(any(row) for row in layer["text"]) for layer in shown) == (missing > 0)


def test_candles_of_seconds_are_told_in_seconds(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 15, 9000, gap=GAP + 1)
    report, plot = tmp_path / "report.html", tmp_path / "plot.html"
    write_report(settings_of(lake), report)
    write_plot(settings_of(lake), "BTCUSD", plot)
    text = report.read_text()
    assert f"BTCUSD: {GAP + 1} candles missing in 1 gap, {(GAP + 1) / 90:.1f} % of the time" in text
    assert "minutes missing" not in text
    assert "2019-01-02 13:29:45" in text
    assert "forecasts 5m ahead by linear, tree, boosted; newest candle" in text
    assert "There are no forecasts yet" in text
    assert "No forecast has been scored yet" in text
    days = [cell for layer in figures_of(report)["gaps-BTCUSD"]["data"][1:] for row in layer["text"] for cell in row if cell]
    assert [day.split(" ", 1)[1].rpartition(" ")[0] for day in days] == [f"{(GAP + 1) * 15:,} s"]
    told = plot.read_text()
    assert "BTCUSD, unknown/15s: candles of 225s" in told  # 9,000 in at most 600 bars
    assert "2 days up to 2019-01-02 13:29:45 UTC" in told
    assert "There are no forecasts yet" in told


def test_a_few_candles_of_seconds_are_drawn_as_they_are(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 15, 20)
    write_plot(settings_of(lake), "BTCUSD", tmp_path / "plot.html", days=1)
    candles = next(found for found in figures_of(tmp_path / "plot.html")["plot"]["data"] if found["type"] == "candlestick")
    assert candles["name"] == "candles, 15s"
    assert len(candles["x"]) == 20


@pytest.mark.slow
def test_every_command_reads_a_lake_of_seconds(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 15, 200)
    own = tmp_path / "own.py"
    own.write_text("from chandlery import feature\n")
    flags = ["--lake", str(lake)]
    source = ["--source", str(tmp_path / "raw")]
    calls: dict[tuple[str, ...], int] = {
        ("report", *flags, "--output", "r.html", "--json"): 0,
        ("plot", "BTCUSD", *flags, "--output", "p.html"): 0,
        ("tables", *flags): 0,
        ("explain", "BTCUSD", *flags): 0,
        ("plan", *flags, *source): 0,
        ("check", *flags, *source): 0,
        ("query", *flags, "SELECT count(*) AS n FROM candles"): 0,
        ("scores", *flags): 2,
        ("compare", str(own), *flags): 2,
    }
    for words, code in calls.items():
        command = [sys.executable, "-m", "chandlery", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == code, (words, done.stderr)
        assert "Traceback" not in done.stderr
        assert "duration '15s'" not in done.stderr
        if "--json" in words:
            assert json.loads(done.stdout)["newest"] == "2019-01-01T00:49:45+00:00"


def test_weeks_that_open_on_monday_are_drawn_on_mondays(tmp_path: Path) -> None:
    """Bars start where candles open, the report has forecasts, and of long candles it shows sixty."""
    series = Series("1w", 604_800, dt.datetime(2012, 1, 2, tzinfo=dt.UTC), 200, 345_600)
    series.write(tmp_path / "raw", "a", 0, series.count)
    assert series.run(tmp_path / "raw", tmp_path / "lake", models=["linear"], min_train="60d").exit_code == 0
    report, plot = tmp_path / "report.html", tmp_path / "plot.html"
    write_report(settings_of(tmp_path / "lake"), report)
    write_plot(settings_of(tmp_path / "lake"), "BTCUSD", plot)
    candles = next(trace for trace in figures_of(plot)["plot"]["data"] if trace["type"] == "candlestick")
    expected = [series.opens(place) for place in range(200 - 61, 200)]
    assert [text[:10] for text in candles["x"]] == [f"{opened:%Y-%m-%d}" for opened in expected]
    assert {opened.weekday() for opened in expected} == {0}
    assert "420 days up to" in plot.read_text()
    assert "The same on the last 420 days, candles of 10080m." in report.read_text()
