"""A bad upload takes nothing away of the version that it was to replace."""

import gzip
import hashlib
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hours import Lake
from interruption import Kill, killed
from uploads import BTC, ETH, PRUNE, RESTATE, account, at, put_back, read, upload

from chandlery.lake.reading import read_table
from chandlery.runs.pipeline import Options, ingest

pytestmark = pytest.mark.slow


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
    assert not lake.compare_with_rebuild(tmp_path / "new")
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
    assert not lake.compare_with_rebuild(tmp_path / "new")
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
    assert not lake.compare_with_rebuild(tmp_path / "new")
    assert lake.bring().run_id is None
    lake.bring(options=PRUNE)
    assert "BTCUSD" not in set(read_table(str(lake.folder), "candles")["symbol"])
    del lake.source.files[BTC]
    assert not lake.compare_with_rebuild(tmp_path / "pruned")


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
    assert "20.0% of its rows were rejected" in report.messages[0]
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
    assert not lake.compare_with_rebuild(tmp_path / "new", unseen={})


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
    assert not lake.compare_with_rebuild(tmp_path / "new")


def test_a_bad_upload_is_refused_again_after_state_is_lost(lake: Lake, tmp_path: Path) -> None:
    upload(lake, b"")
    lake.bring()
    before = account(lake)
    shutil.rmtree(lake.folder / "state")
    assert lake.bring().exit_code == 3
    assert account(lake) == before
    assert not lake.compare_with_rebuild(tmp_path / "new")


def test_pruning_does_not_touch_a_version_whose_successor_was_refused(lake: Lake) -> None:
    candles = read(lake, "candles")
    upload(lake, b"")
    assert lake.bring(options=PRUNE).exit_code == 3
    assert read(lake, "candles").equals(candles)
    assert lake.bring(options=PRUNE).exit_code == 3
    assert read(lake, "candles").equals(candles)


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
    assert "of its rows were rejected" in report.messages[0]
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
    assert any(f"1 file is gone from the source: its {rows:,} candles stay" in note for note in lake.bring().notes)
    assert not any("gone from the source" in note for note in lake.bring(options=RESTATE).notes)
    assert any(f"its {rows:,} candles were deleted" in note for note in lake.bring(options=PRUNE).notes)


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


def test_a_spoilt_archive_stays_in_force_where_a_run_without_state_is_killed(lake: Lake, tmp_path: Path) -> None:
    path, copied, undisturbed = zip_up(lake), tmp_path / "copied", Kill(0, applied=True)
    candles = read_table(str(lake.folder), "candles")
    path.write_bytes(path.read_bytes()[:2000])
    os.utime(path, (lake.source.clock_s + 60,) * 2)
    shutil.rmtree(lake.folder / "state")
    shutil.copytree(lake.folder, copied)
    with killed(undisturbed):
        lake.bring(ingest)
    assert any(name.startswith("put_if_absent _staging/") for name in undisturbed.names)
    for last in range(1, len(undisturbed.names) + 1):
        shutil.rmtree(lake.folder)
        shutil.copytree(copied, lake.folder)
        with killed(Kill(last, applied=True)):
            lake.bring(ingest)
        report = lake.bring(ingest)
        told = [message for message in report.messages if "stays in force" in message]
        assert (report.exit_code, len(told)) == (3, 2), undisturbed.names[last - 1]
        assert read_table(str(lake.folder), "candles").equals(candles)
        assert read_table(str(lake.folder), "ledger")["present"].all()


def test_a_shorter_version_tells_the_candles_that_the_ledger_counts(lake: Lake) -> None:
    """Rows that are in a file twice are one candle: a version without the second of them has lost none."""
    whole = pl.read_csv(lake.raw / BTC)
    upload(lake, pl.concat([whole, whole[:5]]).write_csv().encode())
    assert lake.bring().notes == []
    before = account(lake)
    assert before["rows_identical"] == 5
    upload(lake, pl.concat([whole[:-11], whole[:3]]).write_csv().encode())
    notes, now = lake.bring().notes, account(lake)
    assert now["rows_kept"] == before["rows_kept"] - 11
    assert notes[0] == (
        f"{BTC} holds {now['rows_kept']:,} candles, its earlier version held {before['rows_kept']:,}: "
        "the others were removed"
    )
    upload(lake, whole[:-11].write_csv().encode())
    assert lake.bring().notes == []
