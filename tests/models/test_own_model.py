"""User-defined models, each in one file."""

import re
from pathlib import Path

import numpy as np
import pytest
from lakes import run_lake, write_days

from chandlery.errors import SettingsError
from chandlery.extensions import register
from chandlery.lake.reading import read_table
from chandlery.models import UserModel

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


def test_what_a_script_registers_itself_is_no_part_of_a_run(tmp_path: Path) -> None:
    """Its workers would not have it: they do not run the script."""
    write_days(tmp_path / "raw", 0, 2, symbols=1)
    exec(OWN_MODEL, {})  # noqa: S102 - as a script would
    with pytest.raises(SettingsError, match=r"model 'huber'; expected one of linear, tree.*extensions"):
        run_lake(tmp_path / "raw", tmp_path / "lake", models=["huber"])


ROWS = np.ones((5, 2), np.float32)
FAULTS = {
    "no name": ({"name": ""}, None, "a model called ''"),
    "a path": ({"name": "../up"}, None, "a model called '../up'"),
    "a reserved name": ({"name": "naive"}, None, "a model called 'naive'"),
    "months": ({"refit_months": (0, 7)}, None, r"refit_months \(0, 7\); expected months"),
    "one month": ({"refit_months": 7}, None, "refit_months 7; expected months"),
    "learns from": ({"learns_from": "rows"}, None, "learns_from 'rows'; expected sums or sample"),
    "version": ({"algorithm": "2"}, None, "algorithm '2'; expected an int"),
    "no method": ({"predict": None}, None, "an object with design, weigh, fit, predict"),
    "fails": ({"fit": lambda *_: {}["x"]}, lambda model: model.fit(None, 0), "mean failed in fit: KeyError"),
    "fails late": (
        {"predict": lambda *_: 1 / 0},
        lambda model: model.predict({}, ROWS),
        "mean failed in predict: ZeroDivisionError",
    ),
    "few predictions": (
        {"predict": lambda _, __, design: design[:2, 0]},
        lambda model: model.predict({}, ROWS),
        r"from predict an array of the shape \(2,\); expected \(5,\)",
    ),
    "flat design": (
        {"design": lambda _, values, __: values[:, 0]},
        lambda model: model.design(ROWS, ["a", "b"]),
        r"from design an array of the shape \(5,\)",
    ),
    "one weight": ({"weigh": lambda *_: 1.0}, lambda model: model.weigh(ROWS[:, 0]), r"from weigh an array"),
}
MEAN = {
    "name": "mean",
    "algorithm": 1,
    "refit_months": (1, 7),
    "learns_from": "sample",
    "design": lambda _, values, __: values,
    "weigh": lambda _, weight: weight,
    "fit": lambda *_: {},
    "predict": lambda _, __, design: design.mean(axis=1),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_model_is_told_by_its_name(fault: str) -> None:
    parts, call, message = FAULTS[fault]
    model = type("Own", (), MEAN | parts)()
    with pytest.raises(SettingsError, match=message):
        call(UserModel(model)) if call else register(model)


def test_a_class_in_place_of_an_object_is_refused() -> None:
    with pytest.raises(SettingsError, match="an object with"):
        register(type("Own", (), MEAN))


def test_a_checked_model_is_called_as_it_is() -> None:
    model = UserModel(type("Own", (), MEAN)())
    assert model.predict(model.open_artefact(model.fit(None, 0)), model.design(ROWS, [])).tolist() == [1.0] * 5


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
