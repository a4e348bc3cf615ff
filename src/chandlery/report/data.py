"""What a page is made of: the lake's published tables, read a symbol and horizon at a time and made small at once."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from chandlery.errors import SettingsError
from chandlery.grid import DAY_SECONDS, Grid
from chandlery.lake.lake_file import Series
from chandlery.report.choice import Shown
from chandlery.report.measures import add_errors, find_deciles, pool_skill, resample, share_naive, to_calendar
from chandlery.units import parse_minutes, to_minutes_text

__all__ = [
    "MOST_SYMBOLS",
    "NEAR",
    "Detail",
    "Fan",
    "Overview",
    "choose_horizons",
    "newest_issue",
    "read_detail",
    "read_fan",
    "read_overview",
    "read_past",
]

MOST_SYMBOLS = 12  # in detail, where none is named
NEAR = 60  # candles beside the fan, at least
MOST_BARS = 600  # of several days
BARS = 300  # of a day, at most: a page for people needs no more
MOVES = ["issued_at", "target_time", "close", "actual_close", "predicted_close", "served_by"]
BANDS = ["lower_80", "upper_80", "lower_95", "upper_95"]
COUNTS = ["rows_read", "rows_kept", "rows_identical", "rows_superseded", "rows_rejected"]


@dataclass(frozen=True)
class Overview:
    """What is said of one series as a whole.

    Args:
        page: The series that the page is of, and which others the lake has.
        horizons: Shown, in minutes, ascending.
        shown: Symbols shown in detail, by name.
        symbols: One row a symbol: files, refused, COUNTS, first_time and last_time of its candles (null where there are none), and missing, its missing candles but for mere quiet.
        refused: One row a refused file: symbol, source, problem, present.
        reasons: One row a symbol and reason: rows; a row with two reasons counts for both.
        scores: Of every symbol and the shown horizons, with `error`, the standard error of skill.
        pooled: Skill over all symbols, as `pool_skill` gives it.
        models: One row a horizon and model: refits, refit_at, trained_until, rows and symbols (a count) of the newest fit.
    """

    page: Shown
    horizons: list[int]
    shown: list[str]
    symbols: pl.DataFrame
    refused: pl.DataFrame
    reasons: pl.DataFrame
    scores: pl.DataFrame
    pooled: pl.DataFrame
    models: pl.DataFrame

    @property
    def lake(self) -> Series:
        """What `lake.json` has of the series."""
        return self.page.series

    @property
    def newest(self) -> dt.datetime | None:
        """When the newest candle of the series opens; None where there is none."""
        times = self.symbols["last_time"].drop_nulls().to_list()
        return max(times, default=None)

    @property
    def left_out(self) -> list[str]:
        """Symbols that are in the series and not shown in detail, by name."""
        return sorted(set(self.symbols["symbol"]) - set(self.shown))


@dataclass(frozen=True)
class Fan:
    """The newest forecasts on the newest candles of a symbol.

    Args:
        bars: open_time, open, high, low, close, ascending.
        grid: When a bar opens, and its length.
        near: The last candles as they are, likewise: twice the longest horizon, 60 to 300 candles.
        issues: One row a horizon, the newest issue: horizon_minutes, MOVES and BANDS; by horizon.
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
        """From when the first bar opens to when the last one closes."""
        times = self.bars["open_time"]
        return times[-1] - times[0] + dt.timedelta(seconds=self.grid.seconds) if times.len() else dt.timedelta()


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
            raise SettingsError(
                f"horizon {to_minutes_text(minutes)}",
                f"one of {', '.join(map(to_minutes_text, sorted(lake.horizons)))}",
                "choose one that the lake has",
            )
    return chosen or sorted(lake.horizons)


def read_overview(page: Shown, horizons: list[int], symbols: list[str]) -> Overview:
    """Return what is said of a series as a whole, and of the refused files that belong to no series.

    Args:
        page: The series.
        horizons: To show, in minutes.
        symbols: To show in detail; those with the most candles where none is named.

    Raises:
        SettingsError: A wanted symbol is not in the series, or there is no right to read.
        StoreUnavailableError: The store did not answer.
    """
    columns = ["symbol", "source", "status", "problem", "first_time", "last_time", "present", *COUNTS]
    ledger = page.read_files("ledger", columns)
    gaps = page.read("gaps", ["symbol", "kind", "missing"]).filter(pl.col("kind") != "no_trade")
    rejects = page.read_files("rejects", ["symbol", "reasons"]).explode("reasons")
    reasons = rejects.group_by("symbol", "reasons").agg(pl.len().cast(pl.Int64).alias("rows"))
    scores = add_errors(page.read("scores").filter(pl.col("horizon_minutes").is_in(horizons)))
    fits = page.read("models", ["horizon_minutes", "model", "refit_at", "trained_until", "rows", "symbols"])
    models = fits.filter(pl.col("horizon_minutes").is_in(horizons)).sort("refit_at")
    counted = pl.len().cast(pl.Int64).alias("refits")
    newest = models.group_by("horizon_minutes", "model").agg(counted, pl.all().last())
    counts = count_symbols(ledger, gaps)
    return Overview(
        page=page,
        horizons=horizons,
        shown=choose_symbols(counts, symbols),
        symbols=counts,
        refused=ledger.filter(pl.col("status") == "refused").select("symbol", "source", "problem", "present"),
        reasons=reasons.rename({"reasons": "reason"}).sort("symbol", "rows", "reason", descending=[False, True, False]),
        scores=scores,
        pooled=pool_skill(scores),
        models=newest.with_columns(pl.col("symbols").list.len().cast(pl.Int64)).sort("horizon_minutes", "model"),
    )


