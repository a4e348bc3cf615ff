"""`query` over objects of a folder: tables are found as DuckDB reads the statement, and objects as of one listing."""

from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from evolution import one_row

from chandlery.errors import SettingsError
from chandlery.lake.query import query
from chandlery.lake.staging import Target
from chandlery.lake.store import Store
from chandlery.lake.tables import partition_path, write_partition

SYMBOLS = ("BTCUSD", "ETHUSD", "LTCUSD")


def keys_of(symbol: str) -> dict[str, object]:
    return {"exchange": "kraken", "interval": "1m", "symbol": symbol, "year": 2019}


def put(lake: Path, symbol: str, close: float) -> Path:
    """Put an object of one candle."""
    rows = one_row("candles", 2019).with_columns(close=pl.lit(close))
    write_partition(Target(Store(str(lake)), lambda: None), "candles", keys_of(symbol), [rows])
    return lake / partition_path("candles", keys_of(symbol))


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    for close, symbol in enumerate(SYMBOLS, 1):
        put(tmp_path, symbol, float(close))
    return tmp_path


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ('SELECT count(*) FROM "CANDLES" AS ledger', 3),
        ("SELECT count(*) FROM main.candles c JOIN temp.main.candles d USING (symbol)", 3),
        ("WITH candles AS (SELECT 7 AS n) SELECT n FROM candles", 7),
        ("WITH c AS (SELECT * FROM candles), candles AS (SELECT 1) SELECT count(*) FROM c", 3),
        ("SELECT 'FROM scores' -- FROM gaps", "FROM scores"),
        ("SELECT max(candles.close) AS candles FROM candles", 3.0),
        ("SELECT sum(candles) FROM (SELECT close AS candles FROM candles)", 6.0),
        ("SELECT count(*) FROM query_table('candles')", 3),
        ("SELECT count(*) FROM candles WHERE symbol > (SELECT min(symbol) FROM candles)", 2),
        ("SELECT LTCUSD FROM (PIVOT candles ON symbol USING max(close) GROUP BY year)", 3.0),
        ("SELECT count(*) FROM ledger", 0),
        ("SELECT max(close) FROM candles WHERE symbol SIMILAR TO 'B.*' OR year <> 2019 OR close IS NULL", 1.0),
        ("SELECT max(close) FROM candles WHERE open_time >= '2019-01-01' AND symbol NOT IN ('LTCUSD')", 2.0),
    ],
)
def test_tables_are_those_that_duckdb_reads(lake: Path, sql: str, found: object) -> None:
    assert query(str(lake), sql).item() == found


@pytest.mark.parametrize("place", ["page", "footer", "all"])
def test_the_damaged_one_of_several_objects_is_named(lake: Path, place: str) -> None:
    path = lake / partition_path("candles", keys_of("ETHUSD"))
    content = bytearray(path.read_bytes())
    chunk = pq.read_metadata(path).row_group(0).column(0)
    places = {
        "page": slice(chunk.data_page_offset, chunk.data_page_offset + 8),
        "footer": slice(len(content) - 30, len(content) - 10),
        "all": slice(0, len(content)),
    }
    content[places[place]] = b"\xff" * len(content[places[place]])
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"symbol=ETHUSD/year=2019/part-0\.parquet at .* is not a complete Parquet"):
        query(str(lake), "SELECT max(open_time), sum(close) FROM candles")
    assert query(str(lake), "SELECT sum(close) FROM candles WHERE symbol <> 'ETHUSD'").item() == 4.0


def test_a_file_that_is_replaced_after_the_listing_is_listed_again(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    view, replaced = Store.view, []

    def replace_first(store: Store, path: str) -> object:
        if "symbol=ETHUSD" in path and not replaced:
            replaced.append(put(lake, "ETHUSD", 20.0))
            put(lake, "BTCUSD", 10.0)  # which was read already
        return view(store, path)

    monkeypatch.setattr(Store, "view", replace_first)
    assert query(str(lake), "SELECT sum(close) FROM candles").item() == 33.0
    assert replaced


def test_a_file_that_vanishes_is_read_no_more(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    view = Store.view

    def delete_first(store: Store, path: str) -> object:
        if "symbol=ETHUSD" in path:
            store.delete(path)
        return view(store, path)

    monkeypatch.setattr(Store, "view", delete_first)
    assert query(str(lake), "SELECT sum(close) FROM candles").item() == 4.0


def test_a_query_of_broken_text_is_refused(lake: Path) -> None:
    with pytest.raises(SettingsError, match="bytes that are no text"):
        query(str(lake), "SELECT '\udcff'")
