"""Lost state, candles or lake.json take nothing away."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hours import LAST_DAY, SERIES, Lake, start_lake
from uploads import BTC, UNSEEN, make_unseen, put_back, read

from chandlery.errors import LawError, SettingsError
from chandlery.runs.pipeline import Options, RunReport, forecast, ingest, run

pytestmark = pytest.mark.slow


STAGES: dict[str, Callable[..., RunReport]] = {"ingest": ingest, "forecast": forecast, "run": run}
LOST = [
    "state",
    "state/summary.json",
    f"state/{SERIES}/ingest",
    f"state/{SERIES}/ingest/BTCUSD.state",
    f"state/{SERIES}/scores",
    f"state/{SERIES}/checkpoints",
    f"state/{SERIES}/gather",
    f"state/{SERIES}/activity.state",
    f"artefacts/{SERIES}/all",
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
    assert not lake.compare_with_rebuild(tmp_path / "new")
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
    assert not lake.compare_with_rebuild(tmp_path / "new")
    assert lake.bring().run_id is None


@pytest.mark.parametrize("year", [2018, 2019])
def test_candles_that_are_missing_are_read_again(lake: Lake, tmp_path: Path, year: int) -> None:
    (path,) = lake.folder.glob(f"candles/*/*/symbol=BTCUSD/year={year}/*.parquet")
    path.unlink()
    report = lake.bring()
    assert any("objects of BTCUSD are missing" in note for note in report.notes)
    assert not lake.compare_with_rebuild(tmp_path / "new")
    assert lake.bring().run_id is None


@UNSEEN
def test_candles_that_are_missing_and_cannot_be_read_again_are_given_up_once(
    lake: Lake, tmp_path: Path, how: str
) -> None:
    lake.put("BTCUSD", LAST_DAY, 114)
    make_unseen(lake, how)
    lake.bring()
    (path,) = lake.folder.glob("candles/*/*/symbol=BTCUSD/year=2018/*.parquet")
    path.unlink()
    report = lake.bring()
    assert read(lake, "candles")["open_time"].dt.year().unique().to_list() == [2019]
    assert any("candles of BTCUSD of 2018 are lost" in note for note in report.notes)
    assert lake.bring().run_id is None
    put_back(lake)
    lake.bring()
    assert not lake.compare_with_rebuild(tmp_path / "new")


def test_the_same_file_that_returns_after_its_candles_were_given_up_is_read_again(lake: Lake, tmp_path: Path) -> None:
    aside = tmp_path / "aside"
    (lake.raw / BTC).rename(aside)
    lake.put("BTCUSD", LAST_DAY, 114)
    lake.bring()
    shutil.rmtree(next(lake.folder.glob("candles/*/*/symbol=BTCUSD/year=2018")))
    assert any("candles of BTCUSD of 2018 are lost" in note for note in lake.bring().notes)
    aside.rename(lake.raw / BTC)  # with the same etag and time as before
    lake.bring()
    assert not lake.compare_with_rebuild(tmp_path / "new", unseen={})


@pytest.mark.parametrize("act", ["upload again", "prune"])
def test_a_file_that_overlaps_with_candles_that_are_lost_says_what_to_do(lake: Lake, tmp_path: Path, act: str) -> None:
    lake.source.remove(BTC)
    lake.bring()
    shutil.rmtree(next(lake.folder.glob("candles/*/*/symbol=BTCUSD")) / "year=2018")
    lake.put("BTCUSD", 85, 100, revision=1)
    with pytest.raises(LawError, match=r"2570 rows read.* upload it again, or .*--prune"):
        lake.bring()
    if act == "upload again":
        put_back(lake)
    else:
        del lake.source.files[BTC]
    lake.bring(options=Options(prune=act == "prune"))
    assert not lake.compare_with_rebuild(tmp_path / "new")


@pytest.mark.parametrize("stage", [run, ingest, forecast])
def test_a_lake_without_its_lake_json_is_not_founded_again(lake: Lake, stage: Callable[..., RunReport]) -> None:
    (lake.folder / "lake.json").unlink()
    before = lake.objects()
    with pytest.raises(SettingsError, match=r"lake\.json is missing"):
        lake.bring(stage)
    assert lake.objects() == before


def test_folders_that_are_left_empty_are_no_tables(tmp_path: Path) -> None:
    """Some stores, and file systems, keep the folders of objects that were deleted."""
    lake = start_lake(tmp_path)
    before = lake.objects()
    for path in before:
        (lake.folder / path).unlink()
    assert (lake.folder / "candles").is_dir()
    lake.bring()
    assert not lake.compare_with_rebuild(tmp_path / "new")
