"""Reading and writing the lake's tables: one Parquet object a partition, put whole, under a fixed name."""

import datetime as dt
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TypeVar

import dataframely as dy
import polars as pl

from chandlery.errors import SettingsError, StoreUnavailableError
from chandlery.lake.filters import check_known, make_filter
from chandlery.lake.staging import Target
from chandlery.lake.store import Entry, Store
from chandlery.schema import LAKE_FILE, MODEL_COLUMNS, TABLES, Table

__all__ = [
    "conform",
    "damage_told",
    "decode_partition",
    "empty_rows",
    "encode",
    "join_rows",
    "list_objects",
    "list_partitions",
    "no_lake",
    "partition_path",
    "read_partition",
    "read_pinned",
    "read_table",
    "replace_partition",
    "scan_content",
    "write_partition",
]

OBJECT = "part-0.parquet"
ROW_GROUP = 131_072
MOST_AT_ONCE = 1_000_000  # rows of an object that are held together: a year of minutes has half as many
PIECE_ROWS = 8 * ROW_GROUP  # of larger ones
TRIES = 20
REBUILD = "delete it and the folder state/, and run again: docs/operations.md says what is rebuilt"
Rows = TypeVar("Rows", pl.DataFrame, pl.LazyFrame)


def encode(frames: Iterable[pl.DataFrame]) -> bytes | None:
    """Return frames as one Parquet object: equal rows give equal bytes, however they are cut, on any number of threads.

    Returns:
        None where there is no row.
    """
    held, rows, coming = [], 0, iter(frames)
    for frame in coming:
        held.append(frame)
        rows += frame.height
        if rows > MOST_AT_ONCE:
            return _encode_pieces(chain(held, coming))
    if not rows:
        return None
    buffer = io.BytesIO()
    whole = held[0] if len(held) == 1 else pl.concat(held)
    whole.rechunk().write_parquet(
        buffer, compression="zstd", compression_level=1, row_group_size=ROW_GROUP, statistics=True
    )
    return buffer.getvalue()


def _encode_pieces(frames: Iterable[pl.DataFrame]) -> bytes:
    """Return more rows than are held at once as Parquet."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - a tenth of a second that only such tables cost

    buffer, writer = io.BytesIO(), None
    for piece in _cut_evenly(frames):
        table = piece.to_arrow(compat_level=pl.CompatLevel.oldest())
        if writer is None:
            texts = [name for name, kind in piece.schema.items() if kind == pl.String]
            writer = pq.ParquetWriter(
                buffer, table.schema, compression="zstd", compression_level=1, use_dictionary=texts, store_schema=False
            )
        writer.write_table(table, row_group_size=ROW_GROUP)
    if writer is not None:
        writer.close()
    return buffer.getvalue()


def _cut_evenly(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Yield the same rows, PIECE_ROWS at a time."""
    held = None
    for frame in frames:
        held = frame if held is None else pl.concat([held, frame])
        while held.height >= PIECE_ROWS:
            yield held[:PIECE_ROWS]
            held = held[PIECE_ROWS:]
    if held is not None and held.height:
        yield held


def partition_path(table: str, keys: Mapping[str, object]) -> str:
    """Return where a partition's object stands.

    Example:
        >>> partition_path("candles", {"exchange": "kraken", "interval": "1m", "symbol": "LTCUSD", "year": 2019})
        'candles/exchange=kraken/interval=1m/symbol=LTCUSD/year=2019/part-0.parquet'
    """
    folders = [f"{name}={keys[name]}" for name in TABLES[table].partitions]
    return "/".join([table, *folders, OBJECT])


def parse_partition(path: str) -> dict[str, str]:
    """Return the partition keys that a path holds."""
    return dict(part.split("=", 1) for part in path.split("/") if "=" in part)


def write_partition(target: Target, table: str, keys: Mapping[str, object], frames: Iterable[pl.DataFrame]) -> bool:
    """Put a partition, or delete it if it has no rows; return whether it differs from the published one.

    Args:
        target: Where to put it.
        table: Name of the table.
        keys: Its partition keys.
        frames: All its rows, in the table's order; columns beside the schema's are models'.
    """
    path = partition_path(table, keys)
    content = encode(conform(frame, TABLES[table]) for frame in frames if frame.height)
    if not target.store.differs(path, content):
        return False
    target.put(path, content)
    return True


