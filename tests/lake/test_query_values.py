"""Every value of a result reaches the reader as DuckDB has it, in every format, or is refused by column and type."""

import datetime as dt
import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import duckdb
import msgspec
import polars as pl
import pytest

from chandlery.commands.options import Format
from chandlery.commands.results import WRITERS
from chandlery.errors import SettingsError
from chandlery.lake.query import ask, query

REFUSED = "refused"  # by a frame: there is no exact value


class Case(NamedTuple):
    """A value, the type that DuckDB gives it, and what a frame has for it."""

    sql: str
    kind: str
    framed: Any


def at(microseconds: int) -> dt.datetime:
    """Return a time of no zone, so many microseconds after a noon."""
    return dt.datetime(2019, 6, 1, 12, tzinfo=dt.UTC).replace(tzinfo=None) + dt.timedelta(microseconds=microseconds)


UTC = dt.UTC
CASES = [
    Case("true", "BOOLEAN", True),
    Case("(-128)::TINYINT", "TINYINT", -128),
    Case("(-32768)::SMALLINT", "SMALLINT", -(2**15)),
    Case("(-2147483648)::INTEGER", "INTEGER", -(2**31)),
    Case("(-9223372036854775808)::BIGINT", "BIGINT", -(2**63)),
    Case("170141183460469231731687303715884105727::HUGEINT", "HUGEINT", 2**127 - 1),
    Case("sum(1)", "HUGEINT", 1),
    Case("255::UTINYINT", "UTINYINT", 255),
    Case("65535::USMALLINT", "USMALLINT", 2**16 - 1),
    Case("4294967295::UINTEGER", "UINTEGER", 2**32 - 1),
    Case("18446744073709551615::UBIGINT", "UBIGINT", 2**64 - 1),
    Case("'340282366920938463463374607431768211455'::UHUGEINT", "UHUGEINT", 2**128 - 1),
    Case("'123456789012345678901234567890123456789012345'::BIGNUM", "BIGNUM", REFUSED),  # pragma: allowlist secret
    Case("'12345678901234567890.123456789012345678'::DECIMAL(38, 18)", "DECIMAL",
         Decimal("12345678901234567890.123456789012345678")),
    Case("1.50::DECIMAL(3, 2)", "DECIMAL", Decimal("1.50")),
    Case("99999999999999999999::DECIMAL(20, 0)", "DECIMAL", Decimal(99999999999999999999)),
    Case("0.1::FLOAT", "FLOAT", None),
    Case("1e300::DOUBLE", "DOUBLE", 1e300),
    Case("'-infinity'::DOUBLE", "DOUBLE", float("-inf")),
    Case("'infinity'::FLOAT", "FLOAT", float("inf")),
    Case("'a, \"b\"\n'", "VARCHAR", 'a, "b"\n'),
    Case("''", "VARCHAR", ""),
    Case("'{\"a\": 1.50}'::JSON", "VARCHAR", '{"a": 1.50}'),
    Case("'\\x00ab'::BLOB", "BLOB", b"\x00ab"),
    Case("'0101'::BIT", "BIT", REFUSED),
    Case(f"'{UUID(int=1)}'::UUID", "UUID", f"{UUID(int=1)}"),
    Case("'b'::ENUM ('a', 'b')", "ENUM", "b"),
    Case("DATE '2019-06-01'", "DATE", dt.date(2019, 6, 1)),
    Case("'infinity'::DATE", "DATE", REFUSED),
    Case("'0044-03-15 (BC)'::DATE", "DATE", REFUSED),
    Case("TIME '12:00:00.000001'", "TIME", dt.time(12, 0, 0, 1)),
    Case("TIME '24:00:00'", "TIME", REFUSED),
    Case("'12:00:00.5'::TIME_NS", "TIME_NS", dt.time(12, 0, 0, 500_000)),
    Case("'12:00:00+05:30'::TIMETZ", "TIME WITH TIME ZONE", REFUSED),
    Case("TIMESTAMP '2019-06-01 12:00:00.5'", "TIMESTAMP", at(500_000)),
    Case("'infinity'::TIMESTAMP", "TIMESTAMP", REFUSED),
    Case("'290000-01-01'::TIMESTAMP", "TIMESTAMP", REFUSED),
    Case("'2019-06-01 12:00:01'::TIMESTAMP_S", "TIMESTAMP_S", at(1_000_000)),
    Case("'-infinity'::TIMESTAMP_S", "TIMESTAMP_S", REFUSED),
    Case("'2019-06-01 12:00:01.001'::TIMESTAMP_MS", "TIMESTAMP_MS", at(1_001_000)),
    Case("'infinity'::TIMESTAMP_MS", "TIMESTAMP_MS", REFUSED),
    Case("'2019-06-01 12:00:01.000001'::TIMESTAMP_NS", "TIMESTAMP_NS", at(1_000_001)),
    Case("'infinity'::TIMESTAMP_NS", "TIMESTAMP_NS", REFUSED),
    Case("TIMESTAMPTZ '2019-06-01 12:00:00+02'", "TIMESTAMP WITH TIME ZONE", dt.datetime(2019, 6, 1, 10, tzinfo=UTC)),
    Case("'-infinity'::TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE", REFUSED),
    Case("'2019-06-01 12:00:00+02'::TIMESTAMPTZ_NS", "TIMESTAMPTZ_NS", dt.datetime(2019, 6, 1, 10, tzinfo=UTC)),
    Case("INTERVAL '2 days 00:00:00.000001'", "INTERVAL", dt.timedelta(days=2, microseconds=1)),
    Case("INTERVAL '1 month 3 days'", "INTERVAL", REFUSED),
    Case("INTERVAL '-2 years'", "INTERVAL", REFUSED),
    Case("[1, NULL]", "LIST", [1, None]),
    Case("[]::INTEGER[]", "LIST", []),
    Case("[INTERVAL 1 day]", "LIST", REFUSED),
    Case("[['infinity'::TIMESTAMP]]", "LIST", REFUSED),
    Case("[1, 2]::INTEGER[2]", "ARRAY", [1, 2]),
    Case("{'a b': 1, 'c': {'d': 'x'}}", "STRUCT", {"a b": 1, "c": {"d": "x"}}),
    Case("{'a': 170141183460469231731687303715884105727}", "STRUCT", REFUSED),
    Case("{'a': [{'b': 5::HUGEINT}]}", "STRUCT", {"a": [{"b": Decimal(5)}]}),
    Case("row(1, 'x')", "TUPLE", {"element1": 1, "element2": "x"}),
    Case("MAP {'k': TIME '12:00:00'}", "MAP", {"k": dt.time(12)}),
    Case("MAP {1: [1.5]}", "MAP", {1: [Decimal("1.5")]}),
    Case("union_value(n := 2)::UNION(n INTEGER, s VARCHAR)", "UNION", REFUSED),
    Case("[1, 2]::VARIANT", "VARIANT", REFUSED),
    Case("'POINT (1 2)'::GEOMETRY", "GEOMETRY", REFUSED),
    Case("get_type(1)", "TYPE", REFUSED),
    Case("NULL", "NULL", None),
]  # fmt: skip


