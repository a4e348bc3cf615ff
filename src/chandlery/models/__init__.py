"""The models that predict prices: one fit serves every symbol. A new model is one module."""

from chandlery.models.base import OWN, RESERVED, Artefact, Model, Sample, Sums, add_rows, fading
from chandlery.models.boosted import Boosted
from chandlery.models.linear import Linear
from chandlery.models.tree import Tree
from chandlery.models.user import UserModel

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
    "UserModel",
    "add_rows",
    "fading",
]

BUILT_IN: dict[str, Model] = {model.name: model for model in (Linear(), Tree(), Boosted())}  # in the order of columns
