"""Parquet and Arrow IPC files are read like text: by the names of their columns, with the same evidence."""

import io
import json
import zipfile

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather
from raw_files import HEADER, START_MS, find_grid, lines, raw_file, read, rows_of

from chandlery.errors import SourceError
from chandlery.settings.model import SourceSettings
from chandlery.sources.doubts import UndecidedError

COUNT = 200
PRICES = rows_of(read(HEADER + lines(COUNT)))
TIMES = pl.Series("time", [START_MS + step * 60_000 for step in range(COUNT)])
FRAME = PRICES.select("open", "close", "high", "low", "volume").insert_column(0, TIMES)


def to_parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def to_feather(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    feather.write_feather(frame.to_arrow(), buffer)
    return buffer.getvalue()


def to_ipc(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_ipc(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("write", [to_parquet, to_feather, to_ipc])
@pytest.mark.parametrize("form", ["ms", "s", "text", "naive", "zone", "ns"])
def test_a_table_is_read(write, form):
    moments = TIMES.cast(pl.Datetime("ms"))
    column = {
        "ms": TIMES,
        "s": TIMES // 1000,
        "text": moments.dt.to_string("%Y-%m-%d %H:%M:%S"),
        "naive": moments,
        "zone": moments.dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Seoul"),
        "ns": moments.cast(pl.Datetime("ns")).dt.replace_time_zone("UTC"),
    }[form]
    found = read(write(FRAME.with_columns(time=column)), "ltcusd.parquet", seconds=None)
    assert rows_of(found).equals(PRICES)
    assert found.grid.seconds == 60
    assert found.rejects.is_empty()


def test_whole_numbers_and_decimals_are_prices():
    frame = FRAME.with_columns(
        pl.col("open", "high", "low", "close").cast(pl.Decimal(38, 16)), pl.col("volume").cast(pl.Float32)
    )
    assert rows_of(read(to_parquet(frame), seconds=None)).drop("volume").equals(PRICES.drop("volume"))


def test_rows_that_break_a_rule_are_refused_with_their_values():
    frame = FRAME.with_columns(volume=pl.when(pl.int_range(COUNT) == 7).then(None).otherwise("volume"))
    frame = frame.with_columns(close=pl.when(pl.int_range(COUNT) == 9).then(-1.0).otherwise("close"))
    found = read(to_parquet(frame), seconds=None)
    assert found.rejects["row"].to_list() == [8, 10]
    assert found.rejects["reasons"].to_list() == [["missing_value"], ["non_positive_price", "low_above_body"]]
    assert '"volume": null' in found.rejects["raw"][0]
    assert found.fetch_raw(pl.Series([8])) == [found.rejects["raw"][0]]


def test_a_table_in_a_zip():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("ltcusd.parquet", to_parquet(FRAME))
    found = read(buffer.getvalue(), "a.zip!ltcusd.parquet", member="ltcusd.parquet", seconds=None)
    assert rows_of(found).equals(PRICES)


@pytest.mark.parametrize("cut", [20, 2000])
def test_a_damaged_table_is_refused(cut):
    with pytest.raises(SourceError, match="no whole Parquet file"):
        read(to_parquet(FRAME)[:-cut], "ltcusd.parquet")


def test_local_times_of_a_frame_are_told_as_those_of_text():
    frame = FRAME.with_columns(time=TIMES.cast(pl.Datetime("ms"))).rename({"time": "time_kst"})
    with pytest.raises(SourceError, match="local times"):
        read(to_parquet(frame), "btcusd.parquet", seconds=None)


def write_bars(kind: str) -> bytes:
    """Return a file of NautilusTrader, as its versions wrote prices over the years."""
    columns = {}
    for name in ("open", "high", "low", "close", "volume"):
        values = PRICES[name].to_list()
        if kind == "int64":
            columns[name] = pa.array(
                [round(value * 1e9) for value in values], pa.int64() if name != "volume" else pa.uint64()
            )
        else:
            size, scale = (8, 1e9) if kind == "8 bytes" else (16, 1e16)
            raw = [int(round(value * 1e9) * (scale / 1e9)).to_bytes(size, "little", signed=True) for value in values]
            columns[name] = pa.array(raw, pa.binary(size))
    stamps = pa.array(np.array(TIMES.to_list(), np.uint64) * 1_000_000 + 60_000_000_000)
    table = pa.table({**columns, "ts_event": stamps, "ts_init": stamps})
    metadata = {"bar_type": "LTCUSD.KRAKEN-1-MINUTE-LAST-EXTERNAL", "price_precision": "2"}
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["int64", "8 bytes", "16 bytes"])
def test_bars_of_nautilus_ask_what_their_times_are(kind):
    content = write_bars(kind)
    with pytest.raises(SourceError, match="when they open or when they close") as caught:
        read(content, "kraken/LTCUSD.parquet", seconds=None)
    assert 'stamps = "close"' in caught.value.hint
    layout = {"stamps": "close"}
    settings = SourceSettings(layout=[layout])
    raw = raw_file(content, "kraken/LTCUSD.parquet")
    assert find_grid(content, raw, settings).seconds == 60
    found = read(content, "kraken/LTCUSD.parquet", layout=layout)
    assert rows_of(found)["open_time"].to_list() == PRICES["open_time"].to_list()
    assert np.allclose(rows_of(found)["close"].to_numpy(), PRICES["close"].to_numpy(), rtol=1e-9)


BAR = "LTCUSD.KRAKEN-1-MINUTE-LAST-EXTERNAL"
PARTS = 10**9  # of which NautilusTrader and Databento write prices


def write_parts(*, metadata: dict[str, str] | None = None, volume: int = PARTS, **beside: int) -> bytes:
    """Return a table whose prices are whole numbers of parts, with other columns of one number each."""
    columns = {name: (PRICES[name] * PARTS).round().cast(pl.Int64) for name in ("open", "high", "low", "close")}
    stamps = (TIMES * 1_000_000).cast(pl.UInt64)
    frame = pl.DataFrame({**columns, "volume": (PRICES["volume"] * volume).round().cast(pl.UInt64), "ts_event": stamps})
    frame = frame.with_columns(ts_init=stamps + beside.pop("ts_init")) if "ts_init" in beside else frame
    frame = frame.with_columns(**{name: pl.lit(value) for name, value in beside.items()})
    buffer = io.BytesIO()
    pq.write_table(frame.to_arrow().replace_schema_metadata(metadata), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("source", "beside", "metadata"),
    [
        (f"data/bar/{BAR}/part-0.parquet", {"ts_init": 0}, None),
        (f"data/bar/{BAR}/part-0.parquet", {}, None),
        ("kraken/LTCUSD.parquet", {"ts_init": 0}, {"price_precision": "2"}),
        ("kraken/LTCUSD.parquet", {"ts_init": 60_000_000_000}, None),
        ("kraken/LTCUSD.parquet", {}, {"bar_type": BAR}),
    ],
)
def test_bars_of_nautilus_are_known_by_their_metadata_their_folder_or_their_columns(source, beside, metadata):
    content = write_parts(metadata=metadata, **beside)
    with pytest.raises(UndecidedError, match="when they open or when they close") as caught:
        read(content, source, seconds=None)
    assert caught.value.decision == "stamps"
    found = rows_of(read(content, source, seconds=None, layout={"stamps": "open"}))
    assert found["open_time"].to_list() == PRICES["open_time"].to_list()
    for name in ("open", "high", "low", "close", "volume"):
        assert np.allclose(found[name].to_numpy(), PRICES[name].to_numpy(), rtol=1 / PARTS)


def test_prices_of_databento_are_parts_and_its_volume_is_none():
    content = write_parts(volume=2, rtype=33, publisher_id=1, instrument_id=7)
    found = rows_of(read(content, "LTCUSD.parquet", seconds=None))
    assert np.allclose(found["close"].to_numpy(), PRICES["close"].to_numpy(), rtol=1 / PARTS)
    assert found["volume"].to_list() == (PRICES["volume"] * 2).round().to_list()


@pytest.mark.parametrize(
    "write", [write_parts, lambda **beside: pl.read_parquet(write_parts(**beside)).write_csv().encode()]
)
def test_whole_prices_beside_the_time_of_an_event_are_in_doubt(write):
    with pytest.raises(UndecidedError, match="may be parts of") as caught:
        read(write(), "LTCUSD.parquet", seconds=None)
    line = next(line for line in caught.value.hint.split("\n") if line.startswith("columns = "))
    columns = json.loads(line.removeprefix("columns = ").partition("  #")[0])
    found = rows_of(read(write(), "LTCUSD.parquet", seconds=None, layout={"columns": columns}))
    assert found["close"].to_list() == (PRICES["close"] * PARTS).round().to_list()


def test_no_lines_to_paste_take_parts_of_databento_for_prices():
    content = pl.read_parquet(write_parts(volume=2, rtype=33)).write_csv().encode()
    with pytest.raises(UndecidedError, match="may be parts of") as caught:
        read(content, "LTCUSD.csv", seconds=None)
    assert "[[source.layout]]" not in caught.value.hint
    assert "decimals" in caught.value.hint
