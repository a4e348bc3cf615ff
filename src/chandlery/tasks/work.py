"""What every task of the forecast stage carries, and how time is cut for all of them alike."""

import itertools
import re
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np
import polars as pl

from chandlery.checkpoints import Span, day_name
from chandlery.errors import StoreUnavailableError
from chandlery.features import keep_texts, read_extension
from chandlery.lake import Lake
from chandlery.state import get_arrays, put_arrays

__all__ = ["Block", "SymbolTask", "Work", "is_before", "months_between"]

Arrays = dict[str, np.ndarray]
Name = TypeVar("Name")


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
        lead: The embargo in days.
        references: The market, leaders first.
        extensions: Files with features and models of one's own.
        seed: Of everything random.
    """

    lake: Lake
    span: Span
    lead: int
    references: tuple[str, ...]
    extensions: tuple[str, ...]
    seed: int

    def __str__(self) -> str:
        return "all symbols"

    def __getstate__(self) -> tuple[dict[str, object], dict[str, bytes]]:
        return vars(self), {name: read_extension(name) for name in self.extensions}  # another machine need not have the files

    def __setstate__(self, state: tuple[dict[str, object], dict[str, bytes]]) -> None:
        fields, texts = state
        vars(self).update(fields)
        keep_texts(texts)

    def steps(self, day: int) -> int:
        """Return the step that opens at a day's midnight."""
        return day * 1440 // self.lake.interval_minutes

    def blocks(self) -> list[Block]:
        """Cut the span at months, at buckets and at checkpoints; the same for every symbol."""
        last = -(-self.span.stop_ms // 86_400_000)
        months = [int(np.datetime64(month, "D").astype(int)) for month in months_between(self.span.since, last)]
        edges = {*months, *(day - self.lead for day in months), *self.span.saves, self.span.since, last}
        days = sorted(day for day in edges if self.span.since <= day <= last)
        return [Block(self.steps(start), self.steps(stop), next_month(start + self.lead), stop in self.span.saves) for start, stop in itertools.pairwise(days)]

    def checkpoint(self, day: int, name: str) -> str:
        """Return the path of a state as of a day's midnight."""
        return f"state/checkpoints/{day_name(day)}/{name}.state"

    def restore(self, name: str) -> Arrays | None:
        """Return a state as of the span's first day; None where nothing had begun by then."""
        return get_arrays(self.lake.store, self.checkpoint(self.span.since, name)) if self.span.resumed else None

    def save(self, step: int, name: str, arrays: Arrays) -> None:
        """Keep a state as of the midnight at which a step opens."""
        self.lake.guard()
        put_arrays(self.lake.store, self.checkpoint(step * self.lake.interval_minutes // 1440, name), arrays)

    def drop_damaged(self, path: str) -> StoreUnavailableError:
        """Take a damaged object away, so that the next run misses it and makes it anew; return what to raise."""
        self.lake.guard()
        self.lake.store.delete(path)
        return StoreUnavailableError(f"{path} is damaged", "what the run before kept there", "run again: it is made anew")

    def read_candles(self, symbol: str) -> pl.DataFrame:
        """Return a symbol's candles, from a little before the span where it was resumed."""
        since = (self.span.since - self.lead) * 86_400_000 if self.span.resumed else 0
        return self.lake.read_candles(symbol, since)


@dataclass(frozen=True)
class SymbolTask:
    """One symbol's part of the work."""

    work: Work
    symbol: str

    def __str__(self) -> str:
        return self.symbol


def is_before(path: str, day: int, lead: int) -> bool:
    """Return whether an object holds what came before a day: a bucket that is whole by then, forecasts or fits of its year or earlier.

    Example:
        >>> [is_before(path, 18262, 1) for path in ("state/gather/LTCUSD/2020-01.state", "state/gather/LTCUSD/2020-02.state", "artefacts/all/tree-30m-2019.jsonl")]
        [True, False, True]
    """
    if path.startswith("state/gather/"):
        return path.rpartition("/")[2].removesuffix(".state") < next_month(day + lead)
    year = re.search(r"year=(\d{4})/|-(\d{4})\.jsonl$", path)
    return year is not None and int(year[1] or year[2]) <= int(day_name(day)[:4])


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
