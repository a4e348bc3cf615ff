"""What the gate says of extensions that do not look ahead, but break its other rules."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lakes import run_lake
from planted_extensions import write_features, write_model

from chandlery.errors import LawError, SettingsError
from chandlery.features.labels import label
from chandlery.forecasts.leaks import look_up_labels
from chandlery.tasks.bucket import Bucket
from chandlery.tasks.leak_gate.predictions import PredictionGate
from chandlery.tasks.leak_gate.rows import RowGate
from chandlery.tasks.leak_gate.training import TrainingGate

pytestmark = pytest.mark.slow

SHORT = {
    "long_mean": "c = np.nan_to_num(bars.close); return np.convolve(c, np.ones(600) / 600)[: c.size]",
    "place_in_block": "return np.arange(bars.close.size) / bars.close.size",
    "shape_of_its_window": "c = np.nan_to_num(bars.close); return np.convolve(c, np.ones(600) / 600, 'same')",
}


@pytest.mark.parametrize("name", list(SHORT))
def test_a_feature_that_needs_more_than_its_lookback_is_named(raw: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(LawError, match=f"feature {name} of .* lookback"):
        run_lake(raw, tmp_path / "lake", extensions=[write_features(tmp_path, {name: SHORT[name]})])


def test_a_feature_cannot_change_the_candles(raw: Path, tmp_path: Path) -> None:
    extension = write_features(tmp_path, {"spoiler": "bars.close[:] = 1.0; return bars.close"})
    with pytest.raises(SettingsError, match=r"feature spoiler failed .*read-only"):
        run_lake(raw, tmp_path / "lake", extensions=[extension])


KEEPERS = {
    "keeps_a_scaler": (
        "    def fit(self, training, seed):\n"
        "        self.scale = float(np.abs(training.xty).mean())\n"
        "        return {'b': [0.0] * 24}\n\n"
        "    def predict(self, artefact, design):\n"
        "        return (design[:, 0] / self.scale).astype(np.float32)\n"
    ),
    "draws_without_seed": (
        "    def fit(self, training, seed):\n        return {'b': np.random.default_rng().normal(size=24).tolist()}\n"
    ),
    "misses_what_it_kept": (
        "    def design(self, values, names):\n"
        "        self.places = [names.index('own_r_1')]\n"
        "        return self.inputs(values)\n\n"
        "    def fit(self, training, seed):\n"
        "        return {'b': [float(place) for place in self.places * 24]}\n"
    ),
}


@pytest.mark.parametrize("name", list(KEEPERS))
def test_a_model_that_keeps_something_besides_its_artefact_is_named(raw: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(LawError, match=f"{name} knows more than its (artefact|training): loaded afresh"):
        run_lake(
            raw,
            tmp_path / "lake",
            extensions=[write_model(tmp_path, name, "sums", KEEPERS[name])],
            models=["linear", name],
        )


def test_no_row_trains_a_refit_it_could_not_be_known_at(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folds are purged: the newest row of a bucket, plus the reach of an hour, lies before its refit."""
    late: list[float] = []
    honest = Bucket.add

    def watched(self: Any, models: Any, names: Any, rows: Any, target: Any, is_known: Any) -> int:
        refit_step = int(np.datetime64(f"{self.name}-01", "m").astype(int))
        if rows.step.size:
            late.append(float(rows.step[-1] + 1 + 60 - refit_step))
        return honest(self, models, names, rows, target, is_known)

    monkeypatch.setattr(Bucket, "add", watched)
    run_lake(raw, tmp_path / "lake")
    assert late
    assert max(late) <= 0


@pytest.mark.parametrize("horizon", [1, 7, 60])
def test_labels_that_are_looked_up_are_those_of_the_pass(horizon: int) -> None:
    random = np.random.default_rng(horizon)
    step = np.flatnonzero(random.random(3_000) < 0.6)
    step = step[(step < 1_000) | (step >= 1_040)]
    close, barriers = 1 + random.random(step.size), np.array([[1_000, int(step[step >= 1_040][0])]])
    place = np.flatnonzero(random.random(step.size) < 0.5)
    np.testing.assert_array_equal(
        look_up_labels(step, close, place, horizon, barriers), label(step, close, horizon, barriers)[place]
    )


@pytest.mark.parametrize("check", [RowGate, TrainingGate, PredictionGate])
def test_a_task_that_leaves_a_check_out_ends_the_run(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: type
) -> None:
    monkeypatch.setattr(check, "check", lambda *_: None)
    with pytest.raises(LawError, match=r"the leak gate has checked 0 of \d+ blocks of .*no forecasts were published"):
        run_lake(raw, tmp_path / "lake")
    assert not (tmp_path / "lake" / "forecasts").exists()
