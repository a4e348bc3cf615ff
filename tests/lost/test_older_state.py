"""State that is older than the tables, as a restored copy is: it counts for nothing."""

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hours import SETTINGS, Lake

from chandlery.lake.reading import read_table
from chandlery.runs.pipeline import Options, forecast, run
from chandlery.runs.publishing import publish
from chandlery.runs.session import Session

pytestmark = pytest.mark.slow

RESTATE = Options(restate=True)
RICHER = {**SETTINGS, "models": ["linear", "tree"]}
WIDER = {**RICHER, "horizons": ["1h", "2h", "4h"]}
LATER = {**SETTINGS, "min_train": "80d"}


@pytest.fixture
def restore(lake: Lake, tmp_path: Path) -> Callable[[], None]:
    """Return what puts the state of the first run back."""
    shutil.copytree(lake.folder / "state", tmp_path / "older")

    def put_back() -> None:
        shutil.rmtree(lake.folder / "state")
        shutil.copytree(tmp_path / "older", lake.folder / "state")

    return put_back


@pytest.mark.parametrize("between", [RICHER, LATER], ids=["a model", "later fits"])
def test_settings_that_are_restated_back(
    lake: Lake, restore: Callable[[], None], tmp_path: Path, between: dict[str, object]
) -> None:
    lake.bring(options=RESTATE, forecast=between)
    restore()
    lake.bring(options=RESTATE, forecast=SETTINGS)
    assert not lake.compare_with_rebuild(tmp_path / "new")


def test_a_file_that_is_put_back(lake: Lake, restore: Callable[[], None], tmp_path: Path) -> None:
    name = "btcusd_1.csv" if (lake.raw / "btcusd_1.csv").exists() else next(iter(lake.source.files))
    earlier, held = tmp_path / "earlier", lake.source.files[name].version
    (lake.raw / name).rename(earlier)
    lake.put("BTCUSD", 1, 110, revision=1, name=name)
    lake.bring()
    earlier.replace(lake.raw / name)
    lake.source.files[name].version = held
    restore()
    found = lake.bring()
    assert any("older than the tables" in note for note in found.notes)
    assert not lake.compare_with_rebuild(tmp_path / "new")
    assert lake.bring().run_id is None


def test_what_was_added_in_the_meantime_stays_published(
    lake: Lake, restore: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.bring(forecast=WIDER)
    restore()
    lake.put("BTCUSD", 110, 113)
    check_every_publication(lake, monkeypatch)
    lake.bring(forecast={})
    assert not lake.compare_with_rebuild(tmp_path / "new", forecast=WIDER)


@pytest.mark.parametrize("stage", [run, forecast])
def test_what_was_added_to_some_symbols_alone_stays_published(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: Callable[..., object]
) -> None:
    lake.bring(forecast, forecast=WIDER, symbols=("BTCUSD",))
    check_every_publication(lake, monkeypatch)
    lake.bring(stage, forecast={})
    assert not lake.compare_with_rebuild(tmp_path / "new", forecast=WIDER)


def check_every_publication(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each publication of the next run check that no forecast of before is taken away."""
    before = forecasts(lake)

    def publish_and_check(session: Session, *arguments: object) -> object:
        found = publish(session, *arguments)  # type: ignore[arg-type]
        assert not before.join(forecasts(lake), on=before.columns, how="anti").height
        return found

    for module in ("pipeline", "gaps", "forecasting"):
        monkeypatch.setattr(f"chandlery.runs.{module}.publish", publish_and_check)


def forecasts(lake: Lake) -> pl.DataFrame:
    """Return the key of every published forecast of every model."""
    rows = read_table(str(lake.folder), "forecasts")
    named = [name for name in rows.columns if name.startswith("predicted_") and name != "predicted_close"]
    keys = ["symbol", "horizon_minutes", "issued_at"]
    return rows.unpivot(named, index=keys).drop_nulls("value").select(*keys, "variable")
