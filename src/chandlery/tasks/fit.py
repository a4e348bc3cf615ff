"""The fit task: gathered sums or samples to fitted models, one a refit and horizon, in the order of time."""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

from chandlery.errors import SettingsError
from chandlery.leaks import check_learned, check_split
from chandlery.memory import give_back_memory
from chandlery.models import BUILT_IN, OWN, Artefact, Model, Sample, Sums, open_afresh, open_models
from chandlery.tasks.artefacts import ALL, Fitted, publish_fits, texts_there
from chandlery.tasks.pools import Buckets, SamplePool, SumsPool
from chandlery.tasks.work import Work

__all__ = ["FitTask", "fit_models", "plan_fits"]


@dataclass(frozen=True)
class FitTask:
    """Models that learn from the same rows, with their refits, at every horizon.

    Args:
        work: Where to read and write.
        due: Months at whose first instant models are refitted, ascending, as in 2019-05, and their names.
        symbols: Whose rows they learn from, ascending.
        names: The features, in order.
    """

    work: Work
    due: tuple[tuple[str, tuple[str, ...]], ...]
    symbols: tuple[str, ...]
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{', '.join(self.models)} of {self.due[0][0]} to {self.due[-1][0]}"

    @property
    def models(self) -> list[str]:
        """The names of its models, in the order of the lake's."""
        found = {name for _, names in self.due for name in names}
        return [name for name in self.work.lake.file.models if name in found]

    def probed(self, model: str) -> set[str]:
        """Return the refits at which the gate lets a model learn again: the last, and one by a hash."""
        refits = [refit for refit, names in self.due if model in names]
        return {refits[-1], min(refits, key=lambda refit: zlib.crc32(f"{model} {refit}".encode()))}


def plan_fits(work: Work, months: Sequence[str], first: str, symbols: tuple[str, ...], names: tuple[str, ...]) -> list[FitTask]:
    """Return what has to be fitted: a task for each model that learns from sums, and one a year for all that learn from samples, the newest first.

    Args:
        work: Where to read and write.
        months: Those at whose first instant models may be refitted.
        first: The first month of all, at which every model is fitted.
        symbols: Whose rows they learn from, ascending.
        names: The features, in order.
    """
    models = open_models(work.lake.file.models, work.extensions)
    groups = [[model] for model in models if model.learns_from == "sums"]
    due = [due_at(months, first, group) for group in groups]
    sampled = due_at(months, first, [model for model in models if model.learns_from == "sample"])
    due += [tuple(part) for _, part in groupby(reversed(sampled), lambda entry: entry[0][:4])]
    return [FitTask(work, tuple(sorted(part)), symbols, names) for part in due if part]


def due_at(months: Sequence[str], first: str, models: Sequence[Model]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the months at which any of some models is refitted, and the names of those that are."""
    due = ((month, tuple(model.name for model in models if month == first or int(month[5:]) in model.refit_months)) for month in months)
    return tuple((month, names) for month, names in due if names)


def fit_models(task: FitTask) -> tuple[str, ...]:
    """Fit and publish models at each of their refits, at every horizon; return the names of the texts.

    Raises:
        LawError: A refit trains on what was not known at it, or learns from something else.
        LeaseHeldError: Another run has taken the lake.
    """
    give_back_memory()  # a pool is large, and what was before it is of another size
    models = open_models(task.models, task.work.extensions)
    from_sums = models[0].learns_from == "sums"
    buckets = Buckets(task.work, task.symbols, models[0].name if from_sums else "")
    pool = SumsPool(buckets) if from_sums else SamplePool(buckets, task.names)
    since = {(name, refit[:4]): f"{refit}-01" for refit, names in reversed(task.due) for name in names}
    fits = texts_there(task.work, since)
    for refit, names in task.due:
        pool.advance(refit)
        for model in models:
            training = pool.training(model) if model.name in names else None
            if training is None:
                continue
            check_split(model.name, refit, buckets.read, training)
            rows_of = training.rows_by_symbol()
            for horizon in range(len(task.work.lake.horizon_steps)):
                fit = fit_one(task, refit, model, training.at(horizon))
                for symbol, part in split_own(model.name, fit, pool.symbols).items():
                    rows, symbols = (training.rows, pool.symbols) if symbol == ALL else (rows_of[symbol], [symbol])
                    fitted = Fitted(f"{refit}-01", rows, symbols, list(task.names), task.work.seed, part)
                    fits.setdefault((model.name, horizon, refit[:4], symbol), []).append(fitted)

    def publish(key: tuple[str, int, str, str]) -> str:
        return publish_fits(task.work, *key, fits[key], since[key[0], key[2]])

    return tuple(task.work.lake.store.ask_ahead(publish, sorted(fits)))


def split_own(model: str, fit: Artefact, symbols: Sequence[str]) -> dict[str, Artefact]:
    """Return what was learned of all, and of single symbols alone.

    Raises:
        SettingsError: A model of somebody's own returns something else.
    """
    own = fit.get(OWN, {}) if isinstance(fit, dict) else None
    if not isinstance(own, dict) or not all(isinstance(part, dict) for part in own.values()):
        raise SettingsError(
            f"model {model} returns {type(fit).__name__} from fit, or under {OWN!r} no dict of dicts", f"a dict, with a dict for each symbol under {OWN!r} if there are such", "look at its fit"
        )
    if unknown := [symbol for symbol in own if symbol not in symbols]:
        raise SettingsError(
            f"model {model} returns a part for {unknown[0]!r} under {OWN!r}",
            f"symbols that it was trained on: {', '.join(symbols[:20])}",
            "training.symbols[place] is the name of a row's training.symbol",
        )
    return {**own, ALL: {name: part for name, part in fit.items() if name != OWN}}


def fit_one(task: FitTask, refit: str, model: Model, training: Sums | Sample) -> Artefact:
    """Fit a model for one horizon; one of somebody's own learns again, now and then, where it has seen nothing else.

    Raises:
        SettingsError: It returns what JSON cannot hold.
    """
    fit = model.fit(training, task.work.seed)
    if model.name in BUILT_IN:
        return fit
    if what := find_unfit(fit):
        raise SettingsError(
            f"model {model.name} returns {what} from fit", "plain values that JSON can hold, and finite numbers", "turn NumPy values into lists and floats: array.tolist(), float(value)"
        )
    if refit in task.probed(model.name):
        unseen = open_afresh([model.name], task.work.extensions)[0]
        check_learned(model.name, refit, fit, partial(unseen.fit, training, task.work.seed))
    return fit


def find_unfit(value: Any) -> str:
    """Return what of an artefact JSON cannot hold; nothing where it can hold all.

    Example:
        >>> find_unfit({"coefficients": [1.0, float("nan")]})
        'nan'
    """
    match value:
        case dict():
            return next((what for name, inner in value.items() if (what := "" if isinstance(name, str) else f"the key {name!r}") or (what := find_unfit(inner))), "")
        case list() | tuple():
            return next((what for inner in value if (what := find_unfit(inner))), "")
        case float():
            return "" if math.isfinite(value) else str(value)
        case None | str() | int():
            return ""
        case _:
            return f"a {type(value).__name__}"
