"""Reading of the lake's tables: `read_table` for readers, and single objects for tasks."""

import datetime as dt
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import polars as pl

from chandlery.errors import SettingsError, StoreUnavailableError
from chandlery.lake.filters import check_known, make_filter
from chandlery.lake.lake_file import no_lake
from chandlery.lake.store import Entry, Store
from chandlery.lake.tables import (
    adapt,
    empty_frame,
    find_table,
    list_objects,
    list_partitions,
    parse_partition,
    partition_path,
)
from chandlery.schema import LAKE_FILE, TABLES, Table

__all__ = [
    "damaged",
    "decode_partition",
    "explain_damage",
    "read_partition",
    "read_pinned",
    "read_table",
    "replaced_too_fast",
    "scan",
    "scan_content",
]

TRIES = 20  # listings, before `read_pinned` gives up on a table whose objects are being replaced
REBUILD = "delete it and the folder state/, and run again: docs/operations.md says what is rebuilt"


def read_table(
    lake: str,
    table: str,
    *,
    series: str | None = None,
    symbol: str | None = None,
    horizon_minutes: int | None = None,
    columns: Sequence[str] | None = None,
    options: Mapping[str, str] | None = None,
) -> pl.DataFrame:
    """Read the rows of a table.

    Each object is read as of one etag. Objects that are replaced in the meantime are read again, so that all rows
    are of one listing.

    Returns:
        The columns of the schema, partition keys first, then those of the models, with their units as docs/tables.md
        lists them; sorted by the key of the table. No rows if nothing was published yet.

    Args:
        lake: URI of the lake.
        table: One of candles, rejects, ledger, gaps, forecasts, scores, models.
        series: Read only this exchange and interval, as in kraken/1m or kraken/1h.
        symbol: Read only this symbol, in any spelling.
        horizon_minutes: Read only this horizon, if the table has horizons.
        columns: Return only these columns.
        options: Options of the object store, as in [storage].

    Raises:
        SettingsError: There is no such lake, table, series, symbol or column, an object is damaged, or reading is not
            permitted.
        StoreUnavailableError: The store did not answer.
    """
    declared, store = find_table(table), Store(lake, options)
    wanted = make_filter(series, symbol, horizon_minutes)
    chosen = {name: value for name, value in wanted.items() if name in declared.partitions}
    frames = read_pinned(store, table, chosen)
    if not frames and store.head(LAKE_FILE) is None:
        raise no_lake(lake)
    if not frames and (series or symbol):
        known = [parts for other in ("ledger", "candles") for parts in list_partitions(store, other)]
        check_known(wanted, known, store.uri)
    rows = join(store, frames, declared, {*columns, *wanted, *declared.sort} if columns else None)
    for name, value in wanted.items():
        if name not in chosen and name in rows.columns:
            rows = rows.filter(pl.col(name).cast(pl.String) == value)
    rows = rows.sort([*(name for name in declared.partitions if name != "year"), *declared.sort])
    if columns and (unknown := [name for name in columns if name not in rows.columns]):
        raise SettingsError(f"column {unknown[0]!r} of {table}", f"of {', '.join(rows.columns)}", "see docs/tables.md")
    return rows.select(columns) if columns else rows


def read_pinned(store: Store, table: str, keys: Mapping[str, str]) -> list[tuple[dict[str, str], bytes]]:
    """Read the objects of a table that have the given partition keys, each as of its etag in one listing.

    If an object was replaced after the listing, the table is listed again, and only what has changed is read again.

    Returns:
        The partition keys and the content of each object, in the order of the paths.

    Raises:
        SettingsError: The path of an object lacks a partition key, as in a lake of an earlier format.
        StoreUnavailableError: Objects were replaced faster than they could be read.
    """
    held: dict[tuple[str, str], bytes | None] = {}
    for _ in range(TRIES):
        found = list_objects(store, table, keys)
        check_partitions(store, table, found)
        listed = [(parse_partition(entry.path), entry) for entry in found]
        entries = [(parts, entry) for parts, entry in listed if keys.items() <= parts.items()]
        held = {place: held.get(place) for place in ((entry.path, entry.etag) for _, entry in entries)}
        missing = [place for place, content in held.items() if content is None]
        held.update(zip(missing, store.ask_ahead(lambda place: store.get_if_match(*place), missing), strict=True))
        contents = [(parts, held[entry.path, entry.etag]) for parts, entry in entries]
        if all(content is not None for _, content in contents):
            return [(parts, content) for parts, content in contents if content is not None]
    raise replaced_too_fast(table)


