"""Versions of files that cannot be read any more stay in force, beside other files of the same time."""

import shutil
from pathlib import Path

import pytest
from hours import Lake
from uploads import PRUNE, UNSEEN, account, make_unseen, put_back, read

pytestmark = pytest.mark.slow


@UNSEEN
def test_a_version_of_two_years_is_overlapped_in_one(lake: Lake, tmp_path: Path, how: str) -> None:
    make_unseen(lake, how)
    lake.bring()
    lake.put("BTCUSD", 95, 112, revision=1)  # in January
    lake.bring()
    assert not lake.compare_with_rebuild(tmp_path / "january")
    lake.put("BTCUSD", 85, 91, revision=2)  # in December
    lake.bring()
    assert not lake.compare_with_rebuild(tmp_path / "december")
    lake.put("BTCUSD", 88, 96, revision=3)  # over New Year
    lake.bring()
    assert not lake.compare_with_rebuild(tmp_path / "both")
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
        assert not lake.compare_with_rebuild(tmp_path / "new")
        assert account(lake)["rows_identical" if revision == 0 else "rows_superseded"] < 80
        return
    lake.source.remove(other)
    lake.bring()
    if how == "gone":  # pruned with it, unless it comes back before
        put_back(lake)
    lake.bring(options=PRUNE)
    del lake.source.files[other]
    assert not lake.compare_with_rebuild(tmp_path / "new")
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
    assert not lake.compare_with_rebuild(tmp_path / "new")
    assert lake.bring(options=PRUNE).run_id is None


def test_two_unseen_versions_and_one_more_settle_among_themselves(lake: Lake, tmp_path: Path) -> None:
    middle = lake.put("BTCUSD", 80, 105, revision=1)
    lake.bring()
    make_unseen(lake, "gone")
    make_unseen(lake, "refused", middle)
    lake.bring()
    last = lake.put("BTCUSD", 90, 100, revision=2)
    lake.bring()
    assert not lake.compare_with_rebuild(tmp_path / "all")
    lake.put("BTCUSD", 99, 100, revision=2, name=last)
    lake.bring()
    assert not lake.compare_with_rebuild(tmp_path / "less")
    put_back(lake, middle)
    lake.bring()
    assert not lake.compare_with_rebuild(tmp_path / "back")


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
    assert not lake.compare_with_rebuild(tmp_path / "new")
