"""Scores of forecasts against the naive forecast: additive sums by month, and the scores computed from them.

Source:
    Diebold, Mariano (1995), Comparing predictive accuracy, eq. 3.2, with the correction of Harvey,
    Leybourne, Newbold (1997), Testing the equality of prediction mean squared errors, eq. 9, and Student's t;
    Benjamini, Hochberg (1995), Controlling the false discovery rate, procedure (1).
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chandlery.grid import DAY_MS, Floats, Ints
from chandlery.machine.jit import kernel

__all__ = [
    "FALSE_DISCOVERY",
    "FIELDS",
    "ScoreRows",
    "ScoreSums",
    "adjust",
    "compare_losses",
    "judge",
    "start_sums",
    "sum_scores",
    "to_scores",
]

FALSE_DISCOVERY = 0.05  # the expected share of wrong verdicts among "better" and "worse" that is accepted


class Field(IntEnum):
    """The columns of an array of sums, for one model and month.

    Kernels use the numbers, all other code the names in `FIELDS`. The order is part of the stored state: new fields go
    to the end. In the comments *p* is the predicted log return, *y* the realised one, and *d* the loss differential:
    the squared error of naive minus that of the model. Each field is a sum over forecasts unless it says otherwise.
    """

    N = 0  # the number of forecasts with a known outcome
    SSE = 1  # (y − p)²
    SSE_NAIVE = 2  # y²
    SQUARED_PRICE = 3  # squared error of the price
    ABSOLUTE_PRICE = 4  # absolute error of the price
    ABSOLUTE_PCT = 5  # absolute error in per cent of the actual price
    P = 6  # p
    Y = 7  # y
    PP = 8  # p²
    YY = 9  # y²
    PY = 10  # p · y
    HITS = 11  # the number of calls whose direction was right
    CALLS = 12  # the number of forecasts of a rise or a fall, where the price moved
    D = 13  # d
    DD = 14  # d²
    PAIR_PRODUCTS = 15  # d · d′, summed over pairs of forecasts less than a horizon apart
    PAIR_SUMS = 16  # d + d′ over the same pairs
    PAIRS = 17  # the number of these pairs
    INSIDE_80 = 18  # the number of outcomes inside the 80 % interval
    INSIDE_95 = 19  # the number of outcomes inside the 95 % interval
    WITH_INTERVAL = 20  # the number of forecasts that have intervals


FIELDS = tuple(field.name.lower() for field in Field)


class ScoreSums(NamedTuple):
    """Score sums of one symbol and horizon, stored by the names of their fields.

    Args:
        months: Months since 1970, ascending, (k,).
        sums: FIELDS by month and model, (k, models + 2, fields); the last two models are served and naive.
        carry_issued: Times of issue within the last horizon, in ms, (c,): later forecasts are paired with these.
        carry_d: Their loss differentials, NaN where a model has none, (c, models + 2).
        near: Sum and number of these differentials without NaN, (models + 2, 2).
    """

    months: Ints
    sums: Floats
    carry_issued: Ints
    carry_d: Floats
    near: Floats


@dataclass(frozen=True)
class ScoreRows:
    """Forecasts with their outcomes, in the order of time.

    Args:
        issued: When forecasts are issued, in ms, (n,).
        close: The close at issue, (n,).
        actual: The close at the target, NaN where unknown, (n,).
        predicted: log(price / close) of each model and of the served forecast, NaN where not fitted, (n, models + 1).
        half: Half widths of the 80 and 95 % intervals, in logs, NaN where there are none, (n, 2).
    """

    issued: Ints
    close: Floats
    actual: Floats
    predicted: Floats
    half: Floats


def start_sums(models: int) -> ScoreSums:
    """Return empty sums for a number of models, for served and for naive."""
    none = np.empty(0, np.int64)
    return ScoreSums(
        none, np.zeros((0, models + 2, len(FIELDS))), none, np.zeros((0, models + 2)), np.zeros((models + 2, 2))
    )


def sum_scores(before: ScoreSums, rows: ScoreRows, horizon_ms: int) -> ScoreSums:
    """Return the sums with rows added.

    Rows are added one after another, so that adding them in several parts gives the same bits.

    Args:
        before: The sums so far.
        rows: Forecasts issued later than all those of the sums.
        horizon_ms: The horizon: forecasts issued less than this apart are paired.
    """
    if rows.issued.size == 0:
        return before
    days = rows.issued // DAY_MS
    firsts = np.flatnonzero(np.diff(days, prepend=days[0] - 1))
    months_of_days = days[firsts].astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    months = np.union1d(before.months, months_of_days)
    sums = np.zeros((months.size, *before.sums.shape[1:]))
    sums[np.searchsorted(months, before.months)] = before.sums
    carried = before.carry_issued.size
    issued = np.concatenate([before.carry_issued, np.empty_like(rows.issued)])
    differentials = np.concatenate([before.carry_d, np.empty((rows.issued.size, sums.shape[1]))])
    near = before.near.copy()
    place = np.repeat(np.searchsorted(months, months_of_days), np.diff(firsts, append=days.size))
    count = _add(
        sums,
        near,
        place,
        (carried, issued, differentials),
        (rows.issued, rows.close, rows.actual, rows.predicted, rows.half),
        horizon_ms,
    )
    if count == carried:
        return before
    first = int(np.searchsorted(issued[:count], issued[count - 1] - horizon_ms, side="right"))
    has_rows = sums[:, -1, Field.N] > 0
    return ScoreSums(
        months[has_rows], sums[has_rows], issued[first:count].copy(), differentials[first:count].copy(), near
    )


@kernel
def _subtract_differentials(near, differentials):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Subtract a row's loss differentials from the sums over the last horizon."""
    for m in range(near.shape[0] - 1):  # the last is naive, whose differentials are all 0
        if not np.isnan(differentials[m]):
            near[m, 0] -= differentials[m]
            near[m, 1] -= 1.0
        if near[m, 1] == 0.0:
            near[m, 0] = 0.0  # drop the rounding error


