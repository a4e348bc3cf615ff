"""A regression tree: one iteration of LightGBM on a sample of rows."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from chandlery.grid import Singles
from chandlery.jit import kernel
from chandlery.models.base import Artefact, Sample, Sums, register

__all__ = ["Tree"]

MOST_ROWS = 300_000
SETTINGS: dict[str, Any] = {
    "objective": "regression",
    "num_leaves": 48,
    "learning_rate": 1.0,
    "min_data_in_leaf": 1000,
    "max_bin": 63,
    "boost_from_average": False,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


class Tree:
    """One tree of 48 leaves; raw it says too much, and is calibrated on its own past before it is served.

    Loss weights are sigma against a typical one.
    """

    name = "tree"
    algorithm = 1
    refit_months: tuple[int, ...] = (1, 7)
    learns_from: Literal["sums", "sample"] = "sample"

    def design(self, values: Singles, names: Sequence[str]) -> Singles:
        """Return the features as they are; nulls go the way that the tree learned for them."""
        del names
        return values

    def weigh(self, weight: Singles) -> Singles:
        """Return the weight itself."""
        return weight

    def fit(self, training: Sums | Sample, seed: int) -> Artefact:
        """Grow the tree on at most 300,000 rows, those of the lowest keys."""
        import lightgbm  # noqa: PLC0415 - its import costs more than a fit, and prediction does without

        assert isinstance(training, Sample)  # noqa: S101 - learns_from says so
        rows = training.take_lowest(MOST_ROWS)
        least = min(SETTINGS["min_data_in_leaf"], max(20, rows.rows // 100))
        data = lightgbm.Dataset(rows.values, rows.target[:, 0], weight=self.weigh(rows.weight), params={"verbosity": -1, "max_bin": 63, "min_data_in_leaf": least})
        booster = lightgbm.train(SETTINGS | {"seed": seed, "min_data_in_leaf": least}, data, num_boost_round=1)
        return flatten(booster.dump_model()["tree_info"][0]["tree_structure"])

    def predict(self, artefact: Artefact, design: Singles) -> Singles:
        """Return the value of the leaf that each row falls into."""
        kinds = {"feature": np.int64, "threshold": np.float64, "left": np.int64, "right": np.int64, "null_left": np.bool_, "value": np.float64}
        return descend(design, *(np.array(artefact[name], kind) for name, kind in kinds.items()))


def flatten(root: dict[str, Any]) -> Artefact:
    """Return a dumped tree as columns, one entry a node, the root first; a leaf's feature is −1."""
    columns: Artefact = {name: [] for name in ("feature", "threshold", "left", "right", "null_left", "value")}

    def add(node: dict[str, Any]) -> int:
        place = len(columns["feature"])
        leaf = "leaf_value" in node
        entry = (-1, 0.0, -1, -1, False, node["leaf_value"]) if leaf else (node["split_feature"], node["threshold"], -1, -1, goes_left(node), 0.0)
        for column, value in zip(columns.values(), entry, strict=True):
            column.append(value)
        if not leaf:
            columns["left"][place] = add(node["left_child"])
            columns["right"][place] = add(node["right_child"])
        return place

    add(root)
    return columns


def goes_left(node: dict[str, Any]) -> bool:
    """Return where a null goes: LightGBM takes it for 0 where it saw none in training."""
    if node["missing_type"] == "NaN":
        return bool(node["default_left"])
    return bool(node["threshold"] >= 0.0)


@kernel
def descend(design, feature, threshold, left, right, null_left, value):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the value of the leaf that each row falls into, float32 (n,)."""
    leaves = np.empty(design.shape[0], np.float32)
    for i in range(design.shape[0]):
        node = 0
        while feature[node] >= 0:
            entry = float(design[i, feature[node]])
            to_left = null_left[node] if np.isnan(entry) else entry <= threshold[node]
            node = left[node] if to_left else right[node]
        leaves[i] = value[node]
    return leaves


register(Tree())
