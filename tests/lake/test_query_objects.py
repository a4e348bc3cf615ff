"""`query` over objects of a folder: tables are found as DuckDB reads the statement, and objects as of one listing."""

import resource
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from evolution import one_row

from chandlery.errors import SettingsError
from chandlery.lake.pinned import TAIL_BYTES
from chandlery.lake.query import query
from chandlery.lake.staging import Target
from chandlery.lake.store import Store
from chandlery.lake.tables import conform, encode, partition_path, write_partition
from chandlery.schema import TABLES

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
    get, replaced = Store.get, []

    def replace_first(store: Store, path: str) -> object:
        if "symbol=ETHUSD" in path and not replaced:
            replaced.append(path)
            put(lake, "ETHUSD", 20.0)
            put(lake, "BTCUSD", 10.0)  # which was read already
        return get(store, path)

    monkeypatch.setattr(Store, "get", replace_first)
    assert query(str(lake), "SELECT sum(close) FROM candles").item() == 33.0
    assert replaced


def test_a_file_that_vanishes_is_read_no_more(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    get = Store.get

    def delete_first(store: Store, path: str) -> object:
        if "symbol=ETHUSD" in path:
            store.delete(path)
        return get(store, path)

    monkeypatch.setattr(Store, "get", delete_first)
    assert query(str(lake), "SELECT sum(close) FROM candles").item() == 4.0


def test_more_objects_than_files_may_be_open(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    rows = one_row("forecasts", 2019, predicted_linear=1.0)
    many = pl.concat([rows.with_columns(error_pct=pl.lit(number, pl.Float32)) for number in range(40_000)])
    contents = [encode([conform(part, TABLES["forecasts"])]) or b"" for part in (rows, many)]
    assert len(contents[1]) > TAIL_BYTES
    store, count = Store(str(tmp_path)), 100
    for number in range(count):
        keys = {**keys_of(f"S{number}"), "horizon_minutes": 5}
        store.put(partition_path("forecasts", keys), contents[number % 2])
    used = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + count // 4, hard))
    try:
        found = query(str(tmp_path), "SELECT count(*) FROM forecasts WHERE predicted_linear > 0").item()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert found == count // 2 * (1 + many.height)


def test_a_query_of_broken_text_is_refused(lake: Path) -> None:
    with pytest.raises(SettingsError, match="bytes that are no text"):
        query(str(lake), "SELECT '\udcff'")
