"""Objects in the shape of another version of the contract: columns that it did not have, and one that was removed."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

import dataframely as dy
import polars as pl

from chandlery.lake.staging import Target
from chandlery.lake.store import Store
from chandlery.lake.tables import plain_type, write_partition
from chandlery.schema import TABLES, TIME

RETIRED = "retired"
YOUNG = {  # by table: columns that its old objects lack
    "candles": ["volume"],
    "rejects": ["open_time", "reasons"],
    "ledger": ["layout", "rows_read", "present"],
    "gaps": ["missing", "evidence"],
    "forecasts": ["served_by", "lower_80", "target_time"],
    "scores": ["coverage_80", "verdict"],
    "models": ["features", "rows"],
}
KEYS = {"exchange": "bitfinex", "interval": "1m", "symbol": "BTCUSD", "horizon_minutes": 5}
VALUES: dict[type[pl.DataType], Any] = {
    pl.String: "a",
    pl.Boolean: True,
    pl.Int32: 5,
    pl.Int64: 6,
    pl.Float32: 1.5,
    pl.Float64: 2.5,
    pl.List: ["a"],
}


@contextmanager
def older_contract(table: str, missing: list[str]) -> Iterator[None]:
    """Write a table without some of its columns, and with one that the contract has no longer."""
    columns = {name: column for name, column in TABLES[table].schema.columns().items() if name not in missing}
    schema = type("Older", (dy.Schema,), {**columns, RETIRED: dy.Int64()})
    with mock.patch.dict(TABLES, {table: replace(TABLES[table], schema=schema)}):
        yield


def one_row(table: str, year: int, **models: float) -> pl.DataFrame:
    """Return a row of a table in the columns of its contract, and of models."""
    moment = dt.datetime(year, 1, 2, tzinfo=dt.UTC)
    held = {}
    for name, column in TABLES[table].schema.columns().items():
        kind = plain_type(column.dtype)
        held[name] = pl.Series([moment], dtype=TIME) if kind == TIME else pl.Series([VALUES[type(kind)]], dtype=kind)
    own = {name: pl.Series([value], dtype=pl.Float32) for name, value in models.items()}
    return pl.DataFrame({**held, **own, RETIRED: pl.Series([1], dtype=pl.Int64)})


def put_old_and_new(store: Store, table: str) -> None:
    """Put two objects, the first in the shape of an older version; where a table has no year, by another symbol or
    exchange.
    """
    with older_contract(table, YOUNG[table]):
        put_row(store, table, "old", 2018, predicted_linear=1.0)
    put_row(store, table, "young", 2019, predicted_linear=1.0, predicted_news=2.0)


def put_row(store: Store, table: str, age: str, year: int, **models: float) -> None:
    keys: dict[str, Any] = {**KEYS, "year": year}
    if "year" not in TABLES[table].partitions:
        other = "symbol" if "symbol" in TABLES[table].partitions else "exchange"
        keys[other] = f"{KEYS[other]}{age}" if other == "exchange" else f"{age.upper()}USD"
    columns = {} if table != "forecasts" else models
    write_partition(Target(store, lambda: None), table, keys, [one_row(table, year, **columns)])
