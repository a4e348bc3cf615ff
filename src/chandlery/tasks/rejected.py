"""How many rows of the files read were rejected, and why."""

from collections import Counter
from collections.abc import Iterable

import polars as pl

from chandlery.sources.files import FileRows

__all__ = ["count_untimely", "find_reasons"]

UNTIMELY = ("not_closed", "time_out_of_range", "off_grid_time")  # reasons that are reported at any share


def count_untimely(read: Iterable[FileRows]) -> dict[str, int]:
    """Return how many rows of some files were rejected for their time, by reason."""
    counts = sum((count_reasons(rows) for rows in read if rows.rejects.height), Counter[str]())
    return {reason: counts[reason] for reason in UNTIMELY if counts[reason]}


def find_reasons(read: Iterable[FileRows]) -> dict[str, str]:
    """Return the commonest reason for which rows of a file were rejected, with their number, by source."""
    commonest = {}
    for rows in read:
        if rows.rejects.height:
            reason, count = min(count_reasons(rows).items(), key=lambda each: (-each[1], each[0]))
            commonest[rows.raw.source] = f"{count:,} {reason}"
    return commonest


def count_reasons(rows: FileRows) -> Counter[str]:
    """Return how many rows of a file were rejected, by reason."""
    return Counter(rows.rejects["reasons"].cast(pl.List(pl.String)).explode().to_list())
