"""Reading the lake's tables: `read_table` is the one way in for readers; tasks read single objects."""

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
    "damage_told",
    "decode_partition",
    "read_partition",
    "read_pinned",
    "read_table",
    "scan",
    "scan_content",
]

TRIES = 20
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
    """Return a table's rows, partition keys first, in the order of its key.

    Each object is read as of one etag; one that is replaced meanwhile is read again.

    Returns:
        The columns of the contract, and those of the models; empty where there is nothing yet.

    Args:
        lake: URI of the lake.
        table: One of candles, rejects, ledger, gaps, forecasts, scores, models.
        series: Only this exchange and interval, as in kraken/1m or kraken/1h; without it, those of all series.
        symbol: Only this one, in any spelling.
        horizon_minutes: Only this horizon.
        columns: Only these.
        options: Of the object store, as in [storage].

    Raises:
        SettingsError: There is no such lake, table, series, symbol or column, or no right to read.
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
    rows = join(frames, declared, {*columns, *wanted, *declared.sort} if columns else None)
    for name, value in wanted.items():
        if name not in chosen and name in rows.columns:
            rows = rows.filter(pl.col(name).cast(pl.String) == value)
    rows = rows.sort([*(name for name in declared.partitions if name != "year"), *declared.sort])
    if columns and (unknown := [name for name in columns if name not in rows.columns]):
        raise SettingsError(f"column {unknown[0]!r} of {table}", f"of {', '.join(rows.columns)}", "see docs/tables.md")
    return rows.select(columns) if columns else rows


def read_pinned(store: Store, table: str, keys: Mapping[str, str]) -> list[tuple[dict[str, str], bytes]]:
    """Return the bytes of a table's objects that have some partition keys, each as of the etag that was listed.

    What is still as it was is not read again.

    Raises:
        SettingsError: An object stands under the path of another format.
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
    raise StoreUnavailableError(f"{table} is being replaced all the while", "a moment of rest", "run again")


def check_partitions(store: Store, table: str, entries: Iterable[Entry]) -> None:
    """Make sure that the paths of a table's objects hold all partition keys.

    Raises:
        SettingsError: One does not, as in a lake of an earlier format.
    """
    partitions = TABLES[table].partitions
    for entry in entries:
        if missing := [name for name in partitions if f"/{name}=" not in entry.path]:
            found = f"{entry.path} at {store.uri} names no {missing[0]}"
            hint = f"a lake of format 1 is migrated by `chandlery migrate {store.uri} NEW`"
            raise SettingsError(found, f"the partition keys {', '.join(partitions)}", hint)


def join(parts: list[tuple[dict[str, str], bytes]], table: Table, wanted: set[str] | None = None) -> pl.DataFrame:
    """Return all rows with their partition keys put back; only the wanted of their other columns where these are given."""
    empty = empty_frame(table.schema)
    frames = []
    for keys, content in parts:
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
    """Return a partition's rows without the partition keys; None where there is none.

    Args:
        store: The lake.
        table: Name of the table.
        keys: Its partition keys.
        columns: Only these.
        since: Only rows from this moment on, by the column that orders the table; row groups before it are not decoded.
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
    """Return the rows that a partition's bytes hold; see `read_partition`."""
    if content is None:
        return None
    with damage_told(store, partition_path(table, keys)):
        rows = scan_content(content, table)
        if since is not None:
            rows = rows.filter(pl.col(TABLES[table].sort[0]) >= since)
        return rows.select(columns or pl.all()).collect()


@contextmanager
def damage_told(store: Store, path: str, hint: str = REBUILD) -> Iterator[None]:
    """Decode an object within, and say what to do where it is damaged.

    Args:
        store: That has it.
        path: The object.
        hint: What to do.

    Raises:
        SettingsError: It is.
    """
    try:
        yield
    except pl.exceptions.ComputeError as error:
        found = f"{path} at {store.uri} is no whole Parquet object: {error}"
        raise SettingsError(found, "what a run put there", hint) from error


def scan_content(content: bytes, table: str) -> pl.LazyFrame:
    """Return the rows that an object's bytes hold, adapted to the contract and decoded as they are asked for, within `damage_told`."""
    return adapt(scan(content), TABLES[table])


def scan(content: bytes) -> pl.LazyFrame:
    """Return the rows that Parquet bytes hold, decoded as they are asked for."""
    return pl.scan_parquet(io.BytesIO(content), hive_partitioning=False)
