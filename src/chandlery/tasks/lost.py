"""Rows that lost against another version of the same candle, as arrays: needed again once the other version changes."""

import numpy as np
import polars as pl

from chandlery.schema import TIME
from chandlery.sources.parse import NUMBERS
from chandlery.state.arrays import Arrays

__all__ = ["MOST_ROWS", "from_arrays", "to_arrays"]

MOST_ROWS = 2_000_000  # of a symbol; of more none are kept, and what was settled of files that are gone stays as it is


def to_arrays(lost: dict[str, pl.DataFrame]) -> Arrays:
    """Return rows by source as arrays; none where there are too many to keep.

    Args:
        lost: row, open_time and values of each source.
    """
    held = {source: rows for source, rows in sorted(lost.items()) if rows.height}
    if not held or sum(rows.height for rows in held.values()) > MOST_ROWS:
        return {}
    rows = pl.concat(list(held.values()))
    return {
        "sources": np.array(list(held)),
        "counts": np.array([part.height for part in held.values()]),
        "row": rows["row"].to_numpy(),
        "time": rows["open_time"].to_physical().to_numpy(),
        "values": rows.select(NUMBERS).to_numpy(),
    }


def from_arrays(arrays: Arrays) -> dict[str, pl.DataFrame]:
    """Return rows by source: row, open_time and values."""
    if not arrays:
        return {}
    values = {name: arrays["values"][:, place] for place, name in enumerate(NUMBERS)}
    rows = pl.DataFrame({"row": arrays["row"], "open_time": pl.Series(arrays["time"]).cast(TIME), **values})
    stops = np.cumsum(arrays["counts"]).tolist()
    return {
        str(source): rows[first:stop]
        for source, first, stop in zip(arrays["sources"], [0, *stops], stops, strict=False)
    }