@kernel
def _add_differential(out, near, d):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add a loss differential, and its products with those of the last horizon."""
    out[Field.D] += d
    out[Field.DD] += d * d
    out[Field.PAIR_PRODUCTS] += d * near[0]
    out[Field.PAIR_SUMS] += near[1] * d + near[0]
    out[Field.PAIRS] += near[1]
    near[0] += d
    near[1] += 1.0


@kernel
def _sum_differentials(sums, issued, differentials, horizon_ms):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the loss differentials of one pair of forecasts, (n, 1), to sums by field."""
    near, first = np.zeros((2, 2)), 0
    for i in range(issued.size):
        while issued[i] - issued[first] >= horizon_ms:
            _subtract_differentials(near, differentials[first])
            first += 1
        sums[Field.N] += 1.0
        _add_differential(sums, near[0], differentials[i, 0])


@kernel
def _add(sums, near, place, carried, rows, horizon_ms):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the rows whose outcome is known; return the new number of entries in the carried arrays."""
    i, issued, differentials = carried
    moments, close, actual, predicted, half = rows
    models = predicted.shape[1]
    first = 0
    for row in range(actual.size):
        if np.isnan(actual[row]):
            continue
        issued[i] = moments[row]
        while issued[i] - issued[first] >= horizon_ms:
            _subtract_differentials(near, differentials[first])
            first += 1
        y = np.log(actual[row] / close[row])
        for m in range(models + 1):
            p = predicted[row, m] if m < models else 0.0
            if np.isnan(p):
                differentials[i, m] = np.nan
                continue
            out = sums[place[row], m]
            error = y - p
            price = actual[row] - close[row] * np.exp(p)
            d = y * y - error * error
            differentials[i, m] = d
            out[Field.N] += 1.0
            out[Field.SSE] += error * error
            out[Field.SSE_NAIVE] += y * y
            out[Field.SQUARED_PRICE] += price * price
            out[Field.ABSOLUTE_PRICE] += abs(price)
            out[Field.ABSOLUTE_PCT] += abs(price) / actual[row] * 100.0
            out[Field.P] += p
            out[Field.Y] += y
            out[Field.PP] += p * p
            out[Field.YY] += y * y
            out[Field.PY] += p * y
            if p != 0.0 and y != 0.0:
                out[Field.HITS] += 1.0 if (p > 0.0) == (y > 0.0) else 0.0
                out[Field.CALLS] += 1.0
            if m == models:
                continue
            _add_differential(out, near[m], d)
            if m == models - 1 and not np.isnan(half[row, 0]):
                out[Field.INSIDE_80] += 1.0 if abs(error) <= half[row, 0] else 0.0
                out[Field.INSIDE_95] += 1.0 if abs(error) <= half[row, 1] else 0.0
                out[Field.WITH_INTERVAL] += 1.0
        i += 1
    return i


def to_scores(sums: ScoreSums, models: list[str], symbol: str, horizon_minutes: int) -> pl.DataFrame:
    """Compute the scores of one symbol and horizon: of each model, served and naive, by month, year and overall.

    Args:
        sums: Of the symbol and horizon.
        models: Names of the models, in the order of the sums.
        symbol: The symbol.
        horizon_minutes: The horizon.

    Returns:
        One row for each model and period with outcomes, without a verdict. Scores that are not defined are null.
    """
    labels = np.datetime_as_string(sums.months.astype("datetime64[M]"), unit="M")
    periods: dict[str, list[int]] = {"all": list(range(labels.size))}
    for place, month in enumerate(labels):
        periods.setdefault(str(month)[:4], []).append(place)
        periods[str(month)] = [place]
    names = [*models, "served", "naive"]
    totals = np.stack([add_in_order(sums.sums[places]) for places in periods.values()]).reshape(-1, len(FIELDS))
    keys = {"symbol": symbol, "horizon_minutes": horizon_minutes}
    rows = pl.DataFrame({"model": names * len(periods), "period": np.repeat(list(periods), len(names))}).with_columns(
        **{name: pl.lit(value) for name, value in keys.items()}
    )
    scored = pl.DataFrame(measure(dict(zip(FIELDS, totals.T, strict=True)), rows["model"].to_numpy() == "naive"))
    counts = pl.col("n").cast(pl.Int64)
    return (
        pl.concat([rows.select(*keys, "model", "period"), scored.fill_nan(None)], how="horizontal")
        .with_columns(counts)
        .filter(pl.col("n") > 0)
    )


def add_in_order(sums: Floats) -> Floats:
    """Add months one after another, the earliest first: in another order the last bits of the sums would differ."""
    total: Floats = np.cumsum(sums, axis=0)[-1]
    return total


def measure(s: dict[str, Floats], is_naive: NDArray[np.bool_]) -> dict[str, Floats]:
    """Compute scores from sums.

    Args:
        s: Sums by the names in FIELDS, each (n,).
        is_naive: Which rows are of the naive forecast, (n,).

    Returns:
        Scores by name, each (n,); NaN where a score is not defined.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        n, covered = s["n"], np.where(s["with_interval"] > 0, s["with_interval"], np.nan)
        squares = (s["pp"] - s["p"] ** 2 / n) * (s["yy"] - s["y"] ** 2 / n)
        correlation = (s["py"] - s["p"] * s["y"] / n) / np.sqrt(squares)
        statistic, p_value = diebold_mariano(s)
        return {
            "n": n,
            "sse": s["sse"],
            "sse_naive": s["sse_naive"],
            "rmse": np.sqrt(s["squared_price"] / n),
            "mae": s["absolute_price"] / n,
            "mape": s["absolute_pct"] / n,
            "skill": np.where(s["sse_naive"] > 0, 1 - s["sse"] / s["sse_naive"], np.nan),
            "correlation": np.where((squares > 0) & ~is_naive, correlation, np.nan),
            "directional_accuracy": np.where(s["calls"] > 0, s["hits"] / s["calls"], np.nan),
            "dm_statistic": np.where(is_naive, np.nan, statistic),
            "p_value": np.where(is_naive, np.nan, p_value),
            "coverage_80": s["inside_80"] / covered,
            "coverage_95": s["inside_95"] / covered,
        }


