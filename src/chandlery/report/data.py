"""What a page is made of: the lake's published tables, read a symbol and horizon at a time and made small at once."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from chandlery.config import Settings, parse_interval, parse_minutes, to_minutes_text
from chandlery.errors import SettingsError
from chandlery.grid import DAY_SECONDS
from chandlery.lake import Series, open_lake
from chandlery.report.measures import add_errors, find_deciles, pool_skill, resample, share_naive, to_calendar
from chandlery.tables import read_table

__all__ = ["MOST_SYMBOLS", "Detail", "Fan", "Overview", "choose_horizons", "read_detail", "read_fan", "read_overview", "read_past"]

MOST_SYMBOLS = 12  # in detail, where none is named
NEAR = 60  # candles beside the fan, at least
MOST_BARS = 600  # of several days
BARS = 300  # of a day, at most: a page for people needs no more
MOVES = ["issued_at", "target_time", "close", "actual_close", "predicted_close", "served_by"]
BANDS = ["lower_80", "upper_80", "lower_95", "upper_95"]
COUNTS = ["rows_read", "rows_kept", "rows_identical", "rows_superseded", "rows_rejected"]


@dataclass(frozen=True)
class Overview:
    """What is said of the whole lake.

    Args:
        lake: What its first run fixed.
        horizons: Shown, in minutes, ascending.
        shown: Symbols shown in detail, by name.
        symbols: One row a symbol: files, refused, COUNTS, first_time and last_time of its candles (null where there are none), and missing, its missing candles but for mere quiet.
        refused: One row a refused file: symbol, source, problem, present.
        reasons: One row a symbol and reason: rows; a row with two reasons counts for both.
        scores: Of every symbol and the shown horizons, with `error`, the standard error of skill.
        pooled: Skill over all symbols, as `pool_skill` gives it.
        models: One row a horizon and model: refits, refit_at, trained_until, rows and symbols (a count) of the newest fit.
    """

    lake: Series
    horizons: list[int]
    shown: list[str]
    symbols: pl.DataFrame
    refused: pl.DataFrame
    reasons: pl.DataFrame
    scores: pl.DataFrame
    pooled: pl.DataFrame
    models: pl.DataFrame

    @property
    def newest(self) -> dt.datetime | None:
        """When the lake's newest candle opens; None where there is none."""
        times = self.symbols["last_time"].drop_nulls().to_list()
        return max(times, default=None)

    @property
    def left_out(self) -> list[str]:
        """Symbols that are in the lake and not shown in detail, by name."""
        return sorted(set(self.symbols["symbol"]) - set(self.shown))


@dataclass(frozen=True)
class Fan:
    """The newest forecasts on the newest candles of a symbol.

    Args:
        bars: open_time, open, high, low, close, ascending.
        bar_seconds: Length of a bar.
        near: The last candles as they are, likewise: twice the longest horizon, 60 to 300 candles.
        issues: One row a horizon, the newest issue: horizon_minutes, MOVES and BANDS; by horizon.
        days: How far back the bars go.
        bar_offset: Seconds after 1970 at which a bar starts.
    """

    bars: pl.DataFrame
    bar_seconds: int
    near: pl.DataFrame
    issues: pl.DataFrame
    days: int
    bar_offset: int = 0


@dataclass(frozen=True)
class Detail:
    """What is said of one symbol.

    Args:
        symbol: Its name.
        days: Missing seconds by day and kind, as `to_calendar` gives them.
        gaps: Its longest gaps: start, end, missing, kind, evidence; the longest first.
        quiet: One row a year: start, end, missing, evidence.
        deciles: By horizon, as `find_deciles` gives them.
        naive: By horizon, as `share_naive` gives it.
        fan: Its newest forecasts.
    """

    symbol: str
    days: pl.DataFrame
    gaps: pl.DataFrame
    quiet: pl.DataFrame
    deciles: dict[int, pl.DataFrame]
    naive: dict[int, pl.DataFrame]
    fan: Fan


