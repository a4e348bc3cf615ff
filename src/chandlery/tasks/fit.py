"""The fit task: gathered sums or samples to fitted models, one a refit and horizon, in the order of time."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby, product

import msgspec
import numpy as np

from chandlery.config import to_minutes_text
from chandlery.errors import SettingsError, StoreUnavailableError
from chandlery.leaks import TrainedOn, check_learned, check_split
from chandlery.memory import give_back_memory
from chandlery.models import BUILT_IN, OWN, Artefact, Model, Sample, Sums, open_afresh, open_models
from chandlery.state import get_arrays
from chandlery.tasks.gather import SAMPLE_ROWS, bucket_path
from chandlery.tasks.work import Arrays, Work

__all__ = ["FitTask", "Fitted", "artefact_path", "fit_models", "forget_artefacts", "plan_fits", "read_artefacts"]


POOL_MONTHS = 12
MOST_ROWS = 1_000_000
NO_KEYS = np.empty(0, np.uint64)
ALL = "all"
HALF_LIFE_MONTHS = 3.0  # of rows, in sums and samples alike: what older ones teach is past


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


class Fitted(msgspec.Struct, frozen=True):
    """One line of an artefact: a fitted model, or what it has learned of one symbol alone, and what it was fitted on."""

    refit_at: str
    rows: int
    symbols: list[str]
    features: list[str]
    seed: int
    fit: Artefact


def artefact_path(model: str, horizon_minutes: int, year: str, symbol: str = ALL) -> str:
    """Return the name of the text that holds a year's fits of a model, or what it has learned of one symbol alone.

    Example:
        >>> artefact_path("linear", 30, "2019"), artefact_path("linear", 30, "2019", "LTCUSD")
        ('artefacts/all/linear-30m-2019.jsonl', 'artefacts/LTCUSD/linear-30m-2019.jsonl')
    """
    return f"artefacts/{symbol}/{model}-{to_minutes_text(horizon_minutes)}-{year}.jsonl"


def read_artefacts(work: Work, model: str, horizon_minutes: int, year: str = "", symbol: str = ALL) -> list[Fitted]:
    """Return a model's fits of a year, or of all years, ascending; of all symbols, or what it has learned of one."""
    years = {entry.path: entry.path.removesuffix(".jsonl")[-4:] for entry in work.lake.store.list(f"artefacts/{symbol}/")}
    paths = (path for path, its in years.items() if path == artefact_path(model, horizon_minutes, year or its, symbol))
    decoder = msgspec.json.Decoder(Fitted)
    return [fitted for path in paths if (content := work.lake.store.get(path)) for fitted in decoder.decode_lines(content)]


def fit_models(task: FitTask) -> tuple[str, ...]:
    """Fit and publish models at each of their refits, at every horizon; return the names of the texts.

    Raises:
        LawError: A refit trains on what was not known at it, or learns from something else.
        LeaseHeldError: Another run has taken the lake.
    """
    give_back_memory()  # a pool is large, and what was before it is of another size
    models = open_models(task.models, task.work.extensions)
    from_sums = models[0].learns_from == "sums"
    buckets = Buckets(task, models[0].name if from_sums else None)
    pool = SumsPool(task, buckets) if from_sums else SamplePool(task, buckets)
    since = {(name, refit[:4]): f"{refit}-01" for refit, names in reversed(task.due) for name in names}
    fits = texts_there(task.work, since)
    for refit, names in task.due:
        pool.advance(refit)
        for model in models:
            training = pool.training(model) if model.name in names else None
            if training is None:
                continue
            check_split(model.name, refit, buckets.read, training)
            for horizon in range(len(task.work.lake.horizon_steps)):
                fit = fit_one(task, refit, model, training.at(horizon))
                for symbol, part in split_own(model.name, fit, pool.symbols).items():
                    fitted = Fitted(f"{refit}-01", training.rows, pool.symbols, list(task.names), task.work.seed, part)
                    fits.setdefault((model.name, horizon, refit[:4], symbol), []).append(fitted)
    return tuple(publish(task.work, *key, fresh, since[key[0], key[2]]) for key, fresh in sorted(fits.items()))


def texts_there(work: Work, years: Iterable[tuple[str, str]]) -> dict[tuple[str, int, str, str], list[Fitted]]:
    """Return which texts of models and years there are, by model, horizon, year and symbol, each with no fresh fit: nothing may be what is learned anew."""
    there = {entry.path for entry in work.lake.store.list("artefacts/")}
    symbols = sorted({path.split("/")[1] for path in there})
    keys = ((model, horizon, year, symbol) for (model, year), (horizon, _), symbol in product(years, enumerate(work.lake.file.horizons), symbols))
    return {key: [] for key in keys if artefact_path(key[0], work.lake.file.horizons[key[1]], *key[2:]) in there}


