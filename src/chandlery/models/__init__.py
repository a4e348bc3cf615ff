"""Models: what predicts. One fit serves every symbol; adding a model is one file."""

from chandlery.models.base import OWN, RESERVED, Artefact, Model, Sample, Sums, add_rows, fading
from chandlery.models.boosted import Boosted
from chandlery.models.linear import Linear
from chandlery.models.tree import Tree

__all__ = [
    "BUILT_IN",
    "OWN",
    "RESERVED",
    "Artefact",
    "Boosted",
    "Linear",
    "Model",
    "Sample",
    "Sums",
    "Tree",
    "add_rows",
    "fading",
]

BUILT_IN: dict[str, Model] = {model.name: model for model in (Linear(), Tree(), Boosted())}  # in the order of columns