def replace_partition(
    target: Target, table: str, keys: Mapping[str, object], held: bytes | None, frames: Iterable[pl.DataFrame]
) -> bool:
    """Put a partition whose published bytes are known, with one request; return whether it differs from them.

    Args:
        target: Where to put it.
        table: Name of the table.
        keys: Its partition keys.
        held: The bytes of the object; None where there is none.
        frames: As of `write_partition`.
    """
    content = encode(conform(frame, TABLES[table]) for frame in frames if frame.height)
    if content == held:
        return False
    target.put(partition_path(table, keys), content)
    return True


def conform(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Return the frame with the contract's columns in the contract's order and types, without partition keys."""
    plain = [pl.col(name).cast(kind) for name, kind in object_types(table).items()]
    return frame.select(*plain, *own_columns(frame.columns, table))


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


def adapt(rows: Rows, table: Table) -> Rows:
    """Return an object's rows in the columns of the contract, whenever the object was put, then those of models.

    A column that is younger than the object is null; one that the contract has no longer is left out.
    """
    held = rows.collect_schema().names()
    types = object_types(table)
    known = [
        pl.col(name).cast(kind) if name in held else pl.lit(None, kind).alias(name) for name, kind in types.items()
    ]
    return rows.select(*known, *own_columns(held, table))


def join_rows(table: str, held: pl.DataFrame, *fresh: pl.DataFrame) -> pl.DataFrame:
    """Return an object's rows and new ones, in the contract's columns and then all of models'; null where one is lacking."""
    parts = [adapt(part, TABLES[table]) for part in (held, *fresh)]
    own = dict.fromkeys(name for part in (*parts[1:], parts[0]) for name in own_columns(part.columns, TABLES[table]))
    return pl.concat(parts, how="diagonal").select(*object_types(TABLES[table]), *own)


def own_columns(names: Iterable[str], table: Table) -> list[str]:
    """Return those columns of an object that are models' own."""
    return [name for name in names if name.startswith(MODEL_COLUMNS) and name not in table.schema.columns()]


def object_types(table: Table) -> dict[str, pl.DataType]:
    """Return the contract's columns that stand in an object, with their types there."""
    columns = table.schema.columns().items()
    return {name: plain_type(column.dtype) for name, column in columns if name not in table.partitions}


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


def list_partitions(store: Store, table: str, keys: Mapping[str, object] | None = None) -> list[dict[str, str]]:
    """Return the partition keys of a table's objects, those under the first few keys where these are given."""
    return [parse_partition(entry.path) for entry in list_objects(store, table, keys)]


def list_objects(store: Store, table: str, keys: Mapping[str, object] | None = None) -> list[Entry]:
    """Return a table's objects, by path."""
    prefix = f"{table}/"
    for name in TABLES[table].partitions:
        if keys is None or name not in keys:
            break
        prefix += f"{name}={keys[name]}/"
    return [entry for entry in store.list(prefix) if entry.path.endswith(f"/{OBJECT}")]


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


def no_lake(uri: str) -> SettingsError:
    """Return what to say where a lake is read that is not there."""
    return SettingsError(
        f"no lake at {Store(uri).described}", "a lake that `chandlery run` has made", "check --lake or [lake] uri"
    )


def find_table(name: str) -> Table:
    """Return the contract of a table.

    Raises:
        SettingsError: There is no such table.
    """
    if name not in TABLES:
        raise SettingsError(f"table {name!r}", f"one of {', '.join(TABLES)}", "see docs/tables.md")
    return TABLES[name]


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


def empty_frame(schema: type[dy.Schema]) -> pl.DataFrame:
    """Return a frame of a contract's columns without rows."""
    return pl.DataFrame(schema={name: plain_type(column.dtype) for name, column in schema.columns().items()})


def empty_rows(table: Table) -> pl.DataFrame:
    """Return a frame of a table's columns without its partition keys and without rows."""
    return pl.DataFrame(schema=object_types(table))


def plain_type(kind: pl.DataType) -> pl.DataType:
    """Return the type in the lake: closed sets of words are plain text there, for every reader."""
    if isinstance(kind, pl.Enum):
        return pl.String()
    if isinstance(kind, pl.List) and isinstance(kind.inner, pl.Enum):
        return pl.List(pl.String())
    return kind
