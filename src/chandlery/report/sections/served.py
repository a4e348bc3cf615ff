"""Section 6: what is served, and why."""

from collections.abc import Sequence
from functools import partial

import polars as pl

from chandlery.report.data import Detail, Overview
from chandlery.report.figures.served import draw_naive
from chandlery.report.markup import (
    DASH,
    count,
    details,
    figure,
    paragraph,
    percent,
    plus_minus,
    table,
    when,
)
from chandlery.report.measures import is_month, total
from chandlery.report.sections.elements import NO_SCORES_YET, for_each_symbol
from chandlery.units import to_minutes_text

__all__ = ["explain_serving"]

YEAR_MONTHS = 12


def explain_serving(overview: Overview, symbols: Sequence[Detail]) -> str:
    """Return section 6: what is served, and why."""
    if overview.scores.is_empty():
        return paragraph(NO_SCORES_YET, "lead")
    lead = (
        "Every midnight UTC, the weights of the models in the blend are computed again from the symbol's own past "
        "forecasts. The blend is served where these have beaten naive by more than their uncertainty over the long run "
        "and have not turned worse over the newest weeks; naive is served elsewhere. At times of extreme volatility "
        "the blend is served only where there are past forecasts of such times that have not turned worse."
    )
    fits = details(
        "The models: one fit for all symbols, with a part that is fitted to each symbol", tabulate_fits(overview)
    )
    return paragraph(lead, "lead") + for_each_symbol(symbols, partial(show_symbol, overview)) + fits


def show_symbol(overview: Overview, detail: Detail) -> str:
    """Return what is served of one symbol, and how often it was naive."""
    heads = [
        "horizon",
        "served now",
        "against naive",
        "skill, all time",
        f"skill, last {YEAR_MONTHS} months",
        "naive served",
    ]
    rows = [describe_horizon(overview, detail, horizon) for horizon in overview.horizons]
    served = table(heads, rows, f"{detail.symbol}: what is served, and its past results", words=3)
    if not any(shares.height for shares in detail.naive.values()):
        return served
    caption = (
        f"{detail.symbol}: share of the time that naive was served, by month and horizon. "
        "Faint: the blend all the time. Strong: naive all the time."
    )
    heatmap = draw_naive(detail, overview.horizons)
    return served + figure(f"naive-{detail.symbol}", heatmap, caption, 130 + 26 * len(overview.horizons))


def describe_horizon(overview: Overview, detail: Detail, horizon: int) -> list[object]:
    """Return the row of one horizon: what is served now, the verdict, the skill, and the share of naive."""
    is_wanted = (pl.col("symbol") == detail.symbol) & (pl.col("horizon_minutes") == horizon)
    whole = overview.served.filter(is_wanted).to_dicts()
    months = overview.scores.filter(is_wanted & (pl.col("model") == "served") & is_month()).sort("period")
    recent = months.tail(YEAR_MONTHS)
    naive_error = total(recent["sse_naive"])
    shares = detail.naive[horizon]
    now = detail.fan.issues.filter(pl.col("horizon_minutes") == horizon)["served_by"].to_list()
    return [
        to_minutes_text(horizon),
        now[0] if now else DASH,
        (whole[0]["verdict"] or DASH) if whole else DASH,
        plus_minus(whole[0]["skill"], whole[0]["error"]) if whole else DASH,
        percent(1 - total(recent["sse"]) / naive_error if naive_error > 0 else None),
        percent(total(shares["naive"]) / total(shares["n"]) if shares.height else None, 1),
    ]


def tabulate_fits(overview: Overview) -> str:
    """Return the table of the newest fit of each model."""
    rows = [
        [
            to_minutes_text(row["horizon_minutes"]),
            row["model"],
            when(row["refit_at"]),
            when(row["trained_until"]),
            count(row["rows"]),
            count(row["symbols"]),
            count(row["refits"]),
        ]
        for row in overview.models.iter_rows(named=True)
    ]
    heads = [
        "horizon",
        "model",
        "newest fit, used from",
        "trained on targets until",
        "rows",
        "symbols",
        "fits so far",
    ]
    return table(heads, rows, "The newest fit of each model", words=2)
