"""The figure of the gaps: a calendar of missing time."""

import calendar
import datetime as dt
import math

import polars as pl

from chandlery.report.figures.elements import Figure, draw_heatmap, label_years, lay_out

__all__ = ["KINDS", "draw_calendar"]

KINDS = ("hole", "outage", "unknown")  # no_trade is left out: a candle without a trade is not missing
MONTHS = 12
DAYS = range(1, 32)
STRONGEST = 3.2  # log10 of 1,585: a little more than the 1,440 minutes of a day, so that even a whole day is in range


def draw_calendar(days: pl.DataFrame, first: dt.date, last: dt.date) -> Figure:
    """Return a calendar of missing time: a column per month, a row per day of the month, a colour per kind.

    A day has the colour of the kind that is missing longest on it, and its shade shows the missing time of all kinds,
    on a logarithmic scale.

    Args:
        days: As `to_calendar` returns them.
        first: The first day of the symbol.
        last: The last day.
    """
    months = list_months(first, last)
    names = [f"{year}-{month:02d}" for year, month in months]
    labels = (names, list(DAYS))
    listed = [[0 if is_between(year, month, day, first, last) else None for year, month in months] for day in DAYS]
    layers = [draw_heatmap(labels, listed, 1, ("--listed", "--listed"), hoverinfo="skip")]
    shown = sum_days(days)
    for kind in KINDS:
        shades: list[list[float | None]] = [[None] * len(months) for _ in DAYS]
        texts = [[""] * len(months) for _ in DAYS]
        for day, (strongest, text, minutes) in shown.items():
            if strongest == kind:
                row, column = day.day - 1, number_month(day) - number_month(first)
                shades[row][column], texts[row][column] = round(math.log10(minutes + 1), 2), text
        colours = (f"--{kind}-0", f"--{kind}")
        layers.append(draw_heatmap(labels, shades, STRONGEST, colours, text=texts, hoverinfo="text", name=kind))
    days_axis = {
        "title": "day of the month",
        "autorange": "reversed",
        "tickvals": [1, 10, 20, 31],
        "showgrid": False,
    }
    return {"data": layers, "layout": lay_out(xaxis=label_years(names), yaxis=days_axis)}


def list_months(first: dt.date, last: dt.date) -> list[tuple[int, int]]:
    """Return year and month, from 1 to 12, of each month between two days."""
    numbers = range(number_month(first), number_month(last) + 1)
    return [(number // MONTHS, number % MONTHS + 1) for number in numbers]


def number_month(day: dt.date) -> int:
    """Return the number of months from year 0 to the month of a day."""
    return day.year * MONTHS + day.month - 1


def is_between(year: int, month: int, day: int, first: dt.date, last: dt.date) -> bool:
    """Return whether a day exists and lies in [first, last]."""
    return day <= calendar.monthrange(year, month)[1] and first <= dt.date(year, month, day) <= last


def sum_days(days: pl.DataFrame) -> dict[dt.date, tuple[str, str, float]]:
    """Return by day the kind that is missing longest, a text for the day, and the missing minutes of all kinds."""
    ordered = days.sort("day", "seconds", "kind", descending=[False, True, False])
    shown = {}
    for _, group in ordered.group_by("day", maintain_order=True):
        day = group["day"][0]
        parts = [f"{short_time(row['seconds'])} {row['kind']}" for row in group.iter_rows(named=True)]
        shown[day] = (group["kind"][0], f"{day}: {', '.join(parts)}", int(group["seconds"].sum()) / 60)
    return shown


def short_time(seconds: int) -> str:
    """Return a time in minutes, or in seconds where it is no whole number of minutes."""
    return f"{seconds:,} s" if seconds % 60 else f"{seconds // 60:,} min"
