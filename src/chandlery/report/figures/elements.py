"""Elements that several figures share: layouts, axes, lines, markers, areas, heatmaps and colours.

A colour such as `--served` is the name of a CSS variable: the page replaces it by its value in the light or dark theme.
Times are UTC and written without a zone, since Plotly would convert a zone to the reader's own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from chandlery.report.data import Overview
from chandlery.report.measures import WIDE, is_month

__all__ = [
    "DASHED",
    "LEGEND",
    "LEVELS",
    "MONTHS_AXIS",
    "PALETTE",
    "PERCENT",
    "TIMES_AXIS",
    "Figure",
    "draw_area",
    "draw_error_bars",
    "draw_heatmap",
    "draw_line",
    "draw_markers",
    "draw_naive_line",
    "label_years",
    "lay_out",
    "list_models",
    "model_colour",
    "select_months",
    "to_percent",
    "to_text",
]

Figure = dict[str, Any]

PALETTE = 6  # colours in page.css for models (--c0 to --c5) and for horizons (--h0 to --h5); a seventh takes the first
PERCENT = 100.0
LEVELS = (80, 95)  # percent of actual prices that each interval is built to contain
DASHED = {"color": "--ink", "width": 1.5, "dash": "dash"}  # the reference in every figure: naive, or the nominal level
LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"}  # a line above the figure
MONTHS_AXIS = {"type": "date", "showgrid": False, "nticks": 5}
TIMES_AXIS = {"type": "date", "rangeslider": {"visible": False}}  # candlesticks have a range slider unless told not to


def lay_out(**changes: Any) -> Figure:
    """Return the layout that all figures share, with some values changed.

    Axes are merged with the shared axis, and their titles become Plotly's objects; every other value replaces the
    shared one.
    """
    axis = {
        "gridcolor": "--grid",
        "zeroline": False,
        "linecolor": "--grid",
        "fixedrange": True,
        "automargin": True,
        "tickangle": 0,
    }
    shared = {"margin": {"l": 8, "r": 8, "t": 8, "b": 8}, "dragmode": False, "legend": LEGEND, "hovermode": "closest"}
    axes = {name: {**axis, **changes.pop(name, {})} for name in ("xaxis", "yaxis")}
    for merged in axes.values():
        if "title" in merged:
            merged["title"] = {"text": merged["title"], "font": {"size": 13}}
    return {**shared, **axes, **changes}


def draw_line(x: Sequence[Any], y: Sequence[Any], style: Mapping[str, Any], **more: Any) -> Figure:
    """Return a line; `more` holds further properties of the trace."""
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "line": style, **more}


def draw_naive_line(ends: Sequence[Any], **more: Any) -> Figure:
    """Return the naive forecast, whose skill and predicted move are 0, as a dashed line without a hover text."""
    return draw_line(ends, [0, 0], DASHED, hoverinfo="skip", **more)


def draw_markers(x: Sequence[Any], y: Sequence[Any], marker: Mapping[str, Any], **more: Any) -> Figure:
    """Return points; `more` holds further properties of the trace."""
    return {"type": "scatter", "mode": "markers", "x": x, "y": y, "marker": marker, **more}


def draw_error_bars(errors: pl.Series, colour: str, width: int) -> Figure:
    """Return bars of 95 % intervals around points, from standard errors in the unit of the points."""
    return {"type": "data", "array": (errors * WIDE).to_list(), "color": colour, "thickness": 1.5, "width": width}


def draw_area(x: Sequence[Any], y: Sequence[Any], colour: str, **more: Any) -> Figure:
    """Return a filled area without an edge, from its outline."""
    edge = {"width": 0, "color": colour}
    return draw_line(x, y, edge, fill="toself", fillcolor=colour, hoverinfo="skip", **more)


def draw_heatmap(
    labels: tuple[Sequence[Any], Sequence[Any]],
    values: Sequence[Sequence[float | None]],
    top: float,
    colours: tuple[str, str],
    **more: Any,
) -> Figure:
    """Return a heatmap of cells that are one pixel apart.

    Args:
        labels: Of the columns and of the rows.
        values: One sequence per row; None leaves a cell empty.
        top: The value that has the second colour; 0 has the first.
        colours: Their names.
        more: Further properties of the trace.
    """
    return {
        "type": "heatmap",
        "x": labels[0],
        "y": labels[1],
        "z": values,
        "zmin": 0,
        "zmax": top,
        "colorscale": [[0, colours[0]], [1, colours[1]]],
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
        **more,
    }


def label_years(months: Sequence[str]) -> Figure:
    """Return an axis of months that labels each January with its year; the first month where there is no January."""
    januaries = [month for month in months if month.endswith("-01")]
    return {
        "type": "category",
        "tickvals": januaries or months[:1],
        "ticktext": [month[:4] for month in januaries] or months[:1],
        "showgrid": False,
    }


def model_colour(overview: Overview, model: str) -> str:
    """Return the colour of a model, the same in every figure."""
    if model == "served":
        return "--served"
    models = overview.series.models
    return f"--c{models.index(model) % PALETTE}" if model in models else "--muted"


def list_models(overview: Overview, scores: pl.DataFrame) -> list[str]:
    """Return the models that occur in scores: served, then the lake's models in their order, then the blend.

    Naive is left out: it is the line at 0.
    """
    scored = set(scores["model"])
    return [model for model in ("served", *overview.series.models, "blend") if model in scored]


def select_months(scores: pl.DataFrame, symbol: str, horizon: int) -> pl.DataFrame:
    """Return the monthly scores of one symbol and horizon, ascending by month."""
    is_wanted = (pl.col("symbol") == symbol) & (pl.col("horizon_minutes") == horizon) & is_month()
    return scores.filter(is_wanted).sort("period")


def to_percent(shares: pl.Series) -> list[float | None]:
    """Return shares in percent; None where a share is null."""
    return [None if share is None else share * PERCENT for share in shares]


def to_text(times: pl.Series) -> list[str]:
    """Return times in the form that Plotly reads."""
    return times.dt.strftime("%Y-%m-%dT%H:%M:%S").to_list()
