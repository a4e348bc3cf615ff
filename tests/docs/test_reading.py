"""Every snippet of docs/reading.md reads what `read_table` reads, with the types that the page names.

athena.sql declares the columns of every table.
"""

import re
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyspark
import pytest
from polars.testing import assert_frame_equal
from pyspark.sql import SparkSession
from several import HORIZONS
from several import SERIES as SEVERAL
from snippets import PAGE, check_tables, find_snippets, read_wanted, run_snippet, to_polars

import chandlery
from chandlery.schema import TABLES
from chandlery.spark import read_table, to_spark

ROOT = Path(__file__).parents[2]
DECLARED = re.compile(
    r"CREATE EXTERNAL TABLE IF NOT EXISTS (\w+) \(\n(.*?)\n\)\n"
    r"PARTITIONED BY \((.*?)\)\nSTORED AS PARQUET\nLOCATION '(.*?)'",
    re.DOTALL,
)


def read_types() -> dict[str, dict[str, str]]:
    """Return the table of types: by the type in the lake, by library."""
    lines = [
        [cell.strip().replace("&lt;", "<").replace("&gt;", ">") for cell in line.strip("|").split("|")]
        for line in PAGE.splitlines()
        if line.startswith("|")
    ]
    start = next(place for place, cells in enumerate(lines) if cells[0] == "in the lake")
    return {cells[0]: dict(zip(lines[start][1:], cells[1:], strict=True)) for cells in lines[start + 2 :]}


def name_type(kind: pl.DataType) -> str:
    """Return a type of a published table as the page names it."""
    return "Datetime(ms, UTC)" if isinstance(kind, pl.Datetime) else str(kind)


@pytest.mark.slow
@pytest.mark.parametrize("section", ["chandlery", "DuckDB", "Polars", "pandas"])
def test_snippets_read_what_read_table_reads(sample_lake: Path, section: str) -> None:
    snippets = find_snippets(section)
    assert len(snippets) == (2 if section == "DuckDB" else 1)  # its second one reads buckets alone: tests/s3
    check_tables(run_snippet(snippets[0], str(sample_lake)), read_wanted(sample_lake))


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1])
def test_snippets_for_spark_read_what_read_table_reads(spark: SparkSession, sample_lake: Path, number: int) -> None:
    try:
        check_tables(
            run_snippet(find_snippets("Spark")[number], str(sample_lake), spark=spark), read_wanted(sample_lake)
        )
    finally:
        spark.conf.unset("spark.sql.sources.partitionColumnTypeInference.enabled")
    assert len(find_snippets("Spark")) == 2


@pytest.mark.slow
@pytest.mark.parametrize("series", SEVERAL)
@pytest.mark.parametrize("section", ["chandlery", "DuckDB", "Polars", "pandas"])
def test_snippets_read_each_series_of_a_lake(several_lake: Path, section: str, series: str) -> None:
    read = run_snippet(find_snippets(section)[0], str(several_lake), series, HORIZONS[series])
    check_tables(read, read_wanted(several_lake, series, HORIZONS[series]))


@pytest.mark.slow
@pytest.mark.parametrize("series", SEVERAL)
@pytest.mark.parametrize("number", [0, 1])
def test_snippets_for_spark_read_each_series_of_a_lake(
    spark: SparkSession, several_lake: Path, number: int, series: str
) -> None:
    try:
        read = run_snippet(find_snippets("Spark")[number], str(several_lake), series, HORIZONS[series], spark=spark)
        check_tables(read, read_wanted(several_lake, series, HORIZONS[series]))
    finally:
        spark.conf.unset("spark.sql.sources.partitionColumnTypeInference.enabled")


def test_no_snippet_is_left_out() -> None:
    assert sum(
        len(find_snippets(section)) for section in ("chandlery", "Spark", "DuckDB", "Polars", "pandas")
    ) == PAGE.count("```python")


@pytest.mark.slow
def test_types_are_those_that_come(spark: SparkSession, sample_lake: Path) -> None:
    types, seen = read_types(), set()
    for table, declared in TABLES.items():
        files = f"{sample_lake}/{table}/**/*.parquet"
        relation = duckdb.sql(f"FROM read_parquet('{files}', hive_partitioning = false)")
        stored = dict(zip(relation.columns, map(str, relation.types), strict=True))
        plain = pd.read_parquet(next((sample_lake / table).rglob("*.parquet")), partitioning=None)
        sparks = dict(read_table(spark, table, str(sample_lake)).dtypes)
        for name, kind in chandlery.read_table(str(sample_lake), table).schema.items():
            row = types[name_type(kind)]
            seen.add(name_type(kind))
            assert row["Polars"] == name_type(kind)
            assert row["Spark"] == sparks[name]
            if name not in declared.partitions:
                assert row["DuckDB"] == stored[name]
                assert row["pandas"] == str(plain[name].dtype) or plain[name].isna().any()
    assert seen == set(types)


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_athena_is_told_what_is_there(spark: SparkSession, sample_lake: Path, table: str) -> None:
    found = {
        name: (columns, keys, place)
        for name, columns, keys, place in DECLARED.findall((ROOT / "docs" / "athena.sql").read_text())
    }
    columns, keys, place = found[table]
    assert place == f"s3://crypto-lake/{table}/"
    assert list(re.findall(r"`(\w+)`", keys)) == list(TABLES[table].partitions)
    types, kinds = read_types(), dict(re.findall(r"`(\w+)` ([\w<>]+)", f"{columns}, {keys}"))
    for name, column in TABLES[table].schema.columns().items():
        assert kinds[name] in {
            row["Athena"] for row in types.values() if row["Spark"] == to_spark(column.dtype).simpleString()
        }
    expected = chandlery.read_table(str(sample_lake), table)
    rows = to_polars(spark.read.schema(f"{columns}, {keys}").parquet(f"{sample_lake}/{table}"))
    order = TABLES[table].schema.primary_key()
    assert_frame_equal(
        rows.select(expected.columns).cast(dict(expected.schema)).sort(order), expected.sort(order), check_exact=True
    )
    assert set(rows.columns) - set(expected.columns) <= {"predicted_boosted"}, "a model that the sample does not have"


@pytest.mark.slow
def test_athenas_statements_can_be_parsed(spark: SparkSession) -> None:
    text = re.sub(r"^--.*$", "", (ROOT / "docs" / "athena.sql").read_text(), flags=re.MULTILINE)
    parser = (
        spark._jsparkSession.sessionState().sqlParser()
    )  # its grammar is Hive's, as is that of Athena's declarations
    kinds = [
        parser.parsePlan(statement).getClass().getSimpleName() for statement in text.split(";") if statement.strip()
    ]
    assert kinds == ["CreateTable", "RepairTable"] * len(TABLES)


def test_redshift_copies_a_file_into_as_many_columns() -> None:
    types, kinds = (
        read_types(),
        dict(
            re.findall(r'"?(\w+)"? ([a-z]+(?: precision)?)', PAGE.split("CREATE TABLE btcusd_2019 (")[1].split(");")[0])
        ),
    )
    stored = {
        name: kind
        for name, kind in TABLES["candles"].schema.create_empty().schema.items()
        if name not in TABLES["candles"].partitions
    }
    assert kinds == {name: types[name_type(kind)]["Redshift"] for name, kind in stored.items()}
    assert list(kinds) == list(stored)


def test_hadoops_version_is_that_of_the_spark_we_pin() -> None:
    jar = next((Path(pyspark.__file__).parent / "jars").glob("hadoop-client-api-*.jar"))
    assert f"hadoop-aws:{jar.stem.removeprefix('hadoop-client-api-')}`" in PAGE
