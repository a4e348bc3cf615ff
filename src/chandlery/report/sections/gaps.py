"""Section 2: gaps on a calendar."""

import datetime as dt
from collections.abc import Sequence
from functools import partial

import polars as pl

from chandlery.report.data import Detail, Overview
from chandlery.report.figures.gaps import KINDS, draw_calendar
from chandlery.report.markup import (
    count,
    details,
    escape,
    figure,
    lasting,
    paragraph,
    percent,
    table,
    when,
)
from chandlery.report.sections.elements import NO_SYMBOL, for_each_symbol
from chandlery.schema import GAP_KINDS

__all__ = ["show_gaps"]

MOST_GAPS = 10  # gaps of a symbol that are listed; the calendar shows all of them


def show_gaps(overview: Overview, symbols: Sequence[Detail]) -> str:
    """Return section 2: gaps on a calendar."""
    if not symbols:
        return paragraph(NO_SYMBOL)
    lead = (
        "Each square is a day, each column a month. A day on which nothing is missing is plain; any other has the "
        "colour of the kind that is missing longest, and the longer it is missing, the stronger the colour (on a "
        "logarithmic scale: one minute is faint, a whole day is full)."
    )
    return paragraph(lead, "lead") + explain_kinds() + for_each_symbol(symbols, partial(show_symbol, overview))


def explain_kinds() -> str:
    """Return the key of the calendar's colours."""
    kinds = "".join(
        f'<li><span class="chip" style="background:var(--{kind})"></span><b>{kind}</b>: {escape(GAP_KINDS[kind])}</li>'
        for kind in KINDS
    )
    plain = "listed, and nothing is missing except candles without a trade, which are not an error"
    chip = '<span class="chip" style="background:var(--listed)"></span>'
    return f'<ul class="key">{kinds}<li>{chip}{plain}</li></ul>\n'


def show_symbol(overview: Overview, detail: Detail) -> str:
    """Return the calendar of one symbol and the tables of its gaps."""
    row = overview.symbols.row(by_predicate=pl.col("symbol") == detail.symbol, named=True)
    if row["first_time"] is None:
        return paragraph(f"{detail.symbol} has no candles.")
    length = dt.timedelta(seconds=overview.series.grid.seconds)
    last = row["last_time"] + length - dt.timedelta(milliseconds=1)  # a week lasts beyond the day on which it opens
    calendar = draw_calendar(detail.days, row["first_time"].date(), last.date())
    span = (row["last_time"] - row["first_time"]) / length + 1  # in candles
    missing = f"{count(row['missing'])} {'candle' if row['missing'] == 1 else 'candles'}"
    gaps = f"{count(detail.gaps.height)} {'gap' if detail.gaps.height == 1 else 'gaps'}"
    share = percent(row["missing"] / span, 1)
    caption = f"{detail.symbol}: {missing} missing in {gaps}, {share} of the time from its first candle to its last."
    quiet = details("Candles without a trade, by year", tabulate_quiet(detail))
    return figure(f"gaps-{detail.symbol}", calendar, caption, 340) + tabulate_gaps(detail) + quiet


def tabulate_gaps(detail: Detail) -> str:
    """Return the table of a symbol's longest gaps."""
    rows = [
        [when(gap["start"]), when(gap["end"]), lasting(gap["end"] - gap["start"]), gap["kind"], gap["evidence"]]
        for gap in detail.gaps.head(MOST_GAPS).iter_rows(named=True)
    ]
    if not rows:
        return paragraph("There are no gaps.")
    caption = f"The longest gaps of {detail.symbol}"
    return table(["from", "to", "length", "kind", "evidence"], rows, caption, words=5)


def tabulate_quiet(detail: Detail) -> str:
    """Return the table of a symbol's candles without a trade, by year."""
    rows = [
        [when(year["start"]), when(year["end"]), year["evidence"], count(year["missing"])]
        for year in detail.quiet.iter_rows(named=True)
    ]
    return table(["from", "to", "evidence", "candles"], rows, "Candles without a trade, by year", words=3)
