"""What a row must obey by itself; the reasons for which it is refused."""

import datetime as dt

import polars as pl

from chandlery.grid import Grid
from chandlery.schema import FIRST_CANDLE, REASONS, TIME
from chandlery.sources.parse import NUMBERS
from chandlery.sources.times import FIRST_MS, LAST_MS

__all__ = ["REASON_LIST", "judge"]

REASON_LIST = pl.List(pl.Enum(list(REASONS)))
PRICES = ("open", "high", "low", "close")
DAY = dt.timedelta(days=1)
NONE_REFUSED = pl.DataFrame(schema={"row": pl.Int64, "open_time": TIME, "reasons": REASON_LIST})


def judge(fields: pl.DataFrame, grid: Grid, modified_at: dt.datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows that obey every rule, and the refused with all their reasons.

    **Reads** row, time, uneven, open, high, low, close, volume, unparseable, missing.
    **Returns** row, open_time, open, high, low, close, volume; and row, open_time (null where unreadable), reasons.

    Args:
        fields: Rows of one file as they were read.
        grid: When its candles open.
        modified_at: When the file was last modified, by the store's clock.
    """
    first, last = (int(moment.timestamp() * 1000) for moment in (FIRST_CANDLE, modified_at + DAY))
    highest, lowest = (
        pl.max_horizontal("open", "high", "low", "close"),
        pl.min_horizontal("open", "high", "low", "close"),
    )
    time = pl.col("time")
    off_grid = (time - grid.offset * 1_000) % grid.step_ms != 0
    # Null and NaN fail at least one of these; so does whatever has a reason.
    is_good = (
        ~(pl.col("unparseable") | pl.col("missing") | pl.col("uneven"))
        & (time >= first) & (time <= last) & ~off_grid
        & (pl.col("high") >= highest) & (pl.col("low") <= lowest) & (pl.col("low") > 0)
        & pl.all_horizontal(pl.col(*NUMBERS).is_finite()) & (pl.col("volume") >= 0)
    )  # fmt: skip
    flags = fields.lazy().select(good=is_good.fill_null(value=False)).collect(engine="in-memory")["good"]
    if flags.all():
        return _to_rows(fields), NONE_REFUSED
    return _to_rows(fields.filter(flags)), _explain(fields.filter(~flags), off_grid, first, last)


def _to_rows(fields: pl.DataFrame) -> pl.DataFrame:
    return fields.select("row", pl.col("time").cast(TIME).alias("open_time"), *(pl.col(name) for name in NUMBERS))


def _explain(fields: pl.DataFrame, off_grid: pl.Expr, first: int, last: int) -> pl.DataFrame:
    """Return refused rows with every reason that holds; the envelope is judged over the finite prices."""
    time = pl.col("time")
    finite = {name: pl.when(pl.col(name).is_finite()).then(name) for name in NUMBERS}
    holds = {
        "unparseable": pl.col("unparseable"),
        "missing_value": pl.col("missing"),
        "non_finite": pl.any_horizontal(~pl.col(*NUMBERS).is_finite()),
        "non_positive_price": pl.any_horizontal(pl.col(*PRICES) <= 0),
        "negative_volume": pl.col("volume") < 0,
        "high_below_body": finite["high"] < pl.max_horizontal(finite["open"], finite["close"], finite["low"]),
        "low_above_body": finite["low"] > pl.min_horizontal(finite["open"], finite["close"], finite["high"]),
        "off_grid_time": pl.col("uneven") | off_grid,
        "time_out_of_range": (time < first) | (time > last),
    }
    named = [pl.when(condition.fill_null(value=False)).then(pl.lit(reason)) for reason, condition in holds.items()]
    known = time.is_between(FIRST_MS, LAST_MS)
    return fields.select(
        "row",
        open_time=pl.when(known).then(time).cast(TIME),
        reasons=pl.concat_list(named).list.drop_nulls().cast(REASON_LIST),
    )
