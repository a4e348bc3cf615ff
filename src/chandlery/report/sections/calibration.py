"""Section 4: whether moves were as large as predicted, and prices inside the intervals as often as intended."""

from collections.abc import Sequence
from functools import partial

import polars as pl

from chandlery.report.data import Detail, Overview
from chandlery.report.figures.calibration import draw_coverage, draw_deciles
from chandlery.report.markup import (
    count,
    details,
    figure,
    heading,
    paragraph,
    percent,
    table,
)
from chandlery.report.measures import total
from chandlery.report.sections.elements import NO_SCORES_YET, for_each_symbol
from chandlery.units import to_minutes_text

__all__ = ["show_calibration"]

COVERAGE = "coverage of the intervals"


def show_calibration(overview: Overview, symbols: Sequence[Detail]) -> str:
    """Return section 4: the calibration of the predicted moves, and the coverage of the intervals."""
    if overview.scores.is_empty():
        return paragraph(NO_SCORES_YET, "lead")
    lead = (
        "Forecasts are sorted by their predicted move and divided into ten equal parts. A point on the dotted diagonal "
        "means that the mean actual move was as large as predicted; points on the dashed line at 0 would mean that "
        "naive was right."
    )
    rule = (
        "Moves are in basis points (0.01 %). Only forecasts of the blend are counted, not those for which naive was "
        "served, and only one in each period as long as the horizon, so that no two targets overlap. Bars are 95 % "
        "intervals of the mean."
    )
    return paragraph(lead, "lead") + paragraph(rule) + for_each_symbol(symbols, partial(show_symbol, overview))


def show_symbol(overview: Overview, detail: Detail) -> str:
    """Return the tenths of one symbol, a figure per horizon, and the coverage of its intervals."""
    tenths = "".join(show_tenths(detail, horizon) for horizon in detail.deciles)
    moves = heading(f"{detail.symbol}, predicted and actual moves") + f'<div class="small">{tenths}</div>'
    served = overview.served.filter(pl.col("symbol") == detail.symbol)
    return moves + show_coverage(overview, detail.symbol, served) if served.height else moves


def show_tenths(detail: Detail, horizon: int) -> str:
    """Return the tenths of one horizon."""
    tenths, ahead = detail.deciles[horizon], f"{to_minutes_text(horizon)} ahead"
    if tenths.is_empty():
        return paragraph(f"{ahead}: too few forecasts of the blend for ten parts.")
    caption = f"{ahead}, {count(int(total(tenths['n'])))} forecasts"
    return figure(f"tenths-{detail.symbol}-{horizon}", draw_deciles(tenths), caption, 230)


def show_coverage(overview: Overview, symbol: str, served: pl.DataFrame) -> str:
    """Return how often the intervals of one symbol contained the actual price, by month and over all time."""
    caption = (
        f"{symbol}: share of actual prices inside the 80 % and the 95 % interval, by month, one line per horizon. "
        "The dashed lines are the nominal levels."
    )
    rows = [
        [to_minutes_text(row["horizon_minutes"]), percent(row["coverage_80"], 1), percent(row["coverage_95"], 1)]
        for row in served.sort("horizon_minutes").iter_rows(named=True)
    ]
    return (
        heading(f"{symbol}, {COVERAGE}")
        + figure(f"coverage-{symbol}", draw_coverage(overview, symbol), caption, 320)
        + details("Over all time", table(["horizon", "inside 80 %", "inside 95 %"], rows, f"{symbol}: {COVERAGE}"))
    )
