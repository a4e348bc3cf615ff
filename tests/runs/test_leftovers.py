"""What nothing needs any more is deleted, and nothing else is."""

import shutil
from pathlib import Path

import pytest
from hours import LAST_DAY, SERIES, SETTINGS, Lake, start_lake

from chandlery.errors import SettingsError
from chandlery.lake.reading import read_table
from chandlery.runs.pipeline import Options, forecast, ingest, run
from chandlery.state.paths import is_known

pytestmark = pytest.mark.slow


def names(lake: Lake, folder: str) -> set[str]:
    return {path for path in lake.objects() if path.startswith(folder)}


def test_an_append_deletes_no_object_of_a_table(start: Lake) -> None:
    tables = ("candles/", "forecasts/", "scores/", "models/", "ledger/", "gaps/", "artefacts/")
    before = {table: names(start, table) for table in tables}
    start.put("BTCUSD", LAST_DAY, 114)
    start.bring()
    assert all(before[table] <= names(start, table) for table in tables)


def test_a_removed_model_leaves_no_artefact(tmp_path: Path) -> None:
    lake = start_lake(tmp_path, forecast={**SETTINGS, "models": ["linear", "tree"]})
    assert any("/sample-" in path for path in names(lake, "artefacts/"))
    lake.bring(options=Options(restate=True), forecast=SETTINGS)
    assert names(lake, "artefacts/")
    assert not any("/sample-" in path for path in names(lake, "artefacts/"))


def test_checkpoints_of_many_days_do_not_pile_up(start: Lake) -> None:
    for day in range(LAST_DAY, LAST_DAY + 12, 2):
        start.put("BTCUSD", day, day + 2)
        start.put("ETHUSD", day, day + 2)
        start.bring()
    days = {path.split("/")[4] for path in names(start, f"state/{SERIES}/checkpoints/")}
    assert "2019-01-01" in days
    assert 2 <= len(days) <= 1 + 2 * 2 + 2  # a half-year, two ages, the newest
    for day in days:  # each is whole
        assert len(names(start, f"state/{SERIES}/checkpoints/{day}/")) == 5


def test_what_this_version_knows_is_kept_and_what_another_left_goes_with_a_whole_computation(start: Lake) -> None:
    foreign = start.folder / "state" / "traded" / "BTCUSD.state"
    foreign.parent.mkdir()
    foreign.write_bytes(b"of another version")
    start.put("BTCUSD", LAST_DAY, 112)
    start.put("ETHUSD", LAST_DAY, 112)
    start.bring()
    assert foreign.exists()  # an append looks at nothing that it does not need
    assert start.bring(options=Options(restate=True), forecast={**SETTINGS, "seed": 1}).exit_code == 0
    assert not foreign.exists()
    assert all(is_known(path) for path in names(start, "state/"))


def test_a_run_of_one_symbol_leaves_the_others_as_they_are(start: Lake) -> None:
    start.put("BTCUSD", LAST_DAY, 114)
    start.put("ETHUSD", LAST_DAY, 114)
    before = {path: start.objects()[path] for path in names(start, "forecasts/") if "ETHUSD" in path}
    start.bring(symbols=("BTCUSD",))
    now = start.objects()
    assert {path: now[path] for path in before} == before
    assert (
        read_table(str(start.folder), "forecasts", symbol="BTCUSD")["issued_at"].max()
        > read_table(str(start.folder), "forecasts", symbol="ETHUSD")["issued_at"].max()
    )  # type: ignore[operator]


def test_a_whole_run_after_one_of_a_symbol_ends_in_the_bytes_of_a_new_lake(start: Lake, tmp_path: Path) -> None:
    start.put("BTCUSD", LAST_DAY, 114)
    start.put("ETHUSD", LAST_DAY, 114)
    start.bring(ingest, symbols=("ETHUSD",))
    assert read_table(str(start.folder), "ledger", symbol="BTCUSD").height == 1
    start.bring(forecast, symbols=("ETHUSD",))
    start.bring(symbols=("BTCUSD",))
    start.bring()
    assert not start.compare_with_rebuild(tmp_path / "new")


@pytest.mark.parametrize("stage", [run, ingest])
def test_a_symbol_that_is_nowhere_is_named(start: Lake, stage: object) -> None:
    before = start.objects()
    with pytest.raises(SettingsError, match=r"DOGEUSD.*BTCUSD, ETHUSD"):
        start.bring(stage, symbols=("DOGEUSD",))  # type: ignore[arg-type]
    assert start.objects() == before


def test_a_source_that_became_empty_is_a_mistake_and_not_a_removal(start: Lake) -> None:
    before = start.objects()
    for path in start.raw.iterdir():
        path.unlink()
    for options in (Options(), Options(prune=True)):
        with pytest.raises(SettingsError, match="no files at"):
            start.bring(options=options)
    assert start.objects() == before


def test_a_forecast_without_a_lake_writes_nothing(start: Lake) -> None:
    shutil.rmtree(start.folder)
    with pytest.raises(SettingsError, match="no lake at"):
        start.bring(forecast)
    assert not start.folder.exists() or not start.objects()


def test_a_run_with_nothing_to_do_writes_nothing(start: Lake) -> None:
    times = {path: path.stat().st_mtime_ns for path in start.folder.rglob("*")}
    for stage in (run, ingest, forecast):
        assert start.bring(stage).run_id is None
    assert {path: path.stat().st_mtime_ns for path in start.folder.rglob("*")} == times
