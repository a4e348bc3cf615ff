"""The rows that a refit trains on, of all symbols: Gram sums that decay, and samples that lose rows with age."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from chandlery.errors import StateLostError
from chandlery.forecasts.leaks import TrainedOn
from chandlery.models import Model, Sample, Sums, fading
from chandlery.state.arrays import get_arrays
from chandlery.state.paths import Paths
from chandlery.tasks.bucket import SAMPLE_ROWS
from chandlery.tasks.gather import Gathered
from chandlery.tasks.work import Arrays, Work

__all__ = ["MOST_ROWS", "POOL_MONTHS", "Buckets", "Part", "SamplePool", "SumsPool", "limit_newest"]

POOL_MONTHS = 12  # of samples before a refit
MOST_ROWS = (
    1_000_000  # in a pool of samples: it bounds the memory and the time of a refit, whatever the number of symbols
)
NO_KEYS = np.empty(0, np.uint64)


class Buckets:
    """The buckets of all symbols, read in a fixed order, by refit and symbol: the last bits of sums depend on it.

    Args:
        work: The span and the lake.
        gathered: The buckets of each symbol.
        sums_of: The model whose sums are read; empty to read samples.
    """

    def __init__(self, work: Work, gathered: tuple[Gathered, ...], sums_of: str = "") -> None:
        self.work, self.gathered, self.sums_of = work, gathered, sums_of
        self.symbols = tuple(each.symbol for each in gathered)
        self.read: list[TrainedOn] = []
        self._firsts = [each.first for each in gathered if each.first]
        self._unread = sorted(
            (name, each.symbol) for each in gathered if each.first for name in list_months(each.first, each.last)
        )

    def until(self, refit: str, oldest: str = "") -> Iterator[tuple[str, str, Arrays]]:
        """Yield name, symbol and arrays of the buckets that a refit may train on and earlier refits did not.

        Args:
            refit: A month.
            oldest: Buckets up to this one are passed over.

        Raises:
            StateLostError: A bucket is missing or damaged.
        """
        count = sum(name <= refit for name, _ in self._unread)
        ready, self._unread = self._unread[:count], self._unread[count:]
        wanted = [(name, symbol) for name, symbol in ready if name > oldest]
        contents = self.work.lake.store.ask_ahead(lambda key: self._read(*key), wanted)
        for (name, symbol), arrays in zip(wanted, contents, strict=True):
            self.read.append(self._describe(symbol, arrays))
            yield name, symbol, arrays

    def symbols_until(self, refit: str) -> int:
        """Return how many symbols have a bucket that a refit may train on."""
        return sum(first <= refit for first in self._firsts)

    def forget(self, oldest: str, quota: Callable[[str], int]) -> None:
        """Drop what no later refit trains on: buckets up to the oldest, and the rows of others beyond their quota.

        Args:
            oldest: The newest bucket to drop.
            quota: Returns how many rows of a bucket stay, by its name.
        """
        self.read = [bucket.take_lowest(quota(bucket.name)) for bucket in self.read if bucket.name > oldest]

    def _read(self, name: str, symbol: str) -> Arrays:
        path = Paths.of(self.work.lake).bucket(name, symbol)
        arrays = get_arrays(self.work.lake.store, path)
        if arrays is None:
            # A bucket has the rows of the month before its name, and of one lead before that month.
            month_before = int((np.datetime64(name, "M") - 1).astype("datetime64[D]").astype(int))
            raise StateLostError(path, month_before - self.work.rules.lead)
        return arrays

    def _describe(self, symbol: str, arrays: Arrays) -> TrainedOn:
        bucket, known_ms = str(arrays["bucket"]), None
        if "newest" in arrays:  # earlier versions did not store it
            known_ms = self.work.rules.grid.close_ms(int(arrays["newest"]) + self.work.rules.reach_steps)
        if self.sums_of:
            sums = Sums.from_arrays(arrays, self.sums_of)
            return TrainedOn(
                bucket, symbol, known_ms, 0 if sums is None else sums.rows, totals=None if sums is None else sums.totals
            )
        keys = arrays.get("sample.key", NO_KEYS)
        return TrainedOn(bucket, symbol, known_ms, keys.size, keys, arrays.get("sample.target"))


def list_months(first: str, last: str) -> list[str]:
    """Return the months from one to another.

    Example:
        >>> list_months("2019-12", "2020-01")
        ['2019-12', '2020-01']
    """
    return [str(month) for month in np.arange(np.datetime64(first, "M"), np.datetime64(last, "M") + 1)]


class SumsPool:
    """A model's sums over all symbols. They grow from refit to refit, and older buckets decay.

    Args:
        buckets: To read from.
    """

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        self._total: Sums | None = None
        self._own: dict[str, tuple[str, Sums]] = {}  # by symbol: the newest bucket, up to which they decayed, and sums
        self._newest = ""

    @property
    def symbols(self) -> list[str]:
        """The symbols that have sums, ascending."""
        return sorted(self._own)

    def advance(self, refit: str) -> None:
        """Add the buckets that a refit may train on."""
        for bucket, symbol, arrays in self._buckets.until(refit):
            sums = Sums.from_arrays(arrays, self._buckets.sums_of)
            if sums is None:
                continue
            if self._total is None:
                self._total = sums
            elif bucket == self._newest:
                self._total = self._total + sums
            else:
                self._total = self._total.fade(fading(self._newest, bucket)) + sums
            self._newest = bucket
            if symbol in self._own:
                before, own = self._own[symbol]
                sums = own.fade(fading(before, bucket)) + sums
            self._own[symbol] = (bucket, sums)

    def training(self, model: Model) -> Sums | None:
        """Return the sums of all horizons; None before there are any."""
        del model
        if self._total is None:
            return None
        return replace(
            self._total,
            own={
                symbol: sums.fade(fading(bucket, self._newest)) for symbol, (bucket, sums) in sorted(self._own.items())
            },
        )


def limit_newest(symbols: int) -> float:
    """Return how many rows of each symbol's newest bucket may be used, so that a pool has at most MOST_ROWS.

    Older buckets use fewer rows, as their weight decays.

    Example:
        >>> limit_newest(6), round(limit_newest(392), 1)
        (10240, 526.3)
    """
    shared = MOST_ROWS * (1.0 - fading("2019-01", "2019-02"))
    return min(SAMPLE_ROWS, shared / max(symbols, 1))


@dataclass(frozen=True)
class Part:
    """The remaining rows of a bucket's sample.

    Args:
        bucket: Name of the bucket.
        symbol: The symbol.
        rows: How many rows the bucket had.
        sample: The rows that remain.
    """

    bucket: str
    symbol: str
    rows: int
    sample: Sample

    def take_lowest(self, count: int) -> "Part":
        """Return at most `count` rows, those of the lowest keys, and free the others."""
        left = self.sample.take_lowest(count)
        return self if left is self.sample else replace(self, sample=replace(left, values=left.values.copy()))

    def fade(self, refit: str, most: float) -> Sample:
        """Return the rows with the weights that they have at a refit.

        The remaining rows share the decayed weight of `most` rows, or of all rows of the bucket if it had fewer.
        """
        share = fading(self.bucket, refit) * min(most, self.rows) / self.sample.rows
        return replace(self.sample, weight=self.sample.weight * np.float32(share))


class SamplePool:
    """Sampled rows of all symbols over the POOL_MONTHS before a refit, at most MOST_ROWS, in the order of their keys.

    A bucket decays by losing rows: that has the same effect as smaller weights, and fewer rows take less time. Where a
    bucket has few rows, they stay and their weights decay.

    Args:
        buckets: To read from.
        names: The features, in order.
    """

    def __init__(self, buckets: Buckets, names: tuple[str, ...]) -> None:
        self._buckets, self._names = buckets, names
        self._parts: list[Part] = []
        self._rows: Sample | None = None

    @property
    def symbols(self) -> list[str]:
        """The symbols that have rows, ascending."""
        return sorted({part.symbol for part in self._parts})

    def advance(self, refit: str) -> None:
        """Add the buckets that a refit may train on, and drop those that are too old for it."""
        oldest = str(np.datetime64(refit, "M") - POOL_MONTHS)
        most = limit_newest(self._buckets.symbols_until(refit))

        def quota(bucket: str) -> int:
            # It falls from refit to refit, so that the rows of the lowest keys are always among those that remain.
            return int(most * fading(bucket, refit))

        for bucket, symbol, arrays in self._buckets.until(refit, oldest):
            if arrays.get("sample.key", NO_KEYS).size:
                sample = Sample.from_arrays(arrays).of(symbol, self._buckets.symbols)
                self._parts.append(Part(bucket, symbol, sample.rows, sample))
        self._buckets.forget(oldest, quota)
        self._parts = [part.take_lowest(quota(part.bucket)) for part in self._parts if part.bucket > oldest]
        self._rows = None  # frees the rows of the refit before
        if faded := [part.fade(refit, most) for part in self._parts if part.sample.rows]:
            rows = Sample.concat(faded).take_lowest(MOST_ROWS)
            self._rows = replace(rows, values=rows.values.astype(np.float32))

    def training(self, model: Model) -> Sample | None:
        """Return the rows with a model's inputs and the targets of all horizons; None before there are any."""
        if self._rows is None:
            return None
        return replace(self._rows, values=model.design(self._rows.values, self._names))
