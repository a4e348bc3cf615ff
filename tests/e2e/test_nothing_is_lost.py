"""What is published stays: no bad upload, removed file, other setting of reading or lost state takes anything away."""

import datetime as dt
import gzip
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hours import LAST_DAY, Lake, put_days, start_lake
from universe import Source

from chandlery.errors import LawError, SettingsError
from chandlery.pipeline import Options, RunReport, forecast, ingest, run
from chandlery.tables import read_table

pytestmark = pytest.mark.slow

PRUNE, RESTATE = Options(prune=True), Options(restate=True)
BTC, ETH = "btcusd_000.csv", "ethusd_000.csv"
CANDLES = ["open_time", "open", "high", "low", "close", "volume"]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake of two symbols; no test changes it."""
    return start_lake(tmp_path_factory.mktemp("first"))


@pytest.fixture
def lake(first: Lake, tmp_path: Path) -> Lake:
    return first.copy(tmp_path)


def read(lake: Lake, table: str, symbol: str = "BTCUSD") -> pl.DataFrame:
    return read_table(str(lake.folder), table, symbol=symbol)


def account(lake: Lake, source: str = BTC) -> dict[str, Any]:
    """Return a file's row of the ledger."""
    return read_table(str(lake.folder), "ledger").row(by_predicate=pl.col("source") == source, named=True)


def upload(lake: Lake, content: bytes, name: str = BTC) -> int:
    """Replace a file by something that has to be refused; return when."""
    lake.source.files[name].state = "garbage"
    lake.source.clock_s += 60
    (lake.raw / name).write_bytes(content)
    os.utime(lake.raw / name, (lake.source.clock_s, lake.source.clock_s))
    return lake.source.clock_s


def put_back(lake: Lake, name: str = BTC) -> None:
    """Upload the version in force again, with the time that it had."""
    lake.source.files[name].state = "good"
    lake.source._write(lake.raw, name, lake.source.files[name].version)


