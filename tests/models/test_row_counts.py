"""A row's prediction is the same to the bit, however many rows are predicted together."""

import numpy as np
import pytest

from chandlery.features.run import plan_features
from chandlery.grid import Grid, Singles
from chandlery.models import BUILT_IN, Artefact, Linear, Model, Sample, add_rows

NAMES = plan_features("LTCUSD", Grid(60), ("BTCUSD", "ETHUSD"), ()).names
ROWS = 131


def make_values(rows: int, seed: int) -> Singles:
    random = np.random.default_rng(seed)
    values = random.standard_normal((rows, len(NAMES))).astype(np.float32)
    values[random.random(values.shape) < 0.05] = np.nan
    return values


def fit(model: Model, rows: int = 6_000) -> Artefact:
    values, random = make_values(rows, 0), np.random.default_rng(1)
    target = (0.1 * np.nan_to_num(values[:, :1]) + random.standard_normal((rows, 1))).astype(np.float32)
    weight, key = np.ones(rows, np.float32), random.integers(0, 2**63, rows).astype(np.uint64)
    if model.learns_from == "sample":
        return model.fit(Sample.of_one(values, target, weight, key), 0)
    sums = add_rows(None, model.design(values, NAMES), target, weight, np.zeros(rows, np.int64))
    assert sums is not None
    return model.fit(sums, 0)


@pytest.mark.parametrize("name", BUILT_IN)
def test_predictions_do_not_depend_on_the_number_of_rows(name: str) -> None:
    model = BUILT_IN[name]
    artefact, design = fit(model), model.design(make_values(ROWS, 2), NAMES)
    whole = model.predict(artefact, design)
    assert np.unique(whole).size > ROWS // 10
    for count in (1, 7, ROWS // 2, 128):
        parts = [model.predict(artefact, design[start : start + count]) for start in range(0, ROWS, count)]
        assert np.array_equal(np.concatenate(parts), whole), count
    assert np.array_equal(model.predict(artefact, design[::-1])[::-1], whole)


@pytest.mark.parametrize("width", [1, 10, 11, 43, 181, 240])
def test_the_ridge_predicts_the_product_at_any_width(width: int) -> None:
    random = np.random.default_rng(width)
    design = random.standard_normal((50, width)).astype(np.float32)
    coefficients = random.standard_normal(width).astype(np.float32)
    predicted = Linear().predict({"coefficients": coefficients.tolist()}, design)
    assert predicted.dtype == np.float32
    assert np.allclose(predicted, design.astype(np.float64) @ coefficients, atol=1e-4)
    alone = [Linear().predict({"coefficients": coefficients.tolist()}, row[None])[0] for row in design]
    assert np.array_equal(predicted, alone)


def test_no_rows_give_no_predictions() -> None:
    assert Linear().predict({"coefficients": [1.0, 2.0]}, np.empty((0, 2), np.float32)).shape == (0,)
