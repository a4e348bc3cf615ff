"""The objects of the lake's tables: their paths, columns and types, and how they are written."""

import io
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TypeVar

import dataframely as dy
import polars as pl

from chandlery.errors import SettingsError
from chandlery.lake.staging import Target
from chandlery.lake.store import Entry, Store
from chandlery.schema import MODEL_COLUMNS, TABLES, Table

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
]

OBJECT = "part-0.parquet"
ROW_GROUP = 131_072
MOST_AT_ONCE = 1_000_000  # rows of an object that are held together: a year of minutes has half as many
PIECE_ROWS = 8 * ROW_GROUP  # of larger ones
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


def find_table(name: str) -> Table:
    """Return the contract of a table.

    Raises:
        SettingsError: There is no such table.
    """
    if name not in TABLES:
        raise SettingsError(f"table {name!r}", f"one of {', '.join(TABLES)}", "see docs/tables.md")
    return TABLES[name]


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
