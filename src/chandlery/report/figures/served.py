"""The figure of what is served: how often it was naive."""

from chandlery.report.data import Detail
from chandlery.report.figures.elements import PERCENT, Figure, draw_heatmap, label_years, lay_out
from chandlery.units import to_minutes_text

__all__ = ["draw_naive"]


def draw_naive(detail: Detail, horizons: list[int]) -> Figure:
    """Return the share of forecasts for which naive was served, a column per month and a row per horizon."""
    months = sorted({month for shares in detail.naive.values() for month in shares["month"]})
    shares = {horizon: dict(detail.naive[horizon].select("month", "share").iter_rows()) for horizon in horizons}
    percents = [
        [None if (share := shares[horizon].get(month)) is None else share * PERCENT for month in months]
        for horizon in horizons
    ]
    labels = (months, [to_minutes_text(horizon) for horizon in horizons])
    hover = "%{x} %{y}: naive %{z:.0f} % of the time<extra></extra>"
    heatmap = draw_heatmap(labels, percents, 100, ("--model-0", "--naive-1"), hovertemplate=hover)
    horizons_axis = {"type": "category", "showgrid": False, "autorange": "reversed"}
    return {"data": [heatmap], "layout": lay_out(xaxis=label_years(months), yaxis=horizons_axis)}
