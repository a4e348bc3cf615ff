"""Small frames in, Plotly figures out: plain dictionaries, so that drawing needs nothing installed.

A colour such as `--served` is the name of one of the page's own; the page puts in what light or dark asks for.
Times are UTC, written without a zone: Plotly shows them as they are.
"""

import calendar
import datetime as dt
from itertools import pairwise
from typing import Any

import polars as pl

from chandlery.grid import HOUR_SECONDS, Grid
from chandlery.report.data import Detail, Fan, Overview
from chandlery.report.measures import WIDE, to_bar
from chandlery.units import to_interval_text, to_minutes_text

__all__ = [
    "Figure",
    "draw_calendar",
    "draw_coverage",
    "draw_day",
    "draw_deciles",
    "draw_months",
    "draw_naive",
    "draw_near",
    "draw_plot",
    "draw_rows",
    "draw_skill",
    "model_colour",
]

Figure = dict[str, Any]
KINDS = ("hole", "outage", "unknown")
PALETTE = 6  # colours that models, or horizons, take in turns
PERCENT = 100.0
LEVELS = (80, 95)  # % of actual prices that an interval is to hold
MONTH = 7  # letters of a period that is a month
CALENDAR_SHADES = 3.2  # log10 of more than the minutes of a day


def lay_out(**changes: Any) -> Figure:
    """Return a layout with what all figures share, and changes."""
    axis = {
        "gridcolor": "--grid",
        "zeroline": False,
        "linecolor": "--grid",
        "fixedrange": True,
        "automargin": True,
        "tickangle": 0,
    }
    legend = {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"}
    shared = {"margin": {"l": 8, "r": 8, "t": 8, "b": 8}, "dragmode": False, "legend": legend, "hovermode": "closest"}
    axes = {name: {**axis, **changes.pop(name, {})} for name in ("xaxis", "yaxis")}
    for found in axes.values():
        if "title" in found:
            found["title"] = {"text": found["title"], "font": {"size": 13}}
    return {**shared, **axes, **changes}


def model_colour(overview: Overview, model: str) -> str:
    """Return the colour of a model: the same in every figure."""
    return (
        "--served"
        if model == "served"
        else f"--c{overview.lake.models.index(model) % PALETTE}"
        if model in overview.lake.models
        else "--muted"
    )


def models_in_order(overview: Overview, found: pl.DataFrame) -> list[str]:
    """Return the models that a frame names, served first, then as the lake lists them, and their blend; naive is the line at zero."""
    there = set(found["model"])
    return [model for model in ("served", *overview.lake.models, "blend") if model in there]


def to_text(times: pl.Series) -> list[str]:
    """Return times as Plotly reads them."""
    return times.dt.strftime("%Y-%m-%dT%H:%M:%S").to_list()


def draw_rows(symbols: pl.DataFrame) -> Figure:
    """Return bars of the rows that became no candles, by symbol and what became of them."""
    words = (
        ("rows_identical", "identical", "--c0"),
        ("rows_superseded", "superseded", "--c1"),
        ("rows_rejected", "rejected", "--hole"),
    )
    names = symbols["symbol"].to_list()
    bars = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "y": names,
            "x": symbols[column].to_list(),
            "marker": {"color": colour},
            "hovertemplate": f"%{{y}}: %{{x:,}} {name}<extra></extra>",
        }
        for column, name, colour in words
    ]
    return {
        "data": bars,
        "layout": lay_out(
            barmode="stack",
            legend={
                "orientation": "h",
                "x": 0,
                "y": 1.02,
                "xanchor": "left",
                "yanchor": "bottom",
                "traceorder": "normal",
            },
            xaxis={"title": "rows", "rangemode": "tozero"},
            yaxis={"autorange": "reversed", "type": "category"},
        ),
    }