def choose_horizons(lake: Series, wanted: list[str]) -> list[int]:
    """Return the wanted horizons in minutes, ascending; all of the lake's where none is named.

    Raises:
        SettingsError: A text is no duration, or the lake has no such horizon.
    """
    chosen = sorted({parse_minutes(text) for text in wanted})
    for minutes in chosen:
        if minutes not in lake.horizons:
            raise SettingsError(f"horizon {to_minutes_text(minutes)}", f"one of {', '.join(map(to_minutes_text, sorted(lake.horizons)))}", "choose one that the lake has")
    return chosen or sorted(lake.horizons)


def read_overview(settings: Settings, lake: Series, horizons: list[int]) -> Overview:
    """Return what is said of the whole lake.

    Raises:
        SettingsError: A wanted symbol is not in the lake, or there is no right to read.
        StoreUnavailableError: The store did not answer.
    """

    def read(table: str, columns: list[str]) -> pl.DataFrame:
        return read_table(settings.lake.uri, table, columns=columns, options=settings.storage)

    ledger = read("ledger", ["symbol", "source", "status", "problem", "first_time", "last_time", "present", *COUNTS])
    gaps = read("gaps", ["symbol", "kind", "start", "end"]).filter(pl.col("kind") != "no_trade")
    reasons = read("rejects", ["symbol", "reasons"]).explode("reasons").group_by("symbol", "reasons").agg(pl.len().cast(pl.Int64).alias("rows"))
    scores = add_errors(read_table(settings.lake.uri, "scores", options=settings.storage).filter(pl.col("horizon_minutes").is_in(horizons)))
    models = read("models", ["horizon_minutes", "model", "refit_at", "trained_until", "rows", "symbols"]).filter(pl.col("horizon_minutes").is_in(horizons))
    newest = models.sort("refit_at").group_by("horizon_minutes", "model").agg(pl.len().cast(pl.Int64).alias("refits"), pl.all().last())
    symbols = count_symbols(ledger, gaps, parse_interval(lake.interval))
    return Overview(
        lake=lake,
        horizons=horizons,
        shown=choose_symbols(symbols, settings.symbols),
        symbols=symbols,
        refused=ledger.filter(pl.col("status") == "refused").select("symbol", "source", "problem", "present"),
        reasons=reasons.rename({"reasons": "reason"}).sort("symbol", "rows", "reason", descending=[False, True, False]),
        scores=scores,
        pooled=pool_skill(scores),
        models=newest.with_columns(pl.col("symbols").list.len().cast(pl.Int64)).sort("horizon_minutes", "model"),
    )


