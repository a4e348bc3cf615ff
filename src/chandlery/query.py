"""SQL over the lake: DuckDB on the tables, each object read as of one etag."""

import re
from collections.abc import Mapping

import duckdb
import polars as pl

from chandlery.errors import SettingsError
from chandlery.schema import TABLES
from chandlery.tables import read_table

__all__ = ["query"]


def query(lake: str, sql: str, options: Mapping[str, str] | None = None) -> pl.DataFrame:
    """Return what a SELECT over the lake's tables gives; every table that it names is there as a view.

    Args:
        lake: URI of the lake.
        sql: One statement, in DuckDB's SQL.
        options: Of the object store, as in [storage].

    Raises:
        SettingsError: The statement is wrong, or there is no right to read.
        StoreUnavailableError: The store did not answer.
    """
    with duckdb.connect(":memory:") as connection:
        for statement in ("SET enable_external_access = false", "SET TimeZone = 'UTC'"):
            connection.execute(statement)
        for table in TABLES:
            if re.search(rf"\b{table}\b", sql, re.IGNORECASE):
                connection.register(table, read_table(lake, table, options=options).to_arrow())
        try:
            found = connection.sql(sql)
            return pl.DataFrame() if found is None else pl.DataFrame(found.to_arrow_table())
        except duckdb.Error as error:
            tables = ", ".join(TABLES)
            raise SettingsError(f"the query failed: {error}", f"SQL over {tables}", "docs/tables.md lists the columns") from None