def draw_calendar(days: pl.DataFrame, first: dt.date, last: dt.date) -> Figure:
    """Return a calendar of missing time, a column a month and a row a day of it, a colour a kind.

    Args:
        days: As `to_calendar` gives them.
        first: The first day that is listed.
        last: The last.
    """
    start = first.year * 12 + first.month - 1
    months = [divmod(number, 12) for number in range(start, last.year * 12 + last.month)]
    labels = [f"{year}-{month + 1:02d}" for year, month in months]
    listed = [
        [
            0
            if day <= calendar.monthrange(year, month + 1)[1] and first <= dt.date(year, month + 1, day) <= last
            else None
            for year, month in months
        ]
        for day in range(1, 32)
    ]
    rows = list(range(1, 32))
    base: Figure = {
        "type": "heatmap",
        "x": labels,
        "y": rows,
        "z": listed,
        "zmin": 0,
        "zmax": 1,
        "colorscale": [[0, "--listed"], [1, "--listed"]],
        "showscale": False,
        "hoverinfo": "skip",
        "xgap": 1,
        "ygap": 1,
    }
    layers = [base]
    strongest = days.sort("day", "seconds", "kind", descending=[False, True, False]).group_by(
        "day", maintain_order=True
    )
    shown = {
        day: (
            group["kind"][0],
            ", ".join(f"{short_time(row['seconds'])} {row['kind']}" for row in group.iter_rows(named=True)),
            int(group["seconds"].sum()) / 60,
        )
        for (day,), group in strongest
    }
    for kind in KINDS:
        shades: list[list[float | None]] = [[None] * len(months) for _ in rows]
        texts = [[""] * len(months) for _ in rows]
        for day, (of, words, minutes) in shown.items():
            if of == kind and isinstance(day, dt.date):
                column = day.year * 12 + day.month - 1 - start
                shades[day.day - 1][column], texts[day.day - 1][column] = (
                    round(float(pl.Series([minutes + 1.0]).log10()[0]), 2),
                    f"{day}: {words}",
                )
        scale = [[0, f"--{kind}-0"], [1, f"--{kind}"]]
        layers.append(
            {
                **base,
                "z": shades,
                "text": texts,
                "zmax": CALENDAR_SHADES,
                "colorscale": scale,
                "hoverinfo": "text",
                "name": kind,
            }
        )
    ticks = {
        "type": "category",
        "tickvals": [label for label in labels if label.endswith("-01")] or labels[:1],
        "ticktext": [label[:4] for label in labels if label.endswith("-01")] or labels[:1],
        "showgrid": False,
    }
    return {
        "data": layers,
        "layout": lay_out(
            xaxis=ticks,
            yaxis={
                "title": "day of the month",
                "autorange": "reversed",
                "tickvals": [1, 10, 20, 31],
                "showgrid": False,
            },
        ),
    }


def short_time(seconds: int) -> str:
    """Return a time in minutes, or in seconds where it is no whole number of minutes."""
    return f"{seconds:,} s" if seconds % 60 else f"{seconds // 60:,} min"


def draw_skill(overview: Overview, found: pl.DataFrame) -> Figure:
    """Return skill by horizon and model with 95 % intervals; naive is the line at zero.

    Reads:
        horizon_minutes, model, skill, error: one row a horizon and model.
    """
    models, points = models_in_order(overview, found), []
    for place, model in enumerate(models):
        rows = found.filter((pl.col("model") == model) & pl.col("skill").is_not_null()).sort("horizon_minutes")
        shift = (place - (len(models) - 1) / 2) * 0.5 / max(len(models), 1)
        error = {
            "type": "data",
            "array": (rows["error"] * WIDE * PERCENT).fill_null(0).to_list(),
            "thickness": 1.5,
            "width": 4,
            "color": model_colour(overview, model),
        }
        marker = {
            "color": model_colour(overview, model),
            "size": 9 if model == "served" else 7,
            "symbol": "circle" if model == "served" else "diamond",
        }
        x = [overview.horizons.index(horizon) + shift for horizon in rows["horizon_minutes"]]
        hover = f"{model}: %{{y:.2f}} ± %{{error_y.array:.2f}} %<extra></extra>"
        points.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": model,
                "x": x,
                "y": (rows["skill"] * PERCENT).to_list(),
                "error_y": error,
                "marker": marker,
                "hovertemplate": hover,
            }
        )
    ends = [-0.5, len(overview.horizons) - 0.5]
    ticks = {
        "tickvals": list(range(len(overview.horizons))),
        "ticktext": [to_minutes_text(horizon) for horizon in overview.horizons],
        "range": ends,
        "title": "horizon",
        "showgrid": False,
    }
    return {"data": [*points, draw_zero(ends)], "layout": lay_out(xaxis=ticks, yaxis={"title": "skill, %"})}


