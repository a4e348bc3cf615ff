"""A file that is in the lake stays with its exchange and symbol, whatever later settings say; `--restate` moves it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from hours import LAST_DAY, SETTINGS, START_MS, put_days
from msgspec.structs import replace
from universe import Source

from chandlery.errors import SettingsError
from chandlery.lake.reading import read_table
from chandlery.lake.store import Store
from chandlery.progress import Silent
from chandlery.runs.naming import name_exchange
from chandlery.runs.pipeline import Options, RunReport, ingest
from chandlery.runs.session import Session
from chandlery.runs.survey import survey_source
from chandlery.settings.model import Settings, load_settings
from chandlery.state.records import read_summary, write_summary

pytestmark = pytest.mark.slow

FILES = {"kraken/BTCUSD.csv": "BTCUSD", "bybit/BTCUSD.csv": "BTCUSD", "bybit/one.csv": "ETHUSD"}
LAYOUTS = [
    {"files": "bybit/one.csv", "exchange": "bybit", "symbol": "ETHUSD"},
    {"files": "bybit/*", "exchange": "bybit"},
    {"files": "kraken/*", "exchange": "kraken"},
]
OTHER_SYMBOL = [{"files": "bybit/BTCUSD.csv", "exchange": "bybit", "symbol": "XBTUSD"}, *LAYOUTS]
OTHER_EXCHANGE = [{"files": "bybit/*", "exchange": "kraken"}, *LAYOUTS[1:]]
FORGOTTEN: dict[str, Any] = {}


class Files:
    """Raw files of two exchanges, and the lake that is made of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lake = folder, folder / "lake"
        self.source = Source(folder / "raw", 7, START_MS)

    def put(self, name: str, symbol: str, stop: int = LAST_DAY) -> None:
        (self.source.folder / name).parent.mkdir(parents=True, exist_ok=True)
        put_days(self.source, symbol, 1, stop, name=name)

    def settings(self, **source: Any) -> Settings:
        flags = {
            "source": {"uri": str(self.source.folder), **source},
            "lake": {"uri": str(self.lake)},
            "forecast": SETTINGS,
            "engine": {"workers": 1},
        }
        return load_settings(None, flags)

    def bring(self, options: Options | None = None, **source: Any) -> RunReport:
        found = ingest(self.settings(**source), options or Options())
        self.source.mark_read()
        return found

    def places(self) -> dict[str, list[tuple[str, str, bool]]]:
        """Return where the ledger has each file: exchange, symbol, and whether it is there."""
        found: dict[str, list[tuple[str, str, bool]]] = {}
        for row in read_table(str(self.lake), "ledger").iter_rows(named=True):
            found.setdefault(row["source"], []).append((row["exchange"], row["symbol"], row["present"]))
        return found

    def prices(self) -> dict[tuple[str, str], int]:
        """Return the number of candles by exchange and symbol."""
        counts = read_table(str(self.lake), "candles").group_by("exchange", "symbol").len()
        return {(exchange, symbol): count for exchange, symbol, count in counts.iter_rows()}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    found = Files(tmp_path)
    for name, symbol in FILES.items():
        found.put(name, symbol)
    found.bring(layout=LAYOUTS)
    return found


HERE = {
    "kraken/BTCUSD.csv": [("kraken", "BTCUSD", True)],
    "bybit/BTCUSD.csv": [("bybit", "BTCUSD", True)],
    "bybit/one.csv": [("bybit", "ETHUSD", True)],
}


def test_settings_that_are_forgotten_move_no_file(files: Files) -> None:
    assert files.places() == HERE
    held = files.prices()
    found = files.bring(**FORGOTTEN)
    assert found.exit_code == 0
    assert (files.places(), files.prices()) == (HERE, held)
    assert any("they stay" in note and "--restate moves them" in note for note in found.notes)
    assert files.bring(**FORGOTTEN).run_id is None  # the ledger is asked once
    files.put("kraken/BTCUSD.csv", "BTCUSD", LAST_DAY + 1)
    files.bring(**FORGOTTEN)
    assert files.places() == HERE
    assert files.prices()["kraken", "BTCUSD"] > held["kraken", "BTCUSD"]
    assert files.bring(layout=LAYOUTS).exit_code == 0
    assert files.bring(layout=LAYOUTS).run_id is None
    assert files.places() == HERE


@pytest.mark.parametrize(
    ("later", "change"),
    [
        ({"layout": OTHER_SYMBOL}, "bybit/BTCUSD.csv: symbol BTCUSD → XBTUSD"),
        ({"layout": OTHER_EXCHANGE}, "bybit/BTCUSD.csv: exchange bybit → kraken"),
    ],
    ids=["another symbol", "another exchange"],
)
@pytest.mark.parametrize("forgotten_before", [False, True])
def test_a_setting_that_would_move_a_file_stops_the_run(
    files: Files, later: dict[str, Any], change: str, *, forgotten_before: bool
) -> None:
    held = files.prices()
    if forgotten_before:
        files.bring(**FORGOTTEN)
    files.put("gemini/ETHUSD.csv", "ETHUSD")
    with pytest.raises(SettingsError, match=change):
        files.bring(**later)
    assert (files.places(), files.prices()) == (HERE, held)
    assert files.bring(layout=LAYOUTS).exit_code == 0
    assert files.places() == {**HERE, "gemini/ETHUSD.csv": [("gemini", "ETHUSD", True)]}


