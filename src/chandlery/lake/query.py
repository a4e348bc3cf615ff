"""SQL over the lake's tables with DuckDB; each object is read as of one etag."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

import duckdb
import polars as pl
import pyarrow as pa

from chandlery.errors import SettingsError
from chandlery.lake.lake_file import read_lake_file
from chandlery.lake.pinned import ReplacedError
from chandlery.lake.reading import TRIES, replaced_too_fast
from chandlery.lake.scanning import MODELLED, LakeTable, MoreColumnsError
from chandlery.lake.store import Store
from chandlery.lake.tables import ROW_GROUP
from chandlery.lake.values import (
    WIDE,
    Convert,
    Place,
    UnfitError,
    fit_arrow,
    measure_interval,
    quote,
    write_json,
    write_key,
    write_text,
)
from chandlery.schema import MODEL_COLUMNS, TABLES, model_column

__all__ = ["ARROW", "PARQUET", "Answer", "Target", "ask", "query"]

BATCH_ROWS = 16_384  # of texts that are in memory at once
SETTINGS = ("enable_external_access = false", "python_enable_replacements = false", "TimeZone = 'UTC'")
DURATION = pa.duration("us")
Taken = TypeVar("Taken")


@dataclass(frozen=True)
class Target:
    """What the values of an answer are for.

    Args:
        name: Its name in errors.
        converted: By type, how its values are converted in place of `fit_arrow`.
    """

    name: str
    converted: Mapping[str, Convert]


FRAME = Target("a frame", {"interval": measure_interval, "hugeint": write_text, "uhugeint": write_text})
ARROW = Target("Arrow", {"interval": measure_interval})
PARQUET = Target("Parquet", {})


def query(lake: str, sql: str, options: Mapping[str, str] | None = None) -> pl.DataFrame:
    """Return the result of a SELECT over the lake's tables.

    Each table is a view of the rows of all series, with exchange and interval as columns to filter by. Only the
    objects, row groups and columns that the statement needs are read.

    Returns:
        The rows, with every value as DuckDB has it: an INTERVAL without months is a Duration, a HUGEINT an Int64, or an
        Int128 if a value needs it; ENUM and UUID are text. Of equal column names the second one gets _1.

    Args:
        lake: URI of the lake.
        sql: One SELECT in DuckDB's SQL.
        options: Options of the object store, as in [storage].

    Raises:
        SettingsError: The statement is not valid, a column has a type or a value that a frame cannot hold, an object is
            damaged, or reading is not permitted.
        StoreUnavailableError: The store did not answer.
    """
    return ask(lake, sql, options, lambda answer: answer.to_frame())


class Rows:
    """Rows in batches, which are computed while they are read.

    Args:
        batches: The batches.
        schema: The columns, to whose types those of the batches are cast.
    """

    def __init__(self, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> None:
        self._batches, self.schema = batches, schema

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._batches:
                yield batch.cast(self.schema)
        except (pa.ArrowException, OSError) as error:  # how Arrow passes on the errors of DuckDB
            raise duckdb.Error(str(error)) from None


class Answer:
    """The result of a statement, which is computed while it is read.

    Args:
        relation: The result as DuckDB's relation.

    Attributes:
        names: The names of the columns; of equal ones, the second gets _1.
    """

    def __init__(self, relation: Any) -> None:
        self._relation = relation
        self._types = relation.types
        self.names = _tell_apart(relation.columns)

    def read_text(self) -> Rows:
        """Return the rows, every value as the text that DuckDB casts it to."""
        return self._read([f"CAST(#{place} AS VARCHAR)" for place, _ in enumerate(self.names, 1)])

    def read_json(self) -> Rows:
        """Return the rows as one column of JSON objects."""
        fields = [
            f"{write_key(name)} || ': ' || coalesce({write_json(f'#{place}', kind, Place(name))}, 'null')"
            for place, name, kind in self._list_columns()
        ]
        row = " || ', ' || ".join(fields)
        reader = self._relation.project(f"'{{' || {row} || '}}' AS row").to_arrow_reader(BATCH_ROWS)
        return Rows(reader, reader.schema)

    def read_arrow(self, target: Target) -> Rows:
        """Return the rows in types of Arrow.

        Raises:
            SettingsError: A type has no exact counterpart.
        """
        converted = []
        for place, name, kind in self._list_columns():
            convert = target.converted.get(kind.id, fit_arrow)
            try:
                converted.append(convert(f"#{place}", kind, Place(name)))
            except UnfitError:
                hint = f"write CAST({quote(name)} AS VARCHAR) in the statement"
                found = f"column {name} of type {kind}"
                raise SettingsError(found, f"a type whose values {target.name} can hold", hint) from None
        rows = self._read(converted, ROW_GROUP)
        intervals = {name for _, name, kind in self._list_columns() if kind.id == "interval"}
        fields = [pa.field(field.name, DURATION) if field.name in intervals else field for field in rows.schema]
        return Rows(rows, pa.schema(fields))

    def to_frame(self) -> pl.DataFrame:
        """Return the rows as a frame.

        Raises:
            SettingsError: A type has no exact counterpart.
        """
        rows = self.read_arrow(FRAME)
        frame = pl.DataFrame(pa.Table.from_batches(rows, rows.schema))
        for _, name, kind in self._list_columns():
            if kind.id in WIDE:
                whole = frame[name].cast(pl.Int128 if kind.id == "hugeint" else pl.UInt128)
                short = whole.cast(pl.Int64, strict=False)
                frame = frame.with_columns(short if short.null_count() == whole.null_count() else whole)
        return frame

    def _list_columns(self) -> list[tuple[int, str, Any]]:
        """Return the place in the result, counted from 1, the name and the type of each column."""
        return list(zip(count(1), self.names, self._types, strict=False))

    def _read(self, values: list[str], batch_rows: int = BATCH_ROWS) -> Rows:
        columns = ", ".join(f"{value} AS {quote(name)}" for value, name in zip(values, self.names, strict=True))
        reader = self._relation.project(columns).to_arrow_reader(batch_rows)
        return Rows(reader, reader.schema)


def ask(lake: str, sql: str, options: Mapping[str, str] | None, take: Callable[[Answer], Taken]) -> Taken:
    """Return what a function makes of the answer to a statement.

    If an object is replaced while it is read, the statement is executed again from the start, and so is the function.

    Args:
        lake: URI of the lake.
        sql: One SELECT in DuckDB's SQL.
        options: Options of the object store.
        take: Reads the answer.

    Raises:
        SettingsError: As for `query`.
        StoreUnavailableError: As for `query`, or objects were replaced faster than they could be read.
    """
    store = Store(lake, options)
    models = _find_models(store) if MODELLED in sql.lower() else {}
    for _ in range(TRIES):
        try:
            with _explained(), _open(store, sql, models) as answer:
                return take(answer)
        except MoreColumnsError as error:
            models |= dict.fromkeys(error.names)
        except ReplacedError:
            continue
    raise replaced_too_fast("the lake")


def _find_models(store: Store) -> dict[str, None]:
    """Return the columns of models that the lake's settings name; objects may have others, of earlier settings."""
    try:
        file = read_lake_file(store)
    except SettingsError:  # the tables can be read all the same
        return {}
    names = (name for series in (file.series if file else []) for name in (*series.models, "blend") if series.models)
    return dict.fromkeys(model_column(name) for name in names)


