"""A page shows the values of the tables, in the same bytes each time, and no text from data is run as code."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import polars as pl
import pytest
from pages import figures_of, settings_of, trace

from chandlery.commands.cli import main
from chandlery.errors import SettingsError
from chandlery.lake.reading import read_table
from chandlery.report import write_plot, write_report

pytestmark = pytest.mark.slow


def close(found: list[float], wanted: list[float], within: float = 1e-6) -> bool:
    """Return whether numbers are equal to the digits that a page keeps."""
    return len(found) == len(wanted) and all(
        math.isclose(a, b, rel_tol=within, abs_tol=1e-9) for a, b in zip(found, wanted, strict=True)
    )


def chandlery(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chandlery", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Return the command line in this process, in an empty folder: its exit code, stdout and stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["chandlery", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return (int(ended.value.code or 0), *capsys.readouterr())

    return run


def test_every_row_of_the_ledger_is_in_the_sums(lake: Path, page: Path) -> None:
    ledger, text = read_table(str(lake), "ledger"), page.read_text()
    assert (
        f"Of {ledger['rows_read'].sum():,} rows in {ledger.height} files, {ledger['rows_kept'].sum():,} became candles"
        in text
    )
    for symbol in ("BTCUSD", "ETHUSD"):
        of = ledger.filter(pl.col("symbol") == symbol)
        cells = "".join(
            f'<td class="number">{of[name].sum():,}</td>'
            for name in ("rows_read", "rows_kept", "rows_identical", "rows_superseded", "rows_rejected")
        )
        assert cells + '<td class="number">yes</td>' in text
    bars = figures_of(page)["rows"]
    for name in ("identical", "superseded", "rejected"):
        assert (
            trace(bars, name)["x"]
            == ledger.filter(pl.col("symbol") != "UNKNOWN")
            .group_by("symbol", maintain_order=True)
            .agg(pl.col(f"rows_{name}").sum())[f"rows_{name}"]
            .to_list()
        )


def test_every_reason_is_counted(lake: Path, page: Path) -> None:
    reasons = read_table(str(lake), "rejects").explode("reasons")["reasons"].value_counts()
    assert reasons.height > 5
    for row in reasons.iter_rows(named=True):
        assert f'<td class="word">{row["reasons"]}</td>' in page.read_text()
        assert f'<td class="number">{row["count"]:,}</td>' in page.read_text()


def test_the_calendar_holds_every_missing_minute(lake: Path, page: Path) -> None:
    gaps = read_table(str(lake), "gaps", symbol="ETHUSD").filter(pl.col("kind") != "no_trade")
    texts = [
        text for layer in figures_of(page)["gaps-ETHUSD"]["data"][1:] for row in layer["text"] for text in row if text
    ]
    minutes: dict[str, int] = {}
    for text in texts:
        for part in text.split(": ")[1].split(", "):
            number, _, kind = part.split(" ")
            minutes[kind] = minutes.get(kind, 0) + int(number.replace(",", ""))
    assert minutes == dict(gaps.group_by("kind").agg(pl.col("missing").sum().alias("sum")).iter_rows())
    longest = gaps.sort("missing", descending=True).row(0, named=True)
    assert f"{longest['start']:%Y-%m-%d %H:%M}" in page.read_text()


def test_skill_and_its_error_are_those_of_the_scores(lake: Path, page: Path) -> None:
    scores = read_table(str(lake), "scores", symbol="ETHUSD").filter(pl.col("period") == "all")
    for model in ("served", "linear", "tree", "blend"):
        rows = scores.filter(pl.col("model") == model).sort("horizon_minutes")
        drawn = trace(figures_of(page)["skill-ETHUSD"], model)
        assert close(drawn["y"], [skill * 100 for skill in rows["skill"]])
        errors = [
            0 if dm is None or dm == 0 else abs(skill / dm) * 196
            for skill, dm in rows.select("skill", "dm_statistic").iter_rows()
        ]
        assert close(drawn["error_y"]["array"], errors)
    for horizon in (1, 5):
        months = (
            read_table(str(lake), "scores", symbol="ETHUSD")
            .filter(
                (pl.col("model") == "linear")
                & (pl.col("horizon_minutes") == horizon)
                & (pl.col("period").str.len_chars() == 7)
            )
            .sort("period")
        )
        drawn = trace(figures_of(page)[f"months-ETHUSD-{horizon}"], "linear")
        assert drawn["x"] == months["period"].to_list()
        assert close(drawn["y"], [skill * 100 for skill in months["skill"]])


def test_skill_of_all_symbols_weighs_them_alike(lake: Path, page: Path) -> None:
    rows = (
        read_table(str(lake), "scores")
        .filter((pl.col("horizon_minutes") == 1) & pl.col("model").is_in(["linear", "naive"]))
        .to_dicts()
    )
    weight = {
        row["symbol"]: row["n"] / row["sse_naive"] for row in rows if row["period"] == "all" and row["model"] == "naive"
    }
    months: dict[str, list[float]] = {}
    for row in rows:
        if len(row["period"]) == 7 and row["model"] == "linear":
            held = months.setdefault(row["period"], [0.0, 0.0])
            held[0] += row["sse"] * weight[row["symbol"]]
            held[1] += row["sse_naive"] * weight[row["symbol"]]
    total = sum(naive for _, naive in months.values())
    skill = 1 - sum(own for own, _ in months.values()) / total
    spread = sum((naive - own - skill * naive) ** 2 for own, naive in months.values()) * len(months) / (len(months) - 1)
    drawn = trace(figures_of(page)["skill-all"], "linear")
    assert close([drawn["y"][0]], [skill * 100])
    assert close([drawn["error_y"]["array"][0]], [math.sqrt(spread) / total * 196])


def test_tenths_are_means_over_targets_that_do_not_overlap(lake: Path, page: Path) -> None:
    rows = (
        read_table(str(lake), "forecasts", symbol="ETHUSD", horizon_minutes=5)
        .drop_nulls("actual_close")
        .filter(pl.col("served_by") != "naive")
        .to_dicts()
    )
    moves = sorted(
        (
            math.log(row["predicted_close"] / row["close"]),
            row["issued_at"],
            math.log(row["actual_close"] / row["close"]),
        )
        for row in rows
        if row["issued_at"].minute % 5 == 0
    )
    assert len(moves) > 200
    tenths = [moves[len(moves) * k // 10 : len(moves) * (k + 1) // 10] for k in range(10)]
    drawn = figures_of(page)["tenths-ETHUSD-5"]["data"][-1]
    assert close(drawn["x"], [sum(move[0] for move in part) / len(part) * 1e4 for part in tenths])
    assert close(drawn["y"], [sum(move[2] for move in part) / len(part) * 1e4 for part in tenths])


def test_coverage_is_that_of_the_scores(lake: Path, page: Path) -> None:
    served = (
        read_table(str(lake), "scores", symbol="BTCUSD", horizon_minutes=1)
        .filter((pl.col("model") == "served") & (pl.col("period").str.len_chars() == 7))
        .sort("period")
    )
    lines = [line for line in figures_of(page)["coverage-BTCUSD"]["data"] if line["name"] == "1m"]
    for line, level in zip(lines, (80, 95), strict=True):
        assert [None if y is None else round(y, 4) for y in line["y"]] == [
            None if share is None else round(share * 100, 4) for share in served[f"coverage_{level}"]
        ]


def test_the_fan_is_the_newest_issue(lake: Path, page: Path) -> None:
    newest = pl.concat(
        [read_table(str(lake), "forecasts", symbol="BTCUSD", horizon_minutes=horizon).tail(1) for horizon in (1, 5)]
    )
    drawn = figures_of(page)["near-BTCUSD"]
    line, band = trace(drawn, "predicted"), trace(drawn, "newest, 80 %")
    assert line["x"] == [
        f"{newest['issued_at'][0]:%Y-%m-%dT%H:%M:%S}",
        *(f"{time:%Y-%m-%dT%H:%M:%S}" for time in newest["target_time"]),
    ]
    assert close(line["y"], [newest["close"][0], *newest["predicted_close"]])
    assert close(band["y"], [newest["close"][0], *newest["upper_80"], *reversed(newest["lower_80"].to_list())])
    candles = read_table(str(lake), "candles", symbol="BTCUSD")
    assert close(trace(drawn, "candles, 1m")["close"][-3:], candles["close"].to_list()[-3:])
    day = next(found for found in figures_of(page)["day-BTCUSD"]["data"] if found["type"] == "candlestick")
    recent = candles.filter(pl.col("open_time") >= candles["open_time"][-1] - pl.duration(days=1))
    assert close([max(day["high"]), min(day["low"])], [recent["high"].max(), recent["low"].min()])


def test_the_share_of_naive_is_that_of_the_forecasts(lake: Path, page: Path) -> None:
    drawn = figures_of(page)["naive-ETHUSD"]["data"][0]
    for place, horizon in enumerate((1, 5)):
        rows = read_table(str(lake), "forecasts", symbol="ETHUSD", horizon_minutes=horizon).with_columns(
            month=pl.col("issued_at").dt.strftime("%Y-%m")
        )
        shares = [(rows.filter(pl.col("month") == month)["served_by"] == "naive").mean() * 100 for month in drawn["x"]]
        assert close(drawn["z"][place], shares)
    assert any(share > 0 for row in drawn["z"] for share in row)


def test_the_same_tables_give_the_same_bytes_on_any_number_of_threads(lake: Path, page: Path, tmp_path: Path) -> None:
    for threads in ("1", "5"):
        done = chandlery(
            "report", "--lake", lake, "--output", tmp_path / f"{threads}.html", "--json", POLARS_MAX_THREADS=threads
        )
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert (said["symbols"], said["left_out"], said["horizons"], said["size_bytes"]) == (
            ["BTCUSD", "ETHUSD"],
            ["UNKNOWN"],
            [1, 5],
            page.stat().st_size,
        )
        assert (tmp_path / f"{threads}.html").read_bytes() == page.read_bytes()


def test_text_from_data_is_text(page: Path) -> None:
    text = page.read_text()
    assert "<script>alert" not in text
    assert "<img" not in text.split("plotly.js v")[0]
    assert "xrpusd&lt;script&gt;alert(1)&lt;img src=x onerror=alert(2)&gt;.csv" in text
    assert "&lt;/script&gt;&lt;script&gt;alert(3)&lt;/script&gt;" in text


def test_figures_are_such_as_plotly_knows(page: Path, lake: Path, tmp_path: Path) -> None:
    write_plot(settings_of(lake), "btc/usd", tmp_path / "plot.html", ["5m"])

    def paint(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: paint(inner) for name, inner in value.items()}
        return (
            [paint(inner) for inner in value]
            if isinstance(value, list)
            else "#123456"
            if isinstance(value, str) and value.startswith("--")
            else value
        )

    figures = {**figures_of(page), **figures_of(tmp_path / "plot.html")}
    assert len(figures) > 15
    for figure in figures.values():
        go.Figure(paint(figure))  # raises where a name or value is unknown


def test_every_colour_is_one_of_the_page(page: Path) -> None:
    style = page.read_text().split("</style>")[0]

    def colours(value: Any) -> set[str]:
        if isinstance(value, str):
            return {value} if value.startswith("--") else set()
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return set().union(*map(colours, inner))

    assert all(style.count(f"{colour}:") == 2 for figure in figures_of(page).values() for colour in colours(figure))


def test_only_what_is_asked_for_is_shown_in_detail(lake: Path, tmp_path: Path) -> None:
    done = write_report(settings_of(lake, "ETHUSD"), tmp_path / "one.html", ["5m"])
    assert (done.symbols, done.left_out, done.horizons) == (["ETHUSD"], ["BTCUSD", "UNKNOWN"], [5])
    figures = figures_of(tmp_path / "one.html")
    assert {name.split("-")[1] for name in figures if "-" in name} == {"all", "ETHUSD"}
    assert figures["skill-ETHUSD"]["layout"]["xaxis"]["ticktext"] == ["5m"]
    assert "Only in the tables and totals: BTCUSD, UNKNOWN" in (tmp_path / "one.html").read_text()


def test_a_lake_without_forecasts_says_so(young_lake: Path, tmp_path: Path) -> None:
    write_report(settings_of(young_lake), tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text().count("No forecast has been scored yet") == 3
    assert "BTCUSD: There are no forecasts yet" in (tmp_path / "report.html").read_text()
    assert "gaps-BTCUSD" in figures_of(tmp_path / "report.html")
    write_plot(settings_of(young_lake), "BTCUSD", tmp_path / "plot.html")
    assert "There are no forecasts yet" in (tmp_path / "plot.html").read_text()


def test_a_lake_without_candles_still_accounts_for_its_files(empty_lake: Path, tmp_path: Path) -> None:
    done = write_report(settings_of(empty_lake), tmp_path / "report.html")
    assert (done.symbols, done.newest) == ([], None)
    assert "Refused files: 1" in (tmp_path / "report.html").read_text()
    with pytest.raises(SettingsError, match="no candles of XRPUSD"):
        write_plot(settings_of(empty_lake), "XRPUSD", tmp_path / "plot.html")
    with pytest.raises(SettingsError, match="nothing is known of XRPUSD; expected one of UNKNOWN"):
        write_report(settings_of(empty_lake, "XRPUSD"), tmp_path / "named.html")
    write_report(settings_of(empty_lake, "UNKNOWN"), tmp_path / "named.html")
    assert "UNKNOWN has no candles." in (tmp_path / "named.html").read_text()
    assert "No file has been read as candles" in (tmp_path / "named.html").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("report", "--symbol", "NOPEUSD"), "nothing is known of NOPEUSD; expected one of BTCUSD, ETHUSD, UNKNOWN"),
        (("report", "--horizon", "7m"), "horizon 7m; expected one of 1m, 5m"),
        (("report", "--horizon", "soon"), "duration 'soon'"),
        (("report", "--output", "nowhere/report.html"), "no folder nowhere"),
        (("report", "--output", "."), ". is a folder"),
        (("report", "--output", "/proc/report.html"), "/proc/report.html cannot be written"),
        (("plot", "NOPEUSD"), "nothing is known of NOPEUSD"),
        (("plot", "BTCUSD", "--days", "0"), "--days"),
        (("plot", "BTCUSD", "--horizon", "7m"), "horizon 7m"),
    ],
)
def test_a_wrong_argument_is_one_message_and_exit_2(
    lake: Path, words: tuple[str, ...], message: str, tmp_path: Path, call: Call
) -> None:
    code, out, err = call(*words, "--lake", str(lake))
    assert (code, out) == (2, ""), err
    assert message in err
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [("report",), ("plot", "BTCUSD")])
def test_a_missing_lake_is_reported(words: tuple[str, ...], call: Call) -> None:
    assert "no lake; expected where to read" in call(*words)[2]
    code, _, err = call(*words, "--lake", "typo")
    assert code == 2
    assert "no lake at typo" in err


def test_a_full_disk_is_worth_trying_again(lake: Path, call: Call) -> None:
    code, _, err = call("report", "--lake", str(lake), "--symbol", "ETHUSD", "--horizon", "5m", "--output", "/dev/full")
    assert code == 5
    assert "free some space" in err


def test_without_plotly_the_hint_names_the_extra(lake: Path) -> None:
    script = "import sys; sys.modules['plotly'] = None; from chandlery.commands.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", script, "report", "--lake", str(lake)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "pip install 'chandlery[report]'" in ended.stderr
