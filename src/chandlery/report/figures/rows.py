"""The figure of the accounting: rows that became no candles."""

import polars as pl

from chandlery.report.figures.elements import LEGEND, Figure, lay_out

__all__ = ["draw_rows"]

FATES = (
    ("rows_identical", "identical", "--c0"),
    ("rows_superseded", "superseded", "--c1"),
    ("rows_rejected", "rejected", "--hole"),
)


def draw_rows(symbols: pl.DataFrame) -> Figure:
    """Return the rows that became no candles as stacked bars, one bar per symbol.

    Reads:
        symbol, rows_identical, rows_superseded, rows_rejected.
    """
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
        for column, name, colour in FATES
    ]
    layout = lay_out(
        barmode="stack",
        legend={**LEGEND, "traceorder": "normal"},  # in the order of the stack; Plotly reverses it otherwise
        xaxis={"title": "rows", "rangemode": "tozero"},
        yaxis={"autorange": "reversed", "type": "category"},
    )
    return {"data": bars, "layout": layout}
