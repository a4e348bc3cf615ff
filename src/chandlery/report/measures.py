"""Reductions of the tables to the small frames that a page shows: pure, and the same on any number of threads."""

import datetime as dt
from itertools import pairwise

import numpy as np
import polars as pl

from chandlery.grid import MINUTE_MS, Grid

__all__ = [
    "WIDE",
    "add_errors",
    "find_deciles",
    "is_month",
    "pool_skill",
    "resample",
    "share_naive",
    "to_bar",
    "to_calendar",
    "total",
]

WIDE = 1.96  # standard errors on either side of a 95 % interval
DECILES = 10
LEAST_ROWS = 200  # twenty per tenth: the standard error of a mean of fewer says little
BASIS_POINTS = 1e4
MONTH = 7  # letters of a period such as 2019-05; a year has 4, all time 3


def is_month() -> pl.Expr:
    """Return whether a score is of one month, not of a year or of all time.

    Reads:
        period.
    """
    return pl.col("period").str.len_chars() == MONTH


def add_errors(scores: pl.DataFrame) -> pl.DataFrame:
    """Return scores with the standard error of skill.

    The Diebold–Mariano statistic is the mean of naive's squared error less the model's, in units of its own standard
    error. Skill is the same mean, divided by naive's mean squared error. So skill / statistic is the standard error of
    skill, with naive's mean squared error taken as known. It allows for overlapping targets, since the variance of the
    statistic does.

    Reads:
        skill, dm_statistic.

    Returns:
        The same rows with `error`, in units of skill; null where there is no statistic, or it is 0.
    """
    is_known = pl.col("dm_statistic").is_not_null() & (pl.col("dm_statistic") != 0)
    return scores.with_columns(pl.when(is_known).then((pl.col("skill") / pl.col("dm_statistic")).abs()).alias("error"))


def pool_skill(scores: pl.DataFrame) -> pl.DataFrame:
    """Return skill over all symbols by horizon and model, with an error from the spread of months.

    Squared errors are divided by naive's mean squared error of the symbol and horizon, so that a volatile pair does not
    outweigh the others. Symbols move together and neighbouring forecasts overlap, but months hardly do: the standard
    error is therefore that of a ratio over k months, sqrt(k / (k − 1) · Σ (gain − skill · naive)²) / Σ naive.

    Reads:
        symbol, horizon_minutes, model, period, n, sse, sse_naive.

    Returns:
        One row per horizon and model, naive left out: n, symbols, months, skill and error, which is null below two
        months.
    """
    months = scores.filter(is_month() & (pl.col("model") != "naive"))
    whole = scores.filter((pl.col("period") == "all") & (pl.col("model") == "naive") & (pl.col("sse_naive") > 0))
    weight = whole.select("symbol", "horizon_minutes", (pl.col("n") / pl.col("sse_naive")).alias("weight"))
    weighed = months.join(weight, on=["symbol", "horizon_minutes"], maintain_order="left")
    rows = []
    by_model = weighed.sort("horizon_minutes", "model", "period", "symbol").group_by(
        ["horizon_minutes", "model"], maintain_order=True
    )
    for (horizon, model), group in by_model:
        is_first = (group["period"] != group["period"].shift(1)).fill_null(value=True)  # of its month
        starts = np.flatnonzero(is_first.to_numpy())
        naive = np.add.reduceat((group["sse_naive"] * group["weight"]).to_numpy(), starts)
        gain = naive - np.add.reduceat((group["sse"] * group["weight"]).to_numpy(), starts)
        total_naive, k = naive.sum(), naive.size
        skill = float(gain.sum() / total_naive) if total_naive > 0 else None
        error = None
        if skill is not None and k > 1:  # one month has no spread
            error = float(np.sqrt(k / (k - 1) * ((gain - skill * naive) ** 2).sum()) / total_naive)
        sums = {"n": int(group["n"].sum()), "symbols": group["symbol"].n_unique(), "months": k}
        rows.append({"horizon_minutes": horizon, "model": model, **sums, "skill": skill, "error": error})
    kinds = {
        "horizon_minutes": pl.Int32,
        "model": pl.String,
        "n": pl.Int64,
        "symbols": pl.Int64,
        "months": pl.Int64,
        "skill": pl.Float64,
        "error": pl.Float64,
    }
    return pl.DataFrame(rows, schema=kinds)