def draw_zero(ends: list[Any]) -> Figure:
    """Return the naive forecast as a line at zero."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "naive",
        "x": ends,
        "y": [0, 0],
        "line": {"color": "--ink", "width": 1.5, "dash": "dash"},
        "hoverinfo": "skip",
    }


def draw_months(overview: Overview, symbol: str, horizon: int) -> Figure:
    """Return skill by month for one symbol and horizon, a line a model; naive is the line at zero.

    A few months of few forecasts can dwarf all others: the axis ends at three times the month that only one in ten
    exceeds, and what lies beyond is written where it is cut.
    """
    months = by_month(overview.scores, symbol, horizon)
    lines = []
    for model in reversed(models_in_order(overview, months)):  # served lies on top
        rows = months.filter(pl.col("model") == model)
        line = {"color": model_colour(overview, model), "width": 2.5 if model == "served" else 1}
        y = [None if skill is None else skill * PERCENT for skill in rows["skill"]]
        hover = f"%{{x|%Y-%m}} {model}: %{{y:.2f}} %, %{{customdata:,}} forecasts<extra></extra>"
        lines.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": model,
                "x": rows["period"].to_list(),
                "y": y,
                "customdata": rows["n"].to_list(),
                "line": line,
                "connectgaps": False,
                "hovertemplate": hover,
            }
        )
    served = months.filter((pl.col("model") == "served") & pl.col("skill").is_not_null()).select(
        "period", "n", pl.col("skill") * PERCENT
    )
    ends = [served["period"].min(), served["period"].max()]
    cut, notes = cut_axis(served)
    return {
        "data": [*lines, draw_zero(ends)],
        "layout": lay_out(
            xaxis={"type": "date", "showgrid": False, "nticks": 5},
            yaxis={"ticksuffix": " %", "nticks": 5, **cut},
            showlegend=False,
            annotations=notes,
        ),
    }


def by_month(scores: pl.DataFrame, symbol: str, horizon: int) -> pl.DataFrame:
    """Return the scores by month of one symbol and horizon, the earliest first."""
    return scores.filter(
        (pl.col("symbol") == symbol)
        & (pl.col("horizon_minutes") == horizon)
        & (pl.col("period").str.len_chars() == MONTH)
    ).sort("period")


def cut_axis(served: pl.DataFrame) -> tuple[Figure, list[Figure]]:
    """Return the range of an axis where months lie far beyond the others, and a note on the farthest; nothing where none does.

    Reads:
        period, n and skill in percent.
    """
    usual, lowest, highest = served["skill"].quantile(0.9), served["skill"].min(), served["skill"].max()
    if (
        not (isinstance(usual, float) and isinstance(lowest, float) and isinstance(highest, float))
        or usual <= 0
        or highest <= 3 * usual
    ):
        return {}, []
    top = served.sort("skill", "period").row(-1, named=True)
    words = f"{top['period']}: {top['skill']:.0f} %, {top['n']:,} forecasts"
    note = {
        "text": words,
        "x": top["period"],
        "y": 1,
        "yref": "paper",
        "xanchor": "left",
        "yanchor": "top",
        "showarrow": False,
        "xshift": 6,
        "font": {"size": 11},
    }
    return {"range": [min(1.2 * lowest, -0.2 * usual), 3 * usual]}, [note]


def draw_deciles(deciles: pl.DataFrame) -> Figure:
    """Return the mean actual move by tenth of the predicted move, with 95 % intervals, beside the diagonal."""
    x, y = deciles["predicted"].to_list(), deciles["actual"].to_list()
    ends = [min(x, default=0), max(x, default=0)]
    exact = {
        "type": "scatter",
        "mode": "lines",
        "x": ends,
        "y": ends,
        "line": {"color": "--muted", "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
    }
    naive = {
        "type": "scatter",
        "mode": "lines",
        "x": ends,
        "y": [0, 0],
        "line": {"color": "--ink", "width": 1.5, "dash": "dash"},
        "hoverinfo": "skip",
    }
    error = {
        "type": "data",
        "array": (deciles["error"] * WIDE).to_list(),
        "color": "--served",
        "thickness": 1.5,
        "width": 3,
    }
    hover = "predicted %{x:.2f} bp, came %{y:.2f} ± %{error_y.array:.2f} bp<extra></extra>"
    points = {
        "type": "scatter",
        "mode": "markers",
        "x": x,
        "y": y,
        "error_y": error,
        "marker": {"color": "--served", "size": 7},
        "hovertemplate": hover,
    }
    return {
        "data": [exact, naive, points],
        "layout": lay_out(
            xaxis={"title": "predicted, bp", "nticks": 6}, yaxis={"title": "came, bp", "nticks": 6}, showlegend=False
        ),
    }


def draw_coverage(overview: Overview, symbol: str) -> Figure:
    """Return by month the share of actual prices inside the 80 and 95 % intervals, a line a horizon."""
    lines = []
    for place, horizon in enumerate(overview.horizons):
        rows, name = (
            by_month(overview.scores, symbol, horizon).filter(pl.col("model") == "served"),
            to_minutes_text(horizon),
        )
        for level in LEVELS:
            y = [None if share is None else share * PERCENT for share in rows[f"coverage_{level}"]]
            style = {"color": f"--h{place % PALETTE}", "width": 1.5}
            hover = f"%{{x|%Y-%m}} {name}: %{{y:.1f}} % inside {level} %<extra></extra>"
            lines.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": name,
                    "legendgroup": name,
                    "showlegend": level == LEVELS[0],
                    "x": rows["period"].to_list(),
                    "y": y,
                    "line": style,
                    "hovertemplate": hover,
                }
            )
    wanted = [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": level,
            "y1": level,
            "line": {"color": "--ink", "width": 1.5, "dash": "dash"},
        }
        for level in LEVELS
    ]
    return {
        "data": lines,
        "layout": lay_out(
            xaxis={"type": "date", "showgrid": False, "nticks": 5},
            yaxis={"title": "inside, %", "tickvals": [60, 70, 80, 90, 95, 100]},
            shapes=wanted,
        ),
    }


def draw_naive(detail: Detail, horizons: list[int]) -> Figure:
    """Return by month and horizon the share of the time that naive was served."""
    months = sorted({month for shares in detail.naive.values() for month in shares["month"]})
    shares = {horizon: dict(detail.naive[horizon].select("month", "share").iter_rows()) for horizon in horizons}
    z = [
        [None if (share := shares[horizon].get(month)) is None else share * PERCENT for month in months]
        for horizon in horizons
    ]
    heat = {
        "type": "heatmap",
        "x": months,
        "y": [to_minutes_text(horizon) for horizon in horizons],
        "z": z,
        "zmin": 0,
        "zmax": 100,
        "colorscale": [[0, "--model-0"], [1, "--naive-1"]],
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
    }
    heat["hovertemplate"] = "%{x} %{y}: naive %{z:.0f} % of the time<extra></extra>"
    years = [month for month in months if month.endswith("-01")] or months[:1]
    ticks = {"type": "category", "tickvals": years, "ticktext": [month[:4] for month in years], "showgrid": False}
    return {
        "data": [heat],
        "layout": lay_out(xaxis=ticks, yaxis={"type": "category", "showgrid": False, "autorange": "reversed"}),
    }


def draw_bars(bars: pl.DataFrame, seconds: int) -> Figure:
    """Return candlesticks."""
    prices = {name: bars[name].to_list() for name in ("open", "high", "low", "close")}
    colours = {
        name: {"line": {"color": f"--{name}", "width": 1}, "fillcolor": f"--{name}"}
        for name in ("increasing", "decreasing")
    }
    shown = "%Y-%m-%d %H:%M:%S" if seconds % 60 else "%Y-%m-%d %H:%M"
    name, times = f"candles, {to_interval_text(seconds)}", to_text(bars["open_time"])
    return {"type": "candlestick", "name": name, "x": times, **prices, **colours, "xhoverformat": shown}


def draw_issues(issues: pl.DataFrame) -> list[Figure]:
    """Return the fan of the newest issue: bands of 95 and 80 %, what is predicted, and the close at issue carried on.

    Horizons that were not issued at the newest moment are left out: their bands start elsewhere.
    """
    if issues.is_empty():
        return []
    last = issues.filter(pl.col("issued_at") == issues["issued_at"].max())
    start, close = to_text(last["issued_at"])[0], last["close"][0]
    times = [start, *to_text(last["target_time"])]
    drawn: list[Figure] = []
    for level in reversed(LEVELS):
        known = last.drop_nulls(f"lower_{level}")
        ends = to_text(known["target_time"])
        x, y = (
            [start, *ends, *reversed(ends)],
            [close, *known[f"upper_{level}"], *reversed(known[f"lower_{level}"].to_list())],
        )
        drawn.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"newest, {level} %",
                "x": x,
                "y": y,
                "fill": "toself",
                "fillcolor": f"--band{level}",
                "line": {"width": 0, "color": f"--band{level}"},
                "hoverinfo": "skip",
            }
        )
    words = [
        f"{to_minutes_text(row['horizon_minutes'])} ahead, by {row['served_by']}: {row['predicted_close']:.7g}"
        + (
            f"<br>80 %: {row['lower_80']:.7g} to {row['upper_80']:.7g}<br>95 %: {row['lower_95']:.7g} to {row['upper_95']:.7g}"
            if row["lower_80"] is not None
            else ""
        )
        for row in last.iter_rows(named=True)
    ]
    drawn.append(
        {
            "type": "scatter",
            "mode": "lines",
            "name": "naive",
            "x": [start, times[-1]],
            "y": [close, close],
            "line": {"color": "--ink", "width": 1.5, "dash": "dash"},
            "hoverinfo": "skip",
        }
    )
    drawn.append(
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": "predicted",
            "x": times,
            "y": [close, *last["predicted_close"]],
            "line": {"color": "--served", "width": 2},
            "marker": {"size": 6},
            "text": ["issued here", *words],
            "hoverinfo": "text",
        }
    )
    return drawn


def draw_day(fan: Fan) -> Figure:
    """Return the fan on the last day of candles."""
    return {
        "data": [draw_bars(fan.bars, fan.bar_seconds), *draw_issues(fan.issues)],
        "layout": lay_out(xaxis={"type": "date", "rangeslider": {"visible": False}, "nticks": 6}, showlegend=False),
    }


def draw_near(fan: Fan, seconds: int) -> Figure:
    """Return the fan on the last candles alone.

    Args:
        fan: Of one symbol.
        seconds: Length of a candle.
    """
    return {
        "data": [draw_bars(fan.near, seconds), *draw_issues(fan.issues)],
        "layout": lay_out(xaxis={"type": "date", "rangeslider": {"visible": False}, "nticks": 6}),
    }


def draw_plot(fan: Fan, past: pl.DataFrame, horizon: int) -> Figure:
    """Return one picture of a symbol: its candles, what had been forecast for each moment, and the newest fan.

    Reads:
        target_time, predicted_close, lower_80, upper_80 of the past of one horizon, ascending.
    """
    shown = thin(past.drop_nulls("lower_80"), fan.grid)
    name, drawn = to_minutes_text(horizon), []
    for number, part in enumerate(cut_at_holes(shown, fan.bar_seconds)):
        times = to_text(part["target_time"])
        x, y = [*times, *reversed(times)], [*part["upper_80"], *reversed(part["lower_80"].to_list())]
        drawn.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"80 %, forecast {name} before",
                "legendgroup": "past",
                "showlegend": number == 0,
                "x": x,
                "y": y,
                "fill": "toself",
                "fillcolor": "--past",
                "line": {"width": 0, "color": "--past"},
                "hoverinfo": "skip",
            }
        )
    layout = lay_out(
        xaxis={"type": "date", "rangeslider": {"visible": False}, "fixedrange": False},
        yaxis={"fixedrange": False},
        dragmode="pan",
    )
    return {"data": [*drawn, draw_bars(fan.bars, fan.bar_seconds), *draw_issues(fan.issues)], "layout": layout}


def thin(past: pl.DataFrame, grid: Grid) -> pl.DataFrame:
    """Return the last row of each bar."""
    bars = past.group_by(to_bar("target_time", grid), maintain_order=True)
    return bars.agg(pl.col("lower_80", "upper_80").last())


def cut_at_holes(rows: pl.DataFrame, seconds: int) -> list[pl.DataFrame]:
    """Return rows in runs without a hole of an hour or of three bars: no band is drawn across."""
    wide = pl.duration(seconds=max(HOUR_SECONDS, 3 * seconds))
    starts = (
        rows.with_row_index("_place")
        .filter((pl.col("target_time").diff() > wide).fill_null(value=True))["_place"]
        .to_list()
    )
    return [rows.slice(low, high - low) for low, high in pairwise([*starts, rows.height])]
