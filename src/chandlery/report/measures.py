"""Frames of the tables in, small frames for a page out: pure, and the same on any number of threads."""

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
LEAST_ROWS = 200  # moves below this many make no deciles
BASIS_POINTS = 1e4
MONTH = 7  # letters of a period that is a month


def is_month() -> pl.Expr:
    """Return whether a score is of one month, not of a year or of all time.

    Reads:
        period.
    """
    return pl.col("period").str.len_chars() == MONTH


def add_errors(scores: pl.DataFrame) -> pl.DataFrame:
    """Return scores with the standard error of skill.

    The Diebold–Mariano statistic is the mean of naive's squared error less the model's, in units of its own standard
    error. Skill is the same mean, divided by naive's mean squared error. So skill / statistic is skill's standard
    error, with naive's mean squared error taken as known; overlapping targets are in it, by the statistic's own
    variance.

    Reads:
        skill, dm_statistic.

    Returns:
        The same rows with `error`, in units of skill; null where there is no statistic, or it is 0.
    """
    told = pl.col("dm_statistic").is_not_null() & (pl.col("dm_statistic") != 0)
    return scores.with_columns(pl.when(told).then((pl.col("skill") / pl.col("dm_statistic")).abs()).alias("error"))


def pool_skill(scores: pl.DataFrame) -> pl.DataFrame:
    """Return skill over all symbols by horizon and model, with an error from the spread of months.

    Squared errors count in units of naive's mean squared error of the symbol and horizon, so that no wild pair
    drowns the others. Symbols move together and neighbouring forecasts overlap; months hardly do, so the standard
    error is that of a ratio over months: sqrt(k / (k − 1) · Σ (gain − skill · naive)²) / Σ naive.

    Reads:
        symbol, horizon_minutes, model, period, n, sse, sse_naive.

    Returns:
        One row a horizon and model but naive: n, symbols, months, skill and error; error is null below two months.
    """
    months = scores.filter(is_month() & (pl.col("model") != "naive"))
    whole = scores.filter((pl.col("period") == "all") & (pl.col("model") == "naive") & (pl.col("sse_naive") > 0))
    weight = whole.select("symbol", "horizon_minutes", (pl.col("n") / pl.col("sse_naive")).alias("weight"))
    weighed = months.join(weight, on=["symbol", "horizon_minutes"], maintain_order="left")
    rows = []
    for (horizon, model), group in weighed.sort("horizon_minutes", "model", "period", "symbol").group_by(
        ["horizon_minutes", "model"], maintain_order=True
    ):
        starts = (
            np.flatnonzero(group["period"].to_numpy() != np.roll(group["period"].to_numpy(), 1))
            if group["period"].n_unique() > 1
            else np.zeros(1, np.int64)
        )
        naive = np.add.reduceat((group["sse_naive"] * group["weight"]).to_numpy(), starts)
        gain = naive - np.add.reduceat((group["sse"] * group["weight"]).to_numpy(), starts)
        total, k = naive.sum(), naive.size
        skill = float(gain.sum() / total) if total > 0 else None
        error = (
            None
            if skill is None or k < 2  # noqa: PLR2004 - a spread needs two
            else float(np.sqrt(k / (k - 1) * ((gain - skill * naive) ** 2).sum()) / total)
        )
        rows.append(
            {
                "horizon_minutes": horizon,
                "model": model,
                "n": int(group["n"].sum()),
                "symbols": group["symbol"].n_unique(),
                "months": k,
                "skill": skill,
                "error": error,
            }
        )
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
    """Return the missing seconds of each UTC day, by kind; quiet is left out.

    Reads:
        start, end, kind of one symbol.

    Returns:
        One row a day and kind: day (a date), kind, seconds; by day and kind.
    """
    named = gaps.filter(pl.col("kind") != "no_trade").select("start", "end", "kind")
    days = pl.datetime_ranges(
        pl.col("start").dt.truncate("1d"), pl.col("end") - pl.duration(milliseconds=1), "1d"
    ).alias("midnight")
    cut = named.with_columns(days).explode("midnight")
    last, first = (
        pl.min_horizontal("end", pl.col("midnight") + pl.duration(days=1)),
        pl.max_horizontal("start", "midnight"),
    )
    lasts = (last - first).dt.total_seconds().alias("seconds")
    found = cut.select(pl.col("midnight").dt.date().alias("day"), "kind", lasts)
    return found.group_by("day", "kind").agg(pl.col("seconds").sum()).sort("day", "kind")


