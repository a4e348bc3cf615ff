"""How much a table holds, from the ends of its objects alone."""

import datetime as dt
from dataclasses import dataclass

from chandlery.schema import TABLES
from chandlery.storage import Store
from chandlery.tables import list_objects

__all__ = ["Extent", "measure_table"]


@dataclass(frozen=True)
class Extent:
    """How much a table holds.

    Args:
        objects: Its objects.
        size_bytes: Of all of them.
        rows: In all of them.
        first: First time in the column that orders it; None where it has none.
        last: Last time likewise.
        modified_at: When an object was last put.
    """

    objects: int
    size_bytes: int
    rows: int
    first: dt.datetime | None
    last: dt.datetime | None
    modified_at: dt.datetime | None


def measure_table(store: Store, table: str) -> Extent:
    """Return how much a table holds, from the ends of its objects alone."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - of the commands this one alone needs it

    entries, rows, times = list_objects(store, table), 0, []
    for entry in entries:
        with store.open(entry.path) as file:
            footer = pq.read_metadata(file)
        rows += footer.num_rows
        for number in range(footer.num_row_groups):
            group = footer.row_group(number)
            columns = {group.column(place).path_in_schema: group.column(place).statistics for place in range(group.num_columns)}
            found = columns.get(TABLES[table].sort[0])
            if found is not None and found.has_min_max and isinstance(found.min, dt.datetime):
                times += [found.min, found.max]
    modified = max((entry.modified_at for entry in entries), default=None)
    return Extent(len(entries), sum(entry.size_bytes for entry in entries), rows, min(times, default=None), max(times, default=None), modified)
