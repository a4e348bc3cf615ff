"""The groups of files that `check` and `plan` show: how they would be read, and what is open about them."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from chandlery.runs.inspection import ROWS, Doubt, Found, Group

__all__ = ["print_groups"]

MOST_GROUPS = 20  # that are printed; --json has all
FEW = 6  # names in a line; the others are counted
WIDTH = 100
INDENT = 16  # columns before the texts of a block


def print_groups(groups: Sequence[Group], of: str) -> None:
    """Print a block for each group of files, with an empty line after it.

    Args:
        groups: The groups.
        of: Which files they are.
    """
    for place, group in enumerate(groups[:MOST_GROUPS], 1):
        print(f"group {place} of {len(groups)}: {_count(group, of)}")
        for line in _list_lines(group):
            print(line.rstrip())
        print()
    if len(groups) > MOST_GROUPS:
        left = groups[MOST_GROUPS:]
        doubts = sum(doubt.files for group in left for doubt in group.doubts)
        print(f"and {len(left):,} groups of {sum(group.files for group in left):,} more {of}", end="")
        print(f", {doubts:,} of which would be refused: --json prints all of them\n")


def _count(group: Group, of: str) -> str:
    """Return how many files a group has, and how many of them were looked at."""
    count = f"{group.files:,} {of if group.files != 1 else of.removesuffix('s')}"
    return count if group.looked_at == group.files else f"{count}, {group.looked_at:,} of them looked at"


def _list_lines(group: Group) -> Iterator[str]:
    """Yield the lines of a block, except its first."""
    yield from _wrap("such as", group.example)
    if group.series:
        yield from _wrap("series", _list_few(group.series))
    if group.symbols:
        yield from _wrap("symbols" if len(group.symbols) > 1 else "symbol", _list_names(group))
    for name, found in group.decisions.items():
        if name != "symbol":
            yield from _wrap(name, _explain(found))
    if group.samples:
        yield from _list_samples(group.samples)
    for doubt in group.doubts:
        yield from _list_doubt(doubt)


def _list_names(group: Group) -> str:
    """Return the symbols of a group, with the evidence for them."""
    found = group.decisions.get("symbol")
    return _list_few(group.symbols) + (f" — {found.by}" if found else "")


def _explain(found: Found) -> str:
    """Return a decision in words."""
    others = f" (others: {', '.join(found.others)})" if found.others else ""
    return f"{found.value}{others} — {found.by}"


def _list_samples(samples: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield rows as the lake would have them, in aligned columns."""
    cells = [list(samples[0])]
    for sample in samples:
        time, *numbers = sample.values()
        cells.append([f"{time:%Y-%m-%d %H:%M:%S}", *("" if each is None else f"{each:.10g}" for each in numbers)])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for place, row in enumerate(cells):
        label = "rows" if place == 0 else ""
        yield f"  {label:<{INDENT - 2}}" + "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True))


def _list_doubt(doubt: Doubt) -> Iterator[str]:
    """Yield the lines of a doubt; those of its hint as they are, to be pasted."""
    count = f"{doubt.files:,} file{'' if doubt.files == 1 else 's'}"
    what = f"would be refused{f' ({doubt.decision})' if doubt.decision else ''}"
    if doubt.decision == ROWS:
        what = "would be read without many rows"
    yield from _wrap("DOUBT", f"{count} {what}: {doubt.message}")
    first, *lines = doubt.hint.split("\n")
    yield from _wrap("", first)
    yield from lines


def _list_few(names: Sequence[str]) -> str:
    """Return the first names as a list, and how many more there are."""
    return ", ".join(names[:FEW]) + f" and {len(names) - FEW:,} more" * (len(names) > FEW)


def _wrap(label: str, text: str) -> list[str]:
    """Return the lines of a text that stands beside its label."""
    wrapped = textwrap.wrap(text, WIDTH - INDENT, break_on_hyphens=False) or [""]
    return [f"  {label if not place else '':<{INDENT - 2}}{line}" for place, line in enumerate(wrapped)]
