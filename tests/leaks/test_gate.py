"""Law 2: a planted look-ahead ends the run with exit code 4, names the culprit and publishes no forecast."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lakes import run_lake, write_days

from chandlery import features, market, models
from chandlery.errors import LawError, SettingsError
from chandlery.tables import read_table
from chandlery.tasks import gate, gather, passes, predict
from chandlery.tasks import market as market_task

pytestmark = pytest.mark.slow

LOOKAHEADS = {
    "next_close": "log = np.log(bars.close); return np.append(log[1:] - log[:-1], np.nan)",
    "centred_mean": "c = np.nan_to_num(bars.close); return np.convolve(c, np.ones(11) / 11, 'same')",
    "scaled_over_all": "return bars.close / np.nanmax(bars.close)",
    "backward_fill": "n = bars.close.size; return bars.close[np.minimum((np.arange(n) // 15 + 1) * 15, n - 1)]",
}
HONEST = {
    "past_return": "log = np.log(bars.close); return np.append(np.full(7, np.nan), log[7:] - log[:-7])",
    "trailing_volume": "return np.convolve(bars.volume, np.ones(5) / 5)[: bars.volume.size]",
}


def write_extension(folder: Path, bodies: dict[str, str]) -> str:
    lines = ["import numpy as np", "from chandlery import feature", ""]
    for name, body in bodies.items():
        lines += [f'@feature("{name}", unit="1", window="?", lookback=30)', f"def {name}(bars):", f"    {body}", ""]
    path = folder / "own.py"
    path.write_text("\n".join(lines))
    return str(path)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    write_days(folder, 0, 40)
    return folder


@pytest.fixture(autouse=True)
def _forget_extensions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chandlery.features.registry._registered", {})
    monkeypatch.setattr("chandlery.features.registry._loaded", {})


@pytest.mark.parametrize("name", list(LOOKAHEADS))
def test_a_feature_that_looks_ahead_is_named(raw: Path, tmp_path: Path, name: str) -> None:
    extension = write_extension(tmp_path, {name: LOOKAHEADS[name]})
    with pytest.raises(LawError, match=f"feature {name} of") as caught:
        run_lake(raw, tmp_path / "lake", extensions=[extension])
    assert caught.value.exit_code == 4
    assert read_table(str(tmp_path / "lake"), "forecasts").is_empty()


def test_honest_features_pass_and_are_used(raw: Path, tmp_path: Path) -> None:
    extension = write_extension(tmp_path, HONEST)
    report = run_lake(raw, tmp_path / "lake", extensions=[extension])
    assert report.exit_code == 0
    used = read_table(str(tmp_path / "lake"), "models")["features"][0].to_list()
    assert used[-2:] == list(HONEST)


def test_a_label_that_is_shifted_is_named(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = passes.label

    def shifted(step: Any, close: Any, horizon: int, barriers: Any) -> Any:
        return np.append(honest(step, close, horizon, barriers)[1:], np.nan)

    monkeypatch.setattr(passes, "label", shifted)
    monkeypatch.setattr(gate, "label", shifted)
    with pytest.raises(LawError, match="label 1m of"):
        run_lake(raw, tmp_path / "lake")


def test_a_weight_over_the_whole_sample_is_named(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = features.run_features

    def scaled(*arguments: Any) -> Any:
        rows, state = honest(*arguments)
        rows.weight[:] = rows.sigma / np.median(rows.sigma)
        return rows, state

    for room in (passes, gate):
        monkeypatch.setattr(room, "run_features", scaled)
    with pytest.raises(LawError, match="sample weight of"):
        run_lake(raw, tmp_path / "lake")


def test_a_market_of_later_candles_is_named(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = market.run_market

    def ahead(*arguments: Any) -> Any:
        block, state = honest(*arguments)
        block.index[:, :-1] = block.index[:, 1:].copy()
        return block, state

    for room in (market_task, gate):
        monkeypatch.setattr(room, "run_market", ahead)
    with pytest.raises(LawError, match="market index of"):
        run_lake(raw, tmp_path / "lake")


def test_calibration_on_unknown_outcomes_is_named(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = predict.serve

    def ahead(state: Any, rows: Any) -> Any:
        served, after = honest(state, rows)
        slope = np.nansum(rows.realised) + 1.0
        served.calibrated[:] = served.calibrated * np.float32(slope)
        return served, after

    monkeypatch.setattr(predict, "serve", ahead)
    with pytest.raises(LawError, match="calibration of"):
        run_lake(raw, tmp_path / "lake")


SHORT = {
    "long_mean": "c = np.nan_to_num(bars.close); return np.convolve(c, np.ones(600) / 600)[: c.size]",
    "place_in_block": "return np.arange(bars.close.size) / bars.close.size",
}


@pytest.mark.parametrize("name", list(SHORT))
def test_a_feature_that_needs_more_than_its_lookback_is_named(raw: Path, tmp_path: Path, name: str) -> None:
    extension = write_extension(tmp_path, {name: SHORT[name]})
    with pytest.raises(LawError, match=f"feature {name} of .* its lookback"):
        run_lake(raw, tmp_path / "lake", extensions=[extension])


def test_a_feature_cannot_change_the_candles(raw: Path, tmp_path: Path) -> None:
    extension = write_extension(tmp_path, {"spoiler": "bars.close[:] = 1.0; return bars.close"})
    with pytest.raises(SettingsError, match=r"feature spoiler failed .*read-only"):
        run_lake(raw, tmp_path / "lake", extensions=[extension])


AHEAD = {
    "shifted": "return np.concatenate([design[30:, 0], np.zeros(min(30, design.shape[0]), np.float32)])",
    "scaled": "return design[:, 0] - design[:, 0].mean()",
}


@pytest.mark.parametrize("name", list(AHEAD))
def test_a_model_that_sees_later_rows_is_named(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("chandlery.models.base._models", dict(models.base._models))
    path = tmp_path / "model.py"
    path.write_text(
        "import numpy as np\nfrom chandlery import register\nfrom chandlery.models import Linear\n\n\n"
        f"class Ahead(Linear):\n    name = '{name}'\n\n    def predict(self, artefact, design):\n        {AHEAD[name]}\n\n\nregister(Ahead())\n"
    )
    with pytest.raises(LawError, match=f"model {name} of"):
        run_lake(raw, tmp_path / "lake", extensions=[str(path)], models=["linear", name])
    assert read_table(str(tmp_path / "lake"), "forecasts").is_empty()


def test_no_row_trains_a_refit_it_could_not_be_known_at(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folds are purged: the newest row of a bucket, plus the longest horizon, lies before its refit."""
    late: list[float] = []
    honest = gather.Bucket.add

    def watched(self: Any, models: Any, names: Any, rows: Any, target: Any) -> int:
        refit_step = int(np.datetime64(f"{self.name}-01", "m").astype(int))
        if rows.step.size:
            late.append(float(rows.step[-1] + 1 + 5 - refit_step))
        return honest(self, models, names, rows, target)

    monkeypatch.setattr(gather.Bucket, "add", watched)
    run_lake(raw, tmp_path / "lake")
    assert late
    assert max(late) <= 0
