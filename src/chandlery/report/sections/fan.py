"""Section 5: the newest forecasts on the newest candles."""

import datetime as dt
from collections.abc import Sequence
from functools import partial

from chandlery.report.data import Detail, Overview
from chandlery.report.figures.elements import LEVELS
from chandlery.report.figures.fan import draw_day, draw_near
from chandlery.report.markup import (
    DASH,
    escape,
    figure,
    lasting,
    paragraph,
    table,
    when,
)
from chandlery.report.sections.elements import NO_FORECASTS_YET, NO_SYMBOL, for_each_symbol
from chandlery.units import to_interval_text, to_minutes_text

__all__ = ["show_fans"]

DAY = dt.timedelta(days=1)


def show_fans(overview: Overview, symbols: Sequence[Detail]) -> str:
    """Return section 5: the newest forecasts on the newest candles."""
    if not symbols:
        return paragraph(NO_SYMBOL)
    lead = (
        "The newest forecast of each horizon, drawn from the last close. The line is the predicted close, the dashed "
        "line an unchanged price; the inner band should contain the price 8 times in 10, the outer one 19 times in 20. "
        "The targets lie after the newest candle, so the outcomes are not known yet."
    )
    return paragraph(lead, "lead") + for_each_symbol(symbols, partial(show_symbol, overview))


def show_symbol(overview: Overview, detail: Detail) -> str:
    """Return the newest forecasts of one symbol: close up, on a day or more of candles, and in numbers."""
    symbol, fan = detail.symbol, detail.fan
    if fan.issues.is_empty():
        return paragraph(f"{symbol}: {escape(NO_FORECASTS_YET)}")
    newest = fan.issues["issued_at"].max()
    issued = when(newest if isinstance(newest, dt.datetime) else None)
    near = f"{symbol}, forecast at {issued} UTC, close up.{describe_age(overview, detail)}"
    day = f"The same on {describe_span(detail)}, candles of {to_interval_text(fan.bar_seconds)}."
    figures = figure(f"near-{symbol}", draw_near(fan, overview.series.grid.seconds), near, 360) + figure(
        f"day-{symbol}", draw_day(fan), day, 360
    )
    return f'<div class="pair">{figures}</div>' + tabulate_issues(detail)


def tabulate_issues(detail: Detail) -> str:
    """Return the table of the newest forecasts of one symbol, a row per horizon."""
    rows = [
        [
            to_minutes_text(row["horizon_minutes"]),
            when(row["target_time"]),
            row["served_by"],
            f"{row['close']:.6g}",
            f"{row['predicted_close']:.6g}",
            *(
                f"{row[f'lower_{level}']:.6g} – {row[f'upper_{level}']:.6g}"
                if row[f"lower_{level}"] is not None
                else DASH
                for level in LEVELS
            ),
        ]
        for row in detail.fan.issues.iter_rows(named=True)
    ]
    heads = ["horizon", "target time", "served by", "close at issue (naive)", "predicted", "80 %", "95 %"]
    return table(heads, rows, f"{detail.symbol}: the newest forecasts, in the quote currency", words=3)


def describe_span(detail: Detail) -> str:
    """Return how much time the wider of the two figures shows: a day, or as many as 300 candles need."""
    days = detail.fan.span / DAY
    return "the last day" if days <= 1 else f"the last {days:,.0f} days"


def describe_age(overview: Overview, detail: Detail) -> str:
    """Return by how much the last candle of a symbol is older than the lake's newest; empty below a day."""
    last = detail.fan.near["open_time"].max()
    if overview.newest is None or not isinstance(last, dt.datetime) or overview.newest - last < DAY:
        return ""
    return f" Its last candle is {lasting(overview.newest - last)} older than the lake's newest."
