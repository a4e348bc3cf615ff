"""Printing of values: JSON for programs, tables of text for people."""

import re
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["MOST_ROWS", "print_json", "print_table", "render_table"]

MOST_ROWS = 200  # of a frame that are printed as text: more are no help on a terminal
WIDTH = 200  # characters of a table, where the output is no terminal
GAP = 2  # characters between columns
LEAST = 10  # characters of a column of longer texts, which are broken over several lines
NUMBER = re.compile(r"[-+]?[0-9][0-9.,:e+-]*")
NUMERIC = re.compile(r"([-+]?[0-9][0-9.,]*(e[-+]?[0-9]+)?|-?inf|nan)?", re.IGNORECASE)


def print_json(content: Any) -> None:
    """Print a value as indented JSON."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(content, enc_hook=str)).decode() + "\n")


def print_table(rows: list[dict[str, Any]], title: str = "") -> None:
    """Print rows as a table of aligned columns, as wide as the terminal."""
    sys.stdout.write(render_table(rows, title))


def render_table(rows: list[dict[str, Any]], title: str = "") -> str:
    """Return rows as a table of aligned columns, as wide as the terminal; numbers are never broken.

    Columns that do not fit beside the others follow in a table of their own below, after the leading columns of text,
    which say what each row is.
    """
    cells = {name: [_cell(row[name]) for row in rows] for name in (rows[0] if rows else [])}
    columns = [_Column(name, texts) for name, texts in cells.items()]
    width = shutil.get_terminal_size((WIDTH, 1)).columns
    blocks = list(_cut_blocks(columns, width))
    console = Console(width=max([width, *(_measure(block) for block in blocks)]), file=sys.stdout)
    with console.capture() as capture:
        for number, block in enumerate(blocks or [[]]):
            if number:
                console.print()
            console.print(_draw(block, width, "" if number else title))
    return "\n".join(line.rstrip() for line in capture.get().split("\n"))


class _Column:
    """A column of texts.

    Attributes:
        wanted: How wide it is without line breaks.
        least: How wide it has to be to break no number, and no word of its name.
        width: How wide it is drawn.
    """

    def __init__(self, name: str, texts: list[str]) -> None:
        self.name, self.texts = name, texts
        self.is_numeric = all(NUMERIC.fullmatch(text) for text in texts)
        longest = max((cell_len(line) for text in texts for line in text.split("\n")), default=0)
        self.wanted = max(longest, cell_len(name), 1)
        words = [cell_len(word) for word in name.split()]
        numbers = [len(number) for text in texts for number in NUMBER.findall(text)]
        unbroken = longest if self.is_numeric else min(longest, max([LEAST, *numbers]))
        self.least = min(self.wanted, max([unbroken, *words, 1]))
        self.width = self.wanted


def _measure(columns: list[_Column]) -> int:
    """Return the least width of columns beside each other."""
    return sum(column.least for column in columns) + GAP * len(columns)


def _cut_blocks(columns: list[_Column], width: int) -> Iterator[list[_Column]]:
    """Yield columns that fit beside each other; those after the first begin with its columns before any number."""
    first = next((place for place, column in enumerate(columns) if column.is_numeric), len(columns))
    keys = columns[:first] if 2 * _measure(columns[:first]) <= width else []
    block: list[_Column] = []
    for column in columns:
        if block and _measure([*block, column]) > width:
            yield block
            block = list(keys) if _measure([*keys, column]) <= width else []
        block.append(column)
    if block:
        yield block


def _draw(columns: list[_Column], width: int, title: str) -> Table:
    """Return a table of columns, each between its least and its wanted width."""
    shown = Table(
        title=Text(title) if title else None, title_justify="left", box=None, pad_edge=False, header_style="bold"
    )
    spare = max(width - _measure(columns), 0)
    for column in sorted(columns, key=lambda column: column.wanted - column.least):
        column.width = min(column.wanted, column.least + spare)
        spare -= column.width - column.least
    for column in columns:
        shown.add_column(
            Text(column.name), justify="right" if column.is_numeric else "left", overflow="fold", width=column.width
        )
    for texts in zip(*(column.texts for column in columns), strict=True):
        shown.add_row(*(Text(text) for text in texts))  # as Text: in raw input, "[/b]" is no markup
    return shown


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.7g}" if isinstance(value, float) else str(value)
