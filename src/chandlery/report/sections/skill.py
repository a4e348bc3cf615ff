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
        "Skill is the share of naive's squared error that a model takes away: 0 is the price that stays where it is, "
        "above 0 is better, below 0 is worse; bars are 95 % intervals, and one that crosses the line at 0 proves nothing."
    )
    warning = (
        "<strong>No return to trade on.</strong> Part of the skill at the shortest horizons is a stale price catching "
        "up with the market: real as a forecast of the next recorded close, not a price that one could have traded at. "
        "Costs and spreads are not in it. What is served is chosen on the past alone, and can turn out worse than naive."
    )
    caption = (
        f"All {count(overview.scores['symbol'].n_unique())} symbols together. Each symbol's errors count in units of its "
        "own naive error; the interval comes from the spread of whole months, which hardly overlap."
    )
    return (
        paragraph(lead, "lead")
        + paragraph(warning, "note")
        + figure("skill-all", draw_skill(overview, overview.pooled), caption, 340)
        + details("Skill of what was served, every symbol", tabulate_served(overview))
        + for_each_symbol(symbols, partial(show_symbol, overview))
    )


def show_symbol(overview: Overview, detail: Detail) -> str:
    """Return the skill of one symbol: over all time, month by month, and in numbers."""
    symbol = detail.symbol
    scores = overview.scores.filter((pl.col("symbol") == symbol) & (pl.col("period") == "all"))
    if scores.is_empty():
        return paragraph(f"{symbol} has no scores yet.")
    caption = (
        f"{symbol}, all its past. The interval comes from the Diebold–Mariano statistic: "
        "skill divided by it is skill's standard error."
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
        "What was served is the blend wherever it was not naive, so that its line mostly hides the blend's. "
        "A month far beyond the others is cut off, and written where it is."
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
    caption = (
        f"Over all time; the verdict holds at 5 % false discovery over all of the horizon in {overview.series.name}"
    )
    return table(heads, rows, caption, words=3)


def tabulate_served(overview: Overview) -> str:
    """Return the table of the skill of what was served, a row per symbol and a column per horizon."""
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
    return table(heads, rows, "Skill of what was served, over all time, and the verdict against naive")
