"""The objects of the lake's tables: their paths, columns and types, and how they are written."""

import io
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import IO, TYPE_CHECKING, TypeVar

import dataframely as dy
import polars as pl

from chandlery.errors import SettingsError
from chandlery.lake.staging import Target
from chandlery.lake.store import Entry, Store
from chandlery.schema import MODEL_COLUMNS, TABLES, Table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "adapt",
    "conform",
    "empty_frame",
    "empty_rows",
    "encode",
    "find_table",
    "join_rows",
    "list_objects",
    "list_partitions",
    "own_columns",
    "parse_partition",
    "partition_path",
    "plain_type",
    "replace_partition",
    "write_partition",
    "write_pieces",
]

OBJECT = "part-0.parquet"
ROW_GROUP = 131_072  # rows: fixed, since another number gives other bytes; three months of one-minute candles
MOST_AT_ONCE = 1_000_000  # rows of an object that are encoded at once: a year of minutes has half as many
PIECE_ROWS = 8 * ROW_GROUP  # rows of a larger object that are in memory at once; whole row groups, for equal bytes
Rows = TypeVar("Rows", pl.DataFrame, pl.LazyFrame)


def encode(frames: Iterable[pl.DataFrame]) -> bytes | None:
    """Encode frames as one Parquet object.

    Equal rows give equal bytes, however they are divided into frames and on any number of threads.

    Returns:
        The Parquet bytes; None if there are no rows.
    """
    collected, rows, remaining = [], 0, iter(frames)
    for frame in remaining:
        collected.append(frame)
        rows += frame.height
        if rows > MOST_AT_ONCE:
            return _encode_pieces(chain(collected, remaining))
    if not rows:
        return None
    buffer = io.BytesIO()
    whole = collected[0] if len(collected) == 1 else pl.concat(collected)
    whole.rechunk().write_parquet(
        buffer, compression="zstd", compression_level=1, row_group_size=ROW_GROUP, statistics=True
    )
    return buffer.getvalue()


def _encode_pieces(frames: Iterable[pl.DataFrame]) -> bytes:
    """Encode more rows than fit into memory at once as one Parquet object."""
    buffer = io.BytesIO()
    pieces = (piece.to_arrow(compat_level=pl.CompatLevel.oldest()) for piece in _cut_evenly(frames))
    first = next(pieces)
    write_pieces(buffer, first.schema, chain([first], pieces))
    return buffer.getvalue()


def write_pieces(file: IO[bytes], schema: "pa.Schema", pieces: Iterable["pa.Table"]) -> None:
    """Write rows as one Parquet file, of which only a piece is in memory at once.

    Args:
        file: The file to write to.
        schema: The columns.
        pieces: The rows, each piece in row groups of its own.
    """
    import pyarrow as pa  # noqa: PLC0415 - takes a tenth of a second, which only large objects need
    import pyarrow.parquet as pq  # noqa: PLC0415 - likewise

    texts = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    with pq.ParquetWriter(
        file, schema, compression="zstd", compression_level=1, use_dictionary=texts, store_schema=False
    ) as writer:
        for piece in pieces:
            writer.write_table(piece, row_group_size=ROW_GROUP)