@pytest.fixture(scope="module")
def duck() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def text_of(duck: duckdb.DuckDBPyConnection, sql: str) -> str | None:
    """Return what DuckDB itself writes for a value."""
    found = duck.execute(f"SELECT CAST(({sql}) AS VARCHAR)").fetchone()
    assert found is not None
    return found[0]  # type: ignore[no-any-return]


def write(lake: Path, sql: str, form: Format) -> bytes:
    def take(answer: Any) -> bytes:
        file = io.BytesIO()
        WRITERS[form](answer, file)
        return file.getvalue()

    return ask(str(lake), sql, {}, take)


def test_every_type_of_duckdb_has_a_case(duck: duckdb.DuckDBPyConnection) -> None:
    types = {kind for (kind,) in duck.execute("SELECT DISTINCT logical_type FROM duckdb_types()").fetchall()}
    assert types == {case.kind for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sql)
def test_text_is_as_duckdb_writes_it(tmp_path: Path, duck: duckdb.DuckDBPyConnection, case: Case) -> None:
    shown = duckdb.sql(f"SELECT ({case.sql}) AS x").types[0]
    assert str(shown.id).upper() == case.kind
    text, sql = text_of(duck, case.sql), f"SELECT ({case.sql}) AS x, 'é' AS y"
    rows = pl.read_csv(io.BytesIO(write(tmp_path, sql, Format.CSV)), infer_schema=False)
    assert rows.rows() == [(text, "é")]
    if "\n" not in (text or ""):
        assert (text or "") in write(tmp_path, sql, Format.TABLE).decode()


