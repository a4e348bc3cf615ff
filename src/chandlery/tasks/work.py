"""What every task of the forecast stage receives, and the blocks into which all of them cut time."""

import itertools
from dataclasses import dataclass, replace
from functools import cache

import msgspec
import numpy as np
import polars as pl

from chandlery.errors import StateLostError
from chandlery.extensions import Bundle
from chandlery.grid import DAY_MS, MINUTE_SECONDS, Grid
from chandlery.lake.handle import Lake
from chandlery.state.arrays import Arrays, get_arrays, put_arrays
from chandlery.state.checkpoints import Span, lead_days
from chandlery.state.paths import Paths, parse_day
from chandlery.tasks.traded import read_traded

__all__ = ["Added", "Arrays", "Block", "Rules", "SymbolTask", "Work", "months_between"]

MONTH_DAYS = 31  # of the longest month


class Rules(msgspec.Struct, frozen=True):
    """All settings that forecasts depend on: their fingerprint is a hash of exactly this object.

    Args:
        interval_seconds: Length of a candle.
        offset: Seconds after 1970 at which a candle opens, less than its length.
        horizons: In minutes, ascending.
        reach: The longest label in minutes, at least the longest horizon. A row may train once the close that many
            minutes after it is known.
        models: Names of the models, in the order of their columns.
        references: The symbols that the market consists of, leaders first: the series' references that have candles.
        min_train_days: Days of history before the first fit.
        seed: For everything that is drawn at random.
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
        """The horizons in steps."""
        return tuple(self.grid.count(minutes) for minutes in self.horizons)

    @property
    def reach_steps(self) -> int:
        """The reach in steps."""
        return self.grid.count(self.reach)

    @property
    def lead(self) -> int:
        """The embargo before each fit, in days."""
        return lead_days(self.reach)


@dataclass(frozen=True)
class Block:
    """The candles that close on some days of one UTC month and one bucket of training rows.

    A block may have no steps if a candle lasts longer than the days of the block.

    Args:
        start: The first step.
        stop: The step after the last.
        day: The UTC day at whose midnight the block ends, since 1970.
        bucket: The first refit (a month) that may train on its rows: at least the embargo lies between.
        saves: Whether the states at its end are stored as a checkpoint.
    """

    start: int
    stop: int
    day: int
    bucket: str
    saves: bool


@dataclass(frozen=True)
class Added:
    """What is computed when a horizon or a model is added to finished forecasts. Everything else stays as it is.

    Args:
        horizons: The horizons that are computed: the added ones, or all if a model is added.
        models: The models that are fitted: the added ones, or all if a horizon is added.
    """

    horizons: tuple[int, ...]
    models: tuple[str, ...]


@dataclass(frozen=True)
class Work:
    """What every task of the forecast stage receives.

    Args:
        lake: The series to read and write.
        span: The stretch of time to compute.
        rules: The settings that decide results.
        first_day: The UTC day on which the first candle of any symbol closes, since 1970.
        extensions: The user-defined files, in the order of `Rules.extensions`. They are passed as text, because the
            machine of a worker may not have the files.
        added: What is computed in an addition; None if everything is.
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
        """Return the work limited to the fitted horizons, for tasks that compute each horizon by itself."""
        return replace(self, rules=msgspec.structs.replace(self.rules, horizons=self.fitted_horizons))

    def blocks(self) -> list[Block]:
        """Cut the span at months, buckets and checkpoints, in the same way for every symbol.

        A month of candles that are shorter than a minute would take too much memory. Their blocks are shorter: they
        have about as many steps as a month has minutes, but at least those of a day.
        """
        grid, lead, last = self.rules.grid, self.rules.lead, -(-self.span.stop_ms // DAY_MS)
        months = [parse_day(month) for month in months_between(self.span.since, last)]
        edges = {*months, *(day - lead for day in months), *self.span.saves, self.span.since, last}
        if grid.seconds < MINUTE_SECONDS:
            most_days = max(1, MONTH_DAYS * grid.seconds // MINUTE_SECONDS)
            edges |= {day for day in range(self.span.since, last) if day % most_days == 0}
        days = sorted(day for day in edges if self.span.since <= day <= last)
        return [
            Block(grid.step_at(start), grid.step_at(stop), stop, next_month(start + lead), stop in self.span.saves)
            for start, stop in itertools.pairwise(days)
        ]

    def restore(self, stage: str, symbol: str) -> Arrays:
        """Read a stage's state of a symbol from the checkpoint at the span's first day.

        Raises:
            StateLostError: It is missing or damaged.
        """
        path = Paths.of(self.lake).checkpoint(self.span.since, stage, symbol)
        arrays = get_arrays(self.lake.store, path)
        if arrays is None:
            raise StateLostError(path, self.span.since - 1)
        return arrays

    def save(self, day: int, stage: str, symbol: str, arrays: Arrays) -> None:
        """Write a stage's state of a symbol to the checkpoint at a day's midnight.

        Raises:
            LeaseHeldError: Another run has taken the lake.
        """
        self.lake.guard()
        put_arrays(self.lake.store, Paths.of(self.lake).checkpoint(day, stage, symbol), arrays)

    def add_other_horizons(self, path: str, arrays: Arrays) -> Arrays:
        """Add the stored arrays of horizons that an addition does not compute.

        Args:
            path: Of the stored object.
            arrays: The arrays of the computed horizons.

        Raises:
            StateLostError: The object is missing or damaged.
        """
        if self.added is None:
            return arrays
        stored = get_arrays(self.lake.store, path)
        if stored is None:
            raise StateLostError(path, self.span.since - 1)
        computed = tuple(f"{minutes}/" for minutes in self.added.horizons)
        return {name: array for name, array in stored.items() if not name.startswith(computed)} | arrays

    def read_candles(self, symbol: str) -> pl.DataFrame:
        """Read the traded candles of a symbol in the span; if the span is resumed, from one lead before it on."""
        if not self.span.resumed:
            return read_traded(self.lake, symbol)
        return read_traded(self.lake, symbol, (self.span.since - self.rules.lead) * DAY_MS, self.span.stop_ms)


@dataclass(frozen=True)
class SymbolTask:
    """One symbol's part of the work.

    Args:
        work: What all symbols share.
        symbol: The symbol.
        first_day: The UTC day on which its first candle closes, since 1970.
    """

    work: Work
    symbol: str
    first_day: int

    def __str__(self) -> str:
        return self.symbol

    @property
    def is_resumed(self) -> bool:
        """Whether the checkpoint at the span's first day has states of the symbol: it had candles by then."""
        return self.work.span.resumed and self.first_day < self.work.span.since


@cache
def next_month(day: int) -> str:
    """Return the month that follows the month of a day.

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
