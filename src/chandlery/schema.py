"""The lake's contracts: every table's columns, types, units and rules, declared here alone.

`docs/tables.md` is generated from these classes. Partition keys stand in the path of an object,
never in the object; `read_table` puts them back as the first columns.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dataframely as dy
import polars as pl

__all__ = [
    "COLUMN_ORDER",
    "GAP_KINDS",
    "LAKE_FILE",
    "LAKE_FORMAT",
    "MIGRATION_FILE",
    "MODEL_COLUMNS",
    "REASONS",
    "TABLES",
    "TIME",
    "Candles",
    "Forecasts",
    "Gaps",
    "Ledger",
    "Models",
    "Rejects",
    "Scores",
    "Table",
    "model_column",
    "series_name",
]

LAKE_FILE = "lake.json"  # the settings that decide results, from the first run
LAKE_FORMAT = 2
MIGRATION_FILE = "migration.json"  # in place of lake.json until a migration is finished
TIME = pl.Datetime("ms", "UTC")
FIRST_CANDLE = dt.datetime(2009, 1, 3, tzinfo=dt.UTC)  # the day of the first block of Bitcoin
MODEL_COLUMNS = "predicted_"  # prefix of their names
COLUMN_ORDER = ("time", "open", "close", "high", "low", "volume")

REASONS = {
    "unparseable": "a field is no time or no number, or the row has too few or too many fields",
    "missing_value": "a field is empty or null",
    "non_finite": "a price or the volume is NaN or infinite",
    "non_positive_price": "a price is zero or below",
    "negative_volume": "the volume is below zero",
    "high_below_body": "the high is below the open, the close or the low",
    "low_above_body": "the low is above the open, the close or the high",
    "off_grid_time": "the time is no whole multiple of the interval",
    "time_out_of_range": "the time is before 2009-01-03, or in 2100 or later",
    "superseded": "another version of the same candle stays: the one of the later-modified file, then the greater "
    "source, then the later row",
    "not_closed": "the candle had not closed: its row says so, or it closes after the file was written",
}
GAP_KINDS = {
    "outage": "at least two other symbols are listed, none of them traded, and that all of them were quiet at once is "
    "improbable (P < 1e-6 by the traded shares of this symbol and of the others in the 7 days before)",
    "hole": "improbable for this symbol's own habit (P < 1e-6 by the traded share of the 7 days before), and no "
    "outage: others traded, or fewer than two are listed",
    "unknown": "neither clearly an outage nor clearly a hole, and too improbable to be mere quiet",
    "no_trade": "mere quiet: one row a symbol and year with its counts",
}


def _time(description: str, *, nullable: bool = False, primary_key: bool = False) -> Any:
    return dy.Datetime(
        time_unit="ms", time_zone="UTC", nullable=nullable, primary_key=primary_key, description=description
    )


class _Keyed(dy.Schema):
    exchange = dy.String(
        primary_key=True, description="the exchange's name, lower case; unknown where nothing names it"
    )
    interval = dy.String(primary_key=True, description="length of a candle, as in 1m, 30m or 15s")
    symbol = dy.String(
        primary_key=True,
        regex="^[A-Z0-9]+(_[A-Z0-9]+)*$",
        description="upper-case A–Z0–9, base then quote; markets other than spot have a suffix, as in BTCUSDT_PERP "
        "and BTCUSD_240329",
    )


class Candles(_Keyed):
    """A clean candle."""

    year = dy.Int32(description="calendar year of open_time, UTC")
    open_time = _time("when the candle opens; it is known at open_time + interval", primary_key=True)
    open = dy.Float64(min_exclusive=0, description="first price, in the quote currency")
    high = dy.Float64(min_exclusive=0, description="highest price, in the quote currency")
    low = dy.Float64(min_exclusive=0, description="lowest price, in the quote currency")
    close = dy.Float64(min_exclusive=0, description="last price, in the quote currency")
    volume = dy.Float64(min=0, description="amount traded, in the base currency")
    source = dy.String(description="file it came from, relative to the source root")

    @dy.rule()
    def high_is_highest(cls) -> pl.Expr:  # noqa: N805 - dataframely calls it with the class
        """The high is not below open, close or low."""
        return pl.col("high") >= pl.max_horizontal("open", "close", "low")

    @dy.rule()
    def low_is_lowest(cls) -> pl.Expr:  # noqa: N805 - dataframely calls it with the class
        """The low is not above open, close or high."""
        return pl.col("low") <= pl.min_horizontal("open", "close", "high")


class Rejects(_Keyed):
    """An input row that was refused."""

    source = dy.String(primary_key=True, description="file it stands in, relative to the source root")
    row = dy.Int64(min=1, primary_key=True, description="number of the data row in its file, from 1")
    raw = dy.String(description="the exact text of the row")
    open_time = _time("its time; null where that is unreadable", nullable=True)
    reasons = dy.List(dy.Enum(list(REASONS)), description="every reason that holds for the row")


class Ledger(_Keyed):
    """An input file's account."""

    source = dy.String(primary_key=True, description="the file, relative to the source root")
    status = dy.Enum(["read", "refused"], description="whether the file could be read as candles")
    problem = dy.String(nullable=True, description="why it, or its newer version, was refused; null otherwise")
    size_bytes = dy.Int64(min=0, description="size of the object in bytes")
    etag = dy.String(nullable=True, description="the object's etag in its bucket; null for files on a path")
    sha256 = dy.String(nullable=True, description="hash of the object's bytes; null where they could not be read")
    modified_at = _time("when the object was last modified, by the store's clock")
    layout = dy.String(nullable=True, description="what was recognised, in words; null where refused before that")
    first_time = _time("first open_time among its accepted rows", nullable=True)
    last_time = _time("last open_time among its accepted rows", nullable=True)
    rows_read = dy.Int64(min=0, description="data rows in the file")
    rows_kept = dy.Int64(min=0, description="rows that are candles now")
    rows_identical = dy.Int64(min=0, description="rows equal, after parsing, to the candle that stays")
    rows_superseded = dy.Int64(min=0, description="rows that another version of the candle replaced")
    rows_rejected = dy.Int64(min=0, description="rows refused for any other reason")
    present = dy.Bool(description="false once the file is gone from the source")
    refused_etag = dy.String(
        nullable=True, description="etag of a newer version that was refused: the one of this row stays in force"
    )
    refused_sha256 = dy.String(
        nullable=True, description="hash of that version's bytes; null where there is none or it could not be read"
    )
    refused_modified_at = _time("when that version was last modified; null where there is none", nullable=True)
    rows_filled = dy.Int64(
        min=0,
        nullable=True,
        description="candles among rows_kept that were filled in where nothing was traded: volume 0 and one price, in "
        "a calendar year in which the file has other candles; they count as no trade in gaps, features and labels",
    )
    undecided = dy.String(
        nullable=True,
        description="the decision that was open when the file was refused, such as symbol, interval or volume; null "
        "where it was read, or refused for another reason",
    )
    decisions = dy.String(
        nullable=True,
        description="what was decided about the file: a JSON object of arrays of value and evidence, by the names of "
        "the settings of [[source.layout]]; null where it was refused, or read by an earlier release",
    )

    @dy.rule()
    def rows_are_accounted_for(cls) -> pl.Expr:  # noqa: N805 - dataframely calls it with the class
        """Law 1: rows_read = kept + identical + superseded + rejected."""
        return pl.col("rows_read") == pl.sum_horizontal(
            "rows_kept", "rows_identical", "rows_superseded", "rows_rejected"
        )


