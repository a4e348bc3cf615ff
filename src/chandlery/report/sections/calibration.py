"""Section 4: whether forecasts came true, in the mean and in the spread."""

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


def show_calibration(overview: Overview, symbols: Sequence[Detail]) -> str:
    """Return section 4: whether forecasts came true, in the mean and in the spread."""
    if overview.scores.is_empty():
        return paragraph(NO_SCORES_YET, "lead")
    lead = (
        "Forecasts are sorted by the move they predicted and cut into ten equal parts: a point on the dotted diagonal "
        "means that the move came, in the mean, just as large as predicted; points on the dashed line at 0 would mean "
        "that naive was right all along."
    )
    rule = (
        "Moves are in basis points (0.01 %). Only moments count when the blend was served, not naive, and only one in "
        "each span of a horizon, so that no two targets overlap; bars are 95 % intervals of the mean."
    )
    return paragraph(lead, "lead") + paragraph(rule) + for_each_symbol(symbols, partial(show_symbol, overview))


def show_symbol(overview: Overview, detail: Detail) -> str:
    """Return the tenths of one symbol, a figure per horizon, and the coverage of its intervals."""
    tenths = "".join(show_tenths(detail, horizon) for horizon in detail.deciles)
    moves = heading(f"{detail.symbol}, what was predicted and what came") + f'<div class="small">{tenths}</div>'
    served = overview.served.filter(pl.col("symbol") == detail.symbol)
    return moves + show_coverage(overview, detail.symbol, served) if served.height else moves


def show_tenths(detail: Detail, horizon: int) -> str:
    """Return the tenths of one horizon."""
    tenths, ahead = detail.deciles[horizon], f"{to_minutes_text(horizon)} ahead"
    if tenths.is_empty():
        return paragraph(f"{ahead}: too few forecasts by the blend for tenths.")
    caption = f"{ahead}, {count(int(total(tenths['n'])))} forecasts"
    return figure(f"tenths-{detail.symbol}-{horizon}", draw_deciles(tenths), caption, 230)


def show_coverage(overview: Overview, symbol: str, served: pl.DataFrame) -> str:
    """Return how often the intervals of one symbol contained the actual price, by month and over all time."""
    caption = (
        f"{symbol}: share of actual prices inside the 80 % and the 95 % interval, by month, a line a horizon. "
        "Dashed is what was promised."
    )
    rows = [
        [to_minutes_text(row["horizon_minutes"]), percent(row["coverage_80"], 1), percent(row["coverage_95"], 1)]
        for row in served.sort("horizon_minutes").iter_rows(named=True)
    ]
    held = f"{symbol}: how often the intervals held"
    return (
        heading(f"{symbol}, how often the intervals held")
        + figure(f"coverage-{symbol}", draw_coverage(overview, symbol), caption, 320)
        + details("Over all time", table(["horizon", "inside 80 %", "inside 95 %"], rows, held))
    )
