"""Files whose rows belong to several series: each series gets its rows, and the ledger accounts for all of them."""

import datetime as dt
import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from chandlery.errors import SettingsError
from chandlery.lake.reading import read_table
from chandlery.lake.store import Store
from chandlery.progress import Silent
from chandlery.runs.naming import name_exchange
from chandlery.runs.pipeline import Options, RunReport, ingest
from chandlery.runs.plan import plan
from chandlery.settings.model import Settings, load_settings

pytestmark = pytest.mark.slow

START_MS = 1_546_300_800_000  # 2019-01-01
SYMBOLS = ("BTCUSDT", "ETHUSDT", "LTCUSDT")


def make_candles(symbol: str, hours: range, minutes: int = 60) -> pl.DataFrame:
    """Return candles of some steps, which depend on symbol and step alone."""
    rows = []
    for step in hours:
        random = np.random.default_rng([SYMBOLS.index(symbol), step])
        base = 10.0 ** (4 - SYMBOLS.index(symbol)) * (1 + 0.1 * np.sin(step / 50))
        low, inner, other, high = np.sort(base * (1 + 0.01 * random.standard_normal(4))).round(6)
        rows.append((START_MS + step * minutes * 60_000, symbol, inner, high, low, other, float(step + 1)))
    names = ["time", "symbol", "open", "high", "low", "close", "volume"]
    return pl.DataFrame(rows, schema=names, orient="row")


class Place:
    """A folder of raw files, and the lake that is made of them."""

    def __init__(self, folder: Path) -> None:
        self.raw, self.lake, self._clock = folder / "raw", folder / "lake", 1_700_000_000

    def write(self, name: str, content: str | pl.DataFrame) -> None:
        """Write a file, a minute after the last one."""
        path = self.raw / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else content.write_csv())
        self._clock += 60
        os.utime(path, (self._clock, self._clock))

    def settings(self, **source: object) -> Settings:
        given = {"source": {"uri": str(self.raw), **source}, "lake": {"uri": str(self.lake)}, "engine": {"workers": 1}}
        return load_settings(None, given)

    def bring(self, options: Options | None = None, **source: object) -> RunReport:
        return ingest(self.settings(**source), options or Options())

    def read(self, table: str) -> pl.DataFrame:
        return read_table(str(self.lake), table)

    def objects(self) -> dict[str, bytes]:
        """Return the tables' objects."""
        store = Store(str(self.lake))
        tables = ("candles/", "rejects/", "ledger/", "gaps/")
        return {entry.path: store.get(entry.path) or b"" for table in tables for entry in store.list(table)}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def interleave(hours: range) -> pl.DataFrame:
    """Return the candles of all symbols, those of one time after the other."""
    return pl.concat([make_candles(symbol, hours) for symbol in SYMBOLS]).sort("time", maintain_order=True)


def check_account(place: Place, source: str, rows: int) -> None:
    """Check that the rows of a file add up, and that each series has those of its symbol alone."""
    ledger = place.read("ledger").filter(pl.col("source") == source)
    assert ledger["rows_read"].sum() == rows
    assert ledger["status"].unique().to_list() == ["read"]


def test_a_file_of_all_coins_goes_to_their_series(place: Place) -> None:
    place.write("binance/2019.csv", interleave(range(100)))
    assert place.bring().exit_code == 0
    candles = place.read("candles")
    assert candles.group_by("exchange", "interval", "symbol").len().sort("symbol").rows() == [
        ("binance", "60m", symbol, 100) for symbol in SYMBOLS
    ]
    for symbol in SYMBOLS:
        expected = make_candles(symbol, range(100))["close"]
        assert candles.filter(pl.col("symbol") == symbol).sort("open_time")["close"].equals(expected)
    check_account(place, "binance/2019.csv", 300)
    assert place.bring().run_id is None


def test_new_rows_new_coins_and_a_coin_that_leaves(place: Place, tmp_path: Path) -> None:
    two = pl.col("symbol") != "LTCUSDT"
    place.write("binance/2019.csv", interleave(range(50)).filter(two))
    place.bring()
    place.write("binance/2019.csv", interleave(range(100)))
    place.write("binance/ETHUSDT-1h.csv", make_candles("ETHUSDT", range(90, 120)))
    assert place.bring().exit_code == 0
    counts = dict(place.read("candles").group_by("symbol").len().rows())
    assert counts == {"BTCUSDT": 100, "ETHUSDT": 120, "LTCUSDT": 100}
    rebuilt = Place(tmp_path / "again")
    rebuilt.raw = place.raw
    rebuilt.bring()
    assert rebuilt.objects() == place.objects()
    place.write("binance/2019.csv", interleave(range(100)).filter(two))
    report = place.bring()
    assert report.exit_code == 0
    assert any("gone from the source" in note for note in report.notes)
    assert dict(place.read("candles").group_by("symbol").len().rows()) == counts
    assert place.bring().run_id is None


def test_intervals_and_exchanges_in_columns(place: Place) -> None:
    hours = make_candles("BTCUSDT", range(100)).with_columns(interval=pl.lit("1h"), exchange=pl.lit("Kraken"))
    days = make_candles("BTCUSDT", range(30), 1440).with_columns(interval=pl.lit("1d"), exchange=pl.lit("Bitstamp"))
    place.write("all.csv", pl.concat([hours, days]))
    assert place.bring().exit_code == 0
    found = place.read("candles").group_by("exchange", "interval", "symbol").len().sort("exchange").rows()
    assert found == [("bitstamp", "1440m", "BTCUSDT", 30), ("kraken", "60m", "BTCUSDT", 100)]
    check_account(place, "all.csv", 130)
    assert place.bring().run_id is None