def to_calendar(gaps: pl.DataFrame) -> pl.DataFrame:
    """Return the missing seconds of each UTC day, by kind; candles without a trade are left out.

    Reads:
        start, end, kind of one symbol.

    Returns:
        One row per day and kind: day (a date), kind, seconds; by day and kind.
    """
    named = gaps.filter(pl.col("kind") != "no_trade").select("start", "end", "kind")
    days = pl.datetime_ranges(
        pl.col("start").dt.truncate("1d"), pl.col("end") - pl.duration(milliseconds=1), "1d"
    ).alias("midnight")
    cut = named.with_columns(days).explode("midnight")
    first = pl.max_horizontal("start", "midnight")
    last = pl.min_horizontal("end", pl.col("midnight") + pl.duration(days=1))
    parts = cut.select(
        pl.col("midnight").dt.date().alias("day"), "kind", (last - first).dt.total_seconds().alias("seconds")
    )
    return parts.group_by("day", "kind").agg(pl.col("seconds").sum()).sort("day", "kind")


def find_deciles(forecasts: pl.DataFrame, horizon_minutes: int, offset: int = 0) -> pl.DataFrame:
    """Return the mean actual move by tenth of the predicted move, over moments when a model was served.

    Only forecasts are counted whose time of issue is a whole multiple of the horizon after the offset of the series:
    their targets do not overlap, so that the standard errors hold, and the choice needs no random numbers.

    Reads:
        issued_at, close, actual_close, predicted_close, served_by of one symbol and horizon.

    Returns:
        Ten rows by predicted move: n, predicted, actual and error (a standard error of actual), in basis points of
        log(price / close); no row where fewer than 200 forecasts are left.
    """
    step = horizon_minutes * MINUTE_MS
    is_apart = (pl.col("issued_at").dt.epoch("ms") - 1_000 * offset) % step == 0
    rows = forecasts.filter(is_apart & pl.col("actual_close").is_not_null() & (pl.col("served_by") != "naive"))
    move = [
        (pl.col(name) / pl.col("close")).log().alias(short) * BASIS_POINTS
        for name, short in (("predicted_close", "predicted"), ("actual_close", "actual"))
    ]
    moves = rows.select("issued_at", *move).sort("predicted", "issued_at")
    tenths = []
    if moves.height >= LEAST_ROWS:
        edges = [moves.height * tenth // DECILES for tenth in range(DECILES + 1)]
        predicted, actual = moves["predicted"].to_numpy(), moves["actual"].to_numpy()
        for low, high in pairwise(edges):
            part = actual[low:high]
            tenths.append(
                {
                    "n": high - low,
                    "predicted": float(predicted[low:high].mean()),
                    "actual": float(part.mean()),
                    "error": float(part.std(ddof=1) / np.sqrt(part.size)),
                }
            )
    kinds = {"n": pl.Int64, "predicted": pl.Float64, "actual": pl.Float64, "error": pl.Float64}
    return pl.DataFrame(tenths, schema=kinds)


def share_naive(forecasts: pl.DataFrame) -> pl.DataFrame:
    """Return by month the share of forecasts for which naive was served.

    Reads:
        issued_at, served_by of one symbol and horizon.

    Returns:
        One row per month: month (as in 2019-05), n, naive (their number) and share within 0 and 1.
    """
    counts = forecasts.group_by(pl.col("issued_at").dt.strftime("%Y-%m").alias("month")).agg(
        pl.len().cast(pl.Int64).alias("n"), (pl.col("served_by") == "naive").sum().cast(pl.Int64).alias("naive")
    )
    return counts.sort("month").with_columns((pl.col("naive") / pl.col("n")).alias("share"))


def resample(candles: pl.DataFrame, since: dt.datetime, grid: Grid) -> pl.DataFrame:
    """Return the candles from a moment on, joined to the bars of a grid.

    Reads:
        open_time, open, high, low, close, ascending.

    Returns:
        One row per bar with at least one candle: the same columns, open_time at the bar's start.
    """
    recent = candles.filter(pl.col("open_time") >= since)
    bars = recent.group_by(to_bar("open_time", grid), maintain_order=True)
    return bars.agg(pl.col("open").first(), pl.col("high").max(), pl.col("low").min(), pl.col("close").last())


def to_bar(name: str, grid: Grid) -> pl.Expr:
    """Return the start of the bar that contains a time; a bar of weeks can open on any day of the week."""
    offset = pl.duration(seconds=grid.offset % grid.seconds)
    return (pl.col(name) - offset).dt.truncate(f"{grid.seconds}s") + offset


def total(numbers: pl.Series) -> float:
    """Return the sum of numbers; 0 where there are none."""
    return float(numbers.sum() or 0)
