"""User-defined models: their faults are told by the name of the model and of the method."""

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from chandlery.errors import SettingsError
from chandlery.grid import Singles
from chandlery.models.base import Artefact, Model, Sample, Sums

__all__ = ["UserModel"]

NAME = re.compile(r"\w[\w.-]*")  # it is part of the name of an object and of a column
MONTHS = range(1, 13)
METHODS = ("design", "weigh", "fit", "predict")
HINT = "see CONTRIBUTING.md for a model"

Returned = TypeVar("Returned")


class UserModel:
    """A user-defined model, which is checked when it is registered and whenever it is called.

    Args:
        model: The object that was registered.

    Raises:
        SettingsError: It lacks something of a model.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        name = getattr(model, "name", None)
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise SettingsError(f"a model called {name!r}", "letters, digits, _, - and . in its name", HINT)
        if isinstance(model, type) or not all(callable(getattr(model, method, None)) for method in METHODS):
            raise SettingsError(f"model {name}: {model!r}", f"an object with {', '.join(METHODS)}", HINT)
        self.name = name
        self.algorithm: int = self._check("algorithm", "an int", lambda value: isinstance(value, int))
        self.refit_months: tuple[int, ...] = tuple(
            self._check("refit_months", "months from 1 to 12", lambda value: all(month in MONTHS for month in value))
        )
        self.learns_from = self._check("learns_from", "sums or sample", ("sums", "sample").__contains__)
        self.least_rows: int = getattr(model, "least_rows", 1)

    def _check(self, attribute: str, expected: str, is_right: Callable[[Any], bool]) -> Any:
        value = getattr(self._model, attribute, None)
        try:
            right = is_right(value)
        except TypeError:  # it cannot be iterated
            right = False
        if not right:
            raise SettingsError(f"model {self.name} has {attribute} {value!r}", expected, HINT)
        return value

    def design(self, values: Singles, names: Sequence[str]) -> Singles:
        """Return the model's inputs, (n, d), from features."""
        found = np.asarray(self._call("design", lambda: self._model.design(values, names)))
        if found.ndim != 2 or len(found) != len(values):  # noqa: PLR2004 - rows and columns
            self._refuse("design", found, f"({len(values)}, …): a row for each row of features")
        return found

    def weigh(self, weight: Singles) -> Singles:
        """Return loss weights from sigma against a typical sigma."""
        found = np.asarray(self._call("weigh", lambda: self._model.weigh(weight)))
        if found.shape != weight.shape:
            self._refuse("weigh", found, f"{weight.shape}: one weight for each row")
        return found

    def fit(self, training: Sums | Sample, seed: int) -> Artefact:
        """Return what was learned."""
        return self._call("fit", lambda: self._model.fit(training, seed))

    def open_artefact(self, artefact: Artefact) -> Any:
        """Return what `predict` is given in place of an artefact."""
        opening = getattr(self._model, "open_artefact", None)
        return self._call("open_artefact", lambda: opening(artefact)) if opening else artefact

    def predict(self, artefact: Artefact, design: Singles) -> Singles:
        """Return predictions, one for each row."""
        found = np.asarray(self._call("predict", lambda: self._model.predict(artefact, design)))
        if found.shape != (len(design),):
            self._refuse("predict", found, f"({len(design)},): one prediction for each row")
        return found

    def _call(self, method: str, call: Callable[[], Returned]) -> Returned:
        try:
            return call()
        except MemoryError:
            raise
        except Exception as error:
            found = f"model {self.name} failed in {method}: {error!r}"
            raise SettingsError(found, "a method that returns", f"correct its method {method}") from error

    def _refuse(self, method: str, found: np.ndarray, expected: str) -> None:
        shown = f"model {self.name} returns from {method} an array of the shape {found.shape}"
        raise SettingsError(shown, expected, f"correct its method {method}")
