"""What `query` reads of a bucket: the objects, row groups and columns that a statement needs, each as of one etag."""

import datetime as dt
import io
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from evolution import one_row
from proxy import counting_proxy
from s3_server import Server

from chandlery.commands.options import Format
from chandlery.commands.results import write_result
from chandlery.errors import SettingsError, StoreUnavailableError
from chandlery.lake.extents import measure_series, measure_table
from chandlery.lake.lake_file import LakeFile, Series, write_lake_file
from chandlery.lake.pinned import TAIL_BYTES
from chandlery.lake.query import query
from chandlery.lake.staging import Target
from chandlery.lake.store import Store
from chandlery.lake.tables import empty_frame, partition_path, write_partition
from chandlery.schema import LAKE_FILE, LAKE_FORMAT, TABLES
from chandlery.settings.model import load_settings
from relay import CountingRelay

EXCHANGES, SYMBOLS, YEARS = ("binance", "kraken"), ("BTCUSD", "ETHUSD"), (2018, 2019)
ROWS = 300_000  # three row groups
KEYS = [
    {"exchange": exchange, "interval": "1m", "symbol": symbol, "year": year}
    for exchange in EXCHANGES
    for symbol in SYMBOLS
    for year in YEARS
]
ONE = {"exchange": "kraken", "interval": "1m", "symbol": "BTCUSD", "year": 2019}


def make_candles(keys: dict[str, object], seed: int) -> pl.DataFrame:
    """Return candles whose prices do not compress."""
    first = dt.datetime(int(str(keys["year"])), 1, 1, tzinfo=dt.UTC)
    times = pl.datetime_range(first, first + dt.timedelta(minutes=ROWS - 1), "1m", time_unit="ms", eager=True)
    draws = np.random.default_rng(seed)
    prices = {name: draws.random(ROWS) for name in ("open", "high", "low", "close", "volume")}
    rows = pl.DataFrame({"open_time": times, **prices, "source": ["a.csv"] * ROWS})
    return pl.concat([empty_frame(TABLES["candles"].schema).drop(keys), rows], how="diagonal")


@dataclass
class Lake:
    """A lake in a bucket, and what counts the requests to it."""

    uri: str
    options: dict[str, str]
    direct: Store
    relay: CountingRelay

    def ask(self, sql: str) -> tuple[pl.DataFrame, dict[str, int]]:
        """Return the result of a statement, and the bytes read of each object."""
        self.relay.take()
        found = query(self.uri, sql, self.options)
        read: dict[str, int] = {}
        for request in self.relay.take():
            if request.kind == "get":
                path = request.key.split("/", 1)[1]
                read[path] = read.get(path, 0) + request.received_bytes
        return found, read


@pytest.fixture(scope="module")
def lake(server: Server) -> Iterator[Lake]:
    with pytest.MonkeyPatch.context() as patch, counting_proxy(server.endpoint) as (endpoint, relay):
        for name, value in server.admin.items():
            patch.setenv(name, value)
        uri = f"s3://crypto-lake/{secrets.token_hex(4)}"
        store = Store(uri, server.storage)
        for seed, keys in enumerate(KEYS):
            write_partition(Target(store, lambda: None), "candles", keys, [make_candles(keys, seed)])
        yield Lake(uri, {**server.storage, "endpoint_url": endpoint}, store, relay)


def column_bytes(content: bytes, names: set[str], groups: set[int]) -> int:
    """Return the size of columns in row groups of an object."""
    footer = pq.read_metadata(io.BytesIO(content))
    chunks = [footer.row_group(group).column(place) for group in groups for place in range(footer.num_columns)]
    return sum(chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema in names)


