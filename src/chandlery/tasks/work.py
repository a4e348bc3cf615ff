"""What every task of the forecast stage carries, and how time is cut for all of them alike."""

import itertools
from dataclasses import dataclass
from functools import cache

import msgspec
import numpy as np
import polars as pl

from chandlery.errors import StateLostError
from chandlery.extensions import Bundle, extension_bundle, keep_bundles
from chandlery.grid import DAY_MS
from chandlery.lake import Lake
from chandlery.state.arrays import Arrays, get_arrays, put_arrays
from chandlery.state.checkpoints import Span, lead_days
from chandlery.state.paths import Paths

__all__ = ["Arrays", "Block", "Rules", "SymbolTask", "Work", "months_between"]


class Rules(msgspec.Struct, frozen=True):
    """All that forecasts read of the settings: their fingerprint is a hash of exactly this.

    Args:
        interval_minutes: Length of a candle.
        horizons: In minutes, ascending.
        models: By name, in the order of their columns.
        references: The market, leaders first: those of the lake's references that it has candles of.
        min_train_days: History of the pool before the first fit.
        seed: Of everything random.
        extensions: Digests of the user-defined files, in order.
    """

    interval_minutes: int
    horizons: tuple[int, ...]
    models: tuple[str, ...]
    references: tuple[str, ...]
    min_train_days: int
    seed: int
    extensions: tuple[str, ...]

    @property
    def horizon_steps(self) -> tuple[int, ...]:
        """The horizons, in intervals."""
        return tuple(minutes // self.interval_minutes for minutes in self.horizons)

    @property
    def lead(self) -> int:
        """The embargo before each fit, in days."""
        return lead_days(self.horizons)


@dataclass(frozen=True)
class Block:
    """A stretch of whole days in one UTC month and in one bucket of training rows.

    Args:
        start: First step.
        stop: Step after the last.
        bucket: The first refit (a month) that may train on its rows: an embargo of one lead lies between.
        saves: Whether the states at its end are a checkpoint.
    """

    start: int
    stop: int
    bucket: str
    saves: bool


@dataclass(frozen=True)
class Work:
    """What every task of the forecast stage carries.

    Args:
        lake: Where to read and write.
        span: The stretch of time to compute.
        rules: What decides results.
        first_day: First UTC day with a candle of any symbol, since 1970.
        extensions: Paths of user-defined files with features and models, in the order of their digests.
    """

    lake: Lake
    span: Span
    rules: Rules
    first_day: int
    extensions: tuple[str, ...]

    def __str__(self) -> str:
        return "all symbols"

    def __getstate__(self) -> tuple[dict[str, object], dict[str, Bundle]]:
        return vars(self), {name: extension_bundle(name) for name in self.extensions}  # another machine need not have the files

    def __setstate__(self, state: tuple[dict[str, object], dict[str, Bundle]]) -> None:
        fields, bundles = state
        vars(self).update(fields)
        keep_bundles(bundles)

    def steps(self, day: int) -> int:
        """Return the step that opens at a day's midnight."""
        return day * 1440 // self.rules.interval_minutes

    def day_of(self, step: int) -> int:
        """Return the day at whose midnight a step opens."""
        return step * self.rules.interval_minutes // 1440

    def blocks(self) -> list[Block]:
        """Cut the span at months, at buckets and at checkpoints; the same for every symbol."""
        lead, last = self.rules.lead, -(-self.span.stop_ms // DAY_MS)
        months = [int(np.datetime64(month, "D").astype(int)) for month in months_between(self.span.since, last)]
        edges = {*months, *(day - lead for day in months), *self.span.saves, self.span.since, last}
        days = sorted(day for day in edges if self.span.since <= day <= last)
        return [
            Block(self.steps(start), self.steps(stop), next_month(start + lead), stop in self.span.saves)
            for start, stop in itertools.pairwise(days)
        ]

    def restore(self, stage: str, symbol: str) -> Arrays:
        """Return a stage's state of a symbol as of the span's first day.

        Raises:
            StateLostError: It is missing or damaged.
        """
        path = Paths.of(self.lake).checkpoint(self.span.since, stage, symbol)
        arrays = get_arrays(self.lake.store, path)
        if arrays is None:
            raise StateLostError(path, self.span.since - 1)
        return arrays

    def save(self, day: int, stage: str, symbol: str, arrays: Arrays) -> None:
        """Put a stage's state of a symbol as of a day's midnight."""
        self.lake.guard()
        put_arrays(self.lake.store, Paths.of(self.lake).checkpoint(day, stage, symbol), arrays)

    def read_candles(self, symbol: str) -> pl.DataFrame:
        """Return a symbol's candles, from a little before the span where it was resumed."""
        if not self.span.resumed:
            return self.lake.read_candles(symbol)
        return self.lake.read_candles(symbol, (self.span.since - self.rules.lead) * DAY_MS, self.span.stop_ms)


@dataclass(frozen=True)
class SymbolTask:
    """One symbol's part of the work.

    Args:
        work: What all symbols share.
        symbol: Which.
        first_day: First UTC day with a candle of it, since 1970.
    """

    work: Work
    symbol: str
    first_day: int

    def __str__(self) -> str:
        return self.symbol

    @property
    def is_resumed(self) -> bool:
        """Whether there are states of it as of the span's first day: it had begun by then."""
        return self.work.span.resumed and self.first_day < self.work.span.since


@cache
def next_month(day: int) -> str:
    """Return the month after a day's.

    Example:
        >>> next_month(18262)
        '2020-02'
    """
    return str(np.datetime64(day, "D").astype("datetime64[M]") + 1)


def months_between(first_day: int, last_day: int) -> list[str]:
    """Return the months whose first day lies in [first_day, last_day].

    Example:
        >>> months_between(18261, 18300)
        ['2020-01', '2020-02']
    """
    first, last = (np.datetime64(day, "D").astype("datetime64[M]") for day in (first_day - 1, last_day))
    return [str(month) for month in np.arange(first + 1, last + 1)]
