"""What Spark itself reads of a lake is what `read_table` reads: names, types, values, in any time zone."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from evolution import put_old_and_new
from polars.testing import assert_frame_equal
from pyspark.sql import DataFrame, SparkSession

import chandlery
from chandlery.errors import SettingsError
from chandlery.lake.staging import Target
from chandlery.lake.store import Store
from chandlery.lake.tables import encode, write_partition
from chandlery.schema import LAKE_FILE, TABLES, TIME
from chandlery.spark import locate, read_table

pytestmark = pytest.mark.slow

TYPES = {
    pl.String: "string",
    pl.Boolean: "boolean",
    pl.Int32: "int",
    pl.Int64: "bigint",
    pl.Float32: "float",
    pl.Float64: "double",
    pl.Datetime: "timestamp",
    pl.List: "array<string>",
}


@pytest.fixture
def filesystems(spark: SparkSession) -> Iterator[object]:
    """Yield Hadoop's settings, where a file system for a scheme can be named as on EMR, and restore them."""
    settings = spark.sparkContext._jsc.hadoopConfiguration()
    names = ["fs.s3.impl", "fs.s3a.impl"]
    before = {name: settings.get(name) for name in names}
    yield settings
    for name, value in before.items():
        settings.unset(name) if value is None else settings.set(name, value)


def to_polars(frame: DataFrame, table: str) -> pl.DataFrame:
    """Return all rows in the order of `read_table`; times in UTC, whatever the session's zone."""
    found = pl.from_arrow(frame.toArrow())
    assert isinstance(found, pl.DataFrame)
    declared = TABLES[table]
    times = [name for name, kind in found.schema.items() if isinstance(kind, pl.Datetime)]
    return found.with_columns(pl.col(times).dt.convert_time_zone("UTC").cast(TIME)).sort(
        [*(name for name in declared.partitions if name != "year"), *declared.sort]
    )


def simple_types(frame: pl.DataFrame) -> list[tuple[str, str]]:
    return [(name, TYPES[type(kind)]) for name, kind in frame.schema.items()]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("table", TABLES)
def test_every_table_is_the_same_value_for_value(spark: SparkSession, sample_lake: Path, table: str, zone: str) -> None:
    expected = chandlery.read_table(str(sample_lake), table)
    assert not expected.is_empty()
    spark.conf.set("spark.sql.session.timeZone", zone)
    try:
        found = read_table(spark, table, str(sample_lake))
        assert found.dtypes == simple_types(expected)
        assert_frame_equal(to_polars(found, table), expected, check_exact=True)
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")


@pytest.mark.parametrize("table", TABLES)
def test_plain_spark_reads_every_table_as_it_is(spark: SparkSession, sample_lake: Path, table: str) -> None:
    expected = chandlery.read_table(str(sample_lake), table)
    found = spark.read.parquet(f"{sample_lake}/{table}")
    assert sorted(found.dtypes) == sorted(simple_types(expected))
    assert_frame_equal(to_polars(found.select(expected.columns), table), expected, check_exact=True)


@pytest.mark.parametrize("table", ["candles", "forecasts", "scores", "ledger", "models"])
def test_symbol_and_horizon_choose_as_read_table_does(spark: SparkSession, sample_lake: Path, table: str) -> None:
    for wanted in ({"symbol": "btc/usd", "horizon_minutes": 5}, {"series": "bitfinex/1min", "symbol": "btc/usd"}):
        expected = chandlery.read_table(str(sample_lake), table, **wanted)
        assert not expected.is_empty()
        found = read_table(spark, table, str(sample_lake), **wanted)
        assert_frame_equal(to_polars(found, table), expected, check_exact=True)


def test_only_the_chosen_partitions_are_read(spark: SparkSession, tmp_path: Path, sample_lake: Path) -> None:
    candles = chandlery.read_table(str(sample_lake), "candles", symbol="1E3USD")
    for symbol in ("AAAUSD", "BBBUSD"):
        keys = {"exchange": "bitfinex", "interval": "1m", "symbol": symbol, "year": 2019}
        write_partition(Target(Store(str(tmp_path)), lambda: None), "candles", keys, [candles])
    next(tmp_path.rglob("symbol=BBBUSD/**/*.parquet")).write_bytes(b"no Parquet")
    assert read_table(spark, "candles", str(tmp_path), symbol="AAAUSD").count() == candles.height


