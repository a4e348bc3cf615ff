"""A regression tree: one iteration of LightGBM on a sample of rows."""

from typing import Any, ClassVar

from chandlery.models.forest import Trees

__all__ = ["Tree"]


class Tree(Trees):
    """One tree of 48 leaves; its raw predictions are too large, and are calibrated before they are served."""

    name = "tree"
    algorithm = 4
    refit_months: tuple[int, ...] = (1, 7)
    settings: ClassVar[dict[str, Any]] = {
        "objective": "regression",
        "num_leaves": 48,
        "learning_rate": 1.0,
        "min_data_in_leaf": 1000,
        "max_bin": 63,
    }
    rounds = 1
    most_rows = 100_000
