"""What a row must obey by itself; the reasons for which it is refused."""

import datetime as dt
from typing import NamedTuple

import polars as pl

from chandlery.grid import Grid
from chandlery.schema import FIRST_CANDLE, REASONS, TIME
from chandlery.sources.columns import CLOSED_FLAGS
from chandlery.sources.parse import NUMBERS
from chandlery.sources.times import FIRST_MS, LAST_MS

__all__ = ["LAST_CANDLE", "REASON_LIST", "Judged", "judge"]

REASON_LIST = pl.List(pl.Enum(list(REASONS)))
PRICES = ("open", "high", "low", "close")
LAST_CANDLE = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
# What the columns of flags say of a candle that had not closed.
NOT_CLOSED = {
    "closed": [text for text, is_set in CLOSED_FLAGS.items() if not is_set],
    "partial": [text for text, is_set in CLOSED_FLAGS.items() if is_set],
}
NONE_REFUSED = pl.DataFrame(schema={"row": pl.Int64, "open_time": TIME, "reasons": REASON_LIST})


class Judged(NamedTuple):
    """Rows of a file.

    Args:
        good: Other rows that obey every rule: row, open_time, open, high, low, close, volume.
        refused: The others: row, open_time (null where unreadable), reasons.
        late: Those that obey every rule and whose candle had not closed when the file was written.
    """

    good: pl.DataFrame
    refused: pl.DataFrame
    late: pl.DataFrame


def judge(fields: pl.DataFrame, grid: Grid, modified_at: dt.datetime) -> Judged:
    """Return the rows that obey every rule, and the refused with all their reasons.

    **Reads** row, time, uneven, open, high, low, close, volume, unparseable, missing; closed and partial where there
    are such columns.

    Args:
        fields: Rows of one file as they were read.
        grid: When its candles open.
        modified_at: When the file was last modified, by the store's clock.
    """
    first, last = (int(moment.timestamp() * 1000) for moment in (FIRST_CANDLE, LAST_CANDLE))
    highest, lowest = (
        pl.max_horizontal("open", "high", "low", "close"),
        pl.min_horizontal("open", "high", "low", "close"),
    )
    time = pl.col("time")
    off_grid = (time - grid.offset * 1_000) % grid.step_ms != 0
    said = [
        pl.col(name).str.to_lowercase().is_in(texts) for name, texts in NOT_CLOSED.items() if name in fields.columns
    ]
    is_open = pl.any_horizontal(said) if said else pl.lit(value=False)
    # Null and NaN fail at least one of these; so does whatever has a reason.
    is_good = (
        ~(pl.col("unparseable") | pl.col("missing") | pl.col("uneven"))
        & (time >= first) & (time < last) & ~off_grid
        & (pl.col("high") >= highest) & (pl.col("low") <= lowest) & (pl.col("low") > 0)
        & pl.all_horizontal(pl.col(*NUMBERS).is_finite()) & (pl.col("volume") >= 0)
        & ~is_open.fill_null(value=False)
    )  # fmt: skip
    flags = fields.lazy().select(good=is_good.fill_null(value=False)).collect(engine="in-memory")["good"]
    if flags.all():
        good, refused = _to_rows(fields), NONE_REFUSED
    else:
        refused = _explain(fields.filter(~flags), off_grid, is_open, (first, last))
        good = _to_rows(fields.filter(flags))
    written_ms = int(modified_at.timestamp() * 1000)
    times = good["open_time"].cast(pl.Int64)
    newest = times.max()
    if newest is None or newest + grid.step_ms <= written_ms:  # type: ignore[operator]
        return Judged(good, refused, good.clear())
    is_late = times > written_ms - grid.step_ms
    return Judged(good.filter(~is_late), refused, good.filter(is_late))


def _to_rows(fields: pl.DataFrame) -> pl.DataFrame:
    columns = {"row": fields["row"], "open_time": fields["time"].cast(TIME), **{name: fields[name] for name in NUMBERS}}
    return pl.DataFrame(columns)


def _explain(fields: pl.DataFrame, off_grid: pl.Expr, is_open: pl.Expr, within: tuple[int, int]) -> pl.DataFrame:
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
        "time_out_of_range": (time < within[0]) | (time >= within[1]),
        "not_closed": is_open,
    }
    named = [pl.when(condition.fill_null(value=False)).then(pl.lit(reason)) for reason, condition in holds.items()]
    known = time.is_between(FIRST_MS, LAST_MS)
    return fields.select(
        "row",
        open_time=pl.when(known).then(time).cast(TIME),
        reasons=pl.concat_list(named).list.drop_nulls().cast(REASON_LIST),
    )