@pytest.mark.parametrize(
    ("where", "matches"),
    [
        ("symbol = 'BTCUSD'", lambda keys: keys["symbol"] == "BTCUSD"),
        ("exchange = 'kraken' AND year = 2019", lambda keys: keys["exchange"] == "kraken" and keys["year"] == 2019),
        (
            "symbol IN ('ETHUSD', 'XRPUSD') AND year >= 2019",
            lambda keys: (keys["symbol"], keys["year"]) == ("ETHUSD", 2019),
        ),
        (
            "year BETWEEN 2018 AND 2018 OR symbol = 'ETHUSD'",
            lambda keys: keys["year"] == 2018 or keys["symbol"] == "ETHUSD",
        ),
        ("interval = '60m'", lambda keys: keys["interval"] == "60m"),
        ("interval LIKE '1%'", lambda keys: keys["interval"] == "1m"),
    ],
)
def test_only_objects_of_the_named_partitions_are_read(lake: Lake, where: str, matches: object) -> None:
    chosen = [keys for keys in KEYS if matches(keys)]  # type: ignore[operator]
    found, read = lake.ask(f"SELECT count(*) AS n FROM candles WHERE {where}")  # noqa: S608 - of the table above
    assert found["n"].to_list() == [len(chosen) * ROWS]
    assert set(read) == {partition_path("candles", keys) for keys in chosen}
    assert max(read.values(), default=0) <= TAIL_BYTES  # the number of rows stands in the footer


def test_only_the_named_columns_and_row_groups_are_read(lake: Lake) -> None:
    content = lake.direct.get(partition_path("candles", ONE)) or b""
    where = " AND ".join(f"{name} = {value!r}" for name, value in ONE.items())
    found, read = lake.ask(f"SELECT max(close) AS top FROM candles WHERE {where}")  # noqa: S608 - keys of our own
    assert found["top"].to_list() == [pl.read_parquet(io.BytesIO(content))["close"].max()]
    assert sum(read.values()) <= column_bytes(content, {"close"}, {0, 1, 2}) + TAIL_BYTES < len(content) / 3
    sql = f"SELECT avg(low) FROM candles WHERE {where} AND open_time < '2019-01-08'"  # noqa: S608 - likewise
    _, read = lake.ask(sql)
    assert sum(read.values()) <= column_bytes(content, {"low", "open_time"}, {0}) + TAIL_BYTES


def test_a_statement_that_names_no_table_reads_nothing(lake: Lake) -> None:
    for sql in ("SELECT 'candles' AS \"candles\" -- FROM candles", "WITH candles AS (SELECT 1 AS n) FROM candles"):
        assert lake.ask(sql)[1] == {}


def test_sizes_are_read_from_the_ends_of_objects(lake: Lake) -> None:
    lake.relay.take()
    found = measure_table(Store(lake.uri, lake.options), "candles", {"exchange": "kraken"})
    requests = lake.relay.take()
    chosen = [keys for keys in KEYS if keys["exchange"] == "kraken"]
    assert (found.rows, found.objects) == (len(chosen) * ROWS, len(chosen))
    assert [request.kind for request in requests] == ["list", *["get"] * len(chosen)]
    assert max(request.received_bytes for request in requests if request.kind == "get") <= TAIL_BYTES
    series = measure_series(Store(lake.uri, lake.options), "candles")
    assert series == {
        f"{exchange}/1m": measure_table(lake.direct, "candles", {"exchange": exchange}) for exchange in EXCHANGES
    }


def test_sizes_are_of_one_listing(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    path, ask, replaced = partition_path("candles", ONE), Store.get_range_if_match, []
    content = lake.direct.get(path) or b""

    def replace_first(store: Store, asked: str, etag: str, start: int, end: int) -> bytes | None:
        if asked == path and not replaced:
            replaced.append(path)
            write_partition(Target(lake.direct, lambda: None), "candles", ONE, [make_candles(ONE, 99)[:-1]])
        return ask(store, asked, etag, start, end)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "get_range_if_match", replace_first)
        found = measure_table(Store(lake.uri, lake.options), "candles")
    lake.direct.put(path, content)
    assert found.rows == len(KEYS) * ROWS - 1


def put_forecasts(lake: Lake) -> dict[str, str]:
    """Put an object a model, each of another symbol; return their paths by the names of their columns."""
    lake.direct.delete_all(entry.path for entry in lake.direct.list("forecasts/"))
    paths = {}
    for symbol, model in (("BTCUSD", "linear"), ("ETHUSD", "news"), ("XRPUSD", "gone")):
        keys = {"exchange": "kraken", "interval": "1m", "symbol": symbol, "horizon_minutes": 5, "year": 2019}
        rows = one_row("forecasts", 2019, **{f"predicted_{model}": 1.0})
        write_partition(Target(lake.direct, lambda: None), "forecasts", keys, [rows])
        paths[f"predicted_{model}"] = partition_path("forecasts", keys)
    return paths


LISTED = ["predicted_linear", "predicted_news", "predicted_blend"]