TIMES = {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"}
NESTED = {"LIST", "ARRAY", "STRUCT", "TUPLE", "MAP", "UNION", "VARIANT"}


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.kind not in NESTED and "JSON" not in case.sql], ids=lambda case: case.sql
)
def test_json_has_all_digits_and_what_is_no_number_as_text(
    tmp_path: Path, duck: duckdb.DuckDBPyConnection, case: Case
) -> None:
    content = write(tmp_path, f"SELECT ({case.sql}) AS x", Format.JSON)
    msgspec.json.decode(content)  # stricter than Python's: NaN is no JSON
    value = json.loads(content, parse_float=Decimal)[0]["x"]
    text = text_of(duck, case.sql)
    if isinstance(value, str):
        assert (value.replace("T", " ").replace("Z", "+00") if case.kind in TIMES else value) == text
    elif isinstance(value, int | Decimal) and not isinstance(value, bool):
        assert Decimal(value) == Decimal(str(text))
    else:
        assert json.dumps(value) == (text or "null")


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("{'a': [TIMESTAMPTZ '2019-06-01 12:00:00+00', NULL], 'b': NULL::STRUCT(c INTEGER)}",
         {"a": ["2019-06-01T12:00:00Z", None], "b": None}),
        ("MAP {1: [INTERVAL 1 month], 2: []}", {"1": ["1 month"], "2": []}),
        ("[row(1, 'x\"'), NULL]", [[1, 'x"'], None]),
        ("[['nan'::DOUBLE, 1.5]]", [["nan", 1.5]]),
        ("union_value(n := [1])", {"n": [1]}),
        ("['{\"a\": [1]}'::JSON]", [{"a": [1]}]),
        ("{'a': [1, NULL]}::VARIANT", {"a": [1, None]}),
    ],
)  # fmt: skip
def test_nested_values_are_json_too(tmp_path: Path, sql: str, found: object) -> None:
    assert json.loads(write(tmp_path, f"SELECT {sql} AS x", Format.JSON)) == [{"x": found}]


def plain(value: object) -> object:
    return value.to_list() if isinstance(value, pl.Series) else value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sql)
def test_a_frame_has_the_value_or_it_is_refused(tmp_path: Path, case: Case) -> None:
    sql = f"SELECT ({case.sql}) AS x"
    readers: dict[str, Callable[[], pl.DataFrame]] = {
        "frame": lambda: query(str(tmp_path), sql),
        "arrow": lambda: pl.read_ipc(write(tmp_path, sql, Format.ARROW)),
        "parquet": lambda: pl.read_parquet(write(tmp_path, sql, Format.PARQUET)),
    }
    for name, read in readers.items():
        wide = case.kind in {"HUGEINT", "UHUGEINT"} and case.framed > 10**38 and name != "frame"
        if case.framed == REFUSED or wide or (case.kind, name) == ("INTERVAL", "parquet"):
            with pytest.raises(SettingsError, match=r"column x of type .*CAST"):
                read()
        elif case.framed is not None:
            assert plain(read()["x"][0]) == case.framed
        else:
            assert read().height == 1


