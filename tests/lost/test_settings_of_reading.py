"""Files that were read under other settings of the source are read again by a restatement alone."""

import json
import os
import shutil
from pathlib import Path

import polars as pl
import pytest
from hours import LAST_DAY, Lake, put_days
from universe import Source
from uploads import BTC, PRUNE, RESTATE, account, read, upload

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
    assert any("1 file was read under other settings" in note and "--restate" in note for note in report.notes)
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
    report = lake.bring(source={"max_json_bytes": 100})
    assert report.exit_code == 0
    assert any("read under other settings" in note for note in report.notes)
    assert account(lake, name)["status"] == "read"


def test_a_file_that_was_read_is_read_in_another_way_by_restate_alone(lake: Lake, tmp_path: Path) -> None:
    before = read(lake, "candles")
    report = lake.bring(source={"layout": TURNED})
    assert any("1 file was read under other settings" in note for note in report.notes)
    assert read(lake, "candles").equals(before)
    assert lake.bring(source={"layout": TURNED}).run_id is None
    report = lake.bring(options=RESTATE, source={"layout": TURNED})
    after = read(lake, "candles")
    assert not any("read under other settings" in note for note in report.notes)
    assert after["open"].equals(before["close"])
    assert not lake.compare_with_rebuild(tmp_path / "turned", source={"layout": TURNED})
    assert lake.bring(options=RESTATE, source={"layout": TURNED}).run_id is None
    lake.bring(options=RESTATE)
    assert not lake.compare_with_rebuild(tmp_path / "back")


def test_a_new_file_beside_one_that_was_read_under_other_settings_does_not_read_that_anew(
    lake: Lake, tmp_path: Path
) -> None:
    lake.put("BTCUSD", 90, 112, revision=1)
    lake.bring(source={"layout": TURNED})
    before = read(lake, "candles").filter(pl.col("source") == BTC)
    unseen = {"BTCUSD": [BTC]}  # the text of its superseded rows is known as it was parsed
    assert lake.compare_with_rebuild(tmp_path / "new", unseen=unseen) == []
    assert before.height > 1000
    name = lake.put("BTCUSD", 80, 95, revision=2)
    lake.bring(source={"layout": TURNED})
    assert account(lake, name)["rows_kept"] > 300
    assert lake.compare_with_rebuild(tmp_path / "more", unseen=unseen) == []
    lake.bring()
    assert lake.compare_with_rebuild(tmp_path / "back", unseen=unseen) == []


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