def diebold_mariano(s: dict[str, Floats]) -> tuple[Floats, Floats]:
    """Return Diebold–Mariano statistics and their two-sided p-values; NaN where the variance is not positive.

    Autocovariances are taken over pairs of forecasts that were issued less than a horizon apart. The small-sample
    correction needs the horizon in steps. As candles may be missing, it is taken as one plus the mean number of earlier
    forecasts that a forecast is paired with; over a long time without gaps that is the horizon.
    """
    from scipy.special import stdtr  # noqa: PLC0415 - the import takes a fifth of a second, and only scores need it

    n, mean = s["n"], s["d"] / s["n"]
    autocovariance_0 = s["dd"] / n - mean * mean
    autocovariances = (s["pair_products"] - mean * s["pair_sums"] + s["pairs"] * mean * mean) / n  # of all other lags
    variance = (autocovariance_0 + 2 * autocovariances) / n
    steps = 1 + s["pairs"] / n
    correction = (n + 1 - 2 * steps + steps * (steps - 1) / n) / n
    is_defined = (variance > 0) & (correction > 0) & (n > 1)
    statistic = np.where(is_defined, mean / np.sqrt(variance) * np.sqrt(correction), np.nan)
    return statistic, 2 * stdtr(n - 1, -np.abs(statistic))


