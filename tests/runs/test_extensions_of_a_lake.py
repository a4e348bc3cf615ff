"""A lake's extensions: found where they were, and named where they are not or have changed."""

import json
from pathlib import Path
from typing import Any

import pytest
from hours import SETTINGS, Lake, start_lake

from chandlery.errors import SettingsError
from chandlery.lake.reading import read_table
from chandlery.runs.pipeline import Options, forecast, ingest, run

pytestmark = pytest.mark.slow

FEATURE = """from chandlery import feature
from helper import FACTOR

@feature("own_span", unit="price", window="1", lookback=1)
def own_span(bars):
    return (bars.high - bars.low) * FACTOR
"""
RESTATE = Options(restate=True)


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("founded")
    write(folder)
    return start_lake(folder, forecast={**SETTINGS, "extensions": [str(folder / "own.py")]})


@pytest.fixture
def lake(founded: Lake, tmp_path: Path) -> Lake:
    """A lake whose extension lies beside it; its runs do not name it."""
    write(tmp_path)
    copied = founded.copy(tmp_path)
    there = Path(founded.settings["forecast"]["extensions"][0])
    aside = there.rename(there.with_suffix(".aside"))  # so that the lake names the copy
    copied.bring(forecast={**SETTINGS, "extensions": [str(tmp_path / "own.py")]})
    aside.rename(there)
    copied.settings = {"forecast": {}}
    return copied


def write(folder: Path, factor: float = 1.0) -> Path:
    (folder / "helper.py").write_text(f"FACTOR = {factor}")
    (folder / "own.py").write_text(FEATURE)
    return folder / "own.py"


def given(path: Path) -> dict[str, Any]:
    return {**SETTINGS, "extensions": [str(path)]}


def features(lake: Lake) -> set[str]:
    return set(read_table(str(lake.folder), "models")["features"].explode())


def test_an_extension_that_is_not_given_is_found_where_it_was(lake: Lake, tmp_path: Path) -> None:
    before = lake.objects()
    assert lake.bring().run_id is None
    assert lake.objects() == before
    lake.put("BTCUSD", 110, 113)
    lake.bring()
    assert "own_span" in features(lake)
    assert not lake.compare_with_rebuild(tmp_path / "new", forecast=given(tmp_path / "own.py"))


@pytest.mark.parametrize("stage", [run, ingest, forecast])
@pytest.mark.parametrize("change", ["moved", "changed", "helper changed", "helper gone"])
def test_one_that_is_not_as_it_was_stops_the_run(lake: Lake, tmp_path: Path, change: str, stage: Any) -> None:
    own, helper = tmp_path / "own.py", tmp_path / "helper.py"
    if change == "moved":
        own.rename(tmp_path / "other.py")
    elif change == "changed":
        own.write_text(FEATURE + "# more\n")
    elif change == "helper changed":
        helper.write_text("FACTOR = 2.0")
    else:
        helper.unlink()
    before = lake.objects()
    with pytest.raises(SettingsError, match="is missing" if change == "moved" else "has changed") as caught:
        lake.bring(stage)
    assert caught.value.exit_code == 2
    assert str(own) in str(caught.value)
    assert lake.objects() == before


def test_one_that_was_moved_can_be_named_where_it_is(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    moved = write(tmp_path / "there")
    (tmp_path / "own.py").unlink()
    tables = {path: content for path, content in lake.objects().items() if path.startswith(("forecasts", "models"))}
    lake.bring(forecast=given(moved))
    now = lake.objects()
    assert {path: now[path] for path in tables} == tables
    assert json.loads(now["lake.json"])["series"][0]["extensions"][0]["name"] == str(moved)
    assert lake.bring().run_id is None


def test_one_that_is_given_and_differs_needs_a_restatement(lake: Lake, tmp_path: Path) -> None:
    own = write(tmp_path, 2.0)
    before = lake.objects()
    with pytest.raises(SettingsError, match=r"extensions \[own.py \w{8}\] instead of \[own.py \w{8}\].*--restate"):
        lake.bring(forecast=given(own))
    assert lake.objects() == before
    lake.bring(options=RESTATE, forecast=given(own))
    assert not lake.compare_with_rebuild(tmp_path / "new", forecast=given(own))
    assert lake.bring().run_id is None


def test_a_lake_can_go_on_without_one(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "own.py").unlink()
    with pytest.raises(SettingsError, match=r"extensions \[\] instead of \[own.py"):
        lake.bring(forecast={"extensions": []})
    lake.bring(options=RESTATE, forecast={"extensions": []})
    assert "own_span" not in features(lake)
    assert not lake.compare_with_rebuild(tmp_path / "new", forecast=SETTINGS)
