"""Elements that several sections share: the block of a symbol, and what is said where there is nothing to show."""

from collections.abc import Callable, Sequence

from chandlery.report.data import Detail
from chandlery.report.markup import escape

__all__ = ["NO_FORECASTS_YET", "NO_SCORES_YET", "NO_SYMBOL", "for_each_symbol"]

NO_FORECASTS_YET = (
    "There are no forecasts yet: chandlery forecast computes them once there is enough history for a first fit."
)
NO_SCORES_YET = (
    "No forecast has been scored yet: <code>chandlery forecast</code> computes forecasts once there is enough history "
    "for a first fit, and scores each of them once its target time has passed."
)
NO_SYMBOL = "Nothing to show: no symbol of this lake has candles yet."


def for_each_symbol(symbols: Sequence[Detail], render: Callable[[Detail], str]) -> str:
    """Return a block of ready HTML per symbol; the page shows only that of the chosen symbol."""
    return "".join(
        f'<div class="of-symbol" data-symbol="{escape(detail.symbol)}">\n{render(detail)}</div>\n' for detail in symbols
    )