def compare_losses(issued: Ints, differentials: Floats, horizon_ms: int) -> tuple[float, float]:
    """Test whether two forecasts have the same expected loss, by Diebold and Mariano.

    Args:
        issued: When the forecasts were issued, in ms, ascending, (n,).
        differentials: Loss of the first minus loss of the second, (n,): positive where the second is better.
        horizon_ms: The horizon: differentials less than it apart are correlated.

    Returns:
        The statistic and its two-sided p-value; NaN where the variance is not positive.
    """
    sums = np.zeros(len(FIELDS))
    _sum_differentials(sums, issued, differentials[:, None], horizon_ms)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic, p_value = diebold_mariano({name: sums[place : place + 1] for place, name in enumerate(FIELDS)})
    return float(statistic[0]), float(p_value[0])


def adjust(p_values: Floats) -> Floats:
    """Adjust p-values for the false discovery rate.

    At a rate q, the procedure rejects the null hypotheses of those tests whose adjusted p-value is at most q.

    Args:
        p_values: One for each test, NaN where there is no test, (n,).

    Returns:
        The adjusted p-values, NaN where there is no test, (n,).

    Example:
        >>> adjust(np.array([0.01, 0.04, np.nan, 0.03])).round(3).tolist()
        [0.03, 0.04, nan, 0.04]
    """
    adjusted = np.full(p_values.size, np.nan)
    order = np.argsort(p_values, kind="stable")[: np.count_nonzero(~np.isnan(p_values))]  # NaN comes last
    scaled = p_values[order] * order.size / np.arange(1, order.size + 1)
    adjusted[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return adjusted


def judge(scores: pl.DataFrame) -> pl.DataFrame:
    """Add verdicts to the scores over all time, at a false discovery rate of 5 % over the tests of a horizon.

    Each horizon is judged by itself, so that adding a horizon to the lake changes no verdict of the others.

    Reads:
        horizon_minutes, model, period, dm_statistic, p_value of every symbol and horizon.

    Returns:
        The scores with a column `verdict`: better, worse or no better; null for naive and for other periods than all.
    """
    judged = (pl.col("period") == "all") & (pl.col("model") != "naive")
    tested = scores.select(pl.when(judged).then(pl.col("p_value")).cast(pl.Float64).fill_null(np.nan))[
        "p_value"
    ].to_numpy()
    horizons = scores["horizon_minutes"].to_numpy()
    passed = np.zeros(scores.height, np.bool_)
    for horizon in np.unique(horizons):
        rows = horizons == horizon
        passed[rows] = adjust(tested[rows]) <= FALSE_DISCOVERY
    is_significant, statistic = pl.lit(pl.Series(passed)), pl.col("dm_statistic")
    verdict = (
        pl.when(judged & is_significant & (statistic > 0))
        .then(pl.lit("better"))
        .when(judged & is_significant & (statistic < 0))
        .then(pl.lit("worse"))
        .when(judged)
        .then(pl.lit("no better"))
    )
    return scores.with_columns(verdict.alias("verdict"))
