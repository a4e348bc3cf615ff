"""The figures of the newest forecasts on the newest candles, for the report and for `chandlery plot`."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import polars as pl

from chandlery.grid import HOUR_SECONDS, Grid
from chandlery.report.data import Fan
from chandlery.report.figures.elements import DASHED, LEVELS, TIMES_AXIS, Figure, draw_area, draw_line, lay_out, to_text
from chandlery.report.measures import to_bar
from chandlery.units import to_interval_text, to_minutes_text

__all__ = ["cut_at_holes", "draw_day", "draw_near", "draw_plot"]


def draw_day(fan: Fan) -> Figure:
    """Return the fan on the last day of candles, or on as many days as 300 candles need."""
    layout = lay_out(xaxis={**TIMES_AXIS, "nticks": 6}, showlegend=False)
    return {"data": [draw_candles(fan.bars, fan.bar_seconds), *draw_fan(fan.issues)], "layout": layout}


def draw_near(fan: Fan, seconds: int) -> Figure:
    """Return the fan on the last candles alone.

    Args:
        fan: Of one symbol.
        seconds: Length of a candle.
    """
    layout = lay_out(xaxis={**TIMES_AXIS, "nticks": 6})
    return {"data": [draw_candles(fan.near, seconds), *draw_fan(fan.issues)], "layout": layout}


def draw_plot(fan: Fan, past: pl.DataFrame, horizon: int) -> Figure:
    """Return the candles of a symbol, the intervals forecast for each of their closes, and the newest fan.

    Reads:
        target_time, lower_80, upper_80 of the past forecasts of one horizon, ascending.
    """
    shown = thin(past.drop_nulls("lower_80"), fan.grid)
    name = to_minutes_text(horizon)
    bands = []
    for number, part in enumerate(cut_at_holes(shown, fan.bar_seconds)):
        times, lower = to_text(part["target_time"]), part["lower_80"].to_list()
        bands.append(
            draw_area(
                [*times, *reversed(times)],
                [*part["upper_80"], *reversed(lower)],
                "--past",
                name=f"80 %, forecast {name} before",
                legendgroup="past",
                showlegend=number == 0,
            )
        )
    layout = lay_out(xaxis={**TIMES_AXIS, "fixedrange": False}, yaxis={"fixedrange": False}, dragmode="pan")
    return {"data": [*bands, draw_candles(fan.bars, fan.bar_seconds), *draw_fan(fan.issues)], "layout": layout}


def draw_candles(candles: pl.DataFrame, seconds: int) -> Figure:
    """Return candlesticks of candles that last `seconds` each."""
    prices = {name: candles[name].to_list() for name in ("open", "high", "low", "close")}
    colours = {
        name: {"line": {"color": f"--{name}", "width": 1}, "fillcolor": f"--{name}"}
        for name in ("increasing", "decreasing")
    }
    return {
        "type": "candlestick",
        "name": f"candles, {to_interval_text(seconds)}",
        "x": to_text(candles["open_time"]),
        **prices,
        **colours,
        "xhoverformat": "%Y-%m-%d %H:%M:%S" if seconds % 60 else "%Y-%m-%d %H:%M",
    }


def draw_fan(issues: pl.DataFrame) -> list[Figure]:
    """Return the newest issue: the 95 and 80 % intervals, naive, and the predicted closes.

    Horizons that were not issued at the newest moment are left out: their intervals start at another close.

    Args:
        issues: One row per horizon, as `Fan` has them.
    """
    if issues.is_empty():
        return []
    newest = issues.filter(pl.col("issued_at") == issues["issued_at"].max())
    start, close = to_text(newest["issued_at"])[0], newest["close"][0]
    times = [start, *to_text(newest["target_time"])]
    bands = [draw_band(newest, start, close, level) for level in reversed(LEVELS)]  # the narrow one above the wide one
    naive = draw_line([start, times[-1]], [close, close], DASHED, name="naive", hoverinfo="skip")
    predicted = draw_line(
        times,
        [close, *newest["predicted_close"]],
        {"color": "--served", "width": 2},
        name="predicted",
        marker={"size": 6},
        text=["issued here", *map(describe_forecast, newest.iter_rows(named=True))],
        hoverinfo="text",
    )
    return [*bands, naive, {**predicted, "mode": "lines+markers"}]


def draw_band(newest: pl.DataFrame, start: str, close: float, level: int) -> Figure:
    """Return the interval of one level at each horizon, as an area that opens at the close at issue."""
    known = newest.drop_nulls(f"lower_{level}")
    times, lower = to_text(known["target_time"]), known[f"lower_{level}"].to_list()
    outline = [start, *times, *reversed(times)], [close, *known[f"upper_{level}"], *reversed(lower)]
    return draw_area(*outline, f"--band{level}", name=f"newest, {level} %")


def describe_forecast(row: Mapping[str, Any]) -> str:
    """Return the hover text of one forecast."""
    lines = [f"{to_minutes_text(row['horizon_minutes'])} ahead, by {row['served_by']}: {row['predicted_close']:.7g}"]
    if row["lower_80"] is not None:
        lines += [f"{level} %: {row[f'lower_{level}']:.7g} to {row[f'upper_{level}']:.7g}" for level in LEVELS]
    return "<br>".join(lines)


def thin(past: pl.DataFrame, grid: Grid) -> pl.DataFrame:
    """Return the last forecast of each bar: a picture needs no more points than bars."""
    bars = past.group_by(to_bar("target_time", grid), maintain_order=True)
    return bars.agg(pl.col("lower_80", "upper_80").last())


def cut_at_holes(rows: pl.DataFrame, seconds: int) -> list[pl.DataFrame]:
    """Return rows in runs without a hole, so that no band is drawn across one.

    A hole is longer than an hour and than three bars: shorter ones are common and hardly visible.

    Reads:
        target_time, ascending.
    """
    longest = pl.duration(seconds=max(HOUR_SECONDS, 3 * seconds))
    is_start = (pl.col("target_time").diff() > longest).fill_null(value=True)
    starts = rows.with_row_index("_place").filter(is_start)["_place"].to_list()
    return [rows.slice(low, high - low) for low, high in pairwise([*starts, rows.height])]