@contextmanager
def _explained() -> Iterator[None]:
    """Raise DuckDB's errors in the block as those of this project."""
    try:
        yield
    except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException) as error:
        hint = "docs/tables.md lists the columns; WHERE exchange = 'kraken' AND interval = '60m' takes one series"
        raise SettingsError(f"the query failed: {error}", f"a SELECT over {', '.join(TABLES)}", hint) from None
    except duckdb.Error as error:
        raise SettingsError(f"the query failed: {error}") from None


@contextmanager
def _open(store: Store, sql: str, models: Iterable[str]) -> Iterator[Answer]:
    """Yield the answer to a statement; the requests for it end with the block.

    Raises:
        MoreColumnsError: Objects have columns of models that are not among `models`.
        ReplacedError: An object was replaced while it was read.
    """
    statement = _read_statement(sql)
    tables: dict[str, LakeTable] = {}
    try:
        with duckdb.connect(":memory:") as connection:
            for setting in SETTINGS:
                connection.execute(f"SET {setting}")
            # On for a terminal. Off is not set where it is off already: in Jupyter without widgets, setting it fails.
            if connection.execute("SELECT current_setting('enable_progress_bar')").fetchall() == [(True,)]:
                connection.execute("SET enable_progress_bar = false")
            for name in TABLES:  # nothing is read before DuckDB, which knows what the statement means, asks for rows
                tables[name] = LakeTable(store, name, models if name == MODELLED else ())
                connection.register(name, tables[name])
            yield Answer(_bind(connection, statement, tables[MODELLED]))
    except duckdb.Error:
        for failure in filter(None, (table.failure for table in tables.values())):
            raise failure from None
        raise
    finally:
        for table in tables.values():
            table.close()


