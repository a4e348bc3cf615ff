"""What people look at: one series of a lake as an HTML page, and one symbol as one picture.

Both are made of the published tables alone.
"""

from pathlib import Path

import msgspec
import polars as pl

from chandlery.errors import SettingsError
from chandlery.grid import DAY_SECONDS
from chandlery.lake.lake_file import UNASSIGNED
from chandlery.progress import Silent, Watch
from chandlery.report.choice import Shown, choose_shown, tell_others
from chandlery.report.data import (
    NEAR,
    choose_horizons,
    newest_issue,
    read_detail,
    read_fan,
    read_overview,
    read_past,
)
from chandlery.report.figures import draw_plot
from chandlery.report.markup import NO_FORECASTS_YET, when
from chandlery.report.output import Output
from chandlery.report.page import load_script, render_plot, render_report
from chandlery.settings.model import Settings
from chandlery.units import normalise_symbol, to_interval_text, to_minutes_text

__all__ = ["Written", "write_plot", "write_report"]

PLOT_DAYS = 2


class Written(msgspec.Struct, frozen=True):
    """What was written.

    Args:
        path: The file, or the URI of the object.
        size_bytes: Its size.
        series: The series that the page is of, as in kraken/1m; null where the lake has none yet.
        other_series: The other series of the lake.
        symbols: Shown in detail.
        left_out: In the series, and shown in tables and sums alone.
        horizons: Shown, in minutes.
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
        horizons: Only these, as in 30m; without any, all of the series.
        watch: Is told how it gets on.

    Raises:
        SettingsError: There is no lake, no such series, symbol or horizon, no right to read or write, or no Plotly.
        StoreUnavailableError: The store did not answer, or there is no room for the page.
    """
    watch = watch or Silent()
    script = load_script()
    place = Output(output, settings.storage)
    page = choose_shown(settings, settings.symbols)
    overview = read_overview(page, choose_horizons(page.series, horizons or []), settings.symbols)
    watch.stage("report", len(overview.shown) * len(overview.horizons))
    found = [read_detail(overview, symbol, watch.advance) for symbol in overview.shown]
    watch.end()
    size = place.put(render_report(overview, found, script))
    newest = overview.newest.isoformat() if overview.newest else None
    shown = (overview.shown, overview.left_out, overview.horizons)
    return Written(str(output), size, name_series(page), page.others, *shown, newest)


def name_series(page: Shown) -> str | None:
    """Return the name of the series that a page is of; None where the lake has none yet."""
    return None if page.series == UNASSIGNED else page.series.name


def write_plot(
    settings: Settings,
    symbol: str,
    output: str | Path | None = None,
    horizons: list[str] | None = None,
    days: int | None = None,
) -> Written:
    """Write one picture: a symbol's last candles, what had been forecast for each moment, and the newest forecasts.

    Args:
        settings: Where the lake is, and `chosen_series` to show: without one, that with the most candles of the symbol.
        symbol: In any spelling.
        output: The file or the object to write; without one, SYMBOL.html here, and SYMBOL_EXCHANGE_INTERVAL.html where
            one of several series is chosen, so that pictures of a symbol stand beside each other.
        horizons: Those of the newest forecasts, as in 30m; what had been forecast is of the longest. Without any, all
            of the series.
        days: How many days of candles; where it is left out, 2 or as many as 60 candles need.

    Raises:
        SettingsError: There is no lake, no such series, symbol or horizon, no candle, no right to read or write, or no
            Plotly.
        StoreUnavailableError: The store did not answer, or there is no room for the page.
    """
    script = load_script()
    name = normalise_symbol(symbol)
    page = choose_shown(settings, [name])
    named = f"{name}/{page.series.name}".replace("/", "_") if page.is_chosen and page.others else name
    output = output or f"{named}.html"
    place = Output(output, settings.storage)
    chosen = choose_horizons(page.series, horizons or [])
    pasts = {horizon: read_past(page, name, horizon) for horizon in chosen}
    if not pasts:
        raise no_candles(name)
    issues = pl.concat([newest_issue(rows, horizon) for horizon, rows in pasts.items()])
    wanted = days or max(PLOT_DAYS, -(-NEAR * page.series.grid.seconds // DAY_SECONDS))
    fan = read_fan(page, name, issues, wanted)
    if fan.bars.is_empty():
        raise no_candles(name)
    past = pasts[chosen[-1]].filter(pl.col("target_time") >= fan.bars["open_time"][0])
    newest = fan.near["open_time"][-1]
    span = f"{wanted:,} {'day' if wanted == 1 else 'days'} up to {when(newest)} UTC"
    title = f"{name}, {page.words}"
    caption = f"{title}: candles of {to_interval_text(fan.bar_seconds)}, {span}."
    notes = [tell_plot(chosen[-1]) if fan.issues.height else NO_FORECASTS_YET, tell_others(page)]
    html = render_plot(title, draw_plot(fan, past, chosen[-1]), caption, notes, script)
    size = place.put(html)
    return Written(str(output), size, page.series.name, page.others, [name], [], chosen, newest.isoformat())


def no_candles(symbol: str) -> SettingsError:
    """Return what to say where a symbol has no candles to draw."""
    hint = 'see `chandlery query "SELECT DISTINCT exchange, interval, symbol FROM candles"`'
    return SettingsError(f"no candles of {symbol}", "a symbol that has some", hint)


def tell_plot(horizon: int) -> str:
    """Return how to read the picture."""
    return (
        f"The broad band is what had been forecast for each moment {to_minutes_text(horizon)} before: 8 candles in 10 "
        "should close inside. At its end stands the newest forecast of each horizon, with bands of 80 and 95 %; dashed "
        "is naive, the price that stays where it is. A forecast of the next close is no price that one could have "
        "traded at."
    )
