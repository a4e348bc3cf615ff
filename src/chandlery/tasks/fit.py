"""The fit task: gathered sums or samples to fitted models, one for each refit and horizon, in the order of time."""

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
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

SAMPLE = "sample"  # name of the fit of all models that learn from samples: they share the rows
Due = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class FitTask:
    """The refits of some years, at every horizon, of models that learn from the same rows.

    Args:
        work: The span and the lake.
        fit: Its name.
        years: As in 2019, ascending. The artefacts of all of them are written, also of years without a refit, so that
            refits later than the newest candle are removed.
        due: Months at whose first instant models are refitted, ascending, as in 2019-05, and the names of the models.
        gathered: The buckets that they learn from, by symbol.
        names: The features, in order.
        keeps: Whether fits of other models, or at other horizons, stay in the artefacts.
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
        """The names of the models that are refitted, in the order of the lake's models."""
        refitted = {name for _, names in self.due for name in names}
        return [name for name in self.work.rules.models if name in refitted]

    def probed(self, model: str) -> set[str]:
        """Return the refits at which the leak gate fits a model again: the last one, and one chosen by a hash."""
        refits = [refit for refit, names in self.due if model in names]
        return {refits[-1], min(refits, key=lambda refit: zlib.crc32(f"{model} {refit}".encode()))}


def name_fit(model: Model) -> str:
    """Return the name of the fit that a model is part of.

    Each model that learns from sums has its own; all models that learn from samples share one.
    """
    return f"sums-{model.name}" if model.learns_from == "sums" else SAMPLE


def list_refits(rules: Rules, first_day: int, stop_day: int, models: Sequence[Model]) -> Due:
    """Return the months of all refits up to a day, ascending, and the names of the models that are refitted in each.

    Args:
        rules: What decides results.
        first_day: The first day with a candle of any symbol, since 1970.
        stop_day: The last day on which a refit has a candle to forecast, since 1970.
        models: The models.
    """
    months = months_between(first_day + rules.min_train_days, stop_day)
    due = (
        (month, tuple(model.name for model in models if month == months[0] or int(month[5:]) in model.refit_months))
        for month in months
    )
    return tuple((month, names) for month, names in due if names)


def list_fit_years(work: Work, models: Sequence[Model]) -> range:
    """Return the years for which models of one fit have an artefact: from their first refit to the newest candle."""
    stop_day = stop_day_of(work)
    refits = list_refits(work.rules, work.first_day, stop_day, models)
    return range(int(refits[0][0][:4]), int(day_name(stop_day)[:4]) + 1) if refits else range(0)


def stop_day_of(work: Work) -> int:
    """Return the last day on which models are refitted: that of the newest candle, so that each refit forecasts one."""
    return (work.span.stop_ms - 1) // DAY_MS


def plan_fits(work: Work, gathered: tuple[Gathered, ...], names: tuple[str, ...]) -> list[FitTask]:
    """Return a task for each model that learns from sums, and one per year for all that learn from samples.

    The years of samples can be fitted at the same time, because each reads its own pool. The newest year comes first:
    it usually has the most symbols and takes the longest.

    Args:
        work: The span and the lake.
        gathered: The buckets to learn from, by symbol.
        names: The features, in order.
    """
    span, stop_day = work.span, stop_day_of(work)
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
            due = tuple((month, members) for month, members in refits if month > since and month[:4] in part)
            keeps = fit in beside or work.fitted_horizons != work.rules.horizons
            tasks.append(FitTask(work, fit, part, due, gathered, names, keeps))
    return tasks


def fit_models(task: FitTask) -> tuple[str, ...]:
    """Fit models at each of their refits, at every horizon, and write the artefacts; return their paths.

    Raises:
        LawError: A refit trains on rows that were not known at its time, or a model knows more than its training.
        LeaseHeldError: Another run has taken the lake.
        SettingsError: A user-defined model returns values that cannot be stored.
        StateLostError: A bucket of rows, or an artefact of earlier fits, is missing or damaged.
    """
    give_back_memory()  # a pool is large, and freed arrays of earlier tasks would lie between its parts
    if paths := list_unchanged(task):
        return paths
    years = read_earlier(task)
    for symbol, fitted in fit_each(task):
        years[fitted.refit_at[:4]].setdefault(symbol, []).append(fitted)

    def order(fitted: Fitted) -> tuple[int, int, str]:
        return (
            task.work.rules.horizons.index(fitted.horizon_minutes),
            task.work.rules.models.index(fitted.model),
            fitted.refit_at,
        )

    written: list[str] = []
    for year, artefacts in years.items():
        in_order = ((symbol, sorted(fits, key=order)) for symbol, fits in sorted(artefacts.items()))
        written += write_fits(task.work.lake, task.fit, year, in_order)
    return tuple(written)