def count_symbols(ledger: pl.DataFrame, gaps: pl.DataFrame) -> pl.DataFrame:
    """Return one row a symbol with its rows, files, times and missing candles, by name."""
    refused = (pl.col("status") == "refused").sum().cast(pl.Int64).alias("refused")
    sums = [pl.col(name).sum() for name in COUNTS]
    times = [pl.col("first_time").min(), pl.col("last_time").max()]
    files = ledger.group_by("symbol").agg(pl.len().cast(pl.Int64).alias("files"), refused, *sums, *times)
    missing = gaps.group_by("symbol").agg(pl.col("missing").sum())
    counted = files.join(missing, on="symbol", how="left").with_columns(pl.col("missing").fill_null(0))
    return counted.sort("symbol")


def choose_symbols(symbols: pl.DataFrame, wanted: list[str]) -> list[str]:
    """Return the symbols to show in detail, by name: the wanted ones, else those with the most candles.

    Raises:
        SettingsError: A wanted one is not in the lake.
    """
    there = symbols["symbol"].to_list()
    for symbol in wanted:
        if symbol not in there:
            more = f" and {len(there) - MOST_SYMBOLS} more" * (len(there) > MOST_SYMBOLS)
            expected = f"one of {', '.join(there[:MOST_SYMBOLS])}{more}" if there else "a lake with candles"
            hint = 'see `chandlery query "SELECT DISTINCT exchange, interval, symbol FROM ledger"`'
            raise SettingsError(f"nothing is known of {symbol}", expected, hint)
    most = (
        symbols.filter(pl.col("rows_kept") > 0).sort("rows_kept", "symbol", descending=[True, False]).head(MOST_SYMBOLS)
    )
    return sorted(set(wanted)) or sorted(most["symbol"])


def read_detail(overview: Overview, symbol: str, advance: Callable[[str], None]) -> Detail:
    """Return what is said of one symbol.

    Args:
        overview: Of its series.
        symbol: One that the series has.
        advance: Is told of each horizon that is read.

    Raises:
        SettingsError: There is no right to read.
        StoreUnavailableError: The store did not answer.
    """
    page = overview.page
    gaps = page.read("gaps", ["start", "end", "missing", "kind", "evidence"], symbol=symbol)
    deciles, naive, issues = {}, {}, []
    for horizon in overview.horizons:
        rows = read_past(page, symbol, horizon)
        deciles[horizon] = find_deciles(rows, horizon, page.series.offset)
        naive[horizon] = share_naive(rows)
        issues.append(newest_issue(rows, horizon))
        advance(f"{symbol} {to_minutes_text(horizon)}")
    quiet = gaps.filter(pl.col("kind") == "no_trade").drop("kind")
    longest = gaps.filter(pl.col("kind") != "no_trade").sort("missing", "start", descending=[True, False])
    if not issues:  # of a lake whose files were all refused
        issues = [newest_issue(page.read("forecasts", [*MOVES, *BANDS], symbol=symbol), 0)]
    fan = read_fan(page, symbol, pl.concat(issues))
    return Detail(symbol, to_calendar(gaps), longest, quiet, deciles, naive, fan)


def read_past(page: Shown, symbol: str, horizon_minutes: int) -> pl.DataFrame:
    """Return all that was forecast for a symbol and horizon: MOVES and BANDS, by time of issue.

    Raises:
        SettingsError: There is no right to read.
        StoreUnavailableError: The store did not answer.
    """
    return page.read("forecasts", [*MOVES, *BANDS], symbol=symbol, horizon_minutes=horizon_minutes)


def newest_issue(forecasts: pl.DataFrame, horizon_minutes: int) -> pl.DataFrame:
    """Return the newest row of a horizon's forecasts with its horizon; no row where there is none."""
    return forecasts.tail(1).select(pl.lit(horizon_minutes, pl.Int32).alias("horizon_minutes"), pl.all())


def read_fan(page: Shown, symbol: str, issues: pl.DataFrame, days: int | None = None) -> Fan:
    """Return the newest forecasts on the newest candles of a symbol.

    Args:
        page: The series.
        symbol: In any spelling.
        issues: The newest of each horizon, as `Fan` holds them.
        days: How far back the candles go; where it is left out, a day or 300 candles, whichever is longer.

    Raises:
        SettingsError: There is no right to read.
        StoreUnavailableError: The store did not answer.
    """
    candles = page.read("candles", ["open_time", "open", "high", "low", "close"], symbol=symbol)
    newest, issues = candles["open_time"].max(), issues.sort("horizon_minutes")
    if not isinstance(newest, dt.datetime):
        return Fan(candles, Grid(DAY_SECONDS), candles, issues)
    grid = page.series.grid
    length = grid.seconds
    since = newest - dt.timedelta(seconds=max(DAY_SECONDS, BARS * length))
    if days is not None:
        since = newest - dt.timedelta(days=days)
    span = (newest - max(since, candles["open_time"][0])) // dt.timedelta(seconds=1)  # less where the lake is young
    most = BARS if days in {None, 1} else MOST_BARS
    bar = Grid(length * max(1, -(-span // (length * most))), grid.offset)
    longest = issues["horizon_minutes"].max()
    few = min(max(NEAR, 2 * 60 * longest // length), BARS) if isinstance(longest, int) else NEAR
    near = candles.filter(pl.col("open_time") > newest - dt.timedelta(seconds=few * length))
    return Fan(resample(candles, since, bar), bar, near, issues)
