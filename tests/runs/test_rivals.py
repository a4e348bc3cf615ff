"""A file that contradicts the candles of another one is refused, whichever way it came; --restate takes it."""

import os
from pathlib import Path

import polars as pl
import pytest
from like_files import write_hours

from chandlery.errors import SettingsError
from chandlery.lake.reading import read_table
from chandlery.progress import Silent
from chandlery.runs.pipeline import Options, RunReport, ingest
from chandlery.settings.model import load_settings
from chandlery.sources.decisions import BY_HAND, Decision, decode

pytestmark = pytest.mark.slow

SPOT, OTHER, CORRECTED = "LTCUSD.csv", "copies/LTCUSD.csv", "copies/LTCUSD_2.csv"
NEWEST = 1_700_000_000


class Place:
    """A folder of raw files, and the lake that is made of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._clock = folder, NEWEST

    def write(self, name: str, *, price: float = 30.0, hours: int = 48) -> None:
        path = self.folder / "raw" / name
        write_hours(path, 0, hours=hours, price=price)
        self._clock += 60
        os.utime(path, (self._clock, self._clock))

    def bring(self, *, restate: bool = False, **source: object) -> RunReport:
        given = {"source": {"uri": str(self.folder / "raw"), **source}, "lake": {"uri": str(self.folder / "lake")}}
        settings = load_settings(None, {**given, "engine": {"workers": 1}})
        return ingest(settings, Options(restate=restate), Silent())

    def read(self, table: str) -> pl.DataFrame:
        return read_table(str(self.folder / "lake"), table)

    def statuses(self) -> dict[str, str]:
        return dict(self.read("ledger").select("source", "status").iter_rows())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_new_file_of_other_prices_is_refused_and_the_rest_is_done(place: Place) -> None:
    place.write(SPOT)
    place.bring()
    before = place.read("candles")
    place.write(OTHER, price=31.0)
    place.write("ETHUSD.csv")
    report = place.bring()
    assert report.exit_code == 3
    assert place.statuses() == {SPOT: "read", OTHER: "refused", "ETHUSD.csv": "read"}
    (message,) = report.messages
    for words in (SPOT, "48 of the 48 candles", "31", "2019-01-01 00:00 UTC", "--restate", f'files = "{OTHER}"'):
        assert words in message
    assert place.read("candles").filter(symbol="LTCUSD").equals(before)
    (undecided,) = place.read("ledger").filter(source=OTHER)["undecided"]
    assert undecided == "exchange"


def test_the_lines_of_the_message_settle_it(place: Place) -> None:
    place.write(SPOT)
    place.bring()
    place.write(OTHER, price=31.0)
    place.bring()
    assert place.bring(layout=[{"files": OTHER, "exchange": "kraken"}]).exit_code == 0
    assert place.statuses() == {SPOT: "read", OTHER: "read"}
    assert place.read("candles").group_by("exchange").len().sort("exchange").rows() == [("kraken", 48), ("unknown", 48)]


def test_restate_takes_it_and_later_runs_leave_it(place: Place) -> None:
    place.write(SPOT)
    place.bring()
    place.write(OTHER, price=31.0)
    assert place.bring(restate=True).exit_code == 0
    assert place.read("candles")["source"].unique().to_list() == [OTHER]
    place.write("LTCUSD_3.csv", price=31.0, hours=72)
    assert place.bring().exit_code == 0
    assert set(place.statuses().values()) == {"read"}


def test_of_two_new_ones_none_is_chosen_until_one_is_gone(place: Place) -> None:
    place.write(SPOT)
    place.write(OTHER, price=31.0)
    report = place.bring()
    assert (report.exit_code, len(report.messages)) == (3, 2)
    assert set(place.statuses().values()) == {"refused"}
    (place.folder / "raw" / OTHER).unlink()
    assert place.bring().exit_code == 0
    assert place.statuses()[SPOT] == "read"


def test_a_new_one_that_agrees_with_the_lake_is_read_beside_one_that_does_not(place: Place) -> None:
    place.write(SPOT)
    place.bring()
    place.write(CORRECTED, hours=72)
    place.write(OTHER, price=31.0, hours=72)
    assert place.bring().exit_code == 3
    assert place.statuses() == {SPOT: "read", CORRECTED: "read", OTHER: "refused"}
    assert place.read("candles").height == 72


def test_a_new_version_of_other_prices_leaves_the_earlier_one_in_force(place: Place) -> None:
    place.write(SPOT)
    place.write(CORRECTED)
    place.bring()
    before = place.read("candles")
    place.write(CORRECTED, price=31.0)
    report = place.bring()
    assert report.exit_code == 3
    assert "stays in force" in report.messages[0]
    assert place.read("candles").equals(before)
    place.write(CORRECTED)
    assert place.bring().exit_code == 0


def test_a_file_that_is_written_again_is_no_rival_of_its_earlier_version(place: Place) -> None:
    place.write(SPOT)
    place.bring()
    place.write(SPOT, price=31.0)
    assert place.bring().exit_code == 0
    assert place.read("candles")["open"].min() >= 31.0


def test_a_market_that_is_set_makes_another_symbol(place: Place) -> None:
    place.write(SPOT)
    place.bring()
    place.write(OTHER, price=31.0)
    layout = [{"files": OTHER, "market": "perp"}]
    assert place.bring(layout=layout).exit_code == 0
    assert place.read("candles")["symbol"].unique().sort().to_list() == ["LTCUSD", "LTCUSD_PERP"]
    (decisions,) = place.read("ledger").filter(source=OTHER)["decisions"]
    assert decode(decisions)["market"] == Decision("perp", BY_HAND)
    assert place.bring(layout=layout).run_id is None
    assert place.bring().exit_code == 0
    assert place.read("candles").group_by("symbol").len().sort("symbol")["len"].to_list() == [48, 48]


def test_a_market_that_would_move_a_file_of_the_lake_stops_the_run(place: Place) -> None:
    place.write(SPOT)
    place.bring()
    with pytest.raises(SettingsError, match=r"LTCUSD\.csv: market LTCUSD → LTCUSD_PERP"):
        place.bring(layout=[{"files": SPOT, "market": "perp"}])
    assert place.bring(restate=True, layout=[{"files": SPOT, "market": "perp"}]).exit_code == 0
    assert place.read("candles")["symbol"].unique().to_list() == ["LTCUSD_PERP"]


def test_a_market_holds_for_the_rows_of_a_file_of_several_symbols(place: Place) -> None:
    place.write(SPOT)
    header, *rows = (place.folder / "raw" / SPOT).read_text().splitlines()
    (place.folder / "raw" / SPOT).unlink()
    lines = [f"{symbol},{row}" for row in rows for symbol in ("LTCUSD", "ETHUSD")]
    (place.folder / "raw" / "all.csv").write_text("\n".join([f"symbol,{header}", *lines]) + "\n")
    assert place.bring(layout=[{"files": "*", "market": "perp"}]).exit_code == 0
    assert place.read("candles")["symbol"].unique().sort().to_list() == ["ETHUSD_PERP", "LTCUSD_PERP"]