class Gaps(_Keyed):
    """A run of missing candles that is not mere quiet; quiet itself is one row a symbol and year."""

    start = _time("open_time of the first missing candle", primary_key=True)
    end = _time("open_time after the last missing candle (exclusive)")
    missing = dy.Int64(min=1, description="missing candles, in intervals")
    kind = dy.Enum(list(GAP_KINDS), primary_key=True, description="what it is taken for")
    evidence = dy.String(
        description="the numbers that the kind rests on: the share of steps traded before; the chance of mere quiet, "
        "of an outage that of all listed symbols at once (a share counts as n / (n + 1) of n steps at most); how many "
        "others were listed, and their candles",
    )


class Forecasts(_Keyed):
    """What was forecast at one moment for one horizon, by every model.

    One column a model, `predicted_<model>`, and `predicted_blend` follow these: Float32, in the quote currency, null
    where not fitted. It is the model's forecast after calibration on its own past (its move times a slope within 0 and
    1.2), so close where that slope is 0.
    """

    horizon_minutes = dy.Int32(primary_key=True, min=1, description="how far ahead, in minutes")
    year = dy.Int32(description="calendar year of issued_at, UTC")
    issued_at = _time("close_time of the last candle used", primary_key=True)
    target_time = _time("issued_at + horizon")
    close = dy.Float64(min_exclusive=0, description="closing price at issue: the naive forecast")
    actual_close = dy.Float64(
        nullable=True, description="last traded close at or before target_time; null until known and across a gap"
    )
    predicted_close = dy.Float64(min_exclusive=0, description="what is served; exactly close where naive is served")
    served_by = dy.String(description="blend, or naive where the blend has not earned it")
    error_pct = dy.Float32(
        nullable=True, description="(actual - predicted) / actual x 100, in percent; null where actual_close is"
    )
    lower_80 = dy.Float32(
        nullable=True,
        description="lower bound of the 80 % interval; null until 1,000 outcomes of served forecasts of the symbol "
        "at the horizon are known: 17 hours of minutes, 42 days of hours, 2.7 years of days, 19 years of weeks",
    )
    upper_80 = dy.Float32(nullable=True, description="upper bound of the 80 % interval")
    lower_95 = dy.Float32(nullable=True, description="lower bound of the 95 % interval")
    upper_95 = dy.Float32(nullable=True, description="upper bound of the 95 % interval")


