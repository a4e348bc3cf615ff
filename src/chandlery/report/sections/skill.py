"""Section 3: skill against the naive forecast."""

from collections.abc import Sequence
from functools import partial

import polars as pl

from chandlery.report.data import Detail, Overview
from chandlery.report.figures.elements import model_colour
from chandlery.report.figures.skill import draw_months, draw_skill
from chandlery.report.markup import (
    DASH,
    count,
    details,
    escape,
    figure,
    heading,
    paragraph,
    percent,
    plus_minus,
    table,
)
from chandlery.report.sections.elements import NO_SCORES_YET, for_each_symbol
from chandlery.units import to_minutes_text

__all__ = ["show_skill"]


def show_skill(overview: Overview, symbols: Sequence[Detail]) -> str:
    """Return section 3: skill against the naive forecast."""
    if overview.scores.is_empty():
        return paragraph(NO_SCORES_YET, "lead")
    lead = (
        "Skill is the share of naive's squared error that a forecast removes: 0 is as good as an unchanged price, "
        "above 0 is better, below 0 is worse. "
        "Bars are 95 % intervals; one that crosses the line at 0 proves no difference."
    )
    warning = (
        "<strong>Skill is not a trading return.</strong> Part of the skill at the shortest horizons is a stale price "
        "catching up with the market: a correct forecast of the next recorded close, but not of a price that one could "
        "have traded at. Costs and spreads are not included. What is served is chosen from past results alone, and can "
        "turn out worse than naive."
    )
    caption = (
        f"All {count(overview.scores['symbol'].n_unique())} symbols together. The errors of each symbol are in "
        "units of its own naive error; the intervals come from the spread of whole months, which hardly overlap."
    )
    return (
        paragraph(lead, "lead")
        + paragraph(warning, "note")
        + figure("skill-all", draw_skill(overview, overview.pooled), caption, 340)
        + details("Skill of the served forecast, every symbol", tabulate_served(overview))
        + for_each_symbol(symbols, partial(show_symbol, overview))
    )


def show_symbol(overview: Overview, detail: Detail) -> str:
    """Return the skill of one symbol: over all time, month by month, and in numbers."""
    symbol = detail.symbol
    scores = overview.scores.filter((pl.col("symbol") == symbol) & (pl.col("period") == "all"))
    if scores.is_empty():
        return paragraph(f"{symbol} has no scores yet.")
    caption = (
        f"{symbol}, over all time. The intervals come from the Diebold–Mariano statistic: "
        "skill divided by it is the standard error of skill."
    )
    months = "".join(
        figure(
            f"months-{symbol}-{horizon}",
            draw_months(overview, symbol, horizon),
            f"{to_minutes_text(horizon)} ahead, skill by month",
            170,
        )
        for horizon in overview.horizons
    )
    return (
        figure(f"skill-{symbol}", draw_skill(overview, scores), caption, 340)
        + heading(f"{symbol}, month by month")
        + explain_lines(overview)
        + f'<div class="small">{months}</div>'
        + details(f"The numbers of {symbol}", tabulate_scores(overview, scores))
    )


def explain_lines(overview: Overview) -> str:
    """Return the key of the lines by month."""
    chips = "".join(
        f'<li><span class="chip" style="background:var({model_colour(overview, model)})"></span>{escape(model)}</li>'
        for model in ("served", *overview.series.models, "blend")
    )
    words = (
        "Served is the blend except where it was naive, so that its line mostly hides that of the blend. "
        "A month far beyond the others is cut off and labelled."
    )
    return f'<ul class="key line">{chips}<li>dashed: naive</li></ul>\n' + paragraph(words)


def tabulate_scores(overview: Overview, scores: pl.DataFrame) -> str:
    """Return the table of all scores of one symbol."""
    rows = [
        [
            to_minutes_text(row["horizon_minutes"]),
            row["model"],
            row["verdict"] or DASH,
            plus_minus(row["skill"], row["error"]),
            DASH if row["dm_statistic"] is None else f"{row['dm_statistic']:.2f}",
            DASH if row["p_value"] is None else f"{row['p_value']:.2g}",
            percent(row["directional_accuracy"], 1),
            count(row["n"]),
        ]
        for row in scores.filter(pl.col("model") != "naive").sort("horizon_minutes", "model").iter_rows(named=True)
    ]
    heads = ["horizon", "model", "against naive", "skill", "DM statistic", "p", "right direction", "forecasts"]
    caption = f"Over all time; verdicts at a false discovery rate of 5 % over the horizon in {overview.series.name}"
    return table(heads, rows, caption, words=3)


def tabulate_served(overview: Overview) -> str:
    """Return the table of the skill of the served forecast, a row per symbol and a column per horizon."""
    served = overview.served
    values = {
        (row["symbol"], row["horizon_minutes"]): f"{plus_minus(row['skill'], row['error'])} ({row['verdict'] or DASH})"
        for row in served.iter_rows(named=True)
    }
    rows = [
        [symbol, *(values.get((symbol, horizon), DASH) for horizon in overview.horizons)]
        for symbol in sorted(set(served["symbol"]))
    ]
    heads = ["symbol", *map(to_minutes_text, overview.horizons)]
    return table(heads, rows, "Skill of the served forecast over all time, and the verdict against naive")
