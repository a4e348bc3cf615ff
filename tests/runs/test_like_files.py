"""A decision that the rows of a file leave open is made by files like it, and by no later file otherwise."""

import os
from pathlib import Path

import msgspec
import polars as pl
import pytest

from chandlery.errors import SettingsError
from chandlery.lake.reading import read_table
from chandlery.runs.pipeline import Options, RunReport, ingest
from chandlery.settings.model import load_settings

pytestmark = pytest.mark.slow

OPEN = "01/02/2020 00:00"  # the first of February, or the second of January
DAYS_FIRST = [f"{day:02}/03/2020 00:00" for day in range(1, 29)]
MONTHS_FIRST = [f"03/{day:02}/2020 00:00" for day in range(1, 29)]


class Place:
    """A folder of raw files, and the lake that is made of them."""

    def __init__(self, folder: Path) -> None:
        self.raw, self.lake, self._clock = folder / "raw", folder / "lake", 1_700_000_000

    def write(self, name: str, times: list[str]) -> None:
        """Write a file of daily candles, a minute after the last one."""
        path = self.raw / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [f"{time},{10 + row},{12 + row},{9 + row},{11 + row},{1.5 + row}" for row, time in enumerate(times)]
        path.write_text("\n".join(["date,open,high,low,close,volume", *rows]) + "\n")
        self._clock += 60
        os.utime(path, (self._clock, self._clock))

    def bring(self, options: Options | None = None, **source: object) -> RunReport:
        given = {"source": {"uri": str(self.raw), **source}, "lake": {"uri": str(self.lake)}, "engine": {"workers": 1}}
        return ingest(load_settings(None, given), options or Options())

    def first_days(self) -> dict[str, str]:
        """Return the day of each file's first candle."""
        candles = read_table(str(self.lake), "candles")
        found = candles.group_by("source").agg(pl.col("open_time").min().dt.to_string("%Y-%m-%d"))
        return dict(found.sort("source").rows())

    def refused(self) -> list[str]:
        return sorted(read_table(str(self.lake), "ledger").filter(pl.col("status") == "refused")["source"])

    def evidence(self, source: str, name: str) -> list[str]:
        """Return value and evidence of a decision as the ledger has them."""
        row = read_table(str(self.lake), "ledger").row(by_predicate=pl.col("source") == source, named=True)
        found: list[str] = msgspec.json.decode(row["decisions"])[name]
        return found


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize(
    ("clear", "first"), [(DAYS_FIRST, "2020-02-01"), (MONTHS_FIRST, "2020-01-02")], ids=["days first", "months first"]
)
@pytest.mark.parametrize("other", ["kraken/BTCUSD_2.csv", "kraken/ETHUSD_2.csv"], ids=["its symbol", "another symbol"])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_like_file_decides(place: Place, clear: list[str], first: str, other: str, *, at_once: bool) -> None:
    place.write("kraken/BTCUSD_1.csv", [OPEN])
    if not at_once:
        assert place.bring().exit_code == 3
        assert place.refused() == ["kraken/BTCUSD_1.csv"]
        assert place.bring().run_id is None
    place.write(other, clear)
    place.write("kraken/BTCUSD_3.csv", clear)  # so that its interval is known
    assert place.bring().exit_code == 0
    assert place.first_days()["kraken/BTCUSD_1.csv"] == first
    assert place.evidence("kraken/BTCUSD_1.csv", "time_format")[1] == "files like it"
    assert place.bring().run_id is None


def test_files_of_another_collector_decide_nothing(place: Place) -> None:
    place.write("kraken/BTCUSD_1.csv", [OPEN])
    place.write("bitstamp/BTCUSD_1.csv", DAYS_FIRST)
    assert place.bring().exit_code == 3
    assert place.refused() == ["kraken/BTCUSD_1.csv"]


def test_like_files_that_disagree_decide_nothing(place: Place) -> None:
    place.write("kraken/BTCUSD_1.csv", [OPEN])
    place.write("kraken/BTCUSD_2.csv", DAYS_FIRST)
    place.write("kraken/ETHUSD_2.csv", MONTHS_FIRST)
    assert place.bring().exit_code == 3
    assert place.refused() == ["kraken/BTCUSD_1.csv"]


def test_a_new_file_that_disagrees_with_what_was_borrowed_is_refused(place: Place) -> None:
    place.write("kraken/BTCUSD_1.csv", [OPEN])
    place.write("kraken/BTCUSD_2.csv", DAYS_FIRST)
    assert place.bring().exit_code == 0
    before = place.first_days()
    place.write("kraken/ETHUSD_2.csv", MONTHS_FIRST)
    place.write("kraken/LTCUSD_2.csv", DAYS_FIRST)
    report = place.bring()
    assert report.exit_code == 3
    assert place.refused() == ["kraken/ETHUSD_2.csv"]
    assert "'mdy'" in report.messages[0]
    assert "'dmy'" in report.messages[0]
    assert place.first_days() == {**before, "kraken/LTCUSD_2.csv": "2020-03-01"}
    assert place.bring().run_id is None
    assert place.bring(layout=[{"files": "kraken/ETHUSD_2.csv", "time_format": "mdy"}]).exit_code == 0
    assert place.first_days()["kraken/ETHUSD_2.csv"] == "2020-03-01"


def test_a_setting_against_what_was_borrowed_stops_the_run(place: Place) -> None:
    place.write("kraken/BTCUSD_1.csv", [OPEN])
    place.write("kraken/BTCUSD_2.csv", DAYS_FIRST)
    place.bring()
    layout = [{"files": "*_1.csv", "time_format": "mdy"}]
    with pytest.raises(SettingsError, match="time_format dmy → mdy"):
        place.bring(layout=layout)
    assert place.bring(Options(restate=True), layout=layout).exit_code == 0
    assert place.first_days()["kraken/BTCUSD_1.csv"] == "2020-01-02"


def test_a_newer_version_of_a_file_is_decided_by_its_last_one(place: Place) -> None:
    place.write("kraken/BTCUSD.csv", DAYS_FIRST)
    place.bring()
    place.write("kraken/BTCUSD.csv", [OPEN])
    report = place.bring()
    assert report.exit_code == 0, report.messages
    assert place.first_days() == {"kraken/BTCUSD.csv": "2020-02-01"}
