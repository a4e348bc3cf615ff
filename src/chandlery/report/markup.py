"""Pieces of HTML. Functions that take text from data escape it; those that take ready HTML say so."""

import datetime as dt
import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from chandlery.report.measures import WIDE

__all__ = [
    "DASH",
    "count",
    "details",
    "escape",
    "figure",
    "half_width",
    "heading",
    "lasting",
    "paragraph",
    "percent",
    "plus_minus",
    "table",
    "when",
]

DASH = "–"  # where there is no value
SHORT = 20  # a cell of more letters is broken into lines
DIGITS = 7  # significant digits of a number in a figure: those that forecasts are published with


def escape(value: object) -> str:
    """Return a text from data as HTML.

    Example:
        >>> escape("<b>")
        '&lt;b&gt;'
    """
    return html.escape(str(value))


def count(number: int) -> str:
    """Return a whole number with separators between thousands."""
    return f"{number:,}"


def percent(share: float | None, digits: int = 2) -> str:
    """Return a share in percent; a dash where there is none."""
    return DASH if share is None else f"{share * 100:.{digits}f} %"


def plus_minus(share: float | None, error: float | None) -> str:
    """Return a share in percent with the half width of its 95 % interval."""
    return percent(share) + ("" if share is None or error is None else f" ± {half_width(error):.2f}")


def half_width(error: float) -> float:
    """Return the half width of a 95 % interval in percent, from the standard error of a share."""
    return error * WIDE * 100


def when(time: dt.datetime | None) -> str:
    """Return a moment in UTC, to the second where it is no whole minute; a dash where there is none."""
    return DASH if time is None else f"{time:%Y-%m-%d %H:%M:%S}".removesuffix(":00")


def lasting(time: dt.timedelta) -> str:
    """Return a length of time in its two greatest units.

    Example:
        >>> lasting(dt.timedelta(hours=30, minutes=5)), lasting(dt.timedelta(seconds=75))
        ('1 d 6 h', '1 min 15 s')
    """
    minutes, seconds = divmod(int(time.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    parts = [f"{minutes} min"] * (minutes > 0 or not seconds) + [f"{seconds} s"] * (seconds > 0)
    return " ".join(parts)


def heading(text: str) -> str:
    """Return a heading within a section."""
    return f"<h3>{escape(text)}</h3>"


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph of ready HTML."""
    return f'<p class="{kind}">{text}</p>\n' if kind else f"<p>{text}</p>\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], caption: str, *, words: int = 1) -> str:
    """Return a table in a box that scrolls by itself.

    Args:
        heads: Names of the columns.
        rows: Their values, escaped here.
        caption: What the table shows.
        words: How many columns, from the left, hold words; the others hold numbers.
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
    named = escape(caption)
    content = f"<thead><tr>{cells(heads, 'th')}</tr></thead>\n<tbody>{body}</tbody>"
    box = f'<div class="scroll" role="region" tabindex="0" aria-label="{named}">'  # tabindex: the arrow keys scroll it
    return f"{box}<table><caption>{named}</caption>\n{content}</table></div>\n"


def details(summary: str, content: str) -> str:
    """Return ready HTML that a click on its summary opens."""
    return f"<details><summary>{escape(summary)}</summary>\n{content}</details>\n"


def figure(name: str, drawn: dict[str, Any], caption: str, height: int = 320) -> str:
    """Return the place and the values of a figure; the page draws it once it scrolls into view.

    Args:
        name: Its id, unique on the page.
        drawn: Plotly's data and layout.
        caption: What it shows, in words; also read by screen readers.
        height: In pixels.
    """
    numbers = msgspec.json.encode(tidy(drawn)).decode()
    for letter, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        numbers = numbers.replace(letter, code)
    words, label = escape(caption), escape(name)
    place = f'<div class="plot" id="{label}" role="img" aria-label="{words}" style="height:{height}px"></div>'
    data = f'<script type="application/json" data-for="{label}">{numbers}</script>'
    return f"<figure>{place}<figcaption>{words}</figcaption>{data}</figure>\n"


def tidy(value: Any) -> Any:
    """Return the content of a figure with numbers of seven digits, and null in place of numbers that are not finite."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: tidy(inner) for name, inner in value.items()}
    return [tidy(inner) for inner in value] if isinstance(value, list | tuple) else value
