"""Questions of readers to a lake, four ways to ask them, and the answer that each version of an object gives.

An answer is exact: for rows, their number and a hash of all their values; for sums, integers that do not depend on the
order of addition. So it belongs to one version of one object, and to no mixture of two.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import polars as pl

from chandlery import read_table
from chandlery.lake.query import query
from chandlery.lake.tables import empty_frame, parse_partition
from chandlery.schema import MODEL_COLUMNS, TABLES, TIME

SCALE = 2**20  # values are multiplied by it and rounded down before they are summed, as integers
SEED = 7
MICROSECONDS = pl.Datetime("us", "UTC")  # the only type with a time zone that DuckDB has
KEYS = {
    "exchange": pl.String,
    "interval": pl.String,
    "symbol": pl.String,
    "horizon_minutes": pl.Int32,
    "year": pl.Int32,
}
Partition = tuple[str, ...]
Answer = tuple[Any, ...]


@dataclass(frozen=True)
class Ask:
    """A question to one table.

    Args:
        table: Its name.
        where: Values of partition keys that choose partitions; without any, all of them.
        sums: Columns to sum by partition; without any, the rows are asked for.
    """

    table: str
    where: tuple[tuple[str, str | int], ...] = ()
    sums: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = "".join(f", {name} {value}" for name, value in self.where)
        return f"{'sums' if self.sums else 'rows'} of {self.table}{where}"

    @property
    def keys(self) -> tuple[str, ...]:
        """The table's partition keys."""
        return TABLES[self.table].partitions

    @property
    def order(self) -> str:
        """The column that orders an object."""
        return TABLES[self.table].sort[0]

    def chooses(self, partition: Partition) -> bool:
        """Return whether the question is about a partition."""
        values = dict(zip(self.keys, partition, strict=True))
        return all(values[name] == str(value) for name, value in self.where)

    def sql(self, source: str) -> str:
        """Return the question as a SELECT from a source."""
        where = " AND ".join(f"{name} = {value!r}" for name, value in self.where) or "true"
        if not self.sums:
            return f"SELECT * FROM {source} WHERE {where}"  # noqa: S608 - constants of this file
        sums = ", ".join(f"coalesce(sum(floor({name} * {SCALE})::BIGINT), 0)::BIGINT AS {name}" for name in self.sums)
        ends = f"min({self.order}) AS first, max({self.order}) AS last"
        columns = f"{', '.join(self.keys)}, count(*) AS rows, {ends}, {sums}"
        return f"SELECT {columns} FROM {source} WHERE {where} GROUP BY ALL"  # noqa: S608 - likewise

    def lazily(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Return the question as a Polars query of a table's rows."""
        chosen = rows.filter(*(pl.col(name) == value for name, value in self.where))
        if not self.sums:
            return chosen
        order, sums = pl.col(self.order), [(pl.col(name) * SCALE).floor().cast(pl.Int64).sum() for name in self.sums]
        return chosen.group_by(self.keys).agg(
            pl.len().alias("rows"), order.min().alias("first"), order.max().alias("last"), *sums
        )


ASKS = (
    Ask("candles", (("symbol", "BTCUSD"),)),
    Ask("candles", sums=("close", "volume")),
    Ask("forecasts", (("symbol", "ETHUSD"), ("horizon_minutes", 5))),
    Ask("forecasts", sums=("close", "actual_close", "predicted_close", "lower_95")),
    Ask("scores"),
    Ask("scores", sums=("n", "sse")),
    Ask("ledger"),
    Ask("ledger", sums=("rows_read", "rows_kept")),
)


def to_answers(ask: Ask, rows: pl.DataFrame) -> dict[Partition, Answer]:
    """Return the answer of each partition, from the rows that were read."""
    if ask.sums:
        found = rows.select(*ask.keys, "rows", "first", "last", *ask.sums).iter_rows()
        return {tuple(map(str, row[: len(ask.keys)])): row[len(ask.keys) :] for row in found}
    plain = rows.with_columns(pl.col(MICROSECONDS).cast(TIME)).select(sorted(rows.columns))
    parts = plain.partition_by(ask.keys, as_dict=True)
    return {
        tuple(map(str, keys)): (part.height, int(np.add.reduce(part.hash_rows(SEED).to_numpy())))
        for keys, part in parts.items()
    }


def answers_of(path: str, content: bytes) -> dict[Ask, Answer]:
    """Return the answer of an object to each question that chooses its partition."""
    keys = parse_partition(path)
    rows = pl.read_parquet(io.BytesIO(content), hive_partitioning=False).with_columns(
        pl.lit(value).cast(KEYS[name]).alias(name) for name, value in keys.items()
    )
    asks = [ask for ask in ASKS if ask.table == path.partition("/")[0] and ask.chooses(tuple(keys.values()))]
    return {ask: next(iter(to_answers(ask, ask.lazily(rows.lazy()).collect()).values())) for ask in asks}


def find_fault(ask: Ask, rows: pl.DataFrame, way: str) -> str:
    """Return how rows break the contract of their table (columns, types, order, unique keys); empty if they do not."""
    if ask.sums:
        return ""
    declared, expected, found = TABLES[ask.table], dict(empty_frame(TABLES[ask.table].schema).schema), dict(rows.schema)
    if WAYS[way].is_sql:
        found = {name: TIME if kind == MICROSECONDS else kind for name, kind in found.items()}
    models = {name for name, kind in found.items() if name.startswith(MODEL_COLUMNS) and kind == pl.Float32}
    if others := [
        name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name) and name not in models
    ]:
        return f"column {others[0]} is {found.get(others[0])}, not {expected.get(others[0])}"
    if list(expected) != [name for name in found if name in expected] and WAYS[way].is_ours:
        return f"columns in the order {', '.join(found)}"
    if rows.select(declared.schema.primary_key()).is_duplicated().any():
        return "a key occurs twice"
    within = [name for name in declared.partitions if name != "year"]
    parts = [rows] if way == "read_table" else rows.partition_by(ask.keys)
    if any(not (there := part.select(*within, *declared.sort)).equals(there.sort(there.columns)) for part in parts):
        return f"rows are not in the order of {', '.join(declared.sort)}"
    return ""


