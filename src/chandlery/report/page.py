"""One HTML page that holds all it needs: Plotly's script, the numbers and the words; it asks nothing of any network."""

from importlib.resources import files

import polars as pl

from chandlery.errors import SettingsError
from chandlery.lake.lake_file import UNASSIGNED
from chandlery.report.choice import tell_others
from chandlery.report.data import Detail, Overview
from chandlery.report.figures import Figure
from chandlery.report.markup import count, escape, figure, paragraph, percent, when
from chandlery.report.measures import total
from chandlery.report.sections import SECTIONS
from chandlery.sources.spacing import describe_grid
from chandlery.units import to_minutes_text

__all__ = ["load_script", "render_plot", "render_report"]

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
MOST_NAMES = 12  # symbols that are named where they are left out
WORDS = (
    "<strong>naive</strong> is the forecast that the price stays where it is. <strong>Skill</strong> is measured against it. "
    "A <strong>horizon</strong> is how far ahead a forecast looks. <strong>Served</strong> is the one forecast that is published as <code>predicted_close</code>: that of the models' <strong>blend</strong>, or naive's. "
    "Every forecast was made from what was known at its time: when a model was fitted, it had not seen the moments that it is scored on. Times are UTC."
)


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


def render_report(overview: Overview, found: list[Detail], script: str) -> str:
    """Return the page of a series.

    Args:
        overview: Of the whole series.
        found: Of each symbol that is shown in detail.
        script: As `load_script` gives it.
    """
    title = escape(f"{overview.page.words}: candles and forecasts")
    links = "".join(f'<li><a href="#{name}">{escape(short)}</a></li>' for name, short, _, _ in SECTIONS)
    names = "".join(f"<option>{escape(detail.symbol)}</option>" for detail in found)
    chooser = f'<label>Symbol <select id="symbol" autocomplete="off">{names}</select></label>' if found else ""
    body = f"<header><h1>{title}</h1>\n{introduce(overview, found)}</header>\n"
    body += f'<nav aria-label="Sections"><div><ol>{links}</ol>{chooser}</div></nav>\n<main>\n'
    for name, _, heading, show in SECTIONS:
        body += f'<section id="{name}"><h2>{escape(heading)}</h2>\n{show(overview, found)}</section>\n'
    body += "</main>\n<footer>Made by <code>chandlery report</code> from the lake's published tables alone; the same tables give the same page.</footer>\n"
    return assemble(title, body, script, tools=False)


def introduce(overview: Overview, found: list[Detail]) -> str:
    """Return the head of the page: what it is about, the facts in brief, and what is left out."""
    lake, symbols = overview.lake, overview.symbols
    many = f"{count(symbols.height)} {'symbol' if symbols.height == 1 else 'symbols'}"
    text = paragraph("No file has been read as candles: what was refused is listed below.", "lead")
    if lake != UNASSIGNED:
        horizons = ", ".join(map(to_minutes_text, overview.horizons))
        ahead = f"forecasts {horizons} ahead by {escape(', '.join(lake.models))}"
        candles = f"Candles of {escape(describe_grid(lake.grid))}, {many}"
        text = paragraph(f"{candles}, {ahead}; newest candle {when(overview.newest)} UTC.", "lead")
    if others := tell_others(overview.page):
        text += paragraph(escape(others), "note")
    cells = "".join(
        f"<div><dt>{name}</dt><dd>{value}<small>{rest}</small></dd></div>"
        for name, value, rest in tell_facts(overview, found)
    )
    text += f'<dl class="facts">{cells}</dl>\n' + paragraph(WORDS)
    if overview.left_out:
        named = escape(", ".join(overview.left_out[:MOST_NAMES]))
        more = f" and {count(len(overview.left_out) - MOST_NAMES)} more" * (len(overview.left_out) > MOST_NAMES)
        shown = escape(", ".join(overview.shown)) or "no symbol"
        alone = f"In the tables and sums alone: {named}{more}; <code>--symbol</code> chooses others."
        text += paragraph(f"In detail: {shown}. {alone}")
    return (
        text
        + "<noscript><p class=note>The figures need JavaScript, from this page alone; the tables do not.</p></noscript>\n"
    )


def tell_facts(overview: Overview, found: list[Detail]) -> list[tuple[str, str, str]]:
    """Return the facts in brief: name, value and what belongs to it."""
    symbols = overview.symbols
    read, kept, refused, files_read = (
        count(int(total(symbols[name]))) for name in ("rows_read", "rows_kept", "refused", "files")
    )
    facts = [("candles", kept, f"of {read} rows read"), ("files refused", refused, f"of {files_read}")]
    served = overview.scores.filter((pl.col("model") == "served") & (pl.col("period") == "all"))
    if served.is_empty():
        return [*facts, ("forecasts", "none yet", "they come with enough history")]
    better, worse = ((served["verdict"] == verdict).sum() for verdict in ("better", "worse"))
    told = f"symbols × horizons, at 5 % false discovery within each horizon; worse: {worse}"
    facts.append(("served better than naive", f"{better} of {served.height}", told))
    longest = overview.pooled.filter(pl.col("model") == "served").sort("horizon_minutes")
    for row in longest[[0, -1]].unique(maintain_order=True).iter_rows(named=True):
        spread = "" if row["error"] is None else f"± {row['error'] * 196:.2f} of naive's squared error"
        facts.append((f"skill served, {to_minutes_text(row['horizon_minutes'])}", percent(row["skill"]), spread))
    shares = [share for detail in found for share in detail.naive.values() if share.height]
    if shares:
        whole, naive = (sum(total(share[name]) for share in shares) for name in ("n", "naive"))
        facts.append(("naive served", percent(naive / whole, 1), "of the time, symbols in detail"))
    known = served.drop_nulls("coverage_80")
    if known.height:
        held = [total(known[f"coverage_{level}"] * known["n"]) / total(known["n"]) for level in (80, 95)]
        facts.append(("80 % interval held", percent(held[0], 1), f"95 % interval: {percent(held[1], 1)}"))
    return facts


def render_plot(title: str, drawn: Figure, caption: str, notes: list[str], script: str) -> str:
    """Return a page with one picture.

    Args:
        title: Of which symbol and series.
        drawn: The picture.
        caption: What it shows.
        notes: How to read it, a paragraph each.
        script: As `load_script` gives it.
    """
    told = "".join(paragraph(escape(note)) for note in notes if note)
    picture = figure("plot", drawn, caption, 560)
    body = f"<header><h1>{escape(title)}</h1></header>\n<main>{picture}{told}</main>\n"
    return assemble(escape(title), body, script, tools=True)


def assemble(title: str, body: str, script: str, *, tools: bool) -> str:
    """Return a whole document around ready HTML."""
    room = files("chandlery.report")
    style, behaviour = (room.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    head = f'<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n<title>{title}</title>\n<style>\n{style}</style>\n'
    scripts = f"<script>{script}</script>\n<script>\n{behaviour}</script>\n"
    return f'<!doctype html>\n<html lang="en" data-tools="{"yes" if tools else "no"}">\n<head>\n{head}</head>\n<body>\n{body}{scripts}</body>\n</html>\n'