def test_nan_stays_nan(tmp_path: Path) -> None:
    sql = "SELECT 'nan'::DOUBLE AS x, 0.1::FLOAT AS y"
    for rows in (query(str(tmp_path), sql), pl.read_parquet(write(tmp_path, sql, Format.PARQUET))):
        assert rows["x"].is_nan().all()
        assert rows.schema["y"] == pl.Float32
    assert write(tmp_path, sql, Format.JSON) == b'[\n  {"x": "nan", "y": 0.1}\n]\n'


@pytest.mark.parametrize("form", Format)
def test_no_rows_keep_their_columns(tmp_path: Path, form: Format) -> None:
    content = write(tmp_path, "SELECT symbol, close, 1 AS symbol FROM candles", form)
    expected = ["symbol", "close", "symbol_1"]
    found = {
        Format.TABLE: lambda: content.decode().split("columns are ")[1].strip().split(", "),
        Format.JSON: lambda: expected * (json.loads(content) == []),
        Format.CSV: lambda: content.decode().strip().split(","),
        Format.PARQUET: lambda: pl.read_parquet(content).columns,
        Format.ARROW: lambda: pl.read_ipc(content).columns,
    }
    assert found[form]() == expected


def test_equal_names_are_told_apart(tmp_path: Path) -> None:
    sql = 'SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS "A"'
    assert query(str(tmp_path), sql).to_dicts() == [{"a": 1, "a_1": 2, "a_1_1": 3, "A": 4}]
    assert json.loads(write(tmp_path, sql, Format.JSON)) == [{"a": 1, "a_1": 2, "a_1_1": 3, "A": 4}]


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("PIVOT (VALUES ('a', 1), ('b', 2)) AS t (k, n) ON k USING sum(n)", [{"a": 1, "b": 2}]),
        ("FROM (PIVOT (VALUES ('a', 1)) AS t (k, n) ON k USING sum(n));", [{"a": 1}]),
        ("UNPIVOT (SELECT 1 AS a, 2 AS b) ON a, b", [{"name": "a", "value": 1}, {"name": "b", "value": 2}]),
        ("VALUES (1)", [{"col0": 1}]),
        ("SELECT 1 AS a; -- the end", [{"a": 1}]),
        ("/* é; */ SELECT 'é;' AS a /* ; */ ; ; -- ;", [{"a": "é;"}]),
        ("SHOW TABLES", [{"name": name} for name in sorted(
            ("candles", "rejects", "ledger", "gaps", "forecasts", "scores", "models"))]),
    ],
)  # fmt: skip
def test_statements_of_every_form_have_results(tmp_path: Path, sql: str, rows: list[dict[str, object]]) -> None:
    assert query(str(tmp_path), sql).to_dicts() == rows


def test_a_plan_and_a_summary_are_results(tmp_path: Path) -> None:
    assert "volume" in query(str(tmp_path), "EXPLAIN FROM candles")["explain_value"][0]
    assert query(str(tmp_path), "SUMMARIZE candles")["column_name"].to_list()[0] == "exchange"
    assert "close" in query(str(tmp_path), "DESCRIBE candles")["column_name"].to_list()


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELEC 1", "Parser Error"),
        ("SELECT nothing FROM candles", "Binder Error"),
        ("SELECT 'x'::INTEGER AS n", "Conversion Error"),
        ("FROM read_csv('/etc/passwd')", "Permission Error"),
        ("FROM lake", "Catalog Error"),  # no variable of this program is a table
        ("CREATE TABLE t AS PIVOT candles ON symbol USING sum(close)", "expected one SELECT"),
        ("COPY candles TO 'x.csv'", "expected one SELECT"),
    ],
)
def test_a_wrong_statement_is_told_in_duckdbs_words(tmp_path: Path, sql: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as raised:
        query(str(tmp_path), sql)
    assert "Traceback" not in str(raised.value)
