"""The figures of skill: by horizon and model, and by month."""

from typing import Any

import polars as pl

from chandlery.report.data import Overview
from chandlery.report.figures.elements import (
    MONTHS_AXIS,
    PERCENT,
    Figure,
    draw_error_bars,
    draw_line,
    draw_markers,
    draw_naive_line,
    lay_out,
    list_models,
    model_colour,
    select_months,
    to_percent,
)
from chandlery.units import to_minutes_text

__all__ = ["cut_axis", "draw_months", "draw_skill"]

SPREAD = 0.5  # of the distance between two horizons, over which the points of all models are spread
USUAL = 0.9  # the quantile of months from which the end of a cut axis is computed
FAR = 3  # a month beyond so many times the usual skill is cut off


def draw_skill(overview: Overview, scores: pl.DataFrame) -> Figure:
    """Return skill by horizon and model with 95 % intervals; naive is the line at 0.

    Reads:
        horizon_minutes, model, skill, error: one row per horizon and model.
    """
    models = list_models(overview, scores)
    points = []
    for place, model in enumerate(models):
        rows = scores.filter((pl.col("model") == model) & pl.col("skill").is_not_null()).sort("horizon_minutes")
        shift = (place - (len(models) - 1) / 2) * SPREAD / max(len(models), 1)
        colour, is_served = model_colour(overview, model), model == "served"
        points.append(
            draw_markers(
                [overview.horizons.index(horizon) + shift for horizon in rows["horizon_minutes"]],
                (rows["skill"] * PERCENT).to_list(),
                {
                    "color": colour,
                    "size": 9 if is_served else 7,
                    "symbol": "circle" if is_served else "diamond",
                },
                name=model,
                error_y=draw_error_bars((rows["error"] * PERCENT).fill_null(0), colour, 4),
                hovertemplate=f"{model}: %{{y:.2f}} ± %{{error_y.array:.2f}} %<extra></extra>",
            )
        )
    ends = [-0.5, len(overview.horizons) - 0.5]
    horizons_axis = {
        "tickvals": list(range(len(overview.horizons))),
        "ticktext": [to_minutes_text(horizon) for horizon in overview.horizons],
        "range": ends,
        "title": "horizon",
        "showgrid": False,
    }
    layout = lay_out(xaxis=horizons_axis, yaxis={"title": "skill, %"})
    return {"data": [*points, draw_naive_line(ends, name="naive")], "layout": layout}


def draw_months(overview: Overview, symbol: str, horizon: int) -> Figure:
    """Return skill by month for one symbol and horizon, a line per model; naive is the line at 0.

    A month with few forecasts can dwarf all others: the axis is then cut, and a note names the month that it cuts off.
    """
    months = select_months(overview.scores, symbol, horizon)
    lines = []
    for model in reversed(list_models(overview, months)):  # served is drawn last, above the others
        rows = months.filter(pl.col("model") == model)
        lines.append(
            draw_line(
                rows["period"].to_list(),
                to_percent(rows["skill"]),
                {"color": model_colour(overview, model), "width": 2.5 if model == "served" else 1},
                name=model,
                customdata=rows["n"].to_list(),
                connectgaps=False,
                hovertemplate=f"%{{x|%Y-%m}} {model}: %{{y:.2f}} %, %{{customdata:,}} forecasts<extra></extra>",
            )
        )
    served = months.filter((pl.col("model") == "served") & pl.col("skill").is_not_null())
    percents = served.select("period", "n", pl.col("skill") * PERCENT)
    ends = [percents["period"].min(), percents["period"].max()]
    cut, notes = cut_axis(percents)
    axes: dict[str, Any] = {"xaxis": MONTHS_AXIS, "yaxis": {"ticksuffix": " %", "nticks": 5, **cut}}
    layout = lay_out(**axes, showlegend=False, annotations=notes)
    return {"data": [*lines, draw_naive_line(ends, name="naive")], "layout": layout}


def cut_axis(months: pl.DataFrame) -> tuple[Figure, list[Figure]]:
    """Return the range of an axis that ends at three times the 90 % quantile of skill, and a note on the best month.

    Reads:
        period, n and skill in percent.

    Returns:
        No range and no note where no month lies beyond that end.
    """
    usual, lowest, highest = months["skill"].quantile(USUAL), months["skill"].min(), months["skill"].max()
    if not (isinstance(usual, float) and isinstance(lowest, float) and isinstance(highest, float)):
        return {}, []  # no month
    if usual <= 0 or highest <= FAR * usual:
        return {}, []
    best = months.sort("skill", "period").row(-1, named=True)
    note = {
        "text": f"{best['period']}: {best['skill']:.0f} %, {best['n']:,} forecasts",
        "x": best["period"],
        "y": 1,
        "yref": "paper",
        "xanchor": "left",
        "yanchor": "top",
        "showarrow": False,
        "xshift": 6,
        "font": {"size": 11},
    }
    return {"range": [min(1.2 * lowest, -0.2 * usual), FAR * usual]}, [note]