def find_deciles(forecasts: pl.DataFrame, horizon_minutes: int, offset: int = 0) -> pl.DataFrame:
    """Return the mean actual move by tenth of the predicted move, over moments when a model was served.

    Of the forecasts those count whose time of issue is a whole multiple of the horizon after the offset of the series,
    in seconds: their targets do not overlap, the choice needs no chance, and the standard errors are honest.

    Reads:
        issued_at, close, actual_close, predicted_close, served_by of one symbol and horizon.

    Returns:
        Ten rows by predicted move: n, predicted, actual and error (a standard error of actual), in basis points of
        log(price / close); no row where fewer than 200 forecasts are left.
    """
    step = horizon_minutes * MINUTE_MS
    apart = (pl.col("issued_at").dt.epoch("ms") - 1_000 * offset) % step == 0
    rows = forecasts.filter(apart & pl.col("actual_close").is_not_null() & (pl.col("served_by") != "naive"))
    move = [
        (pl.col(name) / pl.col("close")).log().alias(short) * BASIS_POINTS
        for name, short in (("predicted_close", "predicted"), ("actual_close", "actual"))
    ]
    moves = rows.select("issued_at", *move).sort("predicted", "issued_at")
    found = []
    if moves.height >= LEAST_ROWS:
        edges = [moves.height * tenth // DECILES for tenth in range(DECILES + 1)]
        predicted, actual = moves["predicted"].to_numpy(), moves["actual"].to_numpy()
        for low, high in pairwise(edges):
            part = actual[low:high]
            found.append(
                {
                    "n": high - low,
                    "predicted": float(predicted[low:high].mean()),
                    "actual": float(part.mean()),
                    "error": float(part.std(ddof=1) / np.sqrt(part.size)),
                }
            )
    return pl.DataFrame(
        found, schema={"n": pl.Int64, "predicted": pl.Float64, "actual": pl.Float64, "error": pl.Float64}
    )


def share_naive(forecasts: pl.DataFrame) -> pl.DataFrame:
    """Return by month the share of forecasts for which naive was served.

    Reads:
        issued_at, served_by of one symbol and horizon.

    Returns:
        One row a month: month (as in 2019-05), n, naive (their number) and share within 0 and 1.
    """
    counts = forecasts.group_by(pl.col("issued_at").dt.strftime("%Y-%m").alias("month")).agg(
        pl.len().cast(pl.Int64).alias("n"), (pl.col("served_by") == "naive").sum().cast(pl.Int64).alias("naive")
    )
    return counts.sort("month").with_columns((pl.col("naive") / pl.col("n")).alias("share"))


def resample(candles: pl.DataFrame, since: dt.datetime, grid: Grid) -> pl.DataFrame:
    """Return the candles from a moment on, joined to bars of a grid.

    Reads:
        open_time, open, high, low, close, ascending.

    Returns:
        One row a bar with at least one candle: the same columns, open_time at the bar's start.
    """
    recent = candles.filter(pl.col("open_time") >= since)
    bars = recent.group_by(to_bar("open_time", grid), maintain_order=True)
    return bars.agg(pl.col("open").first(), pl.col("high").max(), pl.col("low").min(), pl.col("close").last())


def to_bar(name: str, grid: Grid) -> pl.Expr:
    """Return the start of the bar that a time lies in; a week can open on any day."""
    offset = pl.duration(seconds=grid.offset % grid.seconds)
    return (pl.col(name) - offset).dt.truncate(f"{grid.seconds}s") + offset


def total(numbers: pl.Series) -> float:
    """Return the sum of numbers; 0 where there are none."""
    return float(numbers.sum() or 0)
