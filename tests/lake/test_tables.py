"""Partitions are put whole, only where bytes change, and are the same on any number of threads."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from chandlery.errors import SettingsError
from chandlery.lake import tables
from chandlery.lake.extents import measure_table
from chandlery.lake.query import query
from chandlery.lake.reading import read_table
from chandlery.lake.staging import Target
from chandlery.lake.store import Store
from chandlery.lake.tables import conform, encode, partition_path, replace_partition, write_partition
from chandlery.schema import LAKE_FILE, TABLES

KEYS = {"exchange": "bitfinex", "interval": "1m", "symbol": "LTCUSD"}


def ledger(rows: int) -> pl.DataFrame:
    count = pl.int_range(rows, eager=True, dtype=pl.Int64)
    whole = pl.DataFrame(
        {
            "source": [f"{number}.csv" for number in range(rows)],
            "status": "read",
            "size_bytes": count,
            "rows_read": count,
            "rows_kept": count,
            "present": True,
        }
    )
    missing = [pl.lit(None).alias(name) for name in TABLES["ledger"].schema.column_names() if name not in whole.columns]
    return whole.with_columns(missing)


def test_equal_bytes_are_not_put_again(tmp_path: Path) -> None:
    store, calls = Store(str(tmp_path)), []
    assert write_partition(Target(store, lambda: calls.append(1)), "ledger", KEYS, [ledger(3)])
    stamp = next(tmp_path.rglob("*.parquet")).stat().st_mtime_ns
    assert not write_partition(Target(store, lambda: calls.append(1)), "ledger", KEYS, [ledger(3)])
    assert next(tmp_path.rglob("*.parquet")).stat().st_mtime_ns == stamp
    assert write_partition(Target(store, lambda: calls.append(1)), "ledger", KEYS, [ledger(4)])
    assert len(calls) == 2  # once a put
    assert write_partition(Target(store, lambda: calls.append(1)), "ledger", KEYS, [ledger(0)])
    assert not list(tmp_path.rglob("*.parquet"))


def test_what_is_staged_changes_no_table(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    now, later = Target(store, lambda: None), Target(store, lambda: None, "_staging/one/")
    path = partition_path("ledger", KEYS)
    assert write_partition(now, "ledger", KEYS, [ledger(3)])
    published = store.get(path)
    assert not write_partition(later, "ledger", KEYS, [ledger(3)])  # as published: nothing is staged
    assert not store.list("_staging/")
    assert write_partition(later, "ledger", KEYS, [ledger(4)])
    assert replace_partition(later, "ledger", KEYS, published, [ledger(4)])
    assert store.get(path) == published
    assert store.get(f"_staging/one/{path}") not in {None, b"", published}
    assert write_partition(later, "ledger", KEYS, [ledger(0)])  # no rows: the object is to be deleted
    assert (store.get(path), store.get(f"_staging/one/{path}")) == (published, b"")


def test_partition_keys_come_back_as_columns(tmp_path: Path) -> None:
    write_partition(Target(Store(str(tmp_path)), lambda: None), "ledger", KEYS, [ledger(3)])
    (tmp_path / LAKE_FILE).touch()
    found = read_table(str(tmp_path), "ledger", symbol="ltc/usd")
    assert found.columns == TABLES["ledger"].schema.column_names()
    assert found["symbol"].to_list() == ["LTCUSD"] * 3
    assert read_table(str(tmp_path), "candles", symbol="LTCUSD").is_empty()
    with pytest.raises(SettingsError, match=r"nothing is known of ETHUSD in .*expected one of LTCUSD"):
        read_table(str(tmp_path), "ledger", symbol="eth/usd")
    assert read_table(str(tmp_path), "candles").schema["open_time"] == pl.Datetime("ms", "UTC")


@pytest.mark.parametrize(
    "read",
    [
        lambda lake: read_table(lake, "ledger"),
        lambda lake: read_table(lake, "ledger", columns=["source"]),
        lambda lake: query(lake, "SELECT count(*) FROM ledger"),
        lambda lake: measure_table(Store(lake), "ledger"),
    ],
    ids=["rows", "columns", "sql", "extent"],
)
def test_a_damaged_object_is_named(tmp_path: Path, read: Callable[[str], object]) -> None:
    write_partition(Target(Store(str(tmp_path)), lambda: None), "ledger", KEYS, [ledger(3)])
    (tmp_path / LAKE_FILE).touch()
    path = tmp_path / partition_path("ledger", KEYS)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SettingsError, match=r"symbol=LTCUSD/part-0\.parquet at .* is not a complete Parquet object"):
        read(str(tmp_path))


@pytest.mark.parametrize(
    ("sql", "found"), [("DROP TABLE candles", "^DROP"), ("SELECT 1; SELECT 2", "^2 statements"), ("", "^no statement")]
)
def test_sql_that_is_not_one_select_is_refused(tmp_path: Path, sql: str, found: str) -> None:
    with pytest.raises(SettingsError, match=found + r".*; expected one SELECT"):
        query(str(tmp_path), sql)


def test_an_unknown_table_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="table 'candle'; expected one of candles"):
        read_table(str(tmp_path), "candle")


@pytest.mark.slow
def test_bytes_do_not_follow_the_number_of_threads() -> None:
    script = (
        "import polars as pl, numpy as np, hashlib\n"
        "from chandlery.lake.tables import encode\n"
        "r = np.random.default_rng(0)\n"
        "f = pl.DataFrame({'a': r.standard_normal(600_000), 'b': r.integers(0, 9, 600_000)})\n"
        "print(hashlib.sha256(encode([f.filter(pl.col('b') < 8)])).hexdigest())\n"
    )
    shown = {
        subprocess.run(
            [sys.executable, "-c", script],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "POLARS_MAX_THREADS": threads},
        ).stdout
        for threads in ("1", "2", "5")
    }
    assert len(shown) == 1
    wanted = [name for name in TABLES["ledger"].schema.column_names() if name not in TABLES["ledger"].partitions]
    assert conform(ledger(1), TABLES["ledger"]).columns == wanted
    assert encode([ledger(1)]) == encode([ledger(1)])


def test_only_some_columns_are_the_same_rows(tmp_path: Path) -> None:
    write_partition(Target(Store(str(tmp_path)), lambda: None), "ledger", KEYS, [ledger(3)])
    wanted = ["rows_read", "symbol"]
    assert read_table(str(tmp_path), "ledger", columns=wanted).equals(
        read_table(str(tmp_path), "ledger").select(wanted)
    )
    with pytest.raises(SettingsError, match="column 'nothing' of ledger"):
        read_table(str(tmp_path), "ledger", columns=["nothing"])


def candles_of(count: int) -> pl.DataFrame:
    """Return candles of a second each."""
    step = pl.int_range(count, eager=True)
    close = (step % 1_000 + 1).cast(pl.Float64)
    return pl.DataFrame(
        {
            "open_time": (step * 1_000).cast(pl.Datetime("ms", "UTC")),
            "open": close,
            "high": close,
            "low": close,
            "close": close,
            "volume": close,
            "source": ["a"] * count,
        }
    )


@pytest.mark.parametrize("cuts", [[700, 5_000], [4_096, 8_192], [1, 2, 3]])
def test_many_rows_give_the_same_bytes_however_they_come(monkeypatch: pytest.MonkeyPatch, cuts: list[int]) -> None:
    monkeypatch.setattr(tables, "MOST_AT_ONCE", 1_000)
    monkeypatch.setattr(tables, "PIECE_ROWS", 4_096)
    whole = candles_of(10_000)
    content = encode([whole])
    assert content is not None
    assert content == encode(whole[first:last] for first, last in pairwise([0, *cuts, whole.height]))
    assert pl.read_parquet(content).equals(whole)
    assert pl.read_parquet_schema(io.BytesIO(content)) == pl.read_parquet_schema(
        io.BytesIO(encode([whole[:1_000]]) or b"")
    )