def replaced_too_fast(table: str) -> StoreUnavailableError:
    """Return the error of a table whose objects were replaced again and again while they were read."""
    return StoreUnavailableError(f"objects of {table} are replaced faster than they are read", "", "run again")


def check_partitions(store: Store, table: str, entries: Iterable[Entry]) -> None:
    """Check that the paths of a table's objects contain all partition keys.

    Raises:
        SettingsError: One does not, as in a lake of an earlier format.
    """
    partitions = TABLES[table].partitions
    for entry in entries:
        if missing := [name for name in partitions if f"/{name}=" not in entry.path]:
            found = f"{entry.path} at {store.uri} lacks the key {missing[0]}"
            hint = f"a lake of format 1 is migrated by `chandlery migrate {store.uri} NEW`"
            raise SettingsError(found, f"the partition keys {', '.join(partitions)}", hint)


def join(
    store: Store, parts: list[tuple[dict[str, str], bytes]], table: Table, wanted: set[str] | None = None
) -> pl.DataFrame:
    """Concatenate the rows of objects, with their partition keys as columns.

    Args:
        store: The lake.
        parts: The partition keys and the content of each object.
        table: The declaration of the table.
        wanted: Only these of the columns that are no partition keys.

    Raises:
        SettingsError: An object is damaged.
    """
    empty = empty_frame(table.schema)
    frames = []
    for keys, content in parts:
        with explain_damage(store, partition_path(table.name, keys)):
            rows = adapt(scan(content), table)
            if wanted is not None:
                rows = rows.select(name for name in rows.collect_schema().names() if name in wanted)
            values = (pl.lit(keys[name]).cast(empty.schema[name]).alias(name) for name in table.partitions)
            frames.append(rows.select(*values, pl.all()).collect())
    return pl.concat([empty, *frames], how="diagonal") if frames else empty


def read_partition(
    store: Store,
    table: str,
    keys: Mapping[str, object],
    columns: Sequence[str] | None = None,
    since: dt.datetime | None = None,
) -> pl.DataFrame | None:
    """Read the rows of a partition, without the partition keys; return None if it is missing.

    Args:
        store: The lake.
        table: Name of the table.
        keys: Its partition keys.
        columns: Only these columns.
        since: Only rows from this moment on, by the first column that the table is sorted by; row groups before it
            are not decoded.
    """
    return decode_partition(store, table, keys, store.get(partition_path(table, keys)), columns, since)


def decode_partition(
    store: Store,
    table: str,
    keys: Mapping[str, object],
    content: bytes | None,
    columns: Sequence[str] | None = None,
    since: dt.datetime | None = None,
) -> pl.DataFrame | None:
    """Return the rows in the content of a partition's object; see `read_partition`."""
    if content is None:
        return None
    with explain_damage(store, partition_path(table, keys)):
        rows = scan_content(content, table)
        if since is not None:
            rows = rows.filter(pl.col(TABLES[table].sort[0]) >= since)
        return rows.select(columns or pl.all()).collect()


@contextmanager
def explain_damage(store: Store, path: str, hint: str = REBUILD) -> Iterator[None]:
    """Raise the error of a damaged object if decoding in the block fails.

    Args:
        store: The store of the object.
        path: The path of the object.
        hint: What the user can do about it.

    Raises:
        SettingsError: Polars cannot decode the object.
    """
    try:
        yield
    except pl.exceptions.ComputeError as error:
        raise damaged(store, path, error, hint) from error


def damaged(store: Store, path: str, error: Exception, hint: str = REBUILD) -> SettingsError:
    """Return the error of an object that a reader of Parquet cannot decode; arguments as for `explain_damage`."""
    found = f"{path} at {store.uri} is not a complete Parquet object: {error}"
    return SettingsError(found, "an object that a run wrote", hint)


def scan_content(content: bytes, table: str) -> pl.LazyFrame:
    """Scan the content of an object, adapted to the schema of the table.

    The rows are decoded when they are collected: do that within `explain_damage`.
    """
    return adapt(scan(content), TABLES[table])


def scan(content: bytes) -> pl.LazyFrame:
    """Scan Parquet bytes, whose rows are decoded when they are collected."""
    return pl.scan_parquet(io.BytesIO(content), hive_partitioning=False)