def _cut_evenly(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Yield the same rows in frames of PIECE_ROWS; the last one may be shorter."""
    rest = None
    for frame in frames:
        rest = frame if rest is None else pl.concat([rest, frame])
        while rest.height >= PIECE_ROWS:
            yield rest[:PIECE_ROWS]
            rest = rest[PIECE_ROWS:]
    if rest is not None and rest.height:
        yield rest


def partition_path(table: str, keys: Mapping[str, object]) -> str:
    """Return the path of a partition's object.

    Example:
        >>> partition_path("candles", {"exchange": "kraken", "interval": "1m", "symbol": "LTCUSD", "year": 2019})
        'candles/exchange=kraken/interval=1m/symbol=LTCUSD/year=2019/part-0.parquet'
    """
    folders = [f"{name}={keys[name]}" for name in TABLES[table].partitions]
    return "/".join([table, *folders, OBJECT])


def parse_partition(path: str) -> dict[str, str]:
    """Return the partition keys in a path, by name."""
    return dict(part.split("=", 1) for part in path.split("/") if "=" in part)


def write_partition(target: Target, table: str, keys: Mapping[str, object], frames: Iterable[pl.DataFrame]) -> bool:
    """Write a partition, or delete it if it has no rows; return whether it differs from the published one.

    Args:
        target: Where to write it.
        table: Name of the table.
        keys: Its partition keys.
        frames: All its rows in the order of the table; columns that the schema does not have are those of models.
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
    """Write a partition whose published content is known, with one request; return whether it differs from that.

    Args:
        target: Where to write it.
        table: Name of the table.
        keys: Its partition keys.
        held: The published content; None if there is no object.
        frames: As for `write_partition`.
    """
    content = encode(conform(frame, TABLES[table]) for frame in frames if frame.height)
    if content == held:
        return False
    target.put(partition_path(table, keys), content)
    return True


def conform(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Select the columns of the schema, in its order and types and without partition keys, then those of models."""
    plain = [pl.col(name).cast(kind) for name, kind in object_types(table).items()]
    return frame.select(*plain, *own_columns(frame.columns, table))


def adapt(rows: Rows, table: Table) -> Rows:
    """Return the rows of an object of any age in the columns of the schema, then those of models.

    A column that was added after the object was written is null; one that the schema no longer has is left out.
    """
    names = rows.collect_schema().names()
    types = object_types(table)
    known = [
        pl.col(name).cast(kind) if name in names else pl.lit(None, kind).alias(name) for name, kind in types.items()
    ]
    return rows.select(*known, *own_columns(names, table))


def join_rows(table: str, held: pl.DataFrame, *fresh: pl.DataFrame) -> pl.DataFrame:
    """Append new rows to those of an object: the columns of the schema, then the union of those of models.

    A column is null in the rows that lack it. The columns of models come in the order of the new rows.
    """
    parts = [adapt(part, TABLES[table]) for part in (held, *fresh)]
    own = dict.fromkeys(name for part in (*parts[1:], parts[0]) for name in own_columns(part.columns, TABLES[table]))
    return pl.concat(parts, how="diagonal").select(*object_types(TABLES[table]), *own)


def own_columns(names: Iterable[str], table: Table) -> list[str]:
    """Return the names that are columns of models."""
    return [name for name in names if name.startswith(MODEL_COLUMNS) and name not in table.schema.columns()]


def object_types(table: Table) -> dict[str, pl.DataType]:
    """Return the schema's columns that objects contain, all but the partition keys, with their types there."""
    columns = table.schema.columns().items()
    return {name: plain_type(column.dtype) for name, column in columns if name not in table.partitions}


def list_partitions(store: Store, table: str, keys: Mapping[str, object] | None = None) -> list[dict[str, str]]:
    """Return the partition keys of a table's objects, of those with the given leading keys."""
    return [parse_partition(entry.path) for entry in list_objects(store, table, keys)]


def list_objects(store: Store, table: str, keys: Mapping[str, object] | None = None) -> list[Entry]:
    """List a table's objects with the given leading partition keys, sorted by path."""
    prefix = f"{table}/"
    for name in TABLES[table].partitions:
        if keys is None or name not in keys:
            break
        prefix += f"{name}={keys[name]}/"
    return [entry for entry in store.list(prefix) if entry.path.endswith(f"/{OBJECT}")]


def find_table(name: str) -> Table:
    """Return the declaration of a table.

    Raises:
        SettingsError: There is no such table.
    """
    if name not in TABLES:
        raise SettingsError(f"table {name!r}", f"one of {', '.join(TABLES)}", "see docs/tables.md")
    return TABLES[name]


def empty_frame(schema: type[dy.Schema]) -> pl.DataFrame:
    """Return a frame with the columns of a schema and no rows."""
    return pl.DataFrame(schema={name: plain_type(column.dtype) for name, column in schema.columns().items()})


def empty_rows(table: Table) -> pl.DataFrame:
    """Return a frame with the columns of a table, without its partition keys, and no rows."""
    return pl.DataFrame(schema=object_types(table))


def plain_type(kind: pl.DataType) -> pl.DataType:
    """Return the type of a column in the lake: enumerations are plain text there, which every reader understands."""
    if isinstance(kind, pl.Enum):
        return pl.String()
    if isinstance(kind, pl.List) and isinstance(kind.inner, pl.Enum):
        return pl.List(pl.String())
    return kind
