"""Boosted trees: many small ones on a sample of the newest rows of all symbols, and a few more for each symbol."""

from typing import Any, ClassVar

from chandlery.models.forest import Trees

__all__ = ["Boosted"]


class Boosted(Trees):
    """200 trees of 31 leaves, and 30 more for each symbol.

    Each is grown on half of the rows and three tenths of the features.
    """

    name = "boosted"
    algorithm = 4
    refit_months: tuple[int, ...] = (1, 4, 7, 10)
    settings: ClassVar[dict[str, Any]] = {
        "objective": "regression",
        "num_leaves": 31,
        "learning_rate": 0.05,
        "min_data_in_leaf": 1000,
        "feature_fraction": 0.3,
        "bagging_fraction": 0.5,
        "bagging_freq": 1,
        "lambda_l2": 50.0,
        "max_bin": 63,
    }
    rounds = 200
    own_rounds = 30
    most_rows = 400_000