def at(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


# Bad uploads

BAD: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda _: b"",
    "garbage": lambda _: b"<html><body>503 Service Unavailable</body></html>\n" * 20,
    "header only": lambda good: good.splitlines(keepends=True)[0],
    "cut in the first row": lambda good: good[: len(good.splitlines()[0]) + 8],
    "cut gzip": lambda good: gzip.compress(good)[:2000],
    "binary": lambda _: bytes(range(256)) * 20,
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_upload_leaves_the_version_in_force(lake: Lake, tmp_path: Path, bad: str) -> None:
    before, candles = account(lake), read(lake, "candles")
    content = BAD[bad]((lake.raw / BTC).read_bytes())
    seconds = upload(lake, content)
    report = lake.bring()
    assert report.exit_code == 3
    assert [message for message in report.messages if BTC in message and "stays in force" in message]
    assert read(lake, "candles").equals(candles)
    now = account(lake)
    assert {**now, **dict.fromkeys(changed := ("problem", "refused_sha256", "refused_modified_at"))} == {
        **before,
        **dict.fromkeys(changed),
    }
    assert now["status"] == "read"
    assert BTC in now["problem"]
    assert now["refused_etag"] is None  # a path has none
    assert now["refused_sha256"] == hashlib.sha256(content).hexdigest()
    assert now["refused_modified_at"] == at(seconds)
    assert not lake.compare(tmp_path / "new")
    again = lake.bring()
    assert (again.exit_code, again.run_id, again.messages) == (3, None, report.messages)


def test_repaired_it_is_as_if_nothing_had_happened(lake: Lake, tmp_path: Path) -> None:
    before = lake.objects()
    upload(lake, b"")
    lake.bring()
    put_back(lake)
    assert lake.bring().exit_code == 0
    tables = {path: content for path, content in lake.objects().items() if not path.startswith(("state/", "runs/"))}
    assert tables == {path: content for path, content in before.items() if path in tables}
    assert not lake.compare(tmp_path / "new")
    assert lake.bring().run_id is None


def test_another_bad_upload_takes_the_place_of_the_first(lake: Lake) -> None:
    upload(lake, b"")
    lake.bring()
    seconds = upload(lake, b"nothing of use")
    assert lake.bring().exit_code == 3
    now = account(lake)
    assert now["refused_sha256"] == hashlib.sha256(b"nothing of use").hexdigest()
    assert now["refused_modified_at"] == at(seconds)


def test_removed_after_having_been_refused_it_counts_as_gone(lake: Lake, tmp_path: Path) -> None:
    candles = read(lake, "candles")
    upload(lake, b"")
    lake.bring()
    lake.source.remove(BTC)
    report = lake.bring()
    assert (report.exit_code, report.messages) == (0, [])
    assert account(lake)["present"] is False
    assert read(lake, "candles").equals(candles)
    assert not lake.compare(tmp_path / "new")
    assert lake.bring().run_id is None
    lake.bring(options=PRUNE)
    assert "BTCUSD" not in set(read_table(str(lake.folder), "candles")["symbol"])
    del lake.source.files[BTC]
    assert not lake.compare(tmp_path / "pruned")


def test_a_bad_upload_that_comes_back_is_refused_again(lake: Lake) -> None:
    seconds = upload(lake, b"")
    lake.bring()
    (lake.raw / BTC).rename(lake.raw.parent / "aside")
    assert lake.bring().exit_code == 0
    (lake.raw.parent / "aside").rename(lake.raw / BTC)
    assert (lake.raw / BTC).stat().st_mtime == seconds
    report = lake.bring()
    assert report.exit_code == 3
    assert account(lake)["present"] is True
    assert account(lake)["status"] == "read"
    assert lake.bring().exit_code == 3


def test_a_file_with_too_many_bad_rows_is_reported_while_it_is_there(lake: Lake) -> None:
    lines = (lake.raw / BTC).read_text().splitlines(keepends=True)
    mixed = "".join(line if number % 5 else "not a candle\n" for number, line in enumerate(lines, 1))
    upload(lake, mixed.encode())
    report = lake.bring()
    assert (report.exit_code, len(report.messages)) == (3, 1)
    assert "20.0% of its rows were refused" in report.messages[0]
    aside = lake.raw.parent / "aside"
    (lake.raw / BTC).rename(aside)
    assert lake.bring().exit_code == 0
    aside.rename(lake.raw / BTC)
    assert lake.bring().messages == report.messages


def test_a_file_that_comes_back_is_present_again(lake: Lake, tmp_path: Path) -> None:
    aside = lake.raw.parent / "aside"
    (lake.raw / BTC).rename(aside)
    lake.bring()
    assert account(lake)["present"] is False
    aside.rename(lake.raw / BTC)
    lake.bring()
    assert account(lake)["present"] is True
    assert not lake.compare(tmp_path / "new", unseen={})


def test_a_file_that_never_was_read_can_be_removed_and_pruned(lake: Lake, tmp_path: Path) -> None:
    before = read_table(str(lake.folder), "ledger")
    name = lake.source.put_bad("BTCUSD", "garbage")
    assert lake.bring().exit_code == 3
    assert account(lake, name)["status"] == "refused"
    lake.source.remove(name)
    assert lake.bring().exit_code == 0
    assert account(lake, name)["present"] is False
    lake.bring(options=PRUNE)
    assert read_table(str(lake.folder), "ledger").equals(before)
    del lake.source.files[name]
    assert not lake.compare(tmp_path / "new")


def test_a_bad_upload_is_refused_again_after_state_is_lost(lake: Lake, tmp_path: Path) -> None:
    upload(lake, b"")
    lake.bring()
    before = account(lake)
    shutil.rmtree(lake.folder / "state")
    assert lake.bring().exit_code == 3
    assert account(lake) == before
    assert not lake.compare(tmp_path / "new")


def test_pruning_does_not_touch_a_version_whose_successor_was_refused(lake: Lake) -> None:
    candles = read(lake, "candles")
    upload(lake, b"")
    assert lake.bring(options=PRUNE).exit_code == 3
    assert read(lake, "candles").equals(candles)
    assert lake.bring(options=PRUNE).exit_code == 3
    assert read(lake, "candles").equals(candles)


# Versions that cannot be read any more, and other files of the same time


def make_unseen(lake: Lake, how: str, name: str = BTC) -> None:
    """Let the version in force of a file be one that is not in the source."""
    if how == "refused":
        upload(lake, b"", name)
    else:
        lake.source.remove(name)


UNSEEN = pytest.mark.parametrize("how", ["refused", "gone"])


@UNSEEN
def test_a_version_of_two_years_is_overlapped_in_one(lake: Lake, tmp_path: Path, how: str) -> None:
    make_unseen(lake, how)
    lake.bring()
    lake.put("BTCUSD", 95, 112, revision=1)  # in January
    lake.bring()
    assert not lake.compare(tmp_path / "january")
    lake.put("BTCUSD", 85, 91, revision=2)  # in December
    lake.bring()
    assert not lake.compare(tmp_path / "december")
    lake.put("BTCUSD", 88, 96, revision=3)  # over New Year
    lake.bring()
    assert not lake.compare(tmp_path / "both")
    now = account(lake)
    assert now["rows_read"] == sum(
        now[name] for name in ("rows_kept", "rows_identical", "rows_superseded", "rows_rejected")
    )
    assert now["rows_superseded"] > 0


@UNSEEN
@pytest.mark.parametrize("revision", [0, 1])
@pytest.mark.parametrize("back", ["restated", "pruned"])
@pytest.mark.parametrize("order", ["loses", "is unseen"])
def test_rows_that_lost_come_back_when_the_other_file_has_them_no_more(
    lake: Lake, tmp_path: Path, how: str, revision: int, back: str, order: str
) -> None:
    if order == "is unseen":
        make_unseen(lake, how)
        lake.bring()
    other = lake.put("BTCUSD", 85, 105, revision)
    lake.bring()
    now = account(lake)
    assert now["rows_identical" if revision == 0 else "rows_superseded"] > 400
    if order == "loses":
        make_unseen(lake, how)
        lake.bring()
    if back == "restated":
        lake.put("BTCUSD", 100, 103, revision, other)
        lake.bring()
        assert not lake.compare(tmp_path / "new")
        assert account(lake)["rows_identical" if revision == 0 else "rows_superseded"] < 80
        return
    lake.source.remove(other)
    lake.bring()
    if how == "gone":  # pruned with it, unless it comes back before
        put_back(lake)
    lake.bring(options=PRUNE)
    del lake.source.files[other]
    assert not lake.compare(tmp_path / "new")
    assert account(lake)["rows_kept"] == account(lake)["rows_read"]


@pytest.mark.parametrize("revision", [0, 1])
def test_rows_of_an_unchanged_file_come_back_when_the_other_is_pruned(
    lake: Lake, tmp_path: Path, revision: int
) -> None:
    other = lake.put("BTCUSD", 85, 105, revision)
    lake.bring()
    lake.source.remove(other)
    lake.bring()
    lake.bring(options=PRUNE)
    del lake.source.files[other]
    assert not lake.compare(tmp_path / "new")
    assert lake.bring(options=PRUNE).run_id is None


def test_two_unseen_versions_and_one_more_settle_among_themselves(lake: Lake, tmp_path: Path) -> None:
    middle = lake.put("BTCUSD", 80, 105, revision=1)
    lake.bring()
    make_unseen(lake, "gone")
    make_unseen(lake, "refused", middle)
    lake.bring()
    last = lake.put("BTCUSD", 90, 100, revision=2)
    lake.bring()
    assert not lake.compare(tmp_path / "all")
    lake.put("BTCUSD", 99, 100, revision=2, name=last)
    lake.bring()
    assert not lake.compare(tmp_path / "less")
    put_back(lake, middle)
    lake.bring()
    assert not lake.compare(tmp_path / "back")


@UNSEEN
def test_a_version_in_force_stays_when_state_is_lost_as_well(lake: Lake, tmp_path: Path, how: str) -> None:
    lake.put("BTCUSD", 85, 105, revision=1)
    lake.bring()
    make_unseen(lake, how)
    lake.bring()
    before, row = read(lake, "candles"), account(lake)
    shutil.rmtree(lake.folder / "state")
    lake.bring()
    assert read(lake, "candles").equals(before)
    assert account(lake) == row
    lake.put("BTCUSD", 100, 112, revision=2)
    lake.bring()
    now = account(lake)
    assert now["rows_read"] == sum(
        now[name] for name in ("rows_kept", "rows_identical", "rows_superseded", "rows_rejected")
    )
    assert not lake.compare(tmp_path / "new")


# Settings of reading


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
    assert not lake.compare(tmp_path / "turned", source={"layout": TURNED})
    assert lake.bring(options=RESTATE, source={"layout": TURNED}).run_id is None
    lake.bring(options=RESTATE)
    assert not lake.compare(tmp_path / "back")


def test_a_new_file_beside_one_that_was_read_under_other_settings_does_not_read_that_anew(
    lake: Lake, tmp_path: Path
) -> None:
    lake.put("BTCUSD", 90, 112, revision=1)
    lake.bring(source={"layout": TURNED})
    before = read(lake, "candles").filter(pl.col("source") == BTC)
    unseen = {"BTCUSD": [BTC]}  # the text of its superseded rows is known as it was parsed
    assert lake.compare(tmp_path / "new", unseen=unseen) == []
    assert before.height > 1000
    name = lake.put("BTCUSD", 80, 95, revision=2)
    lake.bring(source={"layout": TURNED})
    assert account(lake, name)["rows_kept"] > 300
    assert lake.compare(tmp_path / "more", unseen=unseen) == []
    lake.bring()
    assert lake.compare(tmp_path / "back", unseen=unseen) == []


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


# Lost state

STAGES: dict[str, Callable[..., RunReport]] = {"ingest": ingest, "forecast": forecast, "run": run}
LOST = [
    "state",
    "state/summary.json",
    "state/ingest",
    "state/ingest/BTCUSD.state",
    "state/scores",
    "state/checkpoints",
    "state/gather",
    "state/activity.state",
    "artefacts/all",
]


def lose(lake: Lake, name: str) -> None:
    path = lake.folder / name
    assert path.exists()
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


@pytest.mark.parametrize("symbols", [(), ("ETHUSD",)])
@pytest.mark.parametrize("stage", STAGES)
def test_without_its_state_a_lake_loses_nothing(
    lake: Lake, tmp_path: Path, stage: str, symbols: tuple[str, ...]
) -> None:
    make_unseen(lake, "gone")
    lake.bring()
    before = lake.objects()
    lose(lake, "state")
    assert lake.bring(STAGES[stage], symbols=symbols).exit_code == 0
    tables = {path: content for path, content in before.items() if not path.startswith(("state/", "runs/", "lease"))}
    now = lake.objects()
    assert [path for path in tables if now.get(path) != tables[path]] == []
    lake.bring()
    assert not lake.compare(tmp_path / "new")
    assert lake.bring().run_id is None


@pytest.mark.parametrize("name", LOST)
@pytest.mark.parametrize("stages", [("run",), ("forecast", "run"), ("ingest", "forecast")])
def test_an_append_to_what_is_left_ends_in_the_bytes_of_a_new_lake(
    lake: Lake, tmp_path: Path, name: str, stages: tuple[str, ...]
) -> None:
    lose(lake, name)
    lake.put("BTCUSD", LAST_DAY, 114)
    lake.put("ETHUSD", LAST_DAY, 114)
    for stage in stages:
        assert lake.bring(STAGES[stage]).exit_code == 0
    assert not lake.compare(tmp_path / "new")
    assert lake.bring().run_id is None


@pytest.mark.parametrize("year", [2018, 2019])
def test_candles_that_are_missing_are_read_again(lake: Lake, tmp_path: Path, year: int) -> None:
    (path,) = lake.folder.glob(f"candles/*/symbol=BTCUSD/year={year}/*.parquet")
    path.unlink()
    report = lake.bring()
    assert any("objects of BTCUSD are missing" in note for note in report.notes)
    assert not lake.compare(tmp_path / "new")
    assert lake.bring().run_id is None


@UNSEEN
def test_candles_that_are_missing_and_cannot_be_read_again_are_given_up_once(
    lake: Lake, tmp_path: Path, how: str
) -> None:
    lake.put("BTCUSD", LAST_DAY, 114)
    make_unseen(lake, how)
    lake.bring()
    (path,) = lake.folder.glob("candles/*/symbol=BTCUSD/year=2018/*.parquet")
    path.unlink()
    report = lake.bring()
    assert read(lake, "candles")["open_time"].dt.year().unique().to_list() == [2019]
    assert any("candles of BTCUSD of 2018 are lost" in note for note in report.notes)
    assert lake.bring().run_id is None
    put_back(lake)
    lake.bring()
    assert not lake.compare(tmp_path / "new")


@pytest.mark.parametrize("act", ["upload again", "prune"])
def test_a_file_that_overlaps_with_candles_that_are_lost_says_what_to_do(lake: Lake, tmp_path: Path, act: str) -> None:
    lake.source.remove(BTC)
    lake.bring()
    shutil.rmtree(next(lake.folder.glob("candles/*/symbol=BTCUSD")) / "year=2018")
    lake.put("BTCUSD", 85, 100, revision=1)
    with pytest.raises(LawError, match=r"2570 rows read.* upload it again, or .*--prune"):
        lake.bring()
    if act == "upload again":
        put_back(lake)
    else:
        del lake.source.files[BTC]
    lake.bring(options=Options(prune=act == "prune"))
    assert not lake.compare(tmp_path / "new")


# Symbols without candles


def test_forecasts_of_a_symbol_without_candles_stay_until_they_are_pruned(lake: Lake, tmp_path: Path) -> None:
    lake.source.remove(ETH)
    del lake.source.files[ETH]
    before = read(lake, "forecasts", "ETHUSD")
    lake.bring(ingest, PRUNE)
    assert set(read_table(str(lake.folder), "candles")["symbol"]) == {"BTCUSD"}
    report = lake.bring(forecast)
    assert any("forecasts of ETHUSD are kept" in note and "--prune" in note for note in report.notes)
    assert read(lake, "forecasts", "ETHUSD").equals(before)
    assert set(read_table(str(lake.folder), "scores")["symbol"]) == {"BTCUSD", "ETHUSD"}
    assert lake.bring(forecast).run_id is None
    lake.bring(forecast, PRUNE)
    assert set(read_table(str(lake.folder), "forecasts")["symbol"]) == {"BTCUSD"}
    assert set(read_table(str(lake.folder), "scores")["symbol"]) == {"BTCUSD"}
    assert not lake.compare(tmp_path / "new")
    assert lake.bring(options=PRUNE).run_id is None


def test_a_run_that_prunes_takes_candles_and_forecasts(lake: Lake, tmp_path: Path) -> None:
    lake.source.remove(ETH)
    del lake.source.files[ETH]
    lake.bring(options=PRUNE)
    assert not lake.compare(tmp_path / "new")


def test_forecasts_of_a_lake_without_any_candles_stay_until_they_are_pruned(lake: Lake, tmp_path: Path) -> None:
    for name in (BTC, ETH):
        lake.source.remove(name)
    lake.source.put_bad("LTCUSD", "empty")  # a source without any file is a mistake
    assert lake.bring(ingest, PRUNE).exit_code == 3
    assert not list(lake.folder.glob("candles/**/*.parquet"))
    lake.bring(forecast)
    assert set(read_table(str(lake.folder), "forecasts")["symbol"]) == {"BTCUSD", "ETHUSD"}
    lake.bring(forecast, PRUNE)
    for table in ("forecasts", "scores", "models"):
        assert not list(lake.folder.glob(f"{table}/**/*.parquet"))
    assert lake.bring(forecast, PRUNE).run_id is None
    for name in (BTC, ETH):
        put_back(lake, name)
    (lake.raw / "ltcusd_000.csv").unlink()
    del lake.source.files["ltcusd_000.csv"]
    lake.bring(options=PRUNE)
    assert not lake.compare(tmp_path / "new")


# A spoilt upload, files that are gone, and lake.json


def spoil(good: bytes) -> bytes:
    """Return a file whose rows can be read, and of which every third has a high below its low."""
    head, *rows = good.decode().splitlines(keepends=True)
    fields = [row.rstrip("\n").split(",") for row in rows]
    for row in fields[::3]:
        row[3], row[4] = "1", "2"
    return (head + "".join(",".join(row) + "\n" for row in fields)).encode()


def test_an_upload_of_which_many_rows_are_refused_replaces_nothing(lake: Lake) -> None:
    before = read(lake, "candles")
    upload(lake, spoil((lake.raw / BTC).read_bytes()))
    report = lake.bring()
    assert report.exit_code == 3
    assert "of its rows were refused" in report.messages[0]
    assert read(lake, "candles").equals(before)
    assert account(lake)["refused_modified_at"] is not None
    assert lake.bring(options=RESTATE).exit_code == 3  # taken as it is, which is told
    assert read(lake, "candles").height < before.height
    put_back(lake)
    assert lake.bring().exit_code == 0
    assert read(lake, "candles").equals(before)


def test_files_that_are_gone_are_reported_with_their_candles(lake: Lake) -> None:
    rows = read(lake, "candles").height
    (lake.raw / BTC).rename(lake.raw.parent / BTC)
    assert any(f"their {rows:,} candles stay" in note for note in lake.bring().notes)
    assert not any("gone from the source" in note for note in lake.bring(options=RESTATE).notes)
    assert any(f"their {rows:,} candles were deleted" in note for note in lake.bring(options=PRUNE).notes)


@pytest.mark.parametrize("stage", [run, ingest, forecast])
def test_a_lake_without_its_lake_json_is_not_founded_again(lake: Lake, stage: Callable[..., RunReport]) -> None:
    (lake.folder / "lake.json").unlink()
    before = lake.objects()
    with pytest.raises(SettingsError, match=r"lake\.json is missing"):
        lake.bring(stage)
    assert lake.objects() == before



def test_pruning_without_the_layout_that_names_the_symbol_takes_nothing(lake: Lake) -> None:
    named = {"layout": [{"files": "data1.csv", "symbol": "LTCUSD"}]}
    shutil.copy(lake.raw / BTC, lake.raw / "data1.csv")
    assert lake.bring(source=named).exit_code == 0
    candles = read_table(str(lake.folder), "candles")
    for options in (Options(), PRUNE, PRUNE):
        assert lake.bring(options=options).exit_code == 3
        assert read_table(str(lake.folder), "candles").equals(candles)
    assert lake.bring(source=named).exit_code == 0
    (lake.raw / "data1.csv").unlink()
    lake.bring(options=PRUNE, source=named)
    assert "LTCUSD" not in set(read_table(str(lake.folder), "candles")["symbol"])


# Archives


def zip_up(lake: Lake) -> Path:
    """Let all files of a source be the members of one archive, in a new lake."""
    contents = {name: (lake.raw / name).read_bytes() for name in (BTC, ETH)}
    for name in contents:
        (lake.raw / name).unlink()
    shutil.rmtree(lake.folder)
    path = lake.raw / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    os.utime(path, (lake.source.clock_s, lake.source.clock_s))
    assert lake.bring().exit_code == 0
    return path


@pytest.mark.parametrize("state", ["held", "lost"])
def test_a_spoilt_archive_leaves_its_members_in_force(lake: Lake, state: str) -> None:
    path = zip_up(lake)
    candles = read_table(str(lake.folder), "candles")
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    os.utime(path, (lake.source.clock_s + 60,) * 2)
    if state == "lost":
        shutil.rmtree(lake.folder / "state")
    for options in (Options(), PRUNE, PRUNE):
        report = lake.bring(options=options)
        assert report.exit_code == 3
        assert len([message for message in report.messages if "stays in force" in message]) == 2
        assert read_table(str(lake.folder), "candles").equals(candles)
    assert read_table(str(lake.folder), "ledger")["present"].all()
    path.write_bytes(good)
    os.utime(path, (lake.source.clock_s, lake.source.clock_s))
    assert lake.bring().exit_code == 0
    assert read_table(str(lake.folder), "candles").equals(candles)
