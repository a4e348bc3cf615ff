"""A table of the lake as an Arrow dataset that DuckDB scans; it reads the row groups and columns that are asked for."""

import functools
import operator
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow.fs import LocalFileSystem

from chandlery.lake.pinned import PinnedObject
from chandlery.lake.reading import check_partitions, damaged
from chandlery.lake.store import Entry, Store
from chandlery.lake.tables import ROW_GROUP, empty_frame, list_objects, own_columns, parse_partition, plain_type
from chandlery.schema import TABLES

__all__ = ["MODELLED", "LakeTable", "MoreColumnsError"]

MODELLED = "forecasts"  # the table with columns of models, which its objects name
PARQUET = ds.ParquetFileFormat()
Piece = tuple[PinnedObject, int | None]  # a row group of an object, by its number; None for all of it


class MoreColumnsError(Exception):
    """Objects that a statement reads have columns of models that the table was opened without.

    Args:
        names: The columns.
    """

    def __init__(self, names: list[str]) -> None:
        super().__init__(names)
        self.names = names


class LakeTable(ds.FileSystemDataset):  # type: ignore[misc]
    """The rows of a table, partition keys first. Its objects are listed once, when DuckDB reads rows of it.

    DuckDB calls `scanner` with the columns and the filter of a statement. Objects whose partition keys do not match the
    filter are not read; of the others the footer, then the needed columns of the row groups whose statistics match.

    Args:
        store: The lake.
        table: Name of the table.
        models: The columns of models, as far as they are known.

    Raises:
        MoreColumnsError: Objects that were read have more columns of models.
        ReplacedError: An object was replaced after the listing.
        SettingsError: An object is damaged, or its path lacks a partition key.
    """

    def __init__(self, store: Store, table: str, models: Iterable[str] = ()) -> None:
        self._store, self._table = store, TABLES[table]
        self._entries: list[Entry] | None = None
        self._keys: dict[str, Any] = {}  # expressions of the keys of objects, by path
        self._scans: list[_Scan] = []
        self.failure: Exception | None = None  # DuckDB reports it only as a text with a traceback
        empty = empty_frame(self._table.schema).to_arrow(compat_level=pl.CompatLevel.oldest())
        own = [pa.field(name, pa.float32()) for name in models]
        super().__init__([], pa.schema([*empty.schema, *own]), PARQUET)

    def scanner(self, columns: list[str] | None = None, filter: Any = None, **_: Any) -> Any:  # noqa: A002 - Arrow's name
        """Return a scanner of the rows that match a filter."""
        names = self.schema.names if columns is None else columns
        scan = _Scan(pa.schema([self.schema.field(name) for name in names]), self._read(names, filter))
        self._scans.append(scan)
        return scan

    def close(self) -> None:
        """End all scans, and with them their requests."""
        for scan in self._scans:
            scan.close()

    def _list(self) -> list[Entry]:
        if self._entries is None:
            found = list_objects(self._store, self._table.name)
            check_partitions(self._store, self._table.name, found)
            self._entries = found
        return self._entries

    def check_models(self, objects: Iterable[PinnedObject] | None = None) -> list[PinnedObject]:
        """Return objects, by default all of the table, whose columns of models are all known.

        Raises:
            MoreColumnsError: Some are not.
        """
        checked = list(self._open_ahead(self._list()) if objects is None else objects)
        named = (own_columns(one.footer.schema.to_arrow_schema().names, self._table) for one in checked)
        found = dict.fromkeys(name for names in named for name in names)
        if more := [name for name in found if name not in self.schema.names]:
            raise MoreColumnsError(more)
        return checked

    def _open_ahead(self, entries: Iterable[Entry]) -> Iterator[PinnedObject]:
        return self._store.ask_ahead(functools.partial(PinnedObject, self._store), entries)

    def _read(self, names: list[str], condition: Any) -> Generator[pa.RecordBatch, None, None]:
        """Yield the rows that match a condition, a row group at a time; requests are sent ahead."""
        try:
            objects = self._open_ahead(self._choose(condition))
            if self._table.name == MODELLED:  # before any row: with a LIMIT, not all objects would be looked at
                objects = iter(self.check_models(objects))
            pieces = (piece for source in objects for piece in self._split(source, condition))
            decode = functools.partial(self._decode, names, condition)
            for rows in self._store.ask_ahead(decode, _gather(pieces)):
                yield from rows.to_batches()
        except Exception as error:
            self.failure = error
            raise

    def _choose(self, condition: Any) -> list[Entry]:
        """Return the objects whose partition keys may match a condition."""
        entries = self._list()
        if condition is None:
            return entries
        # Arrow evaluates the condition for the keys; the files of these fragments are never opened.
        nowhere = LocalFileSystem()
        fragments = [
            PARQUET.make_fragment(entry.path, nowhere, partition_expression=self._express_keys(entry))
            for entry in entries
        ]
        chosen = ds.FileSystemDataset(fragments, self.schema, PARQUET).get_fragments(filter=condition)
        paths = {fragment.path for fragment in chosen}
        return [entry for entry in entries if entry.path in paths]

    def _express_keys(self, entry: Entry) -> Any:
        """Return the partition keys of an object as an expression, from which Arrow also fills their columns."""
        if entry.path in self._keys:
            return self._keys[entry.path]
        keys = parse_partition(entry.path)
        types = {name: plain_type(column.dtype) for name, column in self._table.schema.columns().items()}
        values = {name: keys[name] if types[name] == pl.String else int(keys[name]) for name in self._table.partitions}
        known = (ds.field(name) == pa.scalar(value, self.schema.field(name).type) for name, value in values.items())
        self._keys[entry.path] = functools.reduce(operator.and_, known)
        return self._keys[entry.path]

    def _split(self, source: PinnedObject, condition: Any) -> list[Piece]:
        """Return the row groups of an object whose statistics may match a condition."""
        if condition is None or source.footer.num_row_groups == 1:  # Arrow looks at statistics again when it decodes
            return [(source, group) for group in range(source.footer.num_row_groups)]
        groups = self._to_fragment((source, None)).split_by_row_group(filter=condition, schema=self.schema)
        return [(source, group.row_groups[0].id) for group in groups]

    def _decode(self, names: list[str], condition: Any, pieces: list[Piece]) -> pa.Table:
        """Return the rows of row groups that match a condition."""
        dataset = ds.FileSystemDataset([self._to_fragment(piece) for piece in pieces], self.schema, PARQUET)
        try:
            return dataset.to_table(columns=names, filter=condition)
        except (pa.ArrowException, OSError) as error:
            if len(pieces) == 1:
                raise damaged(self._store, pieces[0][0].entry.path, error) from error
        return pa.concat_tables(self._decode(names, condition, [piece]) for piece in pieces)  # names the damaged one

    def _to_fragment(self, piece: Piece) -> Any:
        source, group = piece
        keys = self._express_keys(source.entry)
        groups = None if group is None else [group]
        return PARQUET.make_fragment(source.open(), partition_expression=keys, row_groups=groups)


def _gather(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Yield lists of about a row group's rows: a scan of its own for each small object would take most of the time."""
    held: list[Piece] = []
    rows = 0
    for source, group in pieces:
        more = source.footer.row_group(group).num_rows
        if held and rows + more > ROW_GROUP:
            yield held
            held, rows = [], 0
        held.append((source, group))
        rows += more
    if held:
        yield held


class _Scan:
    """What DuckDB takes for an Arrow scanner: one reads ahead, and would still do so when the query has ended."""

    def __init__(self, schema: pa.Schema, batches: Generator[pa.RecordBatch, None, None]) -> None:
        self.projected_schema, self._batches = schema, batches
        self._lock, self._is_closed = threading.Lock(), False  # DuckDB reads in threads of its own

    def to_reader(self) -> pa.RecordBatchReader:
        """Return a reader of the batches."""
        return pa.RecordBatchReader.from_batches(self.projected_schema, self)

    def __iter__(self) -> "_Scan":
        return self

    def __next__(self) -> pa.RecordBatch:
        with self._lock:
            if self._is_closed:
                raise StopIteration
            return next(self._batches)

    def close(self) -> None:
        """End the batches; a request that is being answered is waited for."""
        self._is_closed = True
        with self._lock:
            self._batches.close()
