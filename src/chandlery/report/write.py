"""The entry points: write the report of a series, or the picture of a symbol."""

from pathlib import Path

import msgspec
import polars as pl

from chandlery.errors import SettingsError
from chandlery.grid import DAY_SECONDS
from chandlery.lake.lake_file import UNASSIGNED
from chandlery.lake.output import Output
from chandlery.progress import Silent, Watch
from chandlery.report.data import (
    LEAST_CANDLES,
    Fan,
    choose_horizons,
    read_detail,
    read_fan,
    read_forecasts,
    read_overview,
    select_newest,
)
from chandlery.report.figures.fan import draw_plot
from chandlery.report.markup import when
from chandlery.report.page import load_script, render_plot, render_report
from chandlery.report.sections.elements import NO_FORECASTS_YET
from chandlery.report.series import SeriesReader, choose_shown_series, describe_other_series
from chandlery.settings.model import Settings
from chandlery.units import normalise_symbol, to_interval_text, to_minutes_text

__all__ = ["Written", "write_plot", "write_report"]

PLOT_DAYS = 2  # of candles in a picture: the newest day, and one to compare it with


class Written(msgspec.Struct, frozen=True):
    """A page that was written.

    Args:
        path: The file, or the URI of the object.
        size_bytes: Its size.
        series: The series that the page shows, as in kraken/1m; null where the lake has none yet.
        other_series: The other series of the lake.
        symbols: Those that are shown in detail.
        left_out: Symbols of the series that are shown only in tables and totals.
        horizons: Those that are shown, in minutes.
        newest: When the newest candle shown opens, ISO; null where there is none.
    """

    path: str
    size_bytes: int
    series: str | None
    other_series: list[str]
    symbols: list[str]
    left_out: list[str]
    horizons: list[int]
    newest: str | None


def write_report(
    settings: Settings, output: str | Path, horizons: list[str] | None = None, watch: Watch | None = None
) -> Written:
    """Write one series as an HTML page that needs no network; the same tables give the same bytes.

    Args:
        settings: Where the lake is, `chosen_series` to show (without one, the series with the most candles), and
            `symbols` to show in detail (without any, the 12 with the most candles).
        output: The file to write, or an object of a bucket, as in s3://bucket/report.html.
        horizons: Those to show, as in 30m; without any, all of the series.
        watch: Receives the progress.

    Raises:
        SettingsError: There is no lake, no such series, symbol or horizon, no right to read or write, or no Plotly.
        StoreUnavailableError: The store did not answer, or there is no space for the page.
    """
    watch = watch or Silent()
    script = load_script()
    destination = Output(output, settings.lake_storage)  # before the work, so that a wrong output is reported at once
    reader = choose_shown_series(settings, settings.symbols)
    overview = read_overview(reader, choose_horizons(reader.series, horizons or []), settings.symbols)
    watch.stage("report", len(overview.shown) * len(overview.horizons))
    symbols = [read_detail(overview, symbol, watch.advance) for symbol in overview.shown]
    watch.end()
    size = destination.put(render_report(overview, symbols, script))
    return Written(
        path=str(output),
        size_bytes=size,
        series=None if reader.series == UNASSIGNED else reader.series.name,
        other_series=reader.others,
        symbols=overview.shown,
        left_out=overview.left_out,
        horizons=overview.horizons,
        newest=overview.newest.isoformat() if overview.newest else None,
    )


def write_plot(
    settings: Settings,
    symbol: str,
    output: str | Path | None = None,
    horizons: list[str] | None = None,
    days: int | None = None,
) -> Written:
    """Write one picture of a symbol: its last candles, the forecasts made for them, and the newest forecasts.

    Args:
        settings: Where the lake is, and `chosen_series` to show: without one, that with the most candles of the symbol.
        symbol: In any spelling.
        output: The file or the object to write; without one, SYMBOL.html in the working directory, or
            SYMBOL_EXCHANGE_INTERVAL.html where one of several series is chosen.
        horizons: Those of the newest forecasts, as in 30m; the forecasts made for the candles shown are of the longest.
            Without any, all of the series.
        days: How many days of candles; without it, 2 or as many as 60 candles need.

    Raises:
        SettingsError: There is no lake, no such series, symbol or horizon, no candle, no right to read or write, or no
            Plotly.
        StoreUnavailableError: The store did not answer, or there is no space for the page.
    """
    script = load_script()
    name = normalise_symbol(symbol)
    reader = choose_shown_series(settings, [name])
    destination = Output(output or name_plot(name, reader), settings.lake_storage)
    chosen = choose_horizons(reader.series, horizons or [])
    forecasts = {horizon: read_forecasts(reader, name, horizon) for horizon in chosen}
    if not forecasts:  # the lake has no series
        raise _refuse_symbol(name)
    issues = pl.concat([select_newest(rows, horizon) for horizon, rows in forecasts.items()])
    shown_days = days or max(PLOT_DAYS, -(-LEAST_CANDLES * reader.series.grid.seconds // DAY_SECONDS))
    fan = read_fan(reader, name, issues, shown_days)
    if fan.bars.is_empty():
        raise _refuse_symbol(name)
    past = forecasts[chosen[-1]].filter(pl.col("target_time") >= fan.bars["open_time"][0])
    title = f"{name}, {reader.title}"
    caption = f"{title}: {describe_candles(fan, shown_days)}."
    notes = [explain_plot(chosen[-1]) if fan.issues.height else NO_FORECASTS_YET, describe_other_series(reader)]
    size = destination.put(render_plot(title, draw_plot(fan, past, chosen[-1]), caption, notes, script))
    return Written(
        path=destination.name,
        size_bytes=size,
        series=reader.series.name,
        other_series=reader.others,
        symbols=[name],
        left_out=[],
        horizons=chosen,
        newest=fan.near["open_time"][-1].isoformat(),
    )


def describe_candles(fan: Fan, days: int) -> str:
    """Return which candles a picture shows: their length, of how many days, and up to when."""
    span = f"{days:,} {'day' if days == 1 else 'days'} up to {when(fan.near['open_time'][-1])} UTC"
    return f"candles of {to_interval_text(fan.bar_seconds)}, {span}"


def name_plot(symbol: str, reader: SeriesReader) -> str:
    """Return the file name of a picture, with the series where one of several is chosen.

    Pictures of a symbol in several series would otherwise replace each other.
    """
    stem = f"{symbol}/{reader.series.name}" if reader.is_chosen and reader.others else symbol
    return f"{stem.replace('/', '_')}.html"


def _refuse_symbol(symbol: str) -> SettingsError:
    """Return the error for a symbol without candles."""
    hint = 'see `chandlery query "SELECT DISTINCT exchange, interval, symbol FROM candles"`'
    return SettingsError(f"no candles of {symbol}", "a symbol with candles", hint)


def explain_plot(horizon: int) -> str:
    """Return how to read the picture."""
    return (
        f"The broad band joins the 80 % intervals forecast {to_minutes_text(horizon)} before each moment: 8 candles in "
        "10 should close inside. At its end are the newest forecast of each horizon and its intervals of 80 and 95 %; "
        "the dashed line is naive, an unchanged price. A forecast of the next close is not a price that one could have "
        "traded at."
    )