def list_unchanged(task: FitTask) -> tuple[str, ...]:
    """Return the paths of the artefacts of the span's first year if there is nothing to fit and no fit to remove.

    This is what most daily runs find. Otherwise, nothing is returned.
    """
    span, since = task.work.span, day_name(task.work.span.since)
    if task.due or not span.resumed or task.years != (since[:4],):
        return ()
    common = read_fits(task.work.lake, task.fit, since[:4])
    if any(fitted.refit_at > since for fitted in common):
        return ()
    symbols, paths = sorted({symbol for fitted in common for symbol in fitted.own}), Paths.of(task.work.lake)
    return tuple(paths.artefact(task.fit, since[:4], symbol) for symbol in (ALL, *symbols))


def read_earlier(task: FitTask) -> dict[str, dict[str, list[Fitted]]]:
    """Read the fits that stay in the artefacts, by year and symbol; every year has an entry for the common parts.

    These are the fits from before the span, and in an addition those of other models or at other horizons.
    """
    work, since = task.work, day_name(task.work.span.since)
    if task.keeps:
        models, horizons = work.fitted_models, work.fitted_horizons
        return {
            year: read_some(
                task, year, lambda fitted: fitted.model not in models or fitted.horizon_minutes not in horizons
            )
            for year in task.years
        }
    years: dict[str, dict[str, list[Fitted]]] = {year: {ALL: []} for year in task.years}
    if work.span.resumed and since[:4] in years:
        years[since[:4]] = read_some(task, since[:4], lambda fitted: fitted.refit_at <= since)
    return years


def read_some(task: FitTask, year: str, is_kept: Callable[[Fitted], bool]) -> dict[str, list[Fitted]]:
    """Read the fits of a year for which a condition holds, by symbol."""
    lake = task.work.lake

    def read(symbol: str) -> list[Fitted]:
        return [fitted for fitted in read_fits(lake, task.fit, year, symbol) if is_kept(fitted)]

    common = read(ALL)
    symbols = sorted({symbol for fitted in common for symbol in fitted.own})
    return {ALL: common, **dict(zip(symbols, lake.store.ask_ahead(read, symbols), strict=True))}


def fit_each(task: FitTask) -> Iterator[tuple[str, Fitted]]:
    """Yield the fits of each refit with their symbol: the common part under `ALL`, and the parts of single symbols.

    A model with too few rows is not fitted: it predicts nothing until a later refit.
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
    """Divide an artefact into the common part, under `ALL`, and the parts of single symbols.

    Raises:
        SettingsError: A user-defined model returns something else than a dict of such parts.
    """
    own = fit.get(OWN, {}) if isinstance(fit, dict) else None
    if not isinstance(own, dict) or not all(isinstance(part, dict) for part in own.values()):
        found = f"model {model} returns {type(fit).__name__} from fit, or under {OWN!r} no dict of dicts"
        raise SettingsError(
            found, f"a dict, with a dict for each symbol under {OWN!r} if there are any", "correct its method fit"
        )
    if unknown := [symbol for symbol in own if symbol not in symbols]:
        raise SettingsError(
            f"model {model} returns a part for {unknown[0]!r} under {OWN!r}",
            f"symbols that it was trained on: {', '.join(symbols[:20])}",
            "training.symbols[place] is the name of a row's training.symbol",
        )
    return {**own, ALL: {name: part for name, part in fit.items() if name != OWN}}


def fit_one(task: FitTask, refit: str, model: Model, training: Sums | Sample) -> Artefact:
    """Fit one horizon. A user-defined model is also refitted from a fresh import at sampled refits.

    Raises:
        LawError: From a fresh import, it learns something else.
        SettingsError: It returns values that JSON cannot represent.
    """
    fit = model.fit(training, task.work.rules.seed)
    if model.name in BUILT_IN:
        return fit
    if what := find_unfit(fit):
        hint = "turn NumPy values into lists and floats: array.tolist(), float(value)"
        raise SettingsError(
            f"model {model.name} returns {what} from fit",
            "plain values that JSON can represent, and finite numbers",
            hint,
        )
    if refit in task.probed(model.name):
        with loaded_afresh():
            unseen = open_models([model.name], task.work.extensions)[0]
        check_learned(model.name, refit, fit, partial(unseen.fit, training, task.work.rules.seed))
    return fit


def find_unfit(value: Any) -> str:
    """Describe the first value of an artefact that JSON cannot represent, or return "".

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
