"""SQL over the lake's tables with DuckDB; each object is read as of one etag."""

import re
from collections.abc import Mapping
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds

from chandlery.errors import SettingsError
from chandlery.lake.reading import damaged, read_pinned
from chandlery.lake.store import Store
from chandlery.lake.tables import empty_frame, own_columns, partition_path, plain_type
from chandlery.schema import TABLES

__all__ = ["query"]


def query(lake: str, sql: str, options: Mapping[str, str] | None = None) -> pl.DataFrame:
    """Return the result of a SELECT over the lake's tables.

    Each table that the statement names is a view of the rows of all series, with exchange and interval as columns to
    filter by. Objects stay compressed in memory; DuckDB decodes the columns and row groups that the statement needs.

    Args:
        lake: URI of the lake.
        sql: One SELECT in DuckDB's SQL.
        options: Options of the object store, as in [storage].

    Raises:
        SettingsError: The statement is not valid, or reading is not permitted.
        StoreUnavailableError: The store did not answer.
    """
    store = Store(lake, options)
    with duckdb.connect(":memory:") as connection:
        for statement in ("SET enable_external_access = false", "SET TimeZone = 'UTC'"):
            connection.execute(statement)
        # On for a terminal. Off is not set where it is off already: in Jupyter without widgets, setting it fails.
        if connection.execute("SELECT current_setting('enable_progress_bar')").fetchall() == [(True,)]:
            connection.execute("SET enable_progress_bar = false")
        try:
            _check_statement(sql)
            for table in TABLES:
                if re.search(rf"\b{table}\b", sql, re.IGNORECASE):
                    connection.register(table, open_dataset(store, table))
            return _to_frame(connection.sql(sql).to_arrow_table())
        except (duckdb.Error, pl.exceptions.PolarsError, pa.ArrowException) as error:
            hint = "docs/tables.md lists the columns; WHERE exchange = 'kraken' AND interval = '60m' takes one series"
            raise SettingsError(f"the query failed: {error}", f"a SELECT over {', '.join(TABLES)}", hint) from None


def _check_statement(sql: str) -> None:
    """Check that `sql` is one statement, and that it only reads.

    Raises:
        SettingsError: It is none, several, or a statement that writes.
    """
    statements = duckdb.extract_statements(sql)
    kinds = [statement.type.name for statement in statements]
    if kinds not in (["SELECT"], ["EXPLAIN"]):
        found = f"{len(kinds)} statements ({', '.join(kinds)})" if len(kinds) > 1 else "".join(kinds) or "no statement"
        raise SettingsError(found, "one SELECT", "give one statement at a time; `query` only reads")


def open_dataset(store: Store, table: str) -> Any:
    """Return a table as an Arrow dataset over the content of its objects, partition keys first.

    Without objects, it is an Arrow table without rows.

    Raises:
        SettingsError: An object is damaged.
    """
    declared = TABLES[table]
    empty = empty_frame(declared.schema).to_arrow(compat_level=pl.CompatLevel.oldest())
    parts = read_pinned(store, table, {})
    if not parts:
        return empty
    types = {name: plain_type(column.dtype) for name, column in declared.schema.columns().items()}
    parquet = ds.ParquetFileFormat()
    fragments, own = [], dict[str, None]()
    for keys, content in parts:
        values = {name: keys[name] if types[name] == pl.String else int(keys[name]) for name in declared.partitions}
        known = [ds.field(name) == pa.scalar(value, empty.schema.field(name).type) for name, value in values.items()]
        expression = known[0]
        for other in known[1:]:
            expression &= other
        fragments.append(parquet.make_fragment(pa.BufferReader(content), partition_expression=expression))
        try:
            own |= dict.fromkeys(own_columns(fragments[-1].physical_schema.names, declared))
        except pa.ArrowInvalid as error:
            raise damaged(store, partition_path(table, keys), error) from error
    added = [pa.field(name, pa.float32()) for name in own]
    return ds.FileSystemDataset(fragments, pa.schema([*empty.schema, *added]), parquet)


def _to_frame(found: pa.Table) -> pl.DataFrame:
    """Return a result as a frame: duplicate names get a number, decimals without fraction become integers."""
    seen: dict[str, int] = {}
    names = []
    for name in found.column_names:
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name}_{seen[name] - 1}")
    frame = pl.from_arrow(found.rename_columns(names))
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - for the type checker: a table becomes a frame
    whole = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Decimal) and kind.scale == 0]
    return frame.with_columns(pl.col(whole).cast(pl.Int64, strict=False))
