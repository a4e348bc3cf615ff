"""The fit task: gathered sums or samples to one fitted model a refit, in the order of time."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import msgspec
import numpy as np

from chandlery.config import to_minutes_text
from chandlery.errors import StoreUnavailableError
from chandlery.leaks import TrainedOn, check_learned, check_split
from chandlery.models import BUILT_IN, Artefact, Model, Sample, Sums, open_afresh, open_models
from chandlery.state import get_arrays
from chandlery.tasks.gather import bucket_path
from chandlery.tasks.work import Arrays, Work

__all__ = ["FitTask", "Fitted", "artefact_path", "fit_model", "read_artefacts"]


POOL_MONTHS = 12
MOST_ROWS = 1_000_000
HALF_LIFE_MONTHS = 3.0  # of rows, in sums and samples alike: what older ones teach is past


@dataclass(frozen=True)
class FitTask:
    """One model and horizon, with the refits to make.

    Args:
        work: Where to read and write.
        model: Its name.
        horizon: Its place among the lake's horizons.
        refits: Months at whose first instant it is refitted, ascending, as in 2019-05.
        symbols: Whose rows it learns from, ascending.
        names: The features, in order.
    """

    work: Work
    model: str
    horizon: int
    refits: tuple[str, ...]
    symbols: tuple[str, ...]
    names: tuple[str, ...]


class Fitted(msgspec.Struct, frozen=True):
    """One line of an artefact: a fitted model and what it was fitted on."""

    refit_at: str
    rows: int
    symbols: list[str]
    features: list[str]
    seed: int
    fit: Artefact


def artefact_path(model: str, horizon_minutes: int, year: str) -> str:
    """Return the name of the text that holds a year's fits of a model.

    Example:
        >>> artefact_path("linear", 30, "2019")
        'artefacts/linear-30m-2019.jsonl'
    """
    return f"artefacts/{model}-{to_minutes_text(horizon_minutes)}-{year}.jsonl"


def read_artefacts(work: Work, model: str, horizon_minutes: int, year: str = "") -> list[Fitted]:
    """Return a model's fits of a year, or of all years, ascending."""
    prefix = artefact_path(model, horizon_minutes, year).removesuffix(".jsonl")
    found = (work.lake.store.get(entry.path) for entry in work.lake.store.list("artefacts/") if entry.path.startswith(prefix))
    decoder = msgspec.json.Decoder(Fitted)
    return [fitted for content in found if content for fitted in decoder.decode_lines(content)]


def fit_model(task: FitTask) -> int:
    """Fit and publish one model at each of its refits; return the number of refits.

    Raises:
        LawError: A refit trains on what was not known at it, or learns from something else.
        LeaseHeldError: Another run has taken the lake.
    """
    model = open_models([task.model], task.work.extensions)[0]
    buckets = Buckets(task, model)
    pool = SumsPool(task, buckets) if model.learns_from == "sums" else SamplePool(task, model, buckets)
    fits: dict[str, list[Fitted]] = {}
    probed = min(task.refits, key=lambda refit: zlib.crc32(f"{model.name} {refit}".encode()))
    for refit in task.refits:
        training, symbols = pool.until(refit)
        if training is None:
            continue
        check_split(model.name, refit, buckets.read, training)
        fit = model.fit(training, task.work.seed)
        if model.name not in BUILT_IN and refit in {task.refits[-1], probed}:
            unseen = open_afresh([model.name], task.work.extensions)[0]
            check_learned(model.name, refit, fit, partial(unseen.fit, training, task.work.seed))
        fits.setdefault(refit[:4], []).append(Fitted(f"{refit}-01", training.rows, symbols, list(task.names), task.work.seed, fit))
    for year, fresh in fits.items():
        publish(task, year, fresh)
    return sum(len(fresh) for fresh in fits.values())