def _read_statement(sql: str) -> str:
    """Return the statement in `sql`, without what follows its end.

    Raises:
        SettingsError: It is none, several, or one that writes.
    """
    if not sql.isascii() and sql.encode(errors="replace").decode() != sql:
        raise SettingsError("the query has bytes that are no text", "UTF-8", "correct the encoding of the terminal")
    kinds = [statement.type.name for statement in duckdb.extract_statements(sql)]
    statement = _cut_end(sql)
    if kinds == ["MULTI"]:  # a PIVOT, for which DuckDB creates a type first, or a statement that contains one
        with suppress(duckdb.ParserException):
            duckdb.extract_statements(f"FROM ({statement})")
            return statement
    if kinds not in (["SELECT"], ["EXPLAIN"]):
        found = f"{len(kinds)} statements ({', '.join(kinds)})" if len(kinds) > 1 else "".join(kinds) or "no statement"
        raise SettingsError(found, "one SELECT", "give one statement at a time; `query` only reads")
    return statement


def _cut_end(sql: str) -> str:
    """Return SQL without semicolons and comments at its end, which a statement within another one may not have.

    Example:
        >>> _cut_end("SELECT ';' AS a; -- the end")
        "SELECT ';' AS a"
    """
    content = sql.encode()  # the places of tokens are counted in bytes
    end = len(content)
    for place, kind in reversed(duckdb.tokenize(sql)):
        if kind != duckdb.token_type.comment and content[place : place + 1] != b";":
            break
        end = place
    return content[:end].decode().rstrip()


def _bind(connection: duckdb.DuckDBPyConnection, statement: str, modelled: LakeTable) -> duckdb.DuckDBPyRelation:
    """Return a statement as a relation.

    Raises:
        MoreColumnsError: It names a column that is not known, and objects have columns of models that are not either.
    """
    try:
        return connection.sql(statement)
    except duckdb.BinderException:
        if MODELLED in statement.lower() and MODEL_COLUMNS in statement.lower():
            modelled.check_models()
        raise


def _tell_apart(names: Iterable[str]) -> list[str]:
    """Return names of which no two are equal: the second of equal ones gets _1, the third _2.

    Example:
        >>> _tell_apart(["a", "a", "a_1", "a"])
        ['a', 'a_1', 'a_1_1', 'a_2']
    """
    found: list[str] = []
    for name in names:
        numbered = (f"{name}_{number}" for number in count(1))
        found.append(name if name not in found else next(other for other in numbered if other not in found))
    return found
