"""Law 2: each planted leak ends the run with exit code 4 and its name; without the plants the same runs pass."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from lakes import run_lake
from planted_extensions import FEATURES, MODELS, write_features, write_model
from plants import OWN

from chandlery import engines
from chandlery.errors import LawError
from chandlery.lake.reading import read_table

pytestmark = pytest.mark.slow

LEAKS = [
    *(("feature", name) for name in FEATURES),
    *(("model", name) for name in MODELS),
    *(("own", name) for name in OWN),
]


def plant(kind: str, name: str, folder: Path, patch: pytest.MonkeyPatch) -> tuple[str, dict[str, Any]]:
    """Plant a leak; return the words that must name it, and the settings of the run."""
    if kind == "feature":
        return f"feature {name} of", {"extensions": [write_features(folder, {name: FEATURES[name]})]}
    if kind == "model":
        return f"model {name} ", {"extensions": [write_model(folder, name, *MODELS[name])], "models": ["linear", name]}
    OWN[name].plant(patch)
    return OWN[name].words, {}


@pytest.mark.parametrize(("kind", "name"), LEAKS, ids=[name for _, name in LEAKS])
def test_a_planted_leak_is_caught(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    words, settings = plant(kind, name, tmp_path, monkeypatch)
    with pytest.raises(LawError, match=words) as caught:
        run_lake(raw, tmp_path / "lake", **settings)
    assert caught.value.exit_code == 4
    assert caught.value.expected
    assert caught.value.hint
    assert all(read_table(str(tmp_path / "lake"), table).is_empty() for table in ("forecasts", "scores", "models"))


@pytest.mark.parametrize(("kind", "name"), [("feature", "next_close"), ("model", "reads_later_rows")])
def test_a_leak_in_another_process_is_caught_too(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    monkeypatch.setattr(engines, "LocalEngine", partial(engines.LocalEngine, worth_a_process=0.0))
    words, settings = plant(kind, name, tmp_path, monkeypatch)
    with pytest.raises(LawError, match=words):
        run_lake(raw, tmp_path / "lake", workers=2, **settings)
    assert read_table(str(tmp_path / "lake"), "forecasts").is_empty()


def test_the_same_run_without_a_plant_passes(raw: Path, tmp_path: Path) -> None:
    report = run_lake(raw, tmp_path / "lake")
    assert report.exit_code == 0
    assert not read_table(str(tmp_path / "lake"), "forecasts").is_empty()


@pytest.mark.parametrize("learns_from", ["sums", "sample"])
def test_the_model_that_leaks_are_planted_in_passes_without(raw: Path, tmp_path: Path, learns_from: str) -> None:
    report = run_lake(
        raw, tmp_path / "lake", extensions=[write_model(tmp_path, "plain", learns_from)], models=["linear", "plain"]
    )
    assert report.exit_code == 0
    assert "plain" in read_table(str(tmp_path / "lake"), "scores")["model"].to_list()
