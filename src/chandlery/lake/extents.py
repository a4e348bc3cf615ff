"""The size and time range of tables, from the footers of their Parquet objects."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chandlery.lake.reading import TRIES, replaced_too_fast
from chandlery.lake.store import Entry, Store
from chandlery.lake.tables import list_objects, parse_partition
from chandlery.schema import TABLES, series_name

__all__ = ["Extent", "measure_series", "measure_table"]

Footer = tuple[Entry, Any]  # an object, and its footer as pyarrow has it


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
        StoreUnavailableError: The store did not answer, or objects were replaced faster than they could be read.
    """
    return _measure(table, _read_footers(store, table, keys))


def measure_series(store: Store, table: str) -> dict[str, Extent]:
    """Measure each series of a table; keys are names of series, such as kraken/1m."""
    groups: dict[str, list[Footer]] = {}
    for entry, footer in _read_footers(store, table, None):
        groups.setdefault(series_name(parse_partition(entry.path)), []).append((entry, footer))
    return {name: _measure(table, found) for name, found in groups.items()}


def _read_footers(store: Store, table: str, keys: Mapping[str, object] | None) -> list[Footer]:
    """Return the objects of one listing with their footers, each as of its etag in the listing."""
    from chandlery.lake.pinned import PinnedObject, ReplacedError  # noqa: PLC0415 - imports pyarrow, which is slow

    for _ in range(TRIES):
        entries = list_objects(store, table, keys)
        try:
            footers = list(store.ask_ahead(lambda entry: PinnedObject(store, entry).footer, entries))
        except ReplacedError:
            continue
        return list(zip(entries, footers, strict=True))
    raise replaced_too_fast(table)


def _measure(table: str, found: list[Footer]) -> Extent:
    rows, times = 0, []
    for _, footer in found:
        rows += footer.num_rows
        for number in range(footer.num_row_groups):
            group = footer.row_group(number)
            chunks = [group.column(place) for place in range(group.num_columns)]
            columns = {chunk.path_in_schema: chunk.statistics for chunk in chunks}
            ordered = columns.get(TABLES[table].sort[0])
            if ordered is not None and ordered.has_min_max and isinstance(ordered.min, dt.datetime):
                times += [ordered.min, ordered.max]
    size = sum(entry.size_bytes for entry, _ in found)
    modified = max((entry.modified_at for entry, _ in found), default=None)
    return Extent(len(found), size, rows, min(times, default=None), max(times, default=None), modified)