def test_a_symbol_that_only_the_document_names(place: Place) -> None:
    rows = make_candles("BTCUSDT", range(100)).drop("symbol").to_dicts()
    place.write("bybit/result.json", json.dumps({"result": {"symbol": "BTCUSDT", "list": rows}}))
    place.write("bybit/other.json", json.dumps({"result": {"list": rows}}))
    report = place.bring()
    assert report.exit_code == 3
    assert place.read("candles").select("exchange", "symbol").unique().rows() == [("bybit", "BTCUSDT")]
    refused = place.read("ledger").filter(pl.col("status") == "refused")
    assert refused.select("source", "symbol", "undecided").rows() == [("bybit/other.json", "UNKNOWN", "symbol")]
    assert place.bring().run_id is None


def test_a_bad_version_leaves_every_series_as_it_is(place: Place) -> None:
    place.write("binance/2019.csv", interleave(range(50)))
    place.bring()
    before = place.read("candles")
    nameless = (
        interleave(range(60))
        .with_row_index()
        .with_columns(symbol=pl.when(pl.col("index") == 100).then(pl.lit("?")).otherwise("symbol"))
    )
    place.write("binance/2019.csv", nameless.drop("index"))
    report = place.bring()
    assert report.exit_code == 3
    assert any("stays in force" in message for message in report.messages)
    assert place.read("candles").equals(before)
    assert place.bring().exit_code == 3
    place.write("binance/2019.csv", interleave(range(60)))
    assert place.bring().exit_code == 0
    assert place.read("candles").height == before.height + 30


def test_lost_state_loses_nothing(place: Place) -> None:
    place.write("binance/2019.csv", interleave(range(50)))
    place.write("kraken/BTCUSDT.csv", make_candles("BTCUSDT", range(50)))
    place.bring()
    before = place.objects()
    for path in sorted((place.lake / "state").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    assert place.bring().exit_code == 0
    assert place.objects() == before


def test_a_plan_names_the_series_of_the_parts(place: Place) -> None:
    place.write("binance/2019.csv", interleave(range(50)))
    steps = plan(place.settings()).steps
    ingests = [(step.series, step.symbol, step.what) for step in steps if step.stage == "ingest"]
    assert ingests == [("binance/60m", symbol, "read 1 of 1 files") for symbol in SYMBOLS]


def test_a_setting_that_would_read_the_parts_otherwise_stops_the_run(place: Place) -> None:
    place.write("binance/2019.csv", interleave(range(50)))
    place.bring()
    before = place.objects()
    with pytest.raises(SettingsError, match=r"binance/2019\.csv: stamps open → close"):
        place.bring(layout=[{"files": "binance/*", "stamps": "close"}])
    assert place.objects() == before
    assert place.bring(Options(restate=True), layout=[{"files": "binance/*", "stamps": "close"}]).exit_code == 0
    assert place.read("candles")["open_time"].min().timestamp() * 1000 == START_MS - 3_600_000


def count_candles(place: Place) -> dict[str, int]:
    """Return the number of candles by exchange."""
    return dict(place.read("candles").group_by("exchange").len().rows())


def test_an_exchange_that_is_named_later_holds_for_the_rows_of_all_coins(place: Place) -> None:
    place.write("2019-01.csv", interleave(range(50)))
    place.bring()
    named = name_exchange(place.settings(), "gemini", Silent())
    assert named.series == ["gemini/60m"]
    assert place.bring().run_id is None
    assert place.bring(exchange="gemini").run_id is None
    place.write("2019-02.csv", interleave(range(50, 80)))
    assert place.bring().exit_code == 0
    assert count_candles(place) == {"gemini": 240}


@pytest.mark.parametrize("how", ["layout", "source"])
def test_a_setting_that_names_another_exchange_is_told_and_taken_by_restate(place: Place, how: str) -> None:
    place.write("2019-01.csv", interleave(range(50)))
    place.bring(exchange="kraken")
    place.write("ETHUSDT.csv", make_candles("ETHUSDT", range(50, 60)).drop("symbol"))
    other: dict[str, object] = {"layout": [{"files": "*", "exchange": "gemini"}]} if how == "layout" else {}
    other |= {"exchange": "gemini"} if how == "source" else {}
    with pytest.raises(SettingsError, match=r"2019-01\.csv: exchange kraken → gemini"):
        place.bring(**other)
    assert count_candles(place) == {"kraken": 150}
    assert place.bring(Options(restate=True), **other).exit_code == 0
    assert count_candles(place) == {"gemini": 160}
    assert place.bring(**other).published == 0
    assert place.bring(**other).run_id is None


def test_restate_reads_the_rows_of_all_coins_under_new_settings(place: Place) -> None:
    local = interleave(range(50)).with_columns(pl.from_epoch("time", time_unit="ms").dt.strftime("%Y-%m-%d %H:%M"))
    place.write("2019-01.csv", local)
    place.bring()
    layout = [{"files": "*", "timezone": "Asia/Tokyo"}]
    with pytest.raises(SettingsError, match="timezone"):
        place.bring(layout=layout)
    assert place.bring(Options(restate=True), layout=layout).exit_code == 0
    first = place.read("candles")["open_time"].min()
    assert first == dt.datetime(2018, 12, 31, 15, tzinfo=dt.UTC)
    assert place.bring(layout=layout).run_id is None
