"""What every task of the forecast stage carries, and how time is cut for all of them alike."""

import itertools
from dataclasses import dataclass, replace
from functools import cache

import msgspec
import numpy as np
import polars as pl

from chandlery.errors import StateLostError
from chandlery.extensions import Bundle
from chandlery.grid import DAY_MS, Grid
from chandlery.lake.handle import Lake
from chandlery.state.arrays import Arrays, get_arrays, put_arrays
from chandlery.state.checkpoints import Span, lead_days
from chandlery.state.paths import Paths

__all__ = ["Added", "Arrays", "Block", "Rules", "SymbolTask", "Work", "months_between"]

MINUTE_SECONDS = 60
MONTH_DAYS = 31


class Rules(msgspec.Struct, frozen=True):
    """All that forecasts read of the settings: their fingerprint is a hash of exactly this.

    Args:
        interval_seconds: Length of a candle.
        offset: Seconds after 1970 at which a candle opens, less than its length.
        horizons: In minutes, ascending.
        reach: The longest label in minutes, no less than the longest horizon: rows train whose close so much later is
            known.
        models: By name, in the order of their columns.
        references: The market, leaders first: those of the lake's references that it has candles of.
        min_train_days: History of the pool before the first fit.
        seed: Of everything random.
        extensions: Digests of the user-defined files, in order.
    """

    interval_seconds: int
    offset: int
    horizons: tuple[int, ...]
    reach: int
    models: tuple[str, ...]
    references: tuple[str, ...]
    min_train_days: int
    seed: int
    extensions: tuple[str, ...]

    @property
    def grid(self) -> Grid:
        """When the candles open."""
        return Grid(self.interval_seconds, self.offset)

    @property
    def horizon_steps(self) -> tuple[int, ...]:
        """The horizons, in intervals."""
        return tuple(self.grid.count(minutes) for minutes in self.horizons)

    @property
    def reach_steps(self) -> int:
        """The reach, in intervals."""
        return self.grid.count(self.reach)

    @property
    def lead(self) -> int:
        """The embargo before each fit, in days."""
        return lead_days(self.reach)


@dataclass(frozen=True)
class Block:
    """The candles that close on some days of one UTC month and one bucket of training rows; long ones may be none.

    Args:
        start: First step.
        stop: Step after the last.
        day: The day at whose first midnight it ends, since 1970.
        bucket: The first refit (a month) that may train on its rows: an embargo of one lead lies between.
        saves: Whether the states at its end are a checkpoint.
    """

    start: int
    stop: int
    day: int
    bucket: str
    saves: bool


@dataclass(frozen=True)
class Added:
    """What is computed where a horizon or a model is added to finished forecasts; all else stays as it is.

    Args:
        horizons: Those at which forecasts are computed: the added ones, or all where a model is added.
        models: Those that are fitted: all where a horizon is added, or the added ones.
    """

    horizons: tuple[int, ...]
    models: tuple[str, ...]


@dataclass(frozen=True)
class Work:
    """What every task of the forecast stage carries.

    Args:
        lake: Where to read and write.
        span: The stretch of time to compute.
        rules: What decides results.
        first_day: The UTC day on which the first candle of any symbol closes, since 1970.
        extensions: User-defined features and models, in the order of their digests; carried as text, since the machine of
            a worker need not have the files.
        added: What alone is computed; None where it is everything.
    """

    lake: Lake
    span: Span
    rules: Rules
    first_day: int
    extensions: tuple[Bundle, ...]
    added: Added | None = None

    def __str__(self) -> str:
        return "all symbols"

    @property
    def fitted_horizons(self) -> tuple[int, ...]:
        """The horizons at which models are fitted."""
        return self.added.horizons if self.added else self.rules.horizons

    @property
    def fitted_models(self) -> tuple[str, ...]:
        """The models that are fitted."""
        return self.added.models if self.added else self.rules.models

    def narrow(self) -> "Work":
        """Return the work of tasks that compute each horizon by itself: with rules of those horizons alone."""
        return replace(self, rules=msgspec.structs.replace(self.rules, horizons=self.fitted_horizons))

    def blocks(self) -> list[Block]:
        """Cut the span at months, at buckets and at checkpoints; the same for every symbol.

        Of candles shorter than a minute a month would be too much memory: there are as many steps in a block as a
        month has minutes, or those of a day.
        """
        grid, lead, last = self.rules.grid, self.rules.lead, -(-self.span.stop_ms // DAY_MS)
        months = [int(np.datetime64(month, "D").astype(int)) for month in months_between(self.span.since, last)]
        edges = {*months, *(day - lead for day in months), *self.span.saves, self.span.since, last}
        if grid.seconds < MINUTE_SECONDS:
            most = max(1, MONTH_DAYS * grid.seconds // MINUTE_SECONDS)
            edges |= {day for day in range(self.span.since, last) if day % most == 0}
        days = sorted(day for day in edges if self.span.since <= day <= last)
        return [
            Block(grid.step_at(start), grid.step_at(stop), stop, next_month(start + lead), stop in self.span.saves)
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

    def join_held(self, path: str, arrays: Arrays) -> Arrays:
        """Return named arrays together with those of horizons that are not computed, which stay as they are stored.

        Raises:
            StateLostError: They are missing or damaged.
        """
        if self.added is None:
            return arrays
        held = get_arrays(self.lake.store, path)
        if held is None:
            raise StateLostError(path, self.span.since - 1)
        mine = tuple(f"{minutes}/" for minutes in self.added.horizons)
        return {name: array for name, array in held.items() if not name.startswith(mine)} | arrays

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
        first_day: The UTC day on which its first candle closes, since 1970.
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
