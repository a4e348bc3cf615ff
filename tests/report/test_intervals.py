"""Reports and pictures of lakes whose candles last seconds, odd minutes, days or weeks, with and without forecasts."""

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import pytest
from grids import Series
from pages import HORIZONS, figures_of, make_lake, settings_of, trace

from chandlery.lake.reading import read_table
from chandlery.report import write_plot, write_report
from chandlery.report.markup import when
from chandlery.units import to_interval_text

MONDAY = dt.datetime(2012, 1, 2)  # noqa: DTZ001 - in UTC, as pages write times
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


def test_gaps_in_candles_of_seconds_are_shown_in_seconds(tmp_path: Path) -> None:
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
    days = [
        cell for layer in figures_of(report)["gaps-BTCUSD"]["data"][1:] for row in layer["text"] for cell in row if cell
    ]
    assert [day.split(" ", 1)[1].rpartition(" ")[0] for day in days] == [f"{(GAP + 1) * 15:,} s"]
    told = plot.read_text()
    assert "BTCUSD, unknown/15s: candles of 225s" in told  # 9,000 in at most 600 bars
    assert "2 days up to 2019-01-02 13:29:45 UTC" in told
    assert "There are no forecasts yet" in told


def test_a_few_candles_of_seconds_are_drawn_as_they_are(tmp_path: Path) -> None:
    lake = make_lake(tmp_path, 15, 20)
    write_plot(settings_of(lake), "BTCUSD", tmp_path / "plot.html", days=1)
    candles = next(
        found for found in figures_of(tmp_path / "plot.html")["plot"]["data"] if found["type"] == "candlestick"
    )
    assert candles["name"] == "candles, 15s"
    assert len(candles["x"]) == 20


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a lake of weeks that open on Mondays, with forecasts and a gap."""
    folder = tmp_path_factory.mktemp("weeks")
    series = Series("1w", 604_800, MONDAY, 400, 345_600, quiet=(200, 230))
    series.write(folder / "raw", "all", 0, 400)
    done = series.run(folder / "raw", folder / "lake", models=["linear"], min_train="60d")
    assert done.exit_code == 0, done.messages
    return folder / "lake"


@pytest.mark.slow
def test_a_page_of_weeks_that_open_on_mondays(weeks: Path, tmp_path: Path) -> None:
    done = write_report(settings_of(weeks), tmp_path / "report.html")
    assert done.series == "bitfinex/10080m"
    page, figures = (tmp_path / "report.html").read_text(), figures_of(tmp_path / "report.html")
    assert "<h1>bitfinex/10080m that open on Monday: candles and forecasts</h1>" in page
    assert "Candles of 10080m that open on Monday, 3 symbols, forecasts 10080m ahead by linear" in page
    near = next(found for found in figures["near-BTCUSD"]["data"] if found["type"] == "candlestick")
    wide = next(found for found in figures["day-BTCUSD"]["data"] if found["type"] == "candlestick")
    assert (len(near["x"]), len(wide["x"])) == (60, 301)
    for text in (*near["x"], *wide["x"]):
        assert dt.datetime.fromisoformat(text).weekday() == 0
    assert "The same on the last 2,107 days, candles of 10080m." in page
    line = trace(figures["near-BTCUSD"], "predicted")["x"]
    assert [dt.datetime.fromisoformat(time) for time in line] == [MONDAY + dt.timedelta(weeks=400 + k) for k in (0, 1)]
    missing = [cell for layer in figures["gaps-XRPUSD"]["data"][1:] for row in layer["text"] for cell in row if cell]
    assert len(missing) == 30 * 7
    months = figures["gaps-XRPUSD"]["data"][0]["x"]
    assert (months[0], months[-1]) == ("2012-01", "2019-09")
    assert "too few forecasts of the blend for ten parts" in page or "tenths-BTCUSD-10080" in figures


@pytest.mark.slow
def test_a_picture_of_weeks_shows_sixty(weeks: Path, tmp_path: Path) -> None:
    write_plot(settings_of(weeks), "BTCUSD", tmp_path / "plot.html")
    drawn = figures_of(tmp_path / "plot.html")["plot"]["data"]
    candles = next(found for found in drawn if found["type"] == "candlestick")
    assert len(candles["x"]) == 61
    title = "BTCUSD, bitfinex/10080m that open on Monday"
    told = (tmp_path / "plot.html").read_text()
    assert f"{title}: candles of 10080m, 420 days up to 2019-08-26 UTC" in told.replace(" 00:00", "")
    band = [found for found in drawn if found["name"].startswith("80 %, forecast 10080m before")]
    assert all(dt.datetime.fromisoformat(time).weekday() == 0 for part in band for time in part["x"])


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
