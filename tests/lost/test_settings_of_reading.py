"""Files that were read under other settings of the source are read again by a restatement alone."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hours import LAST_DAY, Lake, put_days
from universe import Source
from uploads import BTC, PRUNE, RESTATE, account, read, upload

from chandlery.errors import SettingsError
from chandlery.lake.reading import read_table
from chandlery.runs.pipeline import Options

pytestmark = pytest.mark.slow


def write_seconds(lake: Lake, name: str = "btcusd_009.csv") -> str:
    """Put a file of a symbol whose times are plain numbers of hours since 1970: no evidence tells their unit."""
    rows = [f"{1_640_995_200 + 3600 * step},10,11,12,9,1" for step in range(48)]
    (lake.raw / name).write_text("when,a,b,c,d,e\n" + "\n".join(rows) + "\n")
    os.utime(lake.raw / name, (1_700_000_000, 1_700_000_000))
    return name


LAYOUT = [{"files": "btcusd_009.csv", "columns": ["time", "open", "close", "high", "low", "volume"]}]
TURNED = [{"files": BTC, "columns": ["time", "close", "open", "high", "low", "volume"]}]


def write_document(lake: Lake) -> str:
    """Put a JSON document of some candles after those of the CSV file."""
    source = Source(lake.raw.parent / "more", lake.source.seed, lake.source.start_ms)
    put_days(source, "BTCUSD", LAST_DAY, 114, name="more.csv")
    rows = pl.read_csv(source.folder / "more.csv")
    name = "btcusd_008.json"
    (lake.raw / name).write_text(json.dumps([list(row) for row in rows.iter_rows()]))
    os.utime(lake.raw / name, (1_700_000_000, 1_700_000_000))
    return name


def test_a_refused_file_is_read_again_under_a_new_layout(lake: Lake) -> None:
    name = write_seconds(lake)
    assert lake.bring().exit_code == 3
    assert account(lake, name)["status"] == "refused"
    assert lake.bring(source={"layout": LAYOUT}).exit_code == 0
    assert (account(lake, name)["status"], account(lake, name)["rows_kept"]) == ("read", 48)
    assert lake.bring(source={"layout": LAYOUT}).run_id is None
    candles = read(lake, "candles")
    report = lake.bring()  # without the layout: what was read by it stays
    assert report.exit_code == 0
    assert any("1 file keeps a setting" in note and "--restate" in note for note in report.notes)
    assert read(lake, "candles").equals(candles)
    assert lake.bring().run_id is None
    assert lake.bring(options=RESTATE).exit_code == 3
    assert account(lake, name)["status"] == "refused"
    assert read(lake, "candles").height == candles.height - 48
    assert lake.bring(options=RESTATE).exit_code == 3  # refused again


def test_a_refused_document_is_read_again_under_another_limit(lake: Lake) -> None:
    name = write_document(lake)
    assert lake.bring(source={"max_json_bytes": 100}).exit_code == 3
    assert account(lake, name)["status"] == "refused"
    assert lake.bring(source={"max_json_bytes": 100_000}).exit_code == 0
    assert account(lake, name)["status"] == "read"
    assert lake.bring(source={"max_json_bytes": 100}).exit_code == 0
    assert account(lake, name)["status"] == "read"


def test_a_file_that_was_read_is_read_in_another_way_by_restate_alone(lake: Lake, tmp_path: Path) -> None:
    before = read(lake, "candles")
    with pytest.raises(SettingsError, match=r"btcusd_000\.csv: columns time, open, close.* → time, close, open"):
        lake.bring(source={"layout": TURNED})
    assert read(lake, "candles").equals(before)
    lake.bring(options=RESTATE, source={"layout": TURNED})
    after = read(lake, "candles")
    assert after["open"].equals(before["close"])
    assert not lake.compare_with_rebuild(tmp_path / "turned", source={"layout": TURNED})
    assert lake.bring(options=RESTATE, source={"layout": TURNED}).run_id is None
    lake.bring(options=RESTATE)
    assert not lake.compare_with_rebuild(tmp_path / "back")


def test_a_file_keeps_a_setting_that_later_runs_do_not_give(lake: Lake, tmp_path: Path) -> None:
    lake.bring(options=RESTATE, source={"layout": TURNED})
    turned = read(lake, "candles").filter(pl.col("source") == BTC)
    name = lake.put("BTCUSD", 80, 95, revision=2)
    layout = [{**TURNED[0], "files": name}]
    report = lake.bring(source={"layout": layout})  # the first file is read again, since the new one overlaps with it
    assert any("keeps a setting" in note for note in report.notes)
    assert account(lake, name)["rows_kept"] > 300
    both = turned.join(read(lake, "candles"), on="open_time", suffix="_now").filter(pl.col("source_now") == BTC)
    assert both.height > 1000
    assert both["open"].equals(both["open_now"])
    lake.put("BTCUSD", 1, LAST_DAY + 1, name=BTC)  # also a newer version of it
    lake.bring(source={"layout": layout})
    assert account(lake, BTC)["problem"] is None
    assert lake.compare_with_rebuild(tmp_path / "new", source={"layout": [*TURNED, *layout]}) == []


def test_a_setting_that_says_what_was_decided_changes_nothing(lake: Lake) -> None:
    said = {"columns": ["time", "open", "close", "high", "low", "volume"], "interval": "1h", "time_unit": "ms"}
    before = read(lake, "ledger")
    report = lake.bring(source={"layout": [{"files": BTC, **said}]})
    assert report.exit_code == 0
    assert read(lake, "ledger").equals(before)


@pytest.mark.parametrize(
    ("setting", "change"),
    [
        ({"interval": "30m"}, "interval 60m → 30m"),
        ({"offset": "30m"}, "offset 0m → 30m"),
        ({"stamps": "close"}, "stamps open → close"),
        ({"time_unit": "s"}, "time_unit read → refused"),
        ({"volume": "2"}, "volume .* → "),
        ({"skip_rows": 5}, "skip_rows 1 → 5"),
    ],
)
def test_a_setting_that_would_change_a_decision_stops_the_run(lake: Lake, setting: dict[str, Any], change: str) -> None:
    before = read(lake, "candles")
    with pytest.raises(SettingsError, match=f"{BTC}: {change}"):
        lake.bring(source={"layout": [{"files": BTC, **setting}]})
    assert read(lake, "candles").equals(before)
    assert lake.bring().run_id is None


def test_another_share_of_bad_rows_changes_what_is_reported_and_no_candle(lake: Lake) -> None:
    lines = (lake.raw / BTC).read_text().splitlines(keepends=True)
    mixed = "".join(line if number % 50 else "not a candle\n" for number, line in enumerate(lines, 1))
    upload(lake, mixed.encode())
    assert lake.bring().exit_code == 0
    before = read(lake, "candles")
    assert lake.bring(source={"max_rejected_share": 0.01}).exit_code == 3
    assert read(lake, "candles").equals(before)
    assert lake.bring(source={"max_rejected_share": 0.01}).exit_code == 3
    assert lake.bring().exit_code == 0
    assert read(lake, "candles").equals(before)


def test_a_restatement_that_cannot_read_a_version_in_force_is_asked_for(lake: Lake) -> None:
    upload(lake, b"")  # its successor is another version: that is no reason to give up the one in force
    lake.bring()
    before = read(lake, "candles")
    assert lake.bring(options=RESTATE, source={"layout": TURNED}).exit_code == 3
    assert read(lake, "candles").equals(before)


def test_pruning_without_the_layout_that_names_the_symbol_takes_nothing(lake: Lake) -> None:
    named = {"layout": [{"files": "data1.csv", "symbol": "LTCUSD"}]}
    shutil.copy(lake.raw / BTC, lake.raw / "data1.csv")
    assert lake.bring(source=named).exit_code == 0
    candles = read_table(str(lake.folder), "candles")
    for options in (Options(), PRUNE, PRUNE):
        report = lake.bring(options=options)
        assert report.exit_code == 0
        assert report.run_id is None or any("they stay" in note for note in report.notes)
        assert read_table(str(lake.folder), "candles").equals(candles)
    assert lake.bring(source=named).exit_code == 0
    (lake.raw / "data1.csv").unlink()
    lake.bring(options=PRUNE, source=named)
    assert "LTCUSD" not in set(read_table(str(lake.folder), "candles")["symbol"])