def split_own(model: str, fit: Artefact, symbols: Sequence[str]) -> dict[str, Artefact]:
    """Return what was learned of all, and of single symbols alone.

    Raises:
        SettingsError: A model of somebody's own returns something else.
    """
    own = fit.get(OWN, {}) if isinstance(fit, dict) else None
    if not isinstance(own, dict) or not all(isinstance(part, dict) for part in own.values()):
        raise SettingsError(f"model {model} returns {type(fit).__name__} from fit, or under {OWN!r} no dict of dicts", f"a dict, with a dict for each symbol under {OWN!r} if there are such", "look at its fit")
    if unknown := [symbol for symbol in own if symbol not in symbols]:
        raise SettingsError(f"model {model} returns a part for {unknown[0]!r} under {OWN!r}", f"symbols that it was trained on: {', '.join(symbols[:20])}", "training.symbols[place] is the name of a row's training.symbol")
    return {**own, ALL: {name: part for name, part in fit.items() if name != OWN}}


def fit_one(task: FitTask, refit: str, model: Model, training: Sums | Sample) -> Artefact:
    """Fit a model for one horizon; one of somebody's own learns again, now and then, where it has seen nothing else."""
    fit = model.fit(training, task.work.seed)
    if model.name not in BUILT_IN and refit in task.probed(model.name):
        unseen = open_afresh([model.name], task.work.extensions)[0]
        check_learned(model.name, refit, fit, partial(unseen.fit, training, task.work.seed))
    return fit


def publish(work: Work, model: str, horizon: int, year: str, symbol: str, fresh: list[Fitted], since: str) -> str:
    """Put a year's fits beside those of before a day, which stay as they were; take the text away where there are none. Return its name."""
    horizon_minutes = work.lake.file.horizons[horizon]
    held = read_artefacts(work, model, horizon_minutes, year, symbol) if work.span.resumed else []
    kept = [fitted for fitted in held if fitted.refit_at < since]
    work.lake.guard()
    path = artefact_path(model, horizon_minutes, year, symbol)
    if kept + fresh:
        work.lake.store.put_changed(path, msgspec.json.Encoder().encode_lines(kept + fresh))
    else:
        work.lake.store.delete(path)
    return path


def forget_artefacts(work: Work, made: Iterable[str], symbols: Iterable[str]) -> None:
    """Take away what an earlier run left, where everything was made anew, and what belongs to symbols that are gone."""
    stays, folders = set(made), {ALL, *symbols}
    for entry in work.lake.store.list("artefacts/"):
        if entry.path.split("/")[1] not in folders or (not work.span.resumed and entry.path not in stays):
            work.lake.guard()
            work.lake.store.delete(entry.path)


def fading(bucket: str, later: str) -> float:
    """Return what is left of a row's weight.

    Example:
        >>> fading("2019-01", "2019-04")
        0.5
    """
    months = int((np.datetime64(later, "M") - np.datetime64(bucket, "M")).astype(int))
    return float(0.5 ** (months / HALF_LIFE_MONTHS))


class Buckets:
    """The buckets of all symbols, read in a fixed order: by refit, then by symbol.

    Args:
        task: Whose fits.
        sums_of: The model whose sums are read; None where it is samples.
    """

    def __init__(self, task: FitTask, sums_of: str | None = None) -> None:
        self._lake, store = task.work.lake, task.work.lake.store
        self._sums_of = sums_of
        self.read: list[TrainedOn] = []
        paths = {symbol: [entry.path for entry in store.list(bucket_path(symbol))] for symbol in task.symbols}
        names = {symbol: [path.removeprefix(bucket_path(symbol)).removesuffix(".state") for path in found] for symbol, found in paths.items()}
        self._waiting = sorted((name, symbol) for symbol, found in names.items() for name in found)
        self._firsts = [min(found) for found in names.values() if found]

    def until(self, refit: str, oldest: str = "") -> Iterator[tuple[str, str, Arrays]]:
        """Yield name, symbol and content of the buckets that a refit may train on and that were not asked for before, those after the oldest."""
        count = sum(name <= refit for name, _ in self._waiting)
        ready, self._waiting = self._waiting[:count], self._waiting[count:]
        return ((name, symbol, self._read(symbol, bucket_path(symbol, name))) for name, symbol in ready if name > oldest)

    def symbols_until(self, refit: str) -> int:
        """Return how many symbols have a bucket that a refit may train on."""
        return sum(first <= refit for first in self._firsts)

    def forget(self, oldest: str, quota: Callable[[str], int]) -> None:
        """Forget what nobody trains on any more: buckets up to the oldest, and of the others the rows beyond their quota."""
        self.read = [bucket.take_lowest(quota(bucket.name)) for bucket in self.read if bucket.name > oldest]

    def _read(self, symbol: str, path: str) -> Arrays:
        arrays = get_arrays(self._lake.store, path)
        if arrays is None:
            self._lake.guard()
            self._lake.store.delete(path)  # the next run misses it, and makes it anew
            raise StoreUnavailableError(f"{path} is damaged", "what the run before kept there", "run again: it is made anew")
        self.read.append(self._describe(symbol, arrays))
        return arrays

    def _describe(self, symbol: str, arrays: Arrays) -> TrainedOn:
        keys = None if self._sums_of else arrays.get("sample.key", NO_KEYS)
        rows = int(arrays.get(f"sums.{self._sums_of}.rows", 0)) if keys is None else keys.size
        known_ms = None
        if "newest" in arrays:  # what an earlier version kept says nothing of it
            known = int(arrays["newest"]) + 1 + max(self._lake.horizon_steps)
            known_ms = known * self._lake.interval_minutes * 60_000
        return TrainedOn(str(arrays["bucket"]), symbol, known_ms, rows, keys)


