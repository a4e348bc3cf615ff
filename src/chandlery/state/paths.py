"""The paths of all state: no other module contains these names.

One object is the output of one task for one symbol, stage and checkpoint. No object is written by two tasks. Exchange
and interval come first in every path, as in the paths of the tables.
"""

import re
from dataclasses import dataclass

import numpy as np

from chandlery.lake.handle import Lake

__all__ = ["ALL", "STATE", "SUMMARY", "Paths", "day_name", "is_known", "parse_day"]

STATE = "state/"
SUMMARY = "state/summary.json"
ALL = "all"  # in place of a symbol, for what all symbols share
KNOWN = re.compile(
    r"state/(summary\.json|exchange=[^/]+/interval=[^/]+/"
    r"(activity\.state|(ingest|scores|market)/[^/]+\.state|gather/\d{4}-\d\d/[^/]+\.state"
    r"|checkpoints/\d{4}-\d\d-\d\d/(market|gather|forecast)/[^/]+\.state))"
)


def day_name(day: int) -> str:
    """Return a day since 1970 as text.

    Example:
        >>> day_name(18262)
        '2020-01-01'
    """
    return str(np.datetime64(day, "D"))


def parse_day(name: str) -> int:
    """Return the day since 1970 of a text, the first one where it names a month or a year.

    Example:
        >>> parse_day("2020-01-01"), parse_day("2020-01"), parse_day("2020")
        (18262, 18262, 18262)
    """
    return int(np.datetime64(name, "D").astype(int))


def is_known(path: str) -> bool:
    """Return whether a path below `STATE` is one that this version writes.

    Example:
        >>> is_known("state/exchange=kraken/interval=1m/ingest/LTCUSD.state"), is_known("state/ingest/LTCUSD.state")
        (True, False)
    """
    return KNOWN.fullmatch(path) is not None


@dataclass(frozen=True)
class Paths:
    """The paths of the state of one series.

    Args:
        series: The folders of the series, as in `exchange=kraken/interval=1m`.

    Example:
        >>> paths = Paths("exchange=kraken/interval=1m")
        >>> paths.checkpoint(18262, "gather", "LTCUSD")
        'state/exchange=kraken/interval=1m/checkpoints/2020-01-01/gather/LTCUSD.state'
        >>> paths.artefact("sample", "2019", "LTCUSD")
        'artefacts/exchange=kraken/interval=1m/LTCUSD/sample-2019.jsonl'
    """

    series: str

    @classmethod
    def of(cls, lake: Lake) -> "Paths":
        """Return the paths of the series that a lake is open for."""
        return cls("/".join(f"{name}={value}" for name, value in lake.keys.items()))

    @property
    def state(self) -> str:
        """The folder of all state of the series, artefacts apart."""
        return f"{STATE}{self.series}/"

    @property
    def artefacts(self) -> str:
        """The folder of all artefacts."""
        return f"artefacts/{self.series}/"

    @property
    def buckets(self) -> str:
        """The folder of all training rows."""
        return f"{self.state}gather/"

    @property
    def checkpoints(self) -> str:
        """The folder of all checkpoints."""
        return f"{self.state}checkpoints/"

    @property
    def markets(self) -> str:
        """The folder of the market's blocks."""
        return f"{self.state}market/"

    @property
    def activity(self) -> str:
        """The path of the numbers of symbols that traded at each step."""
        return f"{self.state}activity.state"

    def ingest(self, symbol: str) -> str:
        """Return the path of what ingest stores for a symbol: its files, days and steps."""
        return f"{self.state}ingest/{symbol}.state"

    def bucket(self, month: str, symbol: str) -> str:
        """Return the path of a symbol's training rows that refits from a month on may use."""
        return f"{self.buckets}{month}/{symbol}.state"

    def market(self, start: int) -> str:
        """Return the path of the market for the block that starts at a step; it is deleted at the end of the run."""
        return f"{self.markets}{start}.state"

    def checkpoint(self, day: int, stage: str, symbol: str = ALL) -> str:
        """Return the path of a stage's state of a symbol, as of the midnight that begins a day."""
        return f"{self.checkpoints}{day_name(day)}/{stage}/{symbol}.state"

    def scores(self, symbol: str) -> str:
        """Return the path of the score sums of a symbol, for all horizons."""
        return f"{self.state}scores/{symbol}.state"

    def artefact(self, fit: str, year: str, symbol: str = ALL) -> str:
        """Return the path of the fits of a year by one fit task: the common parts, or those of one symbol."""
        return f"{self.artefacts}{symbol}/{fit}-{year}.jsonl"