def test_new_files_go_where_the_settings_say(files: Files) -> None:
    files.put("bybit/LTCUSD.csv", "LTCUSD")
    files.bring(layout=[{"files": "bybit/LTC*", "exchange": "kraken"}, *LAYOUTS])
    assert files.places() == {**HERE, "bybit/LTCUSD.csv": [("kraken", "LTCUSD", True)]}


@pytest.mark.parametrize(
    ("later", "moved"),
    [
        ({"layout": OTHER_SYMBOL}, {"bybit/BTCUSD.csv": [("bybit", "XBTUSD", True)]}),
        (
            {"layout": [{"files": "bybit/BTC*", "exchange": "bitstamp"}, *LAYOUTS[2:]]},
            {"bybit/BTCUSD.csv": [("bitstamp", "BTCUSD", True)]},
        ),
    ],
    ids=["another symbol", "another exchange"],
)
@pytest.mark.parametrize("runs_before", [0, 1])
def test_a_restatement_moves_them(files: Files, later: dict[str, Any], moved: Any, runs_before: int) -> None:
    count = sum(files.prices().values())
    for _ in range(runs_before):
        with pytest.raises(SettingsError):
            files.bring(**later)
    found = files.bring(Options(restate=True), **later)
    assert found.exit_code == 0
    assert not any("gone from the source" in note for note in found.notes)
    assert files.places() == {**HERE, **moved}
    assert sum(files.prices().values()) == count
    assert files.bring(**later).run_id is None


def test_another_version_of_the_code_places_no_file_elsewhere(files: Files) -> None:
    store = Store(str(files.lake))
    survey = survey_source(Session(files.settings(**FORGOTTEN), Options(), Silent()))
    summary = read_summary(store)  # as if the path alone had been read in another way
    write_summary(store, replace(summary, naming=survey.belonging.naming, code={"stage ingest": "0"}))
    report = files.bring(**FORGOTTEN)
    assert report.exit_code == 0
    assert files.places() == HERE
    assert any("bybit/one.csv" in note and "--restate moves them" in note for note in report.notes)


def test_new_files_join_earlier_ones_that_stay(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.put("kraken/BTCUSD-1.csv", "BTCUSD")
    files.bring(layout=[{"files": "kraken/*", "exchange": "unknown"}])  # as before the exchange of a path was read
    files.put("kraken/BTCUSD-2.csv", "BTCUSD", LAST_DAY + 1)
    assert files.bring().exit_code == 0
    assert {place[:2] for places in files.places().values() for place in places} == {("unknown", "BTCUSD")}
    files.put("bybit/BTCUSD-3.csv", "BTCUSD")
    files.bring()
    assert files.places()["bybit/BTCUSD-3.csv"] == [("bybit", "BTCUSD", True)]


def test_files_of_two_sources_may_have_the_same_names(tmp_path: Path) -> None:
    one, two = Files(tmp_path), Files(tmp_path)
    two.source = Source(tmp_path / "other", 8, START_MS)
    one.put("BTCUSD.csv", "BTCUSD")
    two.put("BTCUSD.csv", "BTCUSD", LAST_DAY - 1)
    one.bring(exchange="kraken")
    two.bring(exchange="bybit")
    one.bring(exchange="kraken")
    assert sorted(one.places()["BTCUSD.csv"]) == [("bybit", "BTCUSD", True), ("kraken", "BTCUSD", True)]
    prices = one.prices()
    assert prices["kraken", "BTCUSD"] > prices["bybit", "BTCUSD"]


def test_a_lake_without_an_exchange_takes_new_files_of_one(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.put("BTCUSD.csv", "BTCUSD")
    files.bring()
    files.put("kraken/ETHUSD.csv", "ETHUSD")
    both = [{"files": "kraken/*", "exchange": "kraken"}, {"files": "*", "exchange": "bitfinex"}]
    with pytest.raises(SettingsError, match=r"BTCUSD\.csv: exchange unknown → bitfinex.*migrate --exchange NAME"):
        files.bring(layout=both)
    assert files.bring(layout=both[:1]).exit_code == 0
    here = {"BTCUSD.csv": [("unknown", "BTCUSD", True)], "kraken/ETHUSD.csv": [("kraken", "ETHUSD", True)]}
    assert files.places() == here
    with pytest.raises(SettingsError, match="migrate --exchange bitfinex"):
        files.bring(exchange="bitfinex")
    shutil.rmtree(files.lake / "state")
    with pytest.raises(SettingsError, match="migrate --exchange bitfinex"):
        files.bring(layout=both)
    name_exchange(files.settings(), "bitfinex", Silent())
    assert files.bring(layout=both).exit_code == 0
    assert files.places() == {**here, "BTCUSD.csv": [("bitfinex", "BTCUSD", True)]}


def test_files_that_were_given_a_name_are_not_read_again_under_none(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.put("BTCUSD.csv", "BTCUSD")
    files.bring()
    shutil.copytree(tmp_path / "raw", tmp_path / "more")
    named = Files(tmp_path)
    named.source = Source(tmp_path / "more", 7, START_MS)
    name_exchange(files.settings(), "bitfinex", Silent())
    named.bring(exchange="kraken")
    assert files.bring().exit_code == 0
    assert sorted(files.places()["BTCUSD.csv"]) == [("bitfinex", "BTCUSD", True), ("kraken", "BTCUSD", True)]
    files.put("BTCUSD.csv", "BTCUSD", LAST_DAY + 1)
    files.bring()
    assert set(files.prices()) == {("bitfinex", "BTCUSD"), ("kraken", "BTCUSD")}
