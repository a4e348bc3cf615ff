"""Reading of the lake's tables in a Spark session.

`session.read.parquet` reads them too, but guesses the types of partition keys: a symbol 1E3 becomes a number. Here, all
types are those of the schema.
"""

from collections.abc import Sequence
from typing import Any

import polars as pl

try:
    from py4j.protocol import Py4JJavaError
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql import functions as sf
    from pyspark.sql.types import (
        ArrayType,
        BooleanType,
        DataType,
        DoubleType,
        FloatType,
        IntegerType,
        LongType,
        StringType,
        StructField,
        StructType,
        TimestampType,
    )
except ImportError as error:
    raise ImportError(
        f"chandlery.spark needs {error.name}, which is not installed: pip install 'chandlery[spark]'"
    ) from None

from chandlery.errors import SettingsError
from chandlery.lake.filters import check_known, make_filter
from chandlery.lake.lake_file import no_lake
from chandlery.lake.tables import find_table, own_columns, parse_partition, plain_type
from chandlery.machine.folders import expand_path
from chandlery.schema import LAKE_FILE, TABLES, Table

__all__ = ["read_table"]

TYPES: dict[type[pl.DataType], DataType] = {
    pl.String: StringType(),
    pl.Boolean: BooleanType(),
    pl.Int32: IntegerType(),
    pl.Int64: LongType(),
    pl.Float32: FloatType(),
    pl.Float64: DoubleType(),
    pl.Datetime: TimestampType(),
}


def read_table(
    session: SparkSession,
    table: str,
    lake: str,
    *,
    series: str | None = None,
    symbol: str | None = None,
    horizon_minutes: int | None = None,
) -> DataFrame:
    """Return a table as a DataFrame of the session; Spark reads the columns and partitions that a query needs.

    Times are instants (TIMESTAMP), shown in the session's time zone. The order of rows is not defined. If a run
    replaces an object during a query, the query can fail: repeat it with a new DataFrame.

    Returns:
        The columns of the schema, partition keys first, then those of the models; no rows if nothing was published
        yet.

    Args:
        session: The session, whose own credentials are used.
        table: One of candles, rejects, ledger, gaps, forecasts, scores, models.
        lake: URI of the lake; a path is a folder that all executors see. s3:// is read as s3a:// if the session knows
            only that, and as it is otherwise, as on EMR.
        series: Read only this exchange and interval, as in kraken/1m or kraken/1h.
        symbol: Read only this symbol, in any spelling.
        horizon_minutes: Read only this horizon, if the table has horizons.

    Raises:
        SettingsError: There is no such lake, table, series or symbol, or the session cannot read the lake.
    """
    declared, uri = find_table(table), locate(session, lake)
    wanted = make_filter(series, symbol, horizon_minutes)
    rows = _scan(session, uri, declared)
    paths = rows.inputFiles()
    if not paths and not _exists(session, f"{uri}/{LAKE_FILE}"):
        raise no_lake(lake)
    if paths and declared is TABLES["forecasts"] and (own := _find_model_columns(session, uri, declared)):
        rows = _scan(session, uri, declared, own)
    keys = {name: value for name, value in wanted.items() if name in declared.partitions}
    if (series or symbol) and not any(keys.items() <= parse_partition(path).items() for path in paths):
        listed = (_scan(session, uri, find_table(other)).inputFiles() for other in ("ledger", "candles"))
        check_known(wanted, [parse_partition(path) for found in listed for path in found], uri)
    for name, value in wanted.items():
        if name in rows.columns:
            rows = rows.where(sf.col(name) == (int(value) if name == "horizon_minutes" else value))
    return rows


def locate(session: SparkSession, lake: str) -> str:
    """Return the URI by which a session reads a lake."""
    scheme, colon, rest = lake.rstrip("/").partition("://")
    if not colon:
        return f"file://{expand_path(lake).absolute()}"
    if scheme == "s3" and not _has_filesystem(session, "s3") and _has_filesystem(session, "s3a"):
        return f"s3a://{rest}"
    return f"{scheme}://{rest}"


def _scan(session: SparkSession, uri: str, table: Table, own: Sequence[StructField] = ()) -> DataFrame:
    """Return all rows of a table, with the columns of the schema and those in `own`."""
    contract = [StructField(name, to_spark(column.dtype)) for name, column in table.schema.columns().items()]
    schema = StructType([*contract, *own])
    if not _exists(session, f"{uri}/{table.name}"):
        return session.createDataFrame([], schema)
    return session.read.schema(schema).parquet(f"{uri}/{table.name}").select(*schema.names)


def _find_model_columns(session: SparkSession, uri: str, table: Table) -> list[StructField]:
    """Return the columns of models in any object: objects written before a model was added lack its column."""
    found = session.read.option("mergeSchema", "true").parquet(f"{uri}/{table.name}").schema.fields
    names = set(own_columns([field.name for field in found], table))
    return [field for field in found if field.name in names]


def to_spark(kind: pl.DataType) -> DataType:
    """Return Spark's type for a column of the schema.

    Example:
        >>> to_spark(pl.List(pl.Enum(["a"]))).simpleString()
        'array<string>'
    """
    plain = plain_type(kind)
    if isinstance(plain, pl.List):
        return ArrayType(TYPES[pl.String])
    return TYPES[type(plain)]


def _exists(session: SparkSession, uri: str) -> bool:
    """Return whether a folder or object exists.

    Hadoop's file system answers that: with a missing path, Spark's own reader writes a page of log.

    Raises:
        SettingsError: The session lacks the file system, or reading is not permitted.
    """
    path = _filesystems(session).Path(uri)
    try:
        return bool(path.getFileSystem(_configuration(session)).exists(path))
    except Py4JJavaError as error:
        hint = (
            "outside EMR, s3:// needs hadoop-aws in the session (spark.jars.packages) and credentials of AWS's own "
            "chain; see docs/reading.md"
        )
        found = f"Spark cannot read {uri}: {error.java_exception.toString()[:300]}"
        raise SettingsError(found, "a session with the file system and credentials", hint) from None


def _has_filesystem(session: SparkSession, scheme: str) -> bool:
    try:
        _filesystems(session).FileSystem.getFileSystemClass(scheme, _configuration(session))
    except Py4JJavaError:
        return False
    return True


def _filesystems(session: SparkSession) -> Any:
    java: Any = session._jvm  # noqa: SLF001 - PySpark has no public access to Hadoop's file systems
    return java.org.apache.hadoop.fs


def _configuration(session: SparkSession) -> Any:
    return session._jsparkSession.sessionState().newHadoopConf()  # noqa: SLF001 - likewise; includes session options
