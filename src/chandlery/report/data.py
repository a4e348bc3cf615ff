"""The values that a page shows: published tables, read by symbol and horizon and reduced to small frames at once."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from chandlery.errors import SettingsError
from chandlery.grid import DAY_SECONDS, MINUTE_SECONDS, Grid
from chandlery.lake.lake_file import Series
from chandlery.report.measures import add_errors, find_deciles, pool_skill, resample, share_naive, to_calendar
from chandlery.report.series import SeriesReader
from chandlery.units import parse_minutes, to_minutes_text

__all__ = [
    "LEAST_CANDLES",
    "MOST_SYMBOLS",
    "Detail",
    "Fan",
    "Overview",
    "choose_horizons",
    "read_detail",
    "read_fan",
    "read_forecasts",
    "read_overview",
    "select_newest",
]

MOST_SYMBOLS = 12  # in detail, where none is named: all forecasts of each are read, and its figures enlarge the page
LEAST_CANDLES = 60  # beside the newest forecasts: fewer show no course of the price
MOST_BARS_OF_DAY = 300  # more candlesticks cannot be told apart in a figure of half the page's width
MOST_BARS_OF_DAYS = 600  # likewise in one of the whole width
FORECASTS = ["issued_at", "target_time", "close", "actual_close", "predicted_close", "served_by"]
BANDS = ["lower_80", "upper_80", "lower_95", "upper_95"]
COUNTS = ["rows_read", "rows_kept", "rows_identical", "rows_superseded", "rows_rejected"]


@dataclass(frozen=True)
class Overview:
    """What the report shows of one series as a whole.

    Args:
        reader: The series that the page shows, and the names of the lake's others.
        horizons: Shown, in minutes, ascending.
        shown: Symbols shown in detail, by name.
        symbols: One row per symbol: files, refused, COUNTS, first_time and last_time of its candles (null where there
            are none), and missing, its missing candles other than those without a trade.
        refused: One row per refused file: symbol, source, problem, present.
        reasons: One row per symbol and reason: rows; a row with two reasons counts for both.
        scores: Of every symbol and the shown horizons, with `error`, the standard error of skill.
        pooled: Skill over all symbols, as `pool_skill` returns it.
        models: One row per horizon and model: refits, and of the newest fit refit_at, trained_until, rows and symbols
            (a count).
    """

    reader: SeriesReader
    horizons: list[int]
    shown: list[str]
    symbols: pl.DataFrame
    refused: pl.DataFrame
    reasons: pl.DataFrame
    scores: pl.DataFrame
    pooled: pl.DataFrame
    models: pl.DataFrame

    @property
    def series(self) -> Series:
        """The settings of the series in `lake.json`."""
        return self.reader.series

    @property
    def served(self) -> pl.DataFrame:
        """The scores over all time of what was served: one row per symbol and horizon."""
        return self.scores.filter((pl.col("model") == "served") & (pl.col("period") == "all"))

    @property
    def newest(self) -> dt.datetime | None:
        """When the newest candle of the series opens; None where there is none."""
        times = self.symbols["last_time"].drop_nulls().to_list()
        return max(times, default=None)

    @property
    def left_out(self) -> list[str]:
        """Symbols of the series that are not shown in detail, by name."""
        return sorted(set(self.symbols["symbol"]) - set(self.shown))


@dataclass(frozen=True)
class Fan:
    """The newest forecasts of a symbol and its newest candles.

    Args:
        bars: Candles joined to bars of the grid: open_time, open, high, low, close, ascending.
        grid: When a bar opens, and its length.
        near: The last candles, not joined, with the same columns: twice the longest horizon, 60 to 300 candles.
        issues: The newest forecast of each horizon: horizon_minutes, FORECASTS and BANDS; ascending by horizon.
    """

    bars: pl.DataFrame
    grid: Grid
    near: pl.DataFrame
    issues: pl.DataFrame

    @property
    def bar_seconds(self) -> int:
        """Length of a bar."""
        return self.grid.seconds

    @property
    def span(self) -> dt.timedelta:
        """The time from the open of the first bar to the close of the last one."""
        times = self.bars["open_time"]
        return times[-1] - times[0] + dt.timedelta(seconds=self.grid.seconds) if times.len() else dt.timedelta()


@dataclass(frozen=True)
class Detail:
    """What the report shows of one symbol.

    Args:
        symbol: Its name.
        days: Missing seconds by day and kind, as `to_calendar` returns them.
        gaps: Its gaps: start, end, missing, kind, evidence; the longest first.
        quiet: Candles without a trade, one row per year: start, end, missing, evidence.
        deciles: By horizon, as `find_deciles` returns them.
        naive: By horizon, as `share_naive` returns it.
        fan: Its newest forecasts.
    """

    symbol: str
    days: pl.DataFrame
    gaps: pl.DataFrame
    quiet: pl.DataFrame
    deciles: dict[int, pl.DataFrame]
    naive: dict[int, pl.DataFrame]
    fan: Fan


def choose_horizons(series: Series, wanted: list[str]) -> list[int]:
    """Return the wanted horizons in minutes, ascending; all of the series where none is named.

    Raises:
        SettingsError: A text is no duration, or the series has no such horizon.
    """
    chosen = sorted({parse_minutes(text) for text in wanted})
    for minutes in chosen:
        if minutes not in series.horizons:
            raise SettingsError(
                f"horizon {to_minutes_text(minutes)}",
                f"one of {', '.join(map(to_minutes_text, sorted(series.horizons)))}",
                "choose one that the lake has",
            )
    return chosen or sorted(series.horizons)


def read_overview(reader: SeriesReader, horizons: list[int], symbols: list[str]) -> Overview:
    """Return what the report shows of a series as a whole, and of the refused files that belong to no series.

    Args:
        reader: The series.
        horizons: To show, in minutes.
        symbols: To show in detail; without any, those with the most candles.

    Raises:
        SettingsError: A wanted symbol is not in the series, or there is no right to read.
        StoreUnavailableError: The store did not answer.
    """
    columns = ["symbol", "source", "status", "problem", "first_time", "last_time", "present", *COUNTS]
    ledger = reader.read_files("ledger", columns)
    gaps = reader.read("gaps", ["symbol", "kind", "missing"]).filter(pl.col("kind") != "no_trade")
    rejects = reader.read_files("rejects", ["symbol", "reasons"]).explode("reasons")
    reasons = rejects.group_by("symbol", "reasons").agg(pl.len().cast(pl.Int64).alias("rows"))
    scores = add_errors(reader.read("scores").filter(pl.col("horizon_minutes").is_in(horizons)))
    fits = reader.read("models", ["horizon_minutes", "model", "refit_at", "trained_until", "rows", "symbols"])
    models = fits.filter(pl.col("horizon_minutes").is_in(horizons)).sort("refit_at")
    refits = pl.len().cast(pl.Int64).alias("refits")
    newest = models.group_by("horizon_minutes", "model").agg(refits, pl.all().last())
    counts = count_rows(ledger, gaps)
    return Overview(
        reader=reader,
        horizons=horizons,
        shown=choose_symbols(counts, symbols),
        symbols=counts,
        refused=ledger.filter(pl.col("status") == "refused").select("symbol", "source", "problem", "present"),
        reasons=reasons.rename({"reasons": "reason"}).sort("symbol", "rows", "reason", descending=[False, True, False]),
        scores=scores,
        pooled=pool_skill(scores),
        models=newest.with_columns(pl.col("symbols").list.len().cast(pl.Int64)).sort("horizon_minutes", "model"),
    )


def count_rows(ledger: pl.DataFrame, gaps: pl.DataFrame) -> pl.DataFrame:
    """Return one row per symbol with its rows, files, times and missing candles, by name."""
    refused = (pl.col("status") == "refused").sum().cast(pl.Int64).alias("refused")
    sums = [pl.col(name).sum() for name in COUNTS]
    times = [pl.col("first_time").min(), pl.col("last_time").max()]
    files = ledger.group_by("symbol").agg(pl.len().cast(pl.Int64).alias("files"), refused, *sums, *times)
    missing = gaps.group_by("symbol").agg(pl.col("missing").sum())
    counted = files.join(missing, on="symbol", how="left").with_columns(pl.col("missing").fill_null(0))
    return counted.sort("symbol")


def choose_symbols(symbols: pl.DataFrame, wanted: list[str]) -> list[str]:
    """Return the symbols to show in detail, by name: the wanted ones, or those with the most candles.

    Raises:
        SettingsError: A wanted one is not in the series.
    """
    known = symbols["symbol"].to_list()
    for symbol in wanted:
        if symbol not in known:
            more = f" and {len(known) - MOST_SYMBOLS} more" * (len(known) > MOST_SYMBOLS)
            expected = f"one of {', '.join(known[:MOST_SYMBOLS])}{more}" if known else "a lake with candles"
            hint = 'see `chandlery query "SELECT DISTINCT exchange, interval, symbol FROM ledger"`'
            raise SettingsError(f"nothing is known of {symbol}", expected, hint)
    by_candles = symbols.filter(pl.col("rows_kept") > 0).sort("rows_kept", "symbol", descending=[True, False])
    return sorted(set(wanted)) or sorted(by_candles["symbol"].head(MOST_SYMBOLS))


def read_detail(overview: Overview, symbol: str, advance: Callable[[str], None]) -> Detail:
    """Return what the report shows of one symbol.

    Args:
        overview: Of its series.
        symbol: A symbol of the series.
        advance: Called with a label after each horizon that was read.

    Raises:
        SettingsError: There is no right to read.
        StoreUnavailableError: The store did not answer.
    """
    reader = overview.reader
    gaps = reader.read("gaps", ["start", "end", "missing", "kind", "evidence"], symbol=symbol)
    deciles, naive, issues = {}, {}, []
    for horizon in overview.horizons:
        forecasts = read_forecasts(reader, symbol, horizon)
        deciles[horizon] = find_deciles(forecasts, horizon, reader.series.offset)
        naive[horizon] = share_naive(forecasts)
        issues.append(select_newest(forecasts, horizon))
        advance(f"{symbol} {to_minutes_text(horizon)}")
    quiet = gaps.filter(pl.col("kind") == "no_trade").drop("kind")
    longest = gaps.filter(pl.col("kind") != "no_trade").sort("missing", "start", descending=[True, False])
    if not issues:  # a lake whose files were all refused has no horizons: an empty frame with the right columns
        issues = [select_newest(reader.read("forecasts", [*FORECASTS, *BANDS], symbol=symbol), 0)]
    fan = read_fan(reader, symbol, pl.concat(issues))
    return Detail(symbol, to_calendar(gaps), longest, quiet, deciles, naive, fan)


def read_forecasts(reader: SeriesReader, symbol: str, horizon_minutes: int) -> pl.DataFrame:
    """Return all forecasts of a symbol and horizon: FORECASTS and BANDS, by time of issue.

    Raises:
        SettingsError: There is no right to read.
        StoreUnavailableError: The store did not answer.
    """
    return reader.read("forecasts", [*FORECASTS, *BANDS], symbol=symbol, horizon_minutes=horizon_minutes)


def select_newest(forecasts: pl.DataFrame, horizon_minutes: int) -> pl.DataFrame:
    """Return the newest of a horizon's forecasts, with the horizon as first column; no row where there is none."""
    return forecasts.tail(1).select(pl.lit(horizon_minutes, pl.Int32).alias("horizon_minutes"), pl.all())