@dataclass(frozen=True)
class Way:
    """A way to read a lake.

    Args:
        open: Returns, for a lake's URI and options of its store, a function that answers questions; one per reader.
        is_ours: Whether it reads each object as of one etag.
        is_sql: Whether the types are those of DuckDB.
    """

    open: Callable[[str, Mapping[str, str]], Callable[[Ask], pl.DataFrame]]
    is_ours: bool = False
    is_sql: bool = False


def open_read_table(lake: str, options: Mapping[str, str]) -> Callable[[Ask], pl.DataFrame]:
    """Read by `read_table`."""

    def read(ask: Ask) -> pl.DataFrame:
        columns, where = list(dict.fromkeys([*ask.keys, ask.order, *ask.sums])), dict(ask.where)
        chosen = columns if ask.sums else None
        rows = read_table(lake, ask.table, columns=chosen, options=options, **where)  # type: ignore[arg-type]
        return ask.lazily(rows.lazy()).collect()

    return read


def open_query(lake: str, options: Mapping[str, str]) -> Callable[[Ask], pl.DataFrame]:
    """Read by `query`."""
    return lambda ask: query(lake, ask.sql(ask.table), options)


def open_polars(lake: str, options: Mapping[str, str]) -> Callable[[Ask], pl.DataFrame]:
    """Read by Polars alone, as in docs/reading.md."""
    return lambda ask: ask.lazily(
        pl.scan_parquet(f"{lake}/{ask.table}/", hive_schema=KEYS, storage_options=dict(options))
    ).collect()


def open_duckdb(lake: str, options: Mapping[str, str]) -> Callable[[Ask], pl.DataFrame]:
    """Read by DuckDB alone, as in docs/reading.md, in one session, as an analyst would."""
    from obstore.fsspec import FsspecStore  # noqa: PLC0415 - only this way needs it

    config = {name: value for name, value in options.items() if name != "allow_http"}
    store = FsspecStore("s3", config=config, client_options={"allow_http": options.get("allow_http") == "true"})
    session = duckdb.connect()
    session.execute("SET TimeZone = 'UTC'")
    session.execute("SET enable_progress_bar = false")
    session.register_filesystem(store)

    def read(ask: Ask) -> pl.DataFrame:
        objects = [f"s3://{path}" for path in store.find(f"{lake}/{ask.table}")]
        types = ", ".join(f"{name}: {'VARCHAR' if KEYS[name] == pl.String else 'INTEGER'}" for name in ask.keys)
        return session.sql(ask.sql(f"read_parquet({objects}, hive_types = {{{types}}})")).pl()

    return read


WAYS = {
    "read_table": Way(open_read_table, is_ours=True),
    "query": Way(open_query, is_ours=True, is_sql=True),
    "Polars": Way(open_polars),
    "DuckDB": Way(open_duckdb, is_sql=True),
}
