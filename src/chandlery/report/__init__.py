"""What people look at: the lake as one HTML page, and one symbol as one picture, both made of the published tables alone."""

from pathlib import Path

import msgspec
import polars as pl

from chandlery.config import Settings, normalise_symbol, to_interval_text, to_minutes_text
from chandlery.errors import SettingsError
from chandlery.lake import open_lake
from chandlery.progress import Silent, Watch
from chandlery.report.data import choose_horizons, newest_issue, read_detail, read_fan, read_overview, read_past
from chandlery.report.figures import draw_plot
from chandlery.report.markup import NO_FORECASTS_YET, when
from chandlery.report.output import Output
from chandlery.report.page import load_script, render_plot, render_report

__all__ = ["Written", "write_plot", "write_report"]


class Written(msgspec.Struct, frozen=True):
    """What was written.

    Args:
        path: The file, or the URI of the object.
        size_bytes: Its size.
        symbols: Shown in detail.
        left_out: In the lake, and shown in tables and sums alone.
        horizons: Shown, in minutes.
        newest: When the newest candle shown opens, ISO; null where there is none.
    """

    path: str
    size_bytes: int
    symbols: list[str]
    left_out: list[str]
    horizons: list[int]
    newest: str | None


def write_report(settings: Settings, output: str | Path, horizons: list[str] | None = None, watch: Watch | None = None) -> Written:
    """Write the lake as one HTML page that needs no network; the same tables give the same bytes.

    Args:
        settings: Where the lake is, and `symbols` to show in detail: without any, the 12 with the most candles.
        output: The file to write, or an object of a bucket, as in s3://bucket/report.html.
        horizons: Only these, as in 30m; without any, all of the lake's.
        watch: Is told how it gets on.

    Raises:
        SettingsError: There is no lake, no such symbol or horizon, no right to read or write, or no Plotly.
        StoreUnavailableError: The store did not answer, or there is no room for the page.
    """
    watch = watch or Silent()
    script = load_script()
    place = Output(output, settings.storage)
    lake = open_lake(settings.lake.uri, settings.storage).series
    overview = read_overview(settings, lake, choose_horizons(lake, horizons or []))
    watch.stage("report", len(overview.shown) * len(overview.horizons))
    found = [read_detail(settings, overview, symbol, watch.advance) for symbol in overview.shown]
    watch.end()
    size = place.put(render_report(overview, found, script))
    return Written(str(output), size, overview.shown, overview.left_out, overview.horizons, overview.newest.isoformat() if overview.newest else None)


def write_plot(settings: Settings, symbol: str, output: str | Path | None = None, horizons: list[str] | None = None, days: int = 2) -> Written:
    """Write one picture of a symbol: its last candles, what had been forecast for each moment, and the newest forecasts.

    Args:
        settings: Where the lake is.
        symbol: In any spelling.
        output: The file or the object to write; without one, SYMBOL.html here.
        horizons: Those of the newest forecasts, as in 30m; what had been forecast is of the longest. Without any, all of the lake's.
        days: How many days of candles.

    Raises:
        SettingsError: There is no lake, no such symbol or horizon, no candle, no right to read or write, or no Plotly.
        StoreUnavailableError: The store did not answer, or there is no room for the page.
    """
    script = load_script()
    name = normalise_symbol(symbol)
    output = output or f"{name}.html"
    place = Output(output, settings.storage)
    lake = open_lake(settings.lake.uri, settings.storage).series
    chosen = choose_horizons(lake, horizons or [])
    pasts = {horizon: read_past(settings, name, horizon) for horizon in chosen}
    fan = read_fan(settings, name, pl.concat([newest_issue(rows, horizon) for horizon, rows in pasts.items()]), days)
    if fan.bars.is_empty():
        raise SettingsError(f"no candles of {name}", "a symbol that has some", 'see `chandlery query "SELECT DISTINCT symbol FROM candles"`')
    past = pasts[chosen[-1]].filter(pl.col("target_time") >= fan.bars["open_time"][0])
    newest = fan.near["open_time"][-1]
    span = f"{fan.days} {'day' if fan.days == 1 else 'days'} up to {when(newest)} UTC"
    caption = f"{name}: candles of {to_interval_text(fan.bar_seconds)}, {span}."
    note = tell_plot(chosen[-1]) if fan.issues.height else NO_FORECASTS_YET
    page = render_plot(name, draw_plot(fan, past, chosen[-1]), caption, note, script)
    return Written(str(output), place.put(page), [name], [], chosen, newest.isoformat())


def tell_plot(horizon: int) -> str:
    """Return how to read the picture."""
    return (
        f"The broad band is what had been forecast for each moment {to_minutes_text(horizon)} before: 8 candles in 10 should close inside. At its end stands the newest forecast of each horizon, "
        "with bands of 80 and 95 %; dashed is naive, the price that stays where it is. A forecast of the next close is no price that one could have traded at."
    )
