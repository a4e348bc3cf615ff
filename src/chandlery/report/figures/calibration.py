"""The figures of calibration: actual moves by predicted moves, and the coverage of the intervals by month."""

import polars as pl

from chandlery.report.data import Overview
from chandlery.report.figures.elements import (
    DASHED,
    LEVELS,
    MONTHS_AXIS,
    PALETTE,
    Figure,
    draw_error_bars,
    draw_line,
    draw_markers,
    draw_naive_line,
    lay_out,
    select_months,
    to_percent,
)
from chandlery.units import to_minutes_text

__all__ = ["draw_coverage", "draw_deciles"]

DOTTED = {"color": "--muted", "width": 1, "dash": "dot"}


def draw_deciles(deciles: pl.DataFrame) -> Figure:
    """Return the mean actual move by tenth of the predicted move, with 95 % intervals.

    The dotted diagonal is a perfect calibration, the dashed line at 0 is naive.

    Args:
        deciles: As `find_deciles` returns them, in basis points.
    """
    predicted, actual = deciles["predicted"].to_list(), deciles["actual"].to_list()
    ends = [min(predicted, default=0), max(predicted, default=0)]
    points = draw_markers(
        predicted,
        actual,
        {"color": "--served", "size": 7},
        error_y=draw_error_bars(deciles["error"], "--served", 3),
        hovertemplate="predicted %{x:.2f} bp, actual %{y:.2f} ± %{error_y.array:.2f} bp<extra></extra>",
    )
    layout = lay_out(
        xaxis={"title": "predicted, bp", "nticks": 6}, yaxis={"title": "actual, bp", "nticks": 6}, showlegend=False
    )
    return {"data": [draw_line(ends, ends, DOTTED, hoverinfo="skip"), draw_naive_line(ends), points], "layout": layout}


def draw_coverage(overview: Overview, symbol: str) -> Figure:
    """Return by month the share of actual prices inside the 80 and 95 % intervals, a line per horizon and level."""
    lines = []
    for place, horizon in enumerate(overview.horizons):
        served = select_months(overview.scores, symbol, horizon).filter(pl.col("model") == "served")
        name = to_minutes_text(horizon)
        lines += [
            draw_line(
                served["period"].to_list(),
                to_percent(served[f"coverage_{level}"]),
                {"color": f"--h{place % PALETTE}", "width": 1.5},
                name=name,
                legendgroup=name,
                showlegend=level == LEVELS[0],
                hovertemplate=f"%{{x|%Y-%m}} {name}: %{{y:.1f}} % inside {level} %<extra></extra>",
            )
            for level in LEVELS
        ]
    nominal = [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": level, "y1": level, "line": DASHED}
        for level in LEVELS
    ]
    shares_axis = {"title": "inside, %", "tickvals": [60, 70, 80, 90, 95, 100]}
    return {"data": lines, "layout": lay_out(xaxis=MONTHS_AXIS, yaxis=shares_axis, shapes=nominal)}
