"""Forecasts of two lakes side by side: the skill of each, and whether they differ by more than chance."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from chandlery.forecasts.blend import BLEND
from chandlery.forecasts.scores import FALSE_DISCOVERY, adjust, compare_losses
from chandlery.grid import MINUTE_MS
from chandlery.lake.reading import read_table
from chandlery.schema import model_column
from chandlery.units import to_minutes_text

__all__ = [
    "ALL",
    "NAIVE",
    "NAIVE_SERVED",
    "NO_DIFFERENCE",
    "SERVED",
    "WITH",
    "WITHOUT",
    "Row",
    "conclude",
    "measure_forecasts",
]


ALL, SERVED, NAIVE = "all", "served", "naive"
WITH, WITHOUT = "with", "without"
NO_DIFFERENCE = "no difference that these data show"
NAIVE_SERVED = "naive was served throughout"
VERDICTS = {WITHOUT: ("helps", "makes it worse"), NAIVE: ("better than naive", "worse than naive")}


class Row(msgspec.Struct, frozen=True):
    """One test: two forecasts of the same moments, compared by their squared errors.

    Args:
        horizon_minutes: How far ahead.
        symbol: Whose forecasts; `all` for all symbols together.
        forecast: served, blend, or a model.
        against: The same forecast `without` the extension, or `naive`.
        n: Forecasts scored.
        skill_without: 1 − sse / sse_naive of what the forecast is compared with; null where naive made no error.
        skill_with: The same of the forecast.
        difference: The second less the first.
        dm_statistic: Diebold–Mariano; positive where the forecast with the extension is better. Null where the two
            never differ.
        p_value: Two-sided; null likewise.
        adjusted_p_value: Benjamini–Hochberg over all rows; null likewise.
        verdict: At 5 % of the adjusted p-value.
    """

    horizon_minutes: int
    symbol: str
    forecast: str
    against: str
    n: int
    skill_without: float | None
    skill_with: float | None
    difference: float | None
    dm_statistic: float | None
    p_value: float | None
    adjusted_p_value: float | None = None
    verdict: str = NO_DIFFERENCE


def measure_forecasts(
    folder: Path, pairs: list[tuple[str, int]], compared: list[str], own: Sequence[str], since_ms: int
) -> tuple[list[Row], tuple[dt.datetime, dt.datetime] | None]:
    """Return the tests of each symbol and horizon, and the first and last time of issue.

    Args:
        folder: With the lakes `with` and `without`.
        pairs: Symbols and horizons in minutes.
        compared: Whose forecasts are compared without the extension and with it.
        own: Models of the extension, which are compared with naive.
        since_ms: Forecasts issued earlier are left out.

    Returns:
        Rows with verdicts by horizon and forecast, that of all symbols after those of each; no row, and None for the
        times, where no forecast has a known outcome.
    """
    tests = [*((name, WITHOUT) for name in compared), *((name, NAIVE) for name in own)]
    rows: list[Row] = []
    pools: dict[tuple[int, str, str], pl.DataFrame] = {}
    times: list[dt.datetime] = []
    for symbol, horizon in pairs:
        joined = _join(folder, symbol, horizon, compared, own, since_ms)
        times += joined["issued_at"].to_list()[:: max(joined.height - 1, 1)]  # the first and the last
        for name, against in tests:
            losses = _measure(joined, name, against)
            if losses.height:
                rows.append(_test(losses, horizon, symbol, name, against))
                key = (horizon, name, against)
                pools[key] = _pool(pools.get(key), losses)
    if not rows:
        return [], None
    if len({symbol for symbol, _ in pairs}) > 1:
        rows += [_test(pool, horizon, ALL, name, against) for (horizon, name, against), pool in pools.items()]
    order = {test: place for place, test in enumerate(tests)}
    rows.sort(key=lambda row: (row.horizon_minutes, order[row.forecast, row.against], row.symbol == ALL, row.symbol))
    return _judge_rows(rows), (min(times), max(times))


def _join(
    folder: Path, symbol: str, horizon: int, compared: Sequence[str], own: Sequence[str], since_ms: int
) -> pl.DataFrame:
    """Return a symbol's forecasts of both lakes whose outcome is known.

    Returns:
        issued_at, ascending; `y`, the log move that came; and for each name its forecast move, as `with_<name>` and,
        but for the extension's own models, `without_<name>`.
    """
    sides = []
    for side, wanted in ((WITH, [*compared, *own]), (WITHOUT, compared)):
        rows = read_table(str(folder / side), "forecasts", symbol=symbol, horizon_minutes=horizon)
        known = rows.filter(pl.col("actual_close").is_not_null(), pl.col("issued_at").dt.epoch("ms") >= since_ms)
        y = (pl.col("actual_close") / pl.col("close")).log().alias("y")
        sides.append(known.select("issued_at", y, *(_move(known, name).alias(f"{side}_{name}") for name in wanted)))
    return sides[0].join(sides[1].drop("y"), on="issued_at", how="inner", maintain_order="left")


def _move(rows: pl.DataFrame, name: str) -> pl.Expr:
    """Return log(forecast / close).

    It is exactly 0 where the forecast equals the close as a Float32, the type in which forecasts are stored:
    rounding would otherwise make naive differ from itself. Null where the lake has no such model.
    """
    column = "predicted_close" if name == SERVED else model_column(name)
    if column not in rows.columns:
        return pl.lit(None, pl.Float64)
    same = pl.col(column).cast(pl.Float32) == pl.col("close").cast(pl.Float32)
    return pl.when(same).then(0.0).otherwise((pl.col(column).cast(pl.Float64) / pl.col("close")).log())


def _measure(joined: pl.DataFrame, name: str, against: str) -> pl.DataFrame:
    """Return the squared errors of naive and of the two forecasts, one row per time of issue that has both."""
    other = pl.lit(0.0) if against == NAIVE else pl.col(f"{WITHOUT}_{name}")
    errors = {NAIVE: pl.col("y"), "other": pl.col("y") - other, "this": pl.col("y") - pl.col(f"{WITH}_{name}")}
    return joined.select(
        "issued_at", pl.lit(1).alias("n"), **{label: error**2 for label, error in errors.items()}
    ).drop_nulls()


def _pool(pool: pl.DataFrame | None, losses: pl.DataFrame) -> pl.DataFrame:
    """Return the losses of several symbols summed by time of issue.

    Symbols move together, so that all of them at one moment are one observation.
    """
    parts = losses if pool is None else pl.concat([pool, losses])
    return parts.group_by("issued_at", maintain_order=True).sum().sort("issued_at")


def _test(losses: pl.DataFrame, horizon: int, symbol: str, name: str, against: str) -> Row:
    """Return the skills and the test of losses: one row per time of issue, as `_measure` returns them."""
    naive, other, this = (float(losses[label].sum()) for label in (NAIVE, "other", "this"))
    before, after, difference = (
        (1 - other / naive, 1 - this / naive, (other - this) / naive) if naive > 0 else (None, None, None)
    )
    differentials = (losses["other"] - losses["this"]).to_numpy()
    issued = losses["issued_at"].dt.epoch("ms").to_numpy()
    statistic, p_value = compare_losses(issued, differentials, horizon * MINUTE_MS)
    tested = (None, None) if np.isnan(p_value) else (statistic, p_value)
    return Row(horizon, symbol, name, against, int(losses["n"].sum()), before, after, difference, *tested)


def _judge_rows(rows: list[Row]) -> list[Row]:
    """Return the rows with p-values adjusted for their number, and verdicts."""
    adjusted = adjust(np.array([np.nan if row.p_value is None else row.p_value for row in rows]))
    return [
        _judge(row, None if np.isnan(p_value) else float(p_value)) for row, p_value in zip(rows, adjusted, strict=True)
    ]


def _judge(row: Row, adjusted_p_value: float | None) -> Row:
    """Return a row with its adjusted p-value and its verdict."""
    verdict = NAIVE_SERVED if _is_naive_alone(row) else NO_DIFFERENCE
    if adjusted_p_value is not None and adjusted_p_value <= FALSE_DISCOVERY and row.dm_statistic:
        better, worse = VERDICTS[row.against]
        verdict = better if row.dm_statistic > 0 else worse
    return msgspec.structs.replace(row, adjusted_p_value=adjusted_p_value, verdict=verdict)


def _is_naive_alone(row: Row) -> bool:
    """Return whether naive was served throughout on both sides, so that there is nothing else to compare."""
    return row.forecast == SERVED and row.p_value is None and row.skill_without == row.skill_with == 0


def conclude(rows: list[Row], extension: str) -> list[str]:
    """Return one sentence per horizon and forecast, on all symbols together where there are several."""
    several = any(row.symbol == ALL for row in rows)
    return [_conclude(row, extension) for row in rows if row.symbol == ALL or not several]


def _conclude(row: Row, extension: str) -> str:
    """Return a sentence on one test."""
    symbols = "all symbols" if row.symbol == ALL else row.symbol
    where = f"{to_minutes_text(row.horizon_minutes)} ahead, {symbols}"
    if row.verdict == NAIVE_SERVED:
        return (
            f"{where}: {NAIVE_SERVED}, without {extension} and with it, so nothing but naive was compared; "
            f"`--model {BLEND}` compares what the models forecast"
        )
    verb = "makes " * (row.verdict == NO_DIFFERENCE)
    verdict = f"{extension} {verb}{row.verdict}"
    if row.against == NAIVE:
        verdict = f"{row.forecast} beside naive makes {row.verdict}" if verb else f"{row.forecast} is {row.verdict}"
    skills = ""
    if row.skill_without is not None and row.skill_with is not None and row.difference is not None:
        before, after, points = (share * 100 for share in (row.skill_without, row.skill_with, row.difference))
        skills = f"; skill of {row.forecast} {before:.3f} → {after:.3f} % ({points:+.2g} points)"
    p_value = ", the two never differ" if row.adjusted_p_value is None else f", p = {row.adjusted_p_value:.2g}"
    return f"{where}: {verdict}{skills}{p_value}"
