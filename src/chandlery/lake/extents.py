"""The size and time range of tables, from the footers of their Parquet objects."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chandlery.lake.reading import damaged
from chandlery.lake.store import Entry, Store
from chandlery.lake.tables import list_objects, parse_partition
from chandlery.schema import TABLES, series_name

__all__ = ["Extent", "measure_series", "measure_table"]


@dataclass(frozen=True)
class Extent:
    """The size and time range of a table.

    Args:
        objects: Number of objects.
        size_bytes: Total size of the objects.
        rows: Number of rows.
        first: First time in the column that orders the table; None without rows, or if that column is no time.
        last: Last time in that column, likewise.
        modified_at: When an object was last written; None without objects.
    """

    objects: int
    size_bytes: int
    rows: int
    first: dt.datetime | None
    last: dt.datetime | None
    modified_at: dt.datetime | None


def measure_table(store: Store, table: str, keys: Mapping[str, object] | None = None) -> Extent:
    """Measure a table from the footers of its objects.

    Args:
        store: The lake.
        table: Name of the table.
        keys: Only objects with these leading partition keys.

    Raises:
        SettingsError: An object is damaged.
    """
    return _measure(store, table, list_objects(store, table, keys))


def measure_series(store: Store, table: str) -> dict[str, Extent]:
    """Measure each series of a table; keys are names of series, such as kraken/1m."""
    entries: dict[str, list[Entry]] = {}
    for entry in list_objects(store, table):
        keys = parse_partition(entry.path)
        entries.setdefault(series_name(keys), []).append(entry)
    return {name: _measure(store, table, found) for name, found in entries.items()}


def _measure(store: Store, table: str, entries: list[Entry]) -> Extent:
    import pyarrow as pa  # noqa: PLC0415 - slow to import, and few commands need it
    import pyarrow.parquet as pq  # noqa: PLC0415 - likewise

    def read_footer(entry: Entry) -> Any:
        with store.open(entry.path) as file:
            try:
                return pq.read_metadata(file)
            except pa.ArrowInvalid as error:
                raise damaged(store, entry.path, error) from error

    rows, times = 0, []
    for footer in store.ask_ahead(read_footer, entries):
        rows += footer.num_rows
        for number in range(footer.num_row_groups):
            group = footer.row_group(number)
            chunks = [group.column(place) for place in range(group.num_columns)]
            columns = {chunk.path_in_schema: chunk.statistics for chunk in chunks}
            found = columns.get(TABLES[table].sort[0])
            if found is not None and found.has_min_max and isinstance(found.min, dt.datetime):
                times += [found.min, found.max]
    size = sum(entry.size_bytes for entry in entries)
    modified = max((entry.modified_at for entry in entries), default=None)
    return Extent(len(entries), size, rows, min(times, default=None), max(times, default=None), modified)
