"""Objects that were put under an older contract: each reader returns today's columns, null where they were missing."""

import io
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from evolution import RETIRED, YOUNG, older_contract, one_row, put_old_and_new, put_row
from lakes import run_lake, write_days
from polars.testing import assert_frame_equal

from chandlery.lake import tables
from chandlery.lake.query import query
from chandlery.lake.reading import read_partition, read_table, scan_content
from chandlery.lake.store import Store
from chandlery.lake.tables import empty_frame, join_rows, list_partitions, partition_path
from chandlery.report import write_plot, write_report
from chandlery.runs import ingesting
from chandlery.schema import LAKE_FILE, TABLES, TIME
from chandlery.settings.model import load_settings
from chandlery.tasks.ingest import IngestTask


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / LAKE_FILE).touch()
    return Store(str(tmp_path))


def own_of(table: str) -> dict[str, pl.DataType]:
    return {"predicted_linear": pl.Float32(), "predicted_news": pl.Float32()} if table == "forecasts" else {}


def ask(store: Store, table: str, columns: str = "*") -> pl.DataFrame:
    return query(store.uri, f"SELECT {columns} FROM {table}")  # noqa: S608 - names of the contract


def check_query(asked: pl.DataFrame, found: pl.DataFrame) -> None:
    """Check that `query` returns what `read_table` does; DuckDB's times are in microseconds."""
    times = [name for name, kind in found.schema.items() if kind == TIME]
    assert_frame_equal(asked.with_columns(pl.col(times).cast(TIME)), found, check_row_order=False)


@pytest.mark.parametrize("table", TABLES)
def test_old_and_new_objects_are_one_table(store: Store, table: str) -> None:
    put_old_and_new(store, table)
    found = read_table(store.uri, table)
    assert dict(found.schema) == {**empty_frame(TABLES[table].schema).schema, **own_of(table)}
    assert found.height == 2
    for name in [*YOUNG[table], *(["predicted_news"] if table == "forecasts" else [])]:
        assert found[name].null_count() == 1, name
    check_query(ask(store, table), found)
    only = read_table(store.uri, table, columns=YOUNG[table])
    assert_frame_equal(only, found.select(YOUNG[table]))
    chosen = ", ".join(f'"{name}"' for name in YOUNG[table])
    check_query(ask(store, table, chosen), only)


@pytest.mark.parametrize("table", TABLES)
def test_a_column_that_no_object_holds_yet_is_null(store: Store, table: str) -> None:
    with older_contract(table, YOUNG[table]):
        put_row(store, table, "old", 2018)
    found = read_table(store.uri, table)
    assert found.schema == empty_frame(TABLES[table].schema).schema
    assert found.height == 1
    assert all(found[name].null_count() == 1 for name in YOUNG[table])
    check_query(ask(store, table), found)
    assert ask(store, table, f'count("{YOUNG[table][0]}") AS n')["n"].to_list() == [0]
    assert_frame_equal(read_table(store.uri, table, columns=YOUNG[table][:1]), found.select(YOUNG[table][:1]))


@pytest.mark.parametrize("table", TABLES)
def test_a_partition_has_the_columns_of_the_contract(store: Store, table: str) -> None:
    put_old_and_new(store, table)
    expected = [name for name in TABLES[table].schema.column_names() if name not in TABLES[table].partitions]
    for keys in list_partitions(store, table):
        found = read_partition(store, table, keys)
        assert found is not None
        lazy = scan_content(store.get(partition_path(table, keys)) or b"", table)
        assert [name for name in found.columns if name not in own_of(table)] == expected
        assert_frame_equal(lazy.collect(), found)
        some = read_partition(store, table, keys, YOUNG[table])
        assert some is not None
        assert_frame_equal(some, found.select(YOUNG[table]))


def test_rows_are_joined_with_the_columns_of_both() -> None:
    held = one_row("forecasts", 2018, predicted_gone=1.0, predicted_linear=2.0).drop("served_by", "lower_80")
    fresh = one_row("forecasts", 2019, predicted_linear=3.0, predicted_news=4.0).drop("upper_95")
    found = join_rows("forecasts", held, fresh)
    contract = [
        name for name in TABLES["forecasts"].schema.column_names() if name not in TABLES["forecasts"].partitions
    ]
    assert found.columns == [*contract, "predicted_linear", "predicted_news", "predicted_gone"]
    assert found.schema["lower_80"] == pl.Float32
    assert found.select(
        "served_by", "lower_80", "upper_95", "predicted_linear", "predicted_news", "predicted_gone"
    ).rows() == [
        (None, None, 1.5, 2.0, None, 1.0),
        ("a", 1.5, None, 3.0, 4.0, None),
    ]


def make_older(lake: Path, table: str, missing: list[str]) -> None:
    """Replace a table's objects by ones without some columns, and with one that the contract has no longer."""
    for path in (lake / table).rglob("*.parquet"):
        rows = pl.read_parquet(path, hive_partitioning=False).drop(missing, strict=False)
        rows.with_columns(pl.lit(1, pl.Int64).alias(RETIRED)).write_parquet(path)


@pytest.mark.parametrize("most", [1_000_000, 1_000])
def test_a_run_keeps_the_rows_of_old_objects_and_adds_the_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    write_days(tmp_path / "raw", 0, 34, symbols=2)
    with (tmp_path / "raw" / "btcusd.csv").open("a") as file:
        file.write("not a candle\n")
    lake = tmp_path / "lake"
    run_lake(tmp_path / "raw", lake, models=["linear"])
    missing = {
        "candles": ["volume"],
        "rejects": ["open_time"],
        "ledger": ["layout", "sha256"],
        "forecasts": ["served_by", "predicted_blend"],
    }
    before = {table: read_table(str(lake), table).drop(missing[table]) for table in missing}
    for table, names in missing.items():
        make_older(lake, table, names)
    monkeypatch.setattr(tables, "MOST_AT_ONCE", most)
    monkeypatch.setattr(ingesting, "IngestTask", partial(IngestTask, most_at_once=most))
    write_days(tmp_path / "raw", 34, 35, symbols=2, name="_2")
    assert run_lake(tmp_path / "raw", lake, models=["linear"]).exit_code == 0
    for table, names in missing.items():
        for path in (lake / table).rglob("*.parquet"):
            held = pl.read_parquet_schema(io.BytesIO(path.read_bytes())).names()
            assert {*names, *TABLES[table].schema.column_names()} <= {*held, *TABLES[table].partitions}, table
            assert RETIRED not in held
        found = read_table(str(lake), table)
        kept = found.join(before[table].select(key := TABLES[table].schema.primary_key()), on=key, how="semi")
        assert kept.height == before[table].height
        fresh = found.join(before[table].select(key), on=key, how="anti")
        assert all(fresh[name].null_count() == 0 for name in names)
        assert table == "rejects" or fresh.height > 0
    settings = load_settings(None, {"lake": {"uri": str(lake)}})
    write_report(settings, tmp_path / "report.html")
    write_plot(settings, "BTCUSD", tmp_path / "plot.html")