def publish(task: FitTask, year: str, fresh: list[Fitted]) -> None:
    """Put a year's fits beside those of the year that stay as they were."""
    horizon_minutes = task.work.lake.file.horizons[task.horizon]
    kept = [fitted for fitted in read_artefacts(task.work, task.model, horizon_minutes, year) if fitted.refit_at < fresh[0].refit_at and task.work.span.resumed]
    task.work.lake.guard()
    content = msgspec.json.Encoder().encode_lines(kept + fresh)
    task.work.lake.store.put_changed(artefact_path(task.model, horizon_minutes, year), content)


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
        model: Who learns from them.
    """

    def __init__(self, task: FitTask, model: Model) -> None:
        self._lake, store = task.work.lake, task.work.lake.store
        self._model = model
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

    def forget(self, oldest: str, quota: int) -> None:
        """Forget what nobody trains on any more: buckets up to the oldest, and of the others the rows beyond a quota."""
        self.read = [bucket.take_lowest(quota) for bucket in self.read if bucket.name > oldest]

    def _read(self, symbol: str, path: str) -> Arrays:
        arrays = get_arrays(self._lake.store, path)
        if arrays is None:
            self._lake.guard()
            self._lake.store.delete(path)  # the next run misses it, and makes it anew
            raise StoreUnavailableError(f"{path} is damaged", "what the run before kept there", "run again: it is made anew")
        self.read.append(self._describe(symbol, arrays))
        return arrays

    def _describe(self, symbol: str, arrays: Arrays) -> TrainedOn:
        from_sums = self._model.learns_from == "sums"
        keys = None if from_sums else arrays.get("sample.key", np.empty(0, np.uint64))
        rows = int(arrays.get(f"sums.{self._model.name}.rows", 0)) if keys is None else keys.size
        known_ms = None
        if "newest" in arrays:  # what an earlier version kept says nothing of it
            known = int(arrays["newest"]) + 1 + max(self._lake.horizon_steps)
            known_ms = known * self._lake.interval_minutes * 60_000
        return TrainedOn(str(arrays["bucket"]), symbol, known_ms, rows, keys)


class SumsPool:
    """Sums over all symbols, growing from refit to refit; older buckets fade."""

    def __init__(self, task: FitTask, buckets: Buckets) -> None:
        self._buckets, self._task = buckets, task
        self._total: Sums | None = None
        self._newest = ""
        self._symbols: set[str] = set()

    def until(self, refit: str) -> tuple[Sums | None, list[str]]:
        """Return the sums over all rows that a refit may train on, and whose rows they are."""
        for bucket, symbol, arrays in self._buckets.until(refit):
            sums = Sums.from_arrays(arrays, self._task.model)
            if sums is None:
                continue
            if self._total is None:
                self._total = sums
            else:
                self._total = (self._total if bucket == self._newest else self._total.fade(fading(self._newest, bucket))) + sums
            self._newest = bucket
            self._symbols.add(symbol)
        if self._total is None:
            return None, []
        return self._total.at(self._task.horizon), sorted(self._symbols)


class SamplePool:
    """Sampled rows of all symbols over the newest POOL_MONTHS before a refit, at most MOST_ROWS."""

    def __init__(self, task: FitTask, model: Model, buckets: Buckets) -> None:
        self._buckets, self._task, self._model = buckets, task, model
        self._parts: list[tuple[str, str, Sample]] = []

    def until(self, refit: str) -> tuple[Sample | None, list[str]]:
        """Return the sampled rows that a refit may train on, and whose rows they are."""
        oldest = str(np.datetime64(refit, "M") - POOL_MONTHS)
        symbols = self._buckets.symbols_until(refit)
        quota = MOST_ROWS // (POOL_MONTHS * max(symbols, 1))  # falls from refit to refit: the lowest of the lowest are the lowest
        for bucket, symbol, arrays in self._buckets.until(refit, oldest):
            if "sample.key" in arrays and arrays["sample.key"].size:
                sample = Sample.from_arrays(arrays).at(self._task.horizon)
                self._parts.append((bucket, symbol, replace(sample, values=self._model.design(sample.values, self._task.names))))
        self._buckets.forget(oldest, quota)
        self._parts = [(bucket, symbol, sample if sample.rows <= quota else sample.take_lowest(quota)) for bucket, symbol, sample in self._parts if bucket > oldest]
        if not self._parts:
            return None, []
        faded = (replace(sample, weight=sample.weight * np.float32(fading(bucket, refit))) for bucket, _, sample in self._parts)
        return Sample.concat(faded), sorted({symbol for _, symbol, _ in self._parts})
