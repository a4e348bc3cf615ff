"""The fit task: gathered sums or samples to fitted models, one a refit and horizon, in the order of time."""

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from chandlery.errors import SettingsError
from chandlery.extensions import loaded_afresh, open_models
from chandlery.forecasts.leaks import check_learned, check_split
from chandlery.grid import DAY_MS
from chandlery.machine.memory import give_back_memory
from chandlery.models import BUILT_IN, OWN, Artefact, Model, Sample, Sums
from chandlery.state.artefacts import ALL, Fitted, read_fits, write_fits
from chandlery.state.paths import Paths, day_name
from chandlery.tasks.gather import Gathered
from chandlery.tasks.pools import Buckets, SamplePool, SumsPool
from chandlery.tasks.work import Rules, Work, months_between

__all__ = ["SAMPLE", "FitTask", "fit_models", "list_refits", "name_fit", "plan_fits"]

SAMPLE = "sample"  # the fit of all models that learn from samples
Due = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class FitTask:
    """Models that learn from the same rows, at every horizon: their refits in some years, of which all texts are written.

    Args:
        work: Where to read and write.
        fit: Its name.
        years: As in 2019, ascending; those without a refit too, for what is later than the newest candle has to go.
        due: Months at whose first instant models are refitted, ascending, as in 2019-05, and their names.
        gathered: Whose rows they learn from, by symbol.
        names: The features, in order.
        keeps: Whether fits of other models, or at other horizons, stay in the texts.
    """

    work: Work
    fit: str
    years: tuple[str, ...]
    due: Due
    gathered: tuple[Gathered, ...]
    names: tuple[str, ...]
    keeps: bool = False

    def __str__(self) -> str:
        return f"{self.fit} of {self.years[0]}" + f" to {self.years[-1]}" * (len(self.years) > 1)

    @property
    def models(self) -> list[str]:
        """The names of the models that are refitted, in the order of the lake's."""
        found = {name for _, names in self.due for name in names}
        return [name for name in self.work.rules.models if name in found]

    def probed(self, model: str) -> set[str]:
        """Return the refits at which the gate lets a model learn again: the last, and one by a hash."""
        refits = [refit for refit, names in self.due if model in names]
        return {refits[-1], min(refits, key=lambda refit: zlib.crc32(f"{model} {refit}".encode()))}


def name_fit(model: Model) -> str:
    """Return the name of the fit that a model is part of: one for each model that learns from sums, one for all others."""
    return f"sums-{model.name}" if model.learns_from == "sums" else SAMPLE


def list_refits(rules: Rules, first_day: int, stop_day: int, models: Sequence[Model]) -> Due:
    """Return the months of all refits before a day, ascending, and the names of the models that are refitted at each.

    Args:
        rules: What decides results.
        first_day: The first with a candle of any symbol, since 1970.
        stop_day: The last at which a refit has a candle to forecast.
        models: Which may be refitted.
    """
    months = months_between(first_day + rules.min_train_days, stop_day)
    due = (
        (month, tuple(model.name for model in models if month == months[0] or int(month[5:]) in model.refit_months))
        for month in months
    )
    return tuple((month, names) for month, names in due if names)


def plan_fits(work: Work, gathered: tuple[Gathered, ...], names: tuple[str, ...]) -> list[FitTask]:
    """Return a task for each model that learns from sums, and one a year for all that learn from samples, the newest first.

    Args:
        work: Where to read and write.
        gathered: Whose rows they learn from, by symbol.
        names: The features, in order.
    """
    span = work.span
    stop_day = (span.stop_ms - 1) // DAY_MS  # a refit is made once there is a candle for it to forecast
    since = day_name(span.since)[:7] if span.resumed else ""
    groups: dict[str, list[Model]] = {}
    for model in open_models(work.fitted_models, work.extensions):
        groups.setdefault(name_fit(model), []).append(model)
    others = [
        model for model in open_models(work.rules.models, work.extensions) if model.name not in work.fitted_models
    ]
    beside = {name_fit(model) for model in others}
    tasks = []
    for fit, models in groups.items():
        refits = list_refits(work.rules, work.first_day, stop_day, models)
        if not refits:
            continue
        first_year = max(refits[0][0], since)[:4]
        years = tuple(str(year) for year in range(int(first_year), int(day_name(stop_day)[:4]) + 1))
        for part in [years] if fit != SAMPLE else [(year,) for year in reversed(years)]:
            due = tuple((month, who) for month, who in refits if month > since and month[:4] in part)
            keeps = fit in beside or work.fitted_horizons != work.rules.horizons
            tasks.append(FitTask(work, fit, part, due, gathered, names, keeps))
    return tasks


def fit_models(task: FitTask) -> tuple[str, ...]:
    """Fit and publish models at each of their refits, at every horizon; return the names of the texts.

    Raises:
        LawError: A refit trains on what was not known at it, or learns from something else.
        LeaseHeldError: Another run has taken the lake.
        StateLostError: A bucket of rows, or a text of earlier fits, is missing or damaged.
    """
    give_back_memory()  # a pool is large, and what was before it is of another size
    if names := list_unchanged(task):
        return names
    texts = read_earlier(task)
    for symbol, fitted in fit_each(task):
        texts[fitted.refit_at[:4]].setdefault(symbol, []).append(fitted)

    def order(fitted: Fitted) -> tuple[int, int, str]:
        return (
            task.work.rules.horizons.index(fitted.horizon_minutes),
            task.work.rules.models.index(fitted.model),
            fitted.refit_at,
        )

    paths = []
    for year, found in texts.items():
        paths += write_fits(
            task.work.lake,
            task.fit,
            year,
            ((symbol, sorted(fits, key=order)) for symbol, fits in sorted(found.items())),
        )
    return tuple(paths)


