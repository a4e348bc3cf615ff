"""Where a run begins when state turns out to be lost: at an earlier checkpoint, and only then at the first candle."""

import shutil
from pathlib import Path

import pytest
from hours import LAST_DAY, SETTINGS, Lake

from chandlery.runs.pipeline import Options

pytestmark = pytest.mark.slow


def append(lake: Lake, day: int = LAST_DAY) -> None:
    for symbol in ("BTCUSD", "ETHUSD"):
        lake.put(symbol, day, day + 3)


def checkpoints(lake: Lake) -> list[Path]:
    return sorted((lake.state / "checkpoints").iterdir())


def test_an_append_resumes_at_the_newest_checkpoint(start: Lake) -> None:
    """What it does not need may be missing."""
    for folder in checkpoints(start)[:-1]:
        shutil.rmtree(folder)
    append(start)
    report = start.bring()
    assert report.notes == []


@pytest.mark.parametrize("stage", ["gather/BTCUSD", "forecast/ETHUSD", "market/all"])
def test_one_that_is_not_whole_is_left_for_the_one_before(start: Lake, tmp_path: Path, stage: str) -> None:
    early, *_, last = checkpoints(start)
    (last / f"{stage}.state").unlink()
    append(start)
    report = start.bring()
    assert [note for note in report.notes if f"checkpoint of {early.name}" in note]
    assert not start.compare_with_rebuild(tmp_path / "new")
    append(start, LAST_DAY + 3)
    assert start.bring().notes == []


def test_without_any_checkpoint_the_whole_past_is_computed(start: Lake, tmp_path: Path) -> None:
    shutil.rmtree(start.state / "checkpoints")
    append(start)
    report = start.bring()
    assert "computing the whole past again" in report.notes[-1]
    assert not start.compare_with_rebuild(tmp_path / "new")


def test_a_restatement_says_why_everything_is_computed_again(start: Lake) -> None:
    report = start.bring(options=Options(restate=True), forecast={**SETTINGS, "seed": 2})
    assert any("settings, extensions or the market's references changed" in note for note in report.notes)


def test_an_object_that_is_missing_from_the_forecasts_is_made_again(start: Lake, tmp_path: Path) -> None:
    shutil.rmtree(next(start.folder.glob("forecasts/*/*/symbol=ETHUSD/horizon_minutes=60")))
    append(start)
    assert any("missing" in note and "forecasts" in note for note in start.bring().notes)
    assert not start.compare_with_rebuild(tmp_path / "new")


def test_a_symbol_that_joins_the_market_changes_all_forecasts(start: Lake, tmp_path: Path) -> None:
    start.put("XRPUSD", 30, LAST_DAY)
    report = start.bring()
    assert any("references changed" in note for note in report.notes)
    assert not start.compare_with_rebuild(tmp_path / "new")


def test_a_symbol_that_is_no_reference_and_comes_late_resumes(start: Lake, tmp_path: Path) -> None:
    append(start)
    start.put("ADAUSD", LAST_DAY + 1, LAST_DAY + 3)
    report = start.bring()
    assert report.notes == []
    assert not start.compare_with_rebuild(tmp_path / "new")
