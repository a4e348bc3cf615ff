"""Printing of values: JSON for programs, tables of text for people."""

import sys
from typing import Any

import msgspec
import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["MOST_ROWS", "print_frame", "print_json", "print_table"]

MOST_ROWS = 200  # of a frame that are printed as text: more are no help on a terminal
WIDTH = 200  # characters of a table, where the output is no terminal


def print_json(content: Any) -> None:
    """Print a value as indented JSON."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(content, enc_hook=str)).decode() + "\n")


def print_table(rows: list[dict[str, Any]], title: str = "") -> None:
    """Print rows as a table of aligned columns, as wide as the terminal."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    shown = Table(
        title=Text(title) if title else None, title_justify="left", box=None, pad_edge=False, header_style="bold"
    )
    for name in rows[0] if rows else []:
        numeric = all(isinstance(row[name], int | float | None) for row in rows)
        shown.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text(_cell(value)) for value in row.values()))  # as Text: in raw input, "[/b]" is no markup
    console.print(shown)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def print_frame(rows: pl.DataFrame, *, as_json: bool) -> None:
    """Print a frame, as text its first rows only."""
    if as_json:
        print_json(rows.to_dicts())
        return
    if rows.is_empty():
        print(f"no rows; the columns are {', '.join(rows.columns)}")
        return
    print_table(
        rows.head(MOST_ROWS).with_columns(pl.col(pl.Float64, pl.Float32, pl.Int64, pl.Int32).cast(pl.String)).to_dicts()
    )
    if rows.height > MOST_ROWS:
        print(f"… and {rows.height - MOST_ROWS:,} more rows; --json prints all of them")
