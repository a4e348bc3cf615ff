"""Pieces of HTML: every text that comes from data is escaped here, and nowhere else is HTML made of it."""

import datetime as dt
import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

__all__ = [
    "NO_FORECASTS_YET",
    "count",
    "details",
    "escape",
    "figure",
    "only_for",
    "paragraph",
    "percent",
    "plus_minus",
    "table",
    "when",
]

NO_FORECASTS_YET = (
    "There are no forecasts yet: chandlery forecast makes them, once there is enough history for a first fit."
)

SHORT = 20  # letters of a cell that is not broken into lines
DIGITS = 7  # that a number of a figure keeps
DASH = "–"


def escape(value: object) -> str:
    """Return a text from data as HTML.

    Example:
        >>> escape("<b>")
        '&lt;b&gt;'
    """
    return html.escape(str(value))


def count(number: int) -> str:
    """Return a whole number with its thousands apart."""
    return f"{number:,}"


def percent(share: float | None, digits: int = 2) -> str:
    """Return a share in percent; a dash where there is none."""
    return DASH if share is None else f"{share * 100:.{digits}f} %"


def plus_minus(share: float | None, error: float | None) -> str:
    """Return a share in percent with the half width of its 95 % interval, 1.96 standard errors."""
    return percent(share) + ("" if share is None or error is None else f" ± {error * 196:.2f}")


def when(time: dt.datetime | None) -> str:
    """Return a moment in UTC, to the minute, or to the second where it is no whole minute; a dash where there is none."""
    return DASH if time is None else f"{time:%Y-%m-%d %H:%M:%S}".removesuffix(":00")


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph of ready HTML."""
    return f'<p class="{kind}">{text}</p>\n' if kind else f"<p>{text}</p>\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], caption: str, *, words: int = 1) -> str:
    """Return a table in a box that scrolls by itself.

    Args:
        heads: Names of the columns.
        rows: Their values, escaped here.
        caption: What the table shows.
        words: So many columns, from the left, hold words; the others hold numbers.
    """

    def cells(values: Sequence[object], tag: str) -> str:
        kinds = [
            "number" if place >= words else "long" if len(str(value)) > SHORT else "word"
            for place, value in enumerate(values)
        ]
        return "".join(
            f'<{tag} class="{kind}">{escape(value)}</{tag}>' for kind, value in zip(kinds, values, strict=True)
        )

    body = "\n".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}"><table><caption>{escape(caption)}</caption>\n<thead><tr>{cells(heads, "th")}</tr></thead>\n<tbody>{body}</tbody></table></div>\n'


def details(summary: str, content: str) -> str:
    """Return ready HTML behind a line that opens it."""
    return f"<details><summary>{escape(summary)}</summary>\n{content}</details>\n"


def only_for(symbol: str, content: str) -> str:
    """Return ready HTML that is shown while a symbol is chosen."""
    return f'<div class="of-symbol" data-symbol="{escape(symbol)}">\n{content}</div>\n'


def figure(name: str, drawn: dict[str, Any], caption: str, height: int = 320) -> str:
    """Return a figure's place and its numbers; the page draws it once it comes into sight.

    Args:
        name: Its id, unique on the page.
        drawn: Plotly's data and layout.
        caption: What it shows, in words; also for those who cannot see it.
        height: In pixels.
    """
    numbers = msgspec.json.encode(tidy(drawn)).decode()
    for letter, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        numbers = numbers.replace(letter, code)
    place = f'<div class="plot" id="{escape(name)}" role="img" aria-label="{escape(caption)}" style="height:{height}px"></div>'
    return f'<figure>{place}<figcaption>{escape(caption)}</figcaption><script type="application/json" data-for="{escape(name)}">{numbers}</script></figure>\n'


def tidy(value: Any) -> Any:
    """Return what a figure holds with numbers of seven digits, null in place of what is none."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: tidy(inner) for name, inner in value.items()}
    return [tidy(inner) for inner in value] if isinstance(value, list | tuple) else value
