"""A horizon or a model is added to finished forecasts: nothing else changes, as if founded with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hours import FIRST_DAY, LAST_DAY, SETTINGS, Lake, make_settings, start_lake

from chandlery.errors import SettingsError
from chandlery.lake.reading import read_table
from chandlery.runs.pipeline import plan
from chandlery.tasks.gather import Gathered, gather_symbol, recall_gathered
from chandlery.tasks.work import SymbolTask, Work

pytestmark = pytest.mark.slow

WIDER = {**SETTINGS, "horizons": ["1h", "2h", "4h"]}
RICHER = {**SETTINGS, "models": ["linear", "tree"]}
THREE = {**SETTINGS, "models": ["linear", "tree", "boosted"]}
BOTH = {**WIDER, "models": ["linear", "tree", "boosted"]}
OWN = """import numpy as np
from chandlery import Model, register

class Mean(Model):
    name = "mean"
    algorithm = 1
    learns_from = "sample"
    refit_months = (1, 4, 7, 10)

    def design(self, values, names):
        return values

    def weigh(self, weight):
        return weight

    def fit(self, training, seed):
        return {"mean": float(np.mean(training.target))}

    def predict(self, artefact, design):
        return np.full(design.shape[0], artefact["mean"], np.float32)

register(Mean())
"""


def append(lake: Lake) -> None:
    for symbol in ("BTCUSD", "ETHUSD"):
        lake.put(symbol, LAST_DAY, LAST_DAY + 5)


def nothing(lake: Lake) -> None:
    del lake


def forecasts_at(lake: Lake, minutes: int) -> dict[str, bytes]:
    return {path: content for path, content in lake.objects().items() if f"horizon_minutes={minutes}/" in path}


@pytest.mark.parametrize("change", [nothing, append])
@pytest.mark.parametrize("now", [WIDER, RICHER, BOTH], ids=["horizon", "model", "both"])
def test_what_is_added_makes_the_lake_that_was_founded_with_it(
    tmp_path: Path, now: dict[str, Any], change: Callable[[Lake], None]
) -> None:
    lake = start_lake(tmp_path)
    change(lake)
    report = lake.bring(forecast=now)
    assert report.exit_code == 0
    assert any("added" in note for note in report.notes)
    assert not any("computed again" in note and "added" not in note for note in report.notes)
    assert not lake.compare_with_rebuild(tmp_path / "new", forecast=now)
    assert lake.bring(forecast={}).run_id is None
    lake.put("BTCUSD", LAST_DAY + 5, LAST_DAY + 9)
    lake.put("ETHUSD", LAST_DAY + 5, LAST_DAY + 9)
    lake.bring(forecast={})
    assert not lake.compare_with_rebuild(tmp_path / "later", forecast=now)


def test_an_added_horizon_changes_no_object_of_the_others(start: Lake) -> None:
    before = {minutes: forecasts_at(start, minutes) for minutes in (60, 240)}
    written = {path: (start.folder / path).stat().st_mtime_ns for paths in before.values() for path in paths}
    start.bring(forecast=WIDER)
    assert {minutes: forecasts_at(start, minutes) for minutes in (60, 240)} == before
    assert {path: (start.folder / path).stat().st_mtime_ns for path in written} == written
    assert forecasts_at(start, 120)


def test_an_added_model_changes_no_prediction_of_the_others(start: Lake) -> None:
    before = read_table(str(start.folder), "forecasts")
    start.bring(forecast=RICHER)
    now = read_table(str(start.folder), "forecasts")
    same = ["symbol", "horizon_minutes", "issued_at", "target_time", "close", "actual_close", "predicted_linear"]
    assert now.select(same).equals(before.select(same))
    assert now["predicted_tree"].is_not_null().any()


def test_a_model_of_an_added_file_is_added(start: Lake, tmp_path: Path) -> None:
    own = tmp_path / "mean.py"
    own.write_text(OWN)
    now = {**SETTINGS, "models": ["linear", "mean"], "extensions": [str(own)]}
    before = read_table(str(start.folder), "forecasts")
    report = start.bring(forecast=now)
    assert any("model mean added" in note for note in report.notes)
    after = read_table(str(start.folder), "forecasts")
    assert after["predicted_linear"].equals(before["predicted_linear"])
    assert not start.compare_with_rebuild(tmp_path / "new", forecast=now)


def test_a_model_of_an_added_file_that_is_not_used_changes_no_table(start: Lake, tmp_path: Path) -> None:
    own = tmp_path / "mean.py"
    own.write_text(OWN)
    report = start.bring(forecast={**SETTINGS, "extensions": [str(own)]})
    assert any("extensions added, without a model that is used" in note for note in report.notes)
    assert not any("no forecasts yet" in note for note in report.notes)
    assert report.published == 0


def test_a_file_with_a_feature_is_no_addition(start: Lake, tmp_path: Path) -> None:
    own = tmp_path / "range.py"
    own.write_text(
        "from chandlery import feature\n\n"
        '@feature("span", unit="price", window="1", lookback=1)\n'
        "def span(bars):\n    return bars.high - bars.low\n"
    )
    now = {**SETTINGS, "extensions": [str(own)]}
    report = start.bring(forecast=now)
    assert any("computed again" in note for note in report.notes)
    assert not start.compare_with_rebuild(tmp_path / "new", forecast=now)


@pytest.mark.parametrize("horizons", [["1h", "4h", "8h"], ["1h"], ["1h", "2h"]])
def test_a_horizon_beyond_the_reach_or_one_that_goes_is_a_restatement(start: Lake, horizons: list[str]) -> None:
    before = start.objects()
    with pytest.raises(SettingsError, match="--restate"):
        start.bring(forecast={**SETTINGS, "horizons": horizons})
    assert start.objects() == before


@pytest.mark.parametrize("lost", ["artefacts", "state/*/*/checkpoints/*/forecast", "state/*/*/scores"])
def test_an_addition_to_lost_state_computes_everything(start: Lake, tmp_path: Path, lost: str) -> None:
    for folder in sorted(start.folder.glob(lost)):
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            file.unlink()
    start.bring(forecast=BOTH)
    assert not start.compare_with_rebuild(tmp_path / "new", forecast=BOTH)


@pytest.fixture
def silent(tmp_path: Path) -> Lake:
    """A lake whose symbols begin and end at other times, and that has learned from samples."""
    lake = start_lake(tmp_path, forecast=RICHER)
    lake.put("LTCUSD", FIRST_DAY + 30, LAST_DAY - 20)
    lake.put("BTCUSD", LAST_DAY, LAST_DAY + 40)
    lake.bring()
    lake.put("XRPUSD", LAST_DAY - 5, LAST_DAY + 45)
    lake.bring()
    return lake


def test_an_added_model_learns_from_the_samples_that_are_there(
    silent: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recalled = []

    def recall_and_gather(work: Work, symbol: str, first_day: int, newest_ms: int) -> Gathered:
        found = recall_gathered(work, symbol, first_day, newest_ms)
        recalled.append((found, gather_symbol(SymbolTask(work, symbol, first_day))))
        return found

    monkeypatch.setattr("chandlery.runs.forecasting.recall_gathered", recall_and_gather)
    report = silent.bring(forecast=THREE)
    assert [stage.computed for stage in report.stages if stage.name == "gather"] == [0]
    assert len(recalled) == 4
    assert all(found == gathered for found, gathered in recalled)
    assert not silent.compare_with_rebuild(tmp_path / "new", forecast=THREE)


def test_samples_that_are_lost_are_gathered_again(silent: Lake, tmp_path: Path) -> None:
    min((silent.state / "gather").glob("*/LTCUSD.state")).unlink()
    report = silent.bring(forecast=THREE)
    assert [stage.computed for stage in report.stages if stage.name == "gather"] == [0, 4]
    assert not silent.compare_with_rebuild(tmp_path / "new", forecast=THREE)


def test_the_plan_names_what_is_added_and_its_cost(start: Lake) -> None:
    planned = plan(make_settings(start.raw, start.folder, forecast=BOTH))
    steps = [step for step in planned.steps if step.stage == "forecast"]
    assert [step.what for step in steps] == ["horizon 120m added", "models tree, boosted added"]
    assert all("CPU-s" in step.cost for step in steps)


def test_scores_of_a_horizon_do_not_depend_on_others(start: Lake) -> None:
    before = read_table(str(start.folder), "scores")
    start.bring(forecast=WIDER)
    after = read_table(str(start.folder), "scores").filter(pl.col("horizon_minutes") != 120)
    assert after.equals(before)
