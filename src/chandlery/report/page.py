"""One HTML page with everything that it needs: Plotly's script, the values and the words. It loads nothing."""

from collections.abc import Sequence
from importlib.resources import files

import polars as pl

from chandlery.errors import SettingsError
from chandlery.lake.lake_file import UNASSIGNED
from chandlery.report.data import Detail, Overview
from chandlery.report.figures.elements import LEVELS, Figure
from chandlery.report.markup import count, escape, figure, half_width, paragraph, percent, when
from chandlery.report.measures import total
from chandlery.report.sections.calibration import show_calibration
from chandlery.report.sections.fan import show_fans
from chandlery.report.sections.gaps import show_gaps
from chandlery.report.sections.rows import account_rows
from chandlery.report.sections.served import explain_serving
from chandlery.report.sections.skill import show_skill
from chandlery.report.series import describe_other_series
from chandlery.sources.spacing import describe_grid
from chandlery.units import to_minutes_text

__all__ = ["SECTIONS", "load_script", "render_plot", "render_report"]

# In the order of the data, from raw rows to what is served: id, name in the navigation, heading, function.
SECTIONS = (
    ("rows-accounted", "Rows", "Every row is accounted for", account_rows),
    ("gaps", "Gaps", "Gaps on a calendar", show_gaps),
    ("skill", "Skill", "Skill against the naive forecast", show_skill),
    ("calibration", "Calibration", "Calibration and coverage", show_calibration),
    ("fan", "Newest forecasts", "The newest forecasts", show_fans),
    ("served", "Served", "What is served, and why", explain_serving),
)
# The browser refuses every request, so that the page is the same offline and no value leaves the machine. Scripts and
# styles are inline; Plotly exports pictures through data and blob addresses.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
MOST_NAMES = 12  # symbols not shown in detail that are named
WORDS = (
    "The <strong>naive</strong> forecast is an unchanged price, and <strong>skill</strong> is measured against it. A "
    "<strong>horizon</strong> is how far ahead a forecast looks. <strong>Served</strong> is the one forecast that is "
    "published as <code>predicted_close</code>: the <strong>blend</strong> of the models, or naive. Every forecast was "
    "computed from what was known at its time: no model had been fitted on the moments that it is scored on. Times are "
    "UTC."
)
FOOTER = (
    "Written by <code>chandlery report</code> from the lake's published tables alone; "
    "the same tables give the same page."
)
NO_SCRIPT = "The figures need JavaScript, which this page contains; the tables do not."


