"""Models: what predicts. One fit serves every symbol; adding a model is one file."""

from chandlery.models.base import (
    OWN,
    Artefact,
    Model,
    Sample,
    Sums,
    add_rows,
    fading,
    model_names,
    open_afresh,
    open_models,
    own_models,
    register,
)
from chandlery.models.boosted import Boosted
from chandlery.models.linear import Linear
from chandlery.models.tree import Tree

__all__ = [
    "BUILT_IN",
    "OWN",
    "Artefact",
    "Boosted",
    "Linear",
    "Model",
    "Sample",
    "Sums",
    "Tree",
    "add_rows",
    "fading",
    "model_names",
    "open_afresh",
    "open_models",
    "own_models",
    "register",
]

for _model in (Linear(), Tree(), Boosted()):
    register(_model)

BUILT_IN = tuple(model_names(()))