def count_symbols(ledger: pl.DataFrame, gaps: pl.DataFrame, interval_seconds: int) -> pl.DataFrame:
    """Return one row a symbol with its rows, files, times and missing candles, by name."""
    refused = (pl.col("status") == "refused").sum().cast(pl.Int64).alias("refused")
    files = ledger.group_by("symbol").agg(pl.len().cast(pl.Int64).alias("files"), refused, *(pl.col(name).sum() for name in COUNTS), pl.col("first_time").min(), pl.col("last_time").max())
    lasts = (pl.col("end") - pl.col("start")).sum().dt.total_seconds()
    missing = gaps.group_by("symbol").agg((lasts // interval_seconds).alias("missing"))
    return files.join(missing, on="symbol", how="left").with_columns(pl.col("missing").fill_null(0)).sort("symbol")


def choose_symbols(symbols: pl.DataFrame, wanted: list[str]) -> list[str]:
    """Return the symbols to show in detail, by name: the wanted ones, else those with the most candles.

    Raises:
        SettingsError: A wanted one is not in the lake.
    """
    there = symbols["symbol"].to_list()
    for symbol in wanted:
        if symbol not in there:
            some = ", ".join(there[:MOST_SYMBOLS]) + f" and {len(there) - MOST_SYMBOLS} more" * (len(there) > MOST_SYMBOLS)
            raise SettingsError(f"nothing is known of {symbol}", f"one of {some}" if there else "a lake with candles", 'see `chandlery query "SELECT DISTINCT symbol FROM ledger"`')
    most = symbols.filter(pl.col("rows_kept") > 0).sort("rows_kept", "symbol", descending=[True, False]).head(MOST_SYMBOLS)
    return sorted(set(wanted)) or sorted(most["symbol"])


def read_detail(settings: Settings, overview: Overview, symbol: str, advance: Callable[[str], None]) -> Detail:
    """Return what is said of one symbol.

    Args:
        settings: Where the lake is.
        overview: Of that lake.
        symbol: One that it has.
        advance: Is told of each horizon that is read.

    Raises:
        SettingsError: There is no right to read.
        StoreUnavailableError: The store did not answer.
    """
    gaps = read_table(settings.lake.uri, "gaps", symbol=symbol, columns=["start", "end", "missing", "kind", "evidence"], options=settings.storage)
    deciles, naive, issues = {}, {}, []
    for horizon in overview.horizons:
        rows = read_past(settings, symbol, horizon)
        deciles[horizon], naive[horizon] = find_deciles(rows, horizon), share_naive(rows)
        issues.append(newest_issue(rows, horizon))
        advance(f"{symbol} {to_minutes_text(horizon)}")
    quiet = gaps.filter(pl.col("kind") == "no_trade").drop("kind")
    longest = gaps.filter(pl.col("kind") != "no_trade").sort("missing", "start", descending=[True, False])
    return Detail(symbol, to_calendar(gaps), longest, quiet, deciles, naive, read_fan(settings, symbol, pl.concat(issues), days=1))


def read_past(settings: Settings, symbol: str, horizon_minutes: int) -> pl.DataFrame:
    """Return all that was forecast for a symbol and horizon: MOVES and BANDS, by time of issue.

    Raises:
        SettingsError: There is no right to read.
        StoreUnavailableError: The store did not answer.
    """
    return read_table(settings.lake.uri, "forecasts", symbol=symbol, horizon_minutes=horizon_minutes, columns=[*MOVES, *BANDS], options=settings.storage)


def newest_issue(forecasts: pl.DataFrame, horizon_minutes: int) -> pl.DataFrame:
    """Return the newest row of a horizon's forecasts with its horizon; no row where there is none."""
    return forecasts.tail(1).select(pl.lit(horizon_minutes, pl.Int32).alias("horizon_minutes"), pl.all())


def read_fan(settings: Settings, symbol: str, issues: pl.DataFrame, days: int) -> Fan:
    """Return the newest forecasts on the candles of so many days before the newest, of days and longer on 60 at least.

    Args:
        settings: Where the lake is.
        symbol: In any spelling.
        issues: The newest of each horizon, as `Fan` holds them.
        days: How far back the candles go.

    Raises:
        SettingsError: There is no right to read.
        StoreUnavailableError: The store did not answer.
    """
    grid = open_lake(settings.lake.uri, settings.storage).grid
    length = grid.seconds
    if length >= DAY_SECONDS:
        days = max(days, NEAR * length // DAY_SECONDS)
    columns = ["open_time", "open", "high", "low", "close"]
    candles = read_table(settings.lake.uri, "candles", symbol=symbol, columns=columns, options=settings.storage)
    newest = candles["open_time"].max()
    if not isinstance(newest, dt.datetime):
        return Fan(candles, length, candles, issues.sort("horizon_minutes"), days, grid.offset)
    since = newest - dt.timedelta(days=days)
    oldest = max(since, candles["open_time"][0])  # later where the lake is young
    span = (newest - oldest) // dt.timedelta(seconds=1)
    bar = length * max(1, -(-span // (length * (BARS if days == 1 else MOST_BARS))))
    longest = issues["horizon_minutes"].max()
    few = min(max(NEAR, 2 * 60 * longest // length), BARS) if isinstance(longest, int) else NEAR
    near = candles.filter(pl.col("open_time") > newest - dt.timedelta(seconds=few * length))
    bars = resample(candles, since, bar, grid.offset)
    return Fan(bars, bar, near, issues.sort("horizon_minutes"), days, grid.offset)