class Scores(_Keyed):
    """A model's record over a period, on issues whose actual_close is known."""

    horizon_minutes = dy.Int32(primary_key=True, min=1, description="how far ahead, in minutes")
    model = dy.String(primary_key=True, description="naive, a model's name, blend, or served")
    period = dy.String(
        primary_key=True, regex=r"^(all|\d{4}|\d{4}-\d{2})$", description="all, a year or a month of issued_at, UTC"
    )
    n = dy.Int64(min=1, description="forecasts scored")
    sse = dy.Float64(min=0, description="sum of squared errors of log(price / close at issue)")
    sse_naive = dy.Float64(min=0, description="the same of the naive forecast, on the same rows")
    rmse = dy.Float64(min=0, description="root mean squared error, in the quote currency")
    mae = dy.Float64(min=0, description="mean absolute error, in the quote currency")
    mape = dy.Float64(min=0, description="mean absolute error, in percent of the actual close")
    skill = dy.Float64(nullable=True, description="1 - sse / sse_naive; null where the price never moved")
    correlation = dy.Float64(
        nullable=True, description="of predicted with actual log(price / close at issue); null where one is constant"
    )
    directional_accuracy = dy.Float64(
        nullable=True, description="share of right signs where actual and predicted both differ from close"
    )
    dm_statistic = dy.Float64(
        nullable=True,
        description="Diebold-Mariano against naive, small-sample corrected; positive is better than naive",
    )
    p_value = dy.Float64(nullable=True, description="of dm_statistic, two-sided")
    coverage_80 = dy.Float64(nullable=True, description="share of actuals inside the 80 % interval; served only")
    coverage_95 = dy.Float64(nullable=True, description="share of actuals inside the 95 % interval; served only")
    verdict = dy.Enum(
        ["better", "no better", "worse"],
        nullable=True,
        description="at 5 % false discovery over all symbols and models of the horizon, period all; null for months "
        "and years, and for naive",
    )


class Models(dy.Schema):
    """A fitted model; one fit serves every symbol, and may hold a part of each symbol's own."""

    exchange = dy.String(
        primary_key=True, description="the exchange's name, lower case; unknown where nothing names it"
    )
    interval = dy.String(primary_key=True, description="length of a candle, as in 1m, 30m or 15s")
    horizon_minutes = dy.Int32(primary_key=True, min=1, description="how far ahead, in minutes")
    model = dy.String(primary_key=True, description="the model's name")
    refit_at = _time("from when on it is used", primary_key=True)
    trained_until = _time("no label it has seen has a later target_time")
    rows = dy.Int64(min=0, description="rows it was fitted on")
    symbols = dy.List(dy.String(), description="symbols whose rows it was fitted on")
    references = dy.List(dy.String(), description="the market, leaders first")
    features = dy.List(dy.String(), description="its inputs, in order")
    seed = dy.Int64(description="seed of what is random in it")
    artefact = dy.String(
        description="name of its text under artefacts/, JSON lines; what it learned of one symbol alone stands under "
        "artefacts/<symbol>/"
    )


@dataclass(frozen=True)
class Table:
    """A table of the lake.

    Args:
        name: Its folder.
        schema: Its columns and rules.
        partitions: The columns that stand in the path, in order.
        sort: The columns that order its rows within an object.
    """

    name: str
    schema: type[dy.Schema]
    partitions: tuple[str, ...]
    sort: tuple[str, ...]


TABLES = {
    table.name: table
    for table in (
        Table("candles", Candles, ("exchange", "interval", "symbol", "year"), ("open_time",)),
        Table("rejects", Rejects, ("exchange", "interval", "symbol"), ("source", "row")),
        Table("ledger", Ledger, ("exchange", "interval", "symbol"), ("source",)),
        Table("gaps", Gaps, ("exchange", "interval", "symbol"), ("start", "kind")),
        Table("forecasts", Forecasts, ("exchange", "interval", "symbol", "horizon_minutes", "year"), ("issued_at",)),
        Table("scores", Scores, ("exchange", "interval"), ("symbol", "horizon_minutes", "model", "period")),
        Table("models", Models, ("exchange", "interval"), ("horizon_minutes", "model", "refit_at")),
    )
}


def series_name(keys: Mapping[str, Any]) -> str:
    """Return the name of the series that partition keys, or a row of a table, belong to.

    Example:
        >>> series_name({"exchange": "kraken", "interval": "1m", "symbol": "XBTUSD"})
        'kraken/1m'
    """
    return f"{keys['exchange']}/{keys['interval']}"


def model_column(model: str) -> str:
    """Return the forecasts column that holds a model's own forecast.

    Example:
        >>> model_column("linear")
        'predicted_linear'
    """
    return f"{MODEL_COLUMNS}{model}"