@pytest.mark.parametrize(
    ("sql", "read", "own"),
    [
        ("FROM forecasts WHERE symbol = 'BTCUSD'", {"predicted_linear"}, LISTED),
        ("SELECT predicted_news FROM forecasts WHERE symbol IN ('ETHUSD')", {"predicted_news"}, ["predicted_news"]),
        ("SELECT count(*) AS n FROM forecasts WHERE symbol = 'XRPUSD'", {"predicted_gone"}, []),
        ("FROM forecasts WHERE symbol = 'XRPUSD'", {"predicted_gone"}, [*LISTED, "predicted_gone"]),
        ("FROM forecasts LIMIT 1", set(), [*LISTED, "predicted_gone"]),
        ("SELECT predicted_gone FROM forecasts WHERE symbol = 'BTCUSD'", set(), ["predicted_gone"]),
        ("FROM forecasts WHERE symbol = 'LTCUSD'", None, LISTED),
        ("SELECT close FROM candles WHERE year = 1970 -- no forecasts", None, []),
    ],
)
def test_forecasts_have_the_columns_of_the_lakes_models_and_of_what_is_read(
    lake: Lake, sql: str, read: set[str] | None, own: list[str]
) -> None:
    paths = put_forecasts(lake)
    series = Series("kraken", "1m", [5], ["linear", "news"], [], "30d", 0, [], 5)
    write_lake_file(lake.direct, LakeFile(LAKE_FORMAT, [series]))
    found, requests = lake.ask(sql)
    assert [name for name in found.columns if name.startswith("predicted_") and name != "predicted_close"] == own
    wanted = set() if read is None else {paths[name] for name in read} or set(paths.values())
    assert {path for path in requests if path != LAKE_FILE} == wanted


def test_a_column_that_no_object_has_is_not_found(lake: Lake) -> None:
    put_forecasts(lake)
    with pytest.raises(SettingsError, match="predicted_typo"):
        lake.ask("SELECT predicted_typo FROM forecasts")


def test_a_limit_ends_the_requests(lake: Lake) -> None:
    found, read = lake.ask("SELECT close FROM candles LIMIT 5")
    assert found.height == 5
    assert sum(read.values()) < sum(len(lake.direct.get(partition_path("candles", keys)) or b"") for keys in KEYS) / 2


def test_an_object_that_is_replaced_while_it_is_read_is_read_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    path = partition_path("candles", ONE)
    content, ask, replaced = lake.direct.get(path) or b"", Store.get_range_if_match, []

    def replace_first(store: Store, asked: str, etag: str, start: int, end: int) -> bytes | None:
        if asked == path and start < len(content) - TAIL_BYTES and not replaced:  # its footer was read already
            replaced.append(path)
            write_partition(Target(lake.direct, lambda: None), "candles", ONE, [make_candles(ONE, 99)])
        return ask(store, asked, etag, start, end)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "get_range_if_match", replace_first)
        found, _ = lake.ask("SELECT sum(close) AS total FROM candles WHERE exchange = 'kraken' AND symbol = 'BTCUSD'")
    try:
        assert replaced
        parts = [lake.direct.get(partition_path("candles", {**ONE, "year": year})) or b"" for year in YEARS]
        assert found["total"][0] == pytest.approx(
            sum(pl.read_parquet(io.BytesIO(part))["close"].sum() for part in parts)
        )
    finally:
        lake.direct.put(path, content)


def test_objects_that_are_always_replaced_are_reported(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Store, "get_range_if_match", lambda *_: None)
        with pytest.raises(StoreUnavailableError, match="replaced faster than they are read"):
            lake.ask("SELECT sum(close) FROM candles")


def test_a_result_is_written_to_an_object(lake: Lake) -> None:
    write_lake_file(lake.direct, LakeFile(LAKE_FORMAT, []))
    settings = load_settings(None, {"lake": {"uri": lake.uri}, "storage": lake.options})
    sql = "SELECT symbol, year, max(close) AS top FROM candles WHERE exchange = 'kraken' GROUP BY ALL ORDER BY ALL"
    write_result(settings, sql, Format.PARQUET, f"{lake.uri}/result.parquet")
    written = pl.read_parquet(io.BytesIO(lake.direct.get("result.parquet") or b""))
    assert written.equals(query(lake.uri, sql, lake.options))