def read_fan(reader: SeriesReader, symbol: str, issues: pl.DataFrame, days: int | None = None) -> Fan:
    """Return the newest forecasts of a symbol with its newest candles.

    Args:
        reader: The series.
        symbol: In any spelling.
        issues: The newest forecast of each horizon, as `Fan` has them.
        days: How far back the candles go; without it, a day or 300 candles, whichever is longer.

    Raises:
        SettingsError: There is no right to read.
        StoreUnavailableError: The store did not answer.
    """
    candles = reader.read("candles", ["open_time", "open", "high", "low", "close"], symbol=symbol)
    newest, issues = candles["open_time"].max(), issues.sort("horizon_minutes")
    if not isinstance(newest, dt.datetime):
        return Fan(candles, Grid(DAY_SECONDS), candles, issues)
    grid = reader.series.grid
    length = grid.seconds
    since = newest - dt.timedelta(seconds=max(DAY_SECONDS, MOST_BARS_OF_DAY * length))
    if days is not None:
        since = newest - dt.timedelta(days=days)
    span = (newest - max(since, candles["open_time"][0])) // dt.timedelta(seconds=1)  # less where the lake is young
    most = MOST_BARS_OF_DAY if days in {None, 1} else MOST_BARS_OF_DAYS
    bar = Grid(length * max(1, -(-span // (length * most))), grid.offset)
    longest = issues["horizon_minutes"].max()
    few = LEAST_CANDLES
    if isinstance(longest, int):
        few = min(max(LEAST_CANDLES, 2 * MINUTE_SECONDS * longest // length), MOST_BARS_OF_DAY)
    near = candles.filter(pl.col("open_time") > newest - dt.timedelta(seconds=few * length))
    return Fan(resample(candles, since, bar), bar, near, issues)
