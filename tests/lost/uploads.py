"""What the tests of this folder do with a lake's raw files, and what they read of it."""

import datetime as dt
import os
from typing import Any

import polars as pl
import pytest
from hours import Lake

from chandlery.lake.reading import read_table
from chandlery.runs.pipeline import Options

PRUNE, RESTATE = Options(prune=True), Options(restate=True)
BTC, ETH = "btcusd_000.csv", "ethusd_000.csv"
CANDLES = ["open_time", "open", "high", "low", "close", "volume"]
UNSEEN = pytest.mark.parametrize("how", ["refused", "gone"])


def read(lake: Lake, table: str, symbol: str = "BTCUSD") -> pl.DataFrame:
    return read_table(str(lake.folder), table, symbol=symbol)


def account(lake: Lake, source: str = BTC) -> dict[str, Any]:
    """Return a file's row of the ledger."""
    return read_table(str(lake.folder), "ledger").row(by_predicate=pl.col("source") == source, named=True)


def upload(lake: Lake, content: bytes, name: str = BTC) -> int:
    """Replace a file by something that has to be refused; return when."""
    lake.source.files[name].state = "garbage"
    lake.source.clock_s += 60
    (lake.raw / name).write_bytes(content)
    os.utime(lake.raw / name, (lake.source.clock_s, lake.source.clock_s))
    return lake.source.clock_s


def put_back(lake: Lake, name: str = BTC) -> None:
    """Upload the version in force again, with the time that it had."""
    lake.source.files[name].state = "good"
    lake.source._write(lake.raw, name, lake.source.files[name].version)


def at(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def make_unseen(lake: Lake, how: str, name: str = BTC) -> None:
    """Let the version in force of a file be one that is not in the source."""
    if how == "refused":
        upload(lake, b"", name)
    else:
        lake.source.remove(name)