class SumsPool:
    """A model's sums over all symbols, growing from refit to refit; older buckets fade."""

    def __init__(self, task: FitTask, buckets: Buckets) -> None:
        self._task, self._buckets = task, buckets
        self._total: Sums | None = None
        self._own: dict[str, tuple[str, Sums]] = {}  # with the bucket as of which they have faded
        self._newest = ""

    @property
    def symbols(self) -> list[str]:
        """Whose sums they are."""
        return sorted(self._own)

    def advance(self, refit: str) -> None:
        """Take in what a refit may train on."""
        for bucket, symbol, arrays in self._buckets.until(refit):
            sums = Sums.from_arrays(arrays, self._task.models[0])
            if sums is None:
                continue
            if self._total is None:
                self._total = sums
            else:
                self._total = (self._total if bucket == self._newest else self._total.fade(fading(self._newest, bucket))) + sums
            self._newest = bucket
            if symbol in self._own:
                before, own = self._own[symbol]
                sums = own.fade(fading(before, bucket)) + sums
            self._own[symbol] = (bucket, sums)

    def training(self, model: Model) -> Sums | None:
        """Return the sums, at all horizons; None where there are none yet."""
        del model
        if self._total is None:
            return None
        return replace(self._total, own={symbol: sums.fade(fading(bucket, self._newest)) for symbol, (bucket, sums) in sorted(self._own.items())})


def limit_newest(symbols: int) -> float:
    """Return how many rows the newest bucket of each symbol may give, so that all, thinned as they fade, are MOST_ROWS at most.

    Example:
        >>> limit_newest(6), round(limit_newest(392), 1)
        (10240, 526.3)
    """
    shared = MOST_ROWS * (1.0 - float(0.5 ** (1.0 / HALF_LIFE_MONTHS)))
    return min(SAMPLE_ROWS, shared / max(symbols, 1))


@dataclass(frozen=True)
class Part:
    """What is left of a bucket's sample.

    Args:
        bucket: Its name.
        symbol: Whose rows.
        rows: How many there were at first.
        sample: Those that are left.
    """

    bucket: str
    symbol: str
    rows: int
    sample: Sample

    def take_lowest(self, count: int) -> "Part":
        """Return no more rows than so many; the others are let go."""
        left = self.sample.take_lowest(count)
        return self if left is self.sample else replace(self, sample=replace(left, values=left.values.copy()))

    def fade(self, refit: str, most: float) -> Sample:
        """Return the rows with all the weight together that is left to them at a refit, of `most` rows or of all there were."""
        left = fading(self.bucket, refit) * min(most, self.rows) / self.sample.rows
        return replace(self.sample, weight=self.sample.weight * np.float32(left))


class SamplePool:
    """Sampled rows of all symbols over the newest POOL_MONTHS before a refit, at most MOST_ROWS, in the order of their keys.

    Buckets fade by losing rows, which is as good as losing weight and takes less time; where a bucket has few rows
    they stay, and lose weight.
    """

    def __init__(self, task: FitTask, buckets: Buckets) -> None:
        self._task, self._buckets = task, buckets
        self._parts: list[Part] = []
        self._rows: Sample | None = None

    @property
    def symbols(self) -> list[str]:
        """Whose rows they are."""
        return sorted({part.symbol for part in self._parts})

    def advance(self, refit: str) -> None:
        """Take in what a refit may train on, and leave what is too old for it."""
        oldest = str(np.datetime64(refit, "M") - POOL_MONTHS)
        most = limit_newest(self._buckets.symbols_until(refit))

        def quota(bucket: str) -> int:
            return int(most * fading(bucket, refit))  # falls from refit to refit: the lowest of the lowest are the lowest

        for bucket, symbol, arrays in self._buckets.until(refit, oldest):
            if arrays.get("sample.key", NO_KEYS).size:
                sample = Sample.from_arrays(arrays).of(symbol, self._task.symbols)
                self._parts.append(Part(bucket, symbol, sample.rows, sample))
        self._buckets.forget(oldest, quota)
        self._parts = [part.take_lowest(quota(part.bucket)) for part in self._parts if part.bucket > oldest]
        self._rows = None  # what a refit before had goes first
        if faded := [part.fade(refit, most) for part in self._parts if part.sample.rows]:
            rows = Sample.concat(faded).take_lowest(MOST_ROWS)
            self._rows = replace(rows, values=rows.values.astype(np.float32))

    def training(self, model: Model) -> Sample | None:
        """Return the rows with a model's inputs, at all horizons; None where there are none yet."""
        if self._rows is None:
            return None
        return replace(self._rows, values=model.design(self._rows.values, self._task.names))
