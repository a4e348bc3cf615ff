"""A regression tree: one iteration of LightGBM on a sample of rows."""

from collections.abc import Sequence
from typing import Any, Literal

from chandlery.grid import Singles
from chandlery.models.base import Artefact, Sample, Sums
from chandlery.models.forest import ForestCache, grow

__all__ = ["Tree"]

MOST_ROWS = 300_000
SETTINGS: dict[str, Any] = {"objective": "regression", "num_leaves": 48, "learning_rate": 1.0, "min_data_in_leaf": 1000, "max_bin": 63}


class Tree:
    """One tree of 48 leaves; raw it says too much, and is calibrated on its own past before it is served.

    Loss weights are sigma against a typical one.
    """

    name = "tree"
    algorithm = 2
    refit_months: tuple[int, ...] = (1, 7)
    learns_from: Literal["sums", "sample"] = "sample"

    def __init__(self) -> None:
        self._forests = ForestCache()

    def design(self, values: Singles, names: Sequence[str]) -> Singles:
        """Return the features as they are; nulls go the way that the tree learned for them."""
        del names
        return values

    def weigh(self, weight: Singles) -> Singles:
        """Return the weight itself."""
        return weight

    def fit(self, training: Sums | Sample, seed: int) -> Artefact:
        """Grow the tree on at most 300,000 rows, those of the lowest keys."""
        assert isinstance(training, Sample)  # noqa: S101 - learns_from says so
        rows = training.take_lowest(MOST_ROWS)
        return grow(SETTINGS, 1, rows, self.weigh(rows.weight), seed)

    def predict(self, artefact: Artefact, design: Singles) -> Singles:
        """Return the value of the leaf that each row falls into."""
        return self._forests.read(artefact).predict(design)
