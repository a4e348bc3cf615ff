"""How commands print: JSON for programs, tables of text for people."""

import sys
from typing import Any

import msgspec
import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["MOST_ROWS", "print_frame", "print_json", "print_table"]

MOST_ROWS = 200


def print_json(content: Any) -> None:
    """Print a value as indented JSON."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(content, enc_hook=str)).decode() + "\n")


def print_table(rows: list[dict[str, Any]], title: str = "") -> None:
    """Print rows as aligned columns, as wide as the terminal, or 200 characters wide where the output is no terminal."""
    console = Console(width=None if sys.stdout.isatty() else 200)
    shown = Table(
        title=Text(title) if title else None, title_justify="left", box=None, pad_edge=False, header_style="bold"
    )
    for name in rows[0] if rows else []:
        numeric = all(isinstance(row[name], int | float | None) for row in rows)
        shown.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text(_cell(value)) for value in row.values()))  # raw text such as "[/b]" is no markup
    console.print(shown)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def print_frame(found: pl.DataFrame, *, as_json: bool) -> None:
    """Show rows."""
    if as_json:
        print_json(found.to_dicts())
        return
    if found.is_empty():
        print(f"no rows; columns {', '.join(found.columns)}")
        return
    print_table(
        found.head(MOST_ROWS)
        .with_columns(pl.col(pl.Float64, pl.Float32, pl.Int64, pl.Int32).cast(pl.String))
        .to_dicts()
    )
    if found.height > MOST_ROWS:
        print(f"… {found.height - MOST_ROWS:,} rows more; --json prints all")