def list_unchanged(task: FitTask) -> tuple[str, ...]:
    """Return the names of the texts of the span's first year, where a daily run has nothing to fit and nothing to drop."""
    span, since = task.work.span, day_name(task.work.span.since)
    if task.due or not span.resumed or task.years != (since[:4],):
        return ()
    held = read_fits(task.work.lake, task.fit, since[:4])
    if any(fitted.refit_at > since for fitted in held):
        return ()
    symbols, paths = sorted({symbol for fitted in held for symbol in fitted.own}), Paths.of(task.work.lake)
    return tuple(paths.artefact(task.fit, since[:4], symbol) for symbol in (ALL, *symbols))


def read_earlier(task: FitTask) -> dict[str, dict[str, list[Fitted]]]:
    """Return the fits that stay, by year and symbol: those from before the span; every year has a common text."""
    span, lake = task.work.span, task.work.lake
    if task.keeps:
        return {year: read_others(task, year) for year in task.years}
    texts: dict[str, dict[str, list[Fitted]]] = {year: {ALL: []} for year in task.years}
    since = day_name(span.since)
    year = since[:4]
    if not span.resumed or year not in texts:
        return texts

    def choose(fits: list[Fitted]) -> list[Fitted]:
        return [fitted for fitted in fits if fitted.refit_at <= since]

    held = choose(read_fits(lake, task.fit, year))
    symbols = sorted({symbol for fitted in held for symbol in fitted.own})
    own = lake.store.ask_ahead(lambda symbol: choose(read_fits(lake, task.fit, year, symbol)), symbols)
    texts[year] = {ALL: held, **dict(zip(symbols, own, strict=True))}
    return texts


def read_others(task: FitTask, year: str) -> dict[str, list[Fitted]]:
    """Return the fits of a year that are not made again, by symbol."""
    lake, horizons, models = task.work.lake, task.work.fitted_horizons, task.work.fitted_models

    def choose(fits: list[Fitted]) -> list[Fitted]:
        return [fitted for fitted in fits if fitted.horizon_minutes not in horizons or fitted.model not in models]

    held = choose(read_fits(lake, task.fit, year))
    symbols = sorted({symbol for fitted in held for symbol in fitted.own})
    own = lake.store.ask_ahead(lambda symbol: choose(read_fits(lake, task.fit, year, symbol)), symbols)
    return {ALL: held, **dict(zip(symbols, own, strict=True))}


def fit_each(task: FitTask) -> Iterator[tuple[str, Fitted]]:
    """Yield what each refit learns: what is common to all symbols, and what is learned of each alone, with its symbol.

    A model that has too few rows to learn from is not fitted: it predicts nothing until a later refit.
    """
    models = open_models(task.models, task.work.extensions)
    if not models:
        return
    from_sums = models[0].learns_from == "sums"
    buckets = Buckets(task.work, task.gathered, models[0].name if from_sums else "")
    pool = SumsPool(buckets) if from_sums else SamplePool(buckets, task.names)
    for refit, names in task.due:
        pool.advance(refit)
        for model in models:
            training = pool.training(model) if model.name in names else None
            if training is None or training.rows < getattr(model, "least_rows", 1):
                continue
            check_split(model.name, refit, buckets.read, training)
            rows_of = training.rows_by_symbol()
            for minutes in task.work.fitted_horizons:
                horizon = task.work.rules.horizons.index(minutes)
                parts = split_own(model.name, fit_one(task, refit, model, training.at(horizon)), pool.symbols)
                common = partial(
                    Fitted, model.name, minutes, f"{refit}-01", features=list(task.names), seed=task.work.rules.seed
                )
                own = [symbol for symbol in parts if symbol != ALL]
                yield ALL, common(training.rows, pool.symbols, fit=parts[ALL], own=sorted(own))
                for symbol in own:
                    yield symbol, common(rows_of[symbol], [symbol], fit=parts[symbol])


def split_own(model: str, fit: Artefact, symbols: Sequence[str]) -> dict[str, Artefact]:
    """Return what was learned of all, and of single symbols alone.

    Raises:
        SettingsError: A model of somebody's own returns something else.
    """
    own = fit.get(OWN, {}) if isinstance(fit, dict) else None
    if not isinstance(own, dict) or not all(isinstance(part, dict) for part in own.values()):
        found = f"model {model} returns {type(fit).__name__} from fit, or under {OWN!r} no dict of dicts"
        raise SettingsError(
            found, f"a dict, with a dict for each symbol under {OWN!r} if there are such", "look at its fit"
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
    fit = model.fit(training, task.work.rules.seed)
    if model.name in BUILT_IN:
        return fit
    if what := find_unfit(fit):
        hint = "turn NumPy values into lists and floats: array.tolist(), float(value)"
        raise SettingsError(
            f"model {model.name} returns {what} from fit", "plain values that JSON can hold, and finite numbers", hint
        )
    if refit in task.probed(model.name):
        with loaded_afresh():
            unseen = open_models([model.name], task.work.extensions)[0]
        check_learned(model.name, refit, fit, partial(unseen.fit, training, task.work.rules.seed))
    return fit


def find_unfit(value: Any) -> str:
    """Return what of an artefact JSON cannot hold; nothing where it can hold all.

    Example:
        >>> find_unfit({"coefficients": [1.0, float("nan")]})
        'nan'
    """
    match value:
        case dict():
            keys = (f"the key {name!r}" for name in value if not isinstance(name, str))
            return next(keys, "") or next((what for inner in value.values() if (what := find_unfit(inner))), "")
        case list() | tuple():
            return next((what for inner in value if (what := find_unfit(inner))), "")
        case float():
            return "" if math.isfinite(value) else str(value)
        case None | str() | int():
            return ""
        case _:
            return f"a {type(value).__name__}"