def load_script() -> str:
    """Return Plotly's script, which ships with its Python package.

    Raises:
        SettingsError: Plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs  # noqa: PLC0415 - the extra `report`
    except ImportError:
        raise SettingsError(
            "Plotly is not installed", "the extra `report`", "pip install 'chandlery[report]'"
        ) from None
    return str(get_plotlyjs())


def render_report(overview: Overview, symbols: Sequence[Detail], script: str) -> str:
    """Return the page of a series.

    Args:
        overview: Of the whole series.
        symbols: Those that are shown in detail.
        script: As `load_script` returns it.
    """
    title = escape(f"{overview.reader.title}: candles and forecasts")
    links = "".join(f'<li><a href="#{name}">{escape(short)}</a></li>' for name, short, _, _ in SECTIONS)
    names = "".join(f"<option>{escape(detail.symbol)}</option>" for detail in symbols)
    chooser = f'<label>Symbol <select id="symbol" autocomplete="off">{names}</select></label>' if symbols else ""
    body = f"<header><h1>{title}</h1>\n{introduce(overview, symbols)}</header>\n"
    body += f'<nav aria-label="Sections"><div><ol>{links}</ol>{chooser}</div></nav>\n<main>\n'
    for name, _, heading, show in SECTIONS:
        body += f'<section id="{name}"><h2>{escape(heading)}</h2>\n{show(overview, symbols)}</section>\n'
    body += f"</main>\n<footer>{FOOTER}</footer>\n"
    return assemble(title, body, script, tools=False)


def introduce(overview: Overview, symbols: Sequence[Detail]) -> str:
    """Return the head of the page: what it shows, the main figures, and which symbols are not shown in detail."""
    series, number = overview.series, overview.symbols.height
    text = paragraph("No file has been read as candles: the refused files are listed below.", "lead")
    if series != UNASSIGNED:
        horizons = ", ".join(map(to_minutes_text, overview.horizons))
        ahead = f"forecasts {horizons} ahead by {escape(', '.join(series.models))}"
        many = f"{count(number)} {'symbol' if number == 1 else 'symbols'}"
        candles = f"Candles of {escape(describe_grid(series.grid))}, {many}"
        text = paragraph(f"{candles}, {ahead}; newest candle {when(overview.newest)} UTC.", "lead")
    if others := describe_other_series(overview.reader):
        text += paragraph(escape(others), "note")
    cells = "".join(
        f"<div><dt>{name}</dt><dd>{value}<small>{rest}</small></dd></div>"
        for name, value, rest in list_facts(overview, symbols)
    )
    text += f'<dl class="facts">{cells}</dl>\n' + paragraph(WORDS)
    if overview.left_out:
        text += paragraph(describe_left_out(overview))
    return text + f"<noscript><p class=note>{NO_SCRIPT}</p></noscript>\n"


def describe_left_out(overview: Overview) -> str:
    """Return which symbols are shown in detail and which are not."""
    named = escape(", ".join(overview.left_out[:MOST_NAMES]))
    more = f" and {count(len(overview.left_out) - MOST_NAMES)} more" * (len(overview.left_out) > MOST_NAMES)
    shown = escape(", ".join(overview.shown)) or "no symbol"
    rest = f"Only in the tables and totals: {named}{more}; <code>--symbol</code> chooses others."
    return f"Shown in detail: {shown}. {rest}"


def list_facts(overview: Overview, symbols: Sequence[Detail]) -> list[tuple[str, str, str]]:
    """Return the main figures: name, value and explanation of each."""
    read, kept, refused, files_read = (
        count(int(total(overview.symbols[name]))) for name in ("rows_read", "rows_kept", "refused", "files")
    )
    facts = [("candles", kept, f"of {read} rows read"), ("files refused", refused, f"of {files_read}")]
    served = overview.served
    if served.is_empty():
        return [*facts, ("forecasts", "none yet", "computed once there is enough history")]
    better, worse = ((served["verdict"] == verdict).sum() for verdict in ("better", "worse"))
    note = f"symbols × horizons, at a false discovery rate of 5 % within each horizon; worse: {worse}"
    facts.append(("served better than naive", f"{better} of {served.height}", note))
    by_horizon = overview.pooled.filter(pl.col("model") == "served").sort("horizon_minutes")
    for row in by_horizon[[0, -1]].unique(maintain_order=True).iter_rows(named=True):
        spread = "" if row["error"] is None else f"± {half_width(row['error']):.2f} of naive's squared error"
        facts.append(
            (f"skill of the served forecast, {to_minutes_text(row['horizon_minutes'])}", percent(row["skill"]), spread)
        )
    shares = [share for detail in symbols for share in detail.naive.values() if share.height]
    if shares:
        whole, naive = (sum(total(share[name]) for share in shares) for name in ("n", "naive"))
        facts.append(("naive served", percent(naive / whole, 1), "of the time, for the symbols shown in detail"))
    known = served.drop_nulls("coverage_80")
    if known.height:
        shares_inside = [total(known[f"coverage_{level}"] * known["n"]) / total(known["n"]) for level in LEVELS]
        facts.append(
            ("coverage of the 80 % interval", percent(shares_inside[0], 1), f"95 %: {percent(shares_inside[1], 1)}")
        )
    return facts


def render_plot(title: str, drawn: Figure, caption: str, notes: list[str], script: str) -> str:
    """Return a page with one picture.

    Args:
        title: Of which symbol and series.
        drawn: The picture.
        caption: What it shows.
        notes: How to read it, a paragraph each.
        script: As `load_script` returns it.
    """
    words = "".join(paragraph(escape(note)) for note in notes if note)
    picture = figure("plot", drawn, caption, 560)
    body = f"<header><h1>{escape(title)}</h1></header>\n<main>{picture}{words}</main>\n"
    return assemble(escape(title), body, script, tools=True)


def assemble(title: str, body: str, script: str, *, tools: bool) -> str:
    """Return a whole document around ready HTML; `tools` shows Plotly's buttons beside each figure."""
    folder = files("chandlery.report")
    style, behaviour = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    head = (
        '<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'  # browsers ask for /favicon.ico otherwise
        f"<title>{title}</title>\n"
        f"<style>\n{style}</style>\n"
    )
    scripts = f"<script>{script}</script>\n<script>\n{behaviour}</script>\n"
    return (
        f'<!doctype html>\n<html lang="en" data-tools="{"yes" if tools else "no"}">\n'
        f"<head>\n{head}</head>\n<body>\n{body}{scripts}</body>\n</html>\n"
    )
