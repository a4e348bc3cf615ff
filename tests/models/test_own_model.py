"""User-defined models, each in one file."""

import re
from pathlib import Path

import pytest
from lakes import run_lake, write_days

from chandlery.errors import SettingsError
from chandlery.extensions import loaded_afresh
from chandlery.lake.reading import read_table

OWN_MODEL = """
import numpy as np
from sklearn.linear_model import HuberRegressor
from chandlery import register


class Huber:
    name, algorithm, refit_months, learns_from = "huber", 1, (1, 7), "sample"

    def design(self, values, names):
        chosen = [names.index(name) for name in ("own_r_1", "own_mid", "market_rel_1", "lead1_r_1")]
        return np.nan_to_num(values[:, chosen])

    def weigh(self, weight):
        return weight

    def fit(self, training, seed):
        fitted = HuberRegressor().fit(training.values, training.target[:, 0], training.weight)
        return {"coefficients": fitted.coef_.tolist(), "intercept": float(fitted.intercept_)}

    def predict(self, artefact, design):
        return design @ np.array(artefact["coefficients"], np.float32) + np.float32(artefact["intercept"])


register(Huber())
"""


@pytest.mark.slow
def test_a_user_defined_regressor_is_forecast_and_scored(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN_MODEL)
    write_days(tmp_path / "raw", 0, 40)
    run_lake(tmp_path / "raw", tmp_path / "lake", extensions=[str(tmp_path / "own.py")], models=["linear", "huber"])
    scores = read_table(str(tmp_path / "lake"), "scores")
    assert set(scores["model"].unique()) == {"linear", "huber", "blend", "served", "naive"}
    forecasts = read_table(str(tmp_path / "lake"), "forecasts")
    assert forecasts["predicted_huber"].null_count() == 0
    assert forecasts.columns[-3:] == ["predicted_linear", "predicted_huber", "predicted_blend"]


@pytest.mark.slow
def test_the_model_of_the_guide_runs(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()
    (tmp_path / "my_model.py").write_text(
        next(block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "class Catching" in block)
    )
    write_days(tmp_path / "raw", 0, 40, symbols=2)
    run_lake(tmp_path / "raw", tmp_path / "lake", extensions=[str(tmp_path / "my_model.py")], models=["catching"])
    assert "catching" in read_table(str(tmp_path / "lake"), "scores")["model"].unique()


@pytest.mark.slow
def test_a_lake_says_which_model_it_lacks(tmp_path: Path) -> None:
    """The script that founds a lake registers the model itself; a later run is started elsewhere."""
    write_days(tmp_path / "raw", 0, 40, symbols=1)
    with loaded_afresh():
        exec(OWN_MODEL, {})  # noqa: S102 - as a script would
        run_lake(tmp_path / "raw", tmp_path / "lake", models=["huber"])
    with pytest.raises(SettingsError, match=r"model 'huber'.*extensions"):
        run_lake(tmp_path / "raw", tmp_path / "lake")


@pytest.mark.slow
def test_a_name_that_begins_another_reads_its_own_fits_alone(tmp_path: Path) -> None:
    text = OWN_MODEL.replace("(1, 7)", "tuple(range(1, 13))")
    (tmp_path / "own.py").write_text(
        text.replace(
            "register(Huber())", 'register(Huber())\nregister(type("Other", (Huber,), {"name": "huber-1m"})())'
        )
    )
    write_days(tmp_path / "raw", 0, 40)
    run_lake(tmp_path / "raw", tmp_path / "lake", extensions=[str(tmp_path / "own.py")], models=["huber", "huber-1m"])
    models = read_table(str(tmp_path / "lake"), "models")
    assert models.select("model", "horizon_minutes", "refit_at").is_duplicated().sum() == 0
    assert set(models["model"]) == {"huber", "huber-1m"}


def test_an_unknown_model_is_named(tmp_path: Path) -> None:
    write_days(tmp_path / "raw", 0, 2, symbols=1)
    with pytest.raises(SettingsError, match="model 'crystal'; expected one of linear, tree"):
        run_lake(tmp_path / "raw", tmp_path / "lake", models=["crystal"])