def test_partition_keys_are_never_guessed(spark: SparkSession, tmp_path: Path, sample_lake: Path) -> None:
    candles = chandlery.read_table(str(sample_lake), "candles", symbol="1E3USD").drop("exchange", "symbol", "year")
    for symbol in ("1E3", "0042"):
        keys = {"exchange": "7", "interval": "1m", "symbol": symbol, "year": 2019}
        write_partition(Target(Store(str(tmp_path)), lambda: None), "candles", keys, [candles])
    guessed = dict(spark.read.parquet(f"{tmp_path}/candles").dtypes)
    assert guessed["exchange"] != "string" != guessed["symbol"], "what is guarded against"
    found = read_table(spark, "candles", str(tmp_path))
    assert dict(found.dtypes) | {"exchange": "string", "symbol": "string", "year": "int"} == dict(found.dtypes)
    assert {tuple(row) for row in found.select("exchange", "symbol", "year").distinct().collect()} == {
        ("7", "1E3", 2019),
        ("7", "0042", 2019),
    }
    assert read_table(spark, "candles", str(tmp_path), symbol="0042").count() == candles.height


@pytest.mark.parametrize("table", TABLES)
def test_where_there_is_nothing_yet_the_contract_is_empty(spark: SparkSession, tmp_path: Path, table: str) -> None:
    lake = str(tmp_path)
    (tmp_path / LAKE_FILE).touch()
    expected = chandlery.read_table(lake, table)
    for folders in ([], [table]):
        for folder in folders:
            (tmp_path / folder).mkdir()
        found = read_table(spark, table, lake, symbol="LTCUSD", horizon_minutes=5)
        assert found.dtypes == simple_types(expected)
        assert found.count() == 0


def test_a_missing_lake_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no lake at .*nowhere; expected a lake that `chandlery run` created"):
        read_table(spark, "candles", str(tmp_path / "nowhere"))
    with pytest.raises(SettingsError, match=r"no lake at .*nowhere; expected a lake that `chandlery run` created"):
        chandlery.read_table(str(tmp_path / "nowhere"), "candles")


def test_a_folder_with_blanks_is_read(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample_lake: Path
) -> None:
    expected = chandlery.read_table(str(sample_lake), "forecasts", symbol="BTCUSD", horizon_minutes=5)
    target = (
        tmp_path
        / "a lake, 100 %"
        / "forecasts"
        / "exchange=bitfinex"
        / "interval=1m"
        / "symbol=BTCUSD"
        / "horizon_minutes=5"
        / "year=2019"
        / "part-0.parquet"
    )
    target.parent.mkdir(parents=True)
    target.write_bytes(encode([expected.drop("exchange", "symbol", "horizon_minutes", "year")]) or b"")
    monkeypatch.chdir(tmp_path)
    assert_frame_equal(
        to_polars(read_table(spark, "forecasts", "a lake, 100 %/"), "forecasts"), expected, check_exact=True
    )


def test_wrong_arguments_are_refused(spark: SparkSession, sample_lake: Path) -> None:
    with pytest.raises(SettingsError, match="table 'candle'; expected one of candles"):
        read_table(spark, "candle", str(sample_lake))
    with pytest.raises(
        SettingsError, match=r"nothing is known of NOPEUSD in .*; expected one of 1E3USD, BTCUSD, ETHUSD"
    ):
        read_table(spark, "candles", str(sample_lake), symbol="nope/usd")
    with pytest.raises(SettingsError, match=r"no series kraken/60m in .*; expected one of bitfinex/1m"):
        read_table(spark, "scores", str(sample_lake), series="kraken/1h")
    assert read_table(spark, "rejects", str(sample_lake), symbol="BTCUSD").count() == 0
    with pytest.raises(SettingsError, match=r'Spark cannot read nofs://.*No FileSystem for scheme "nofs"'):
        read_table(spark, "candles", "nofs://bucket/lake")


def test_s3_stays_s3_unless_the_session_knows_s3a_alone(spark: SparkSession, filesystems: object) -> None:
    assert locate(spark, "s3://lake/") == "s3://lake"
    with pytest.raises(SettingsError, match="hadoop-aws"):
        read_table(spark, "candles", "s3://lake/")
    filesystems.set("fs.s3a.impl", "org.apache.hadoop.fs.LocalFileSystem")
    assert locate(spark, "s3://lake/a/b") == "s3a://lake/a/b"
    filesystems.set("fs.s3.impl", "org.apache.hadoop.fs.LocalFileSystem")  # as EMR names its own
    assert locate(spark, "s3://lake/a/b") == "s3://lake/a/b"
    assert locate(spark, "s3a://lake") == "s3a://lake"


@pytest.mark.parametrize("table", TABLES)
def test_objects_of_an_older_contract_have_the_columns_of_todays(
    spark: SparkSession, tmp_path: Path, table: str
) -> None:
    put_old_and_new(Store(str(tmp_path)), table)
    (tmp_path / LAKE_FILE).touch()
    expected, found = chandlery.read_table(str(tmp_path), table), read_table(spark, table, str(tmp_path))
    assert found.dtypes == simple_types(expected)
    assert_frame_equal(to_polars(found, table), expected, check_exact=True)
