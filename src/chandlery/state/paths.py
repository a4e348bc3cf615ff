"""The paths of all state: no other module contains these names.

One object holds the output of one task: of one symbol, stage and checkpoint. No object is written by two tasks.
"""

import re

import numpy as np

__all__ = [
    "ALL",
    "ARTEFACTS",
    "BUCKETS",
    "CHECKPOINTS",
    "MARKET",
    "STATE",
    "SUMMARY",
    "activity_path",
    "artefact_path",
    "bucket_path",
    "checkpoint_folder",
    "checkpoint_path",
    "day_name",
    "ingest_path",
    "is_known",
    "market_path",
    "scores_path",
]

STATE = "state/"
SUMMARY = "state/summary.json"
CHECKPOINTS = "state/checkpoints/"
BUCKETS = "state/gather/"
MARKET = "state/market/"
ARTEFACTS = "artefacts/"
ALL = "all"  # in place of a symbol: what all symbols share
KNOWN = re.compile(
    r"state/(summary\.json|activity\.state|(ingest|scores|market)/[^/]+\.state|gather/\d{4}-\d\d/[^/]+\.state"
    r"|checkpoints/\d{4}-\d\d-\d\d/(market|gather|forecast)/[^/]+\.state)"
)


def day_name(day: int) -> str:
    """Return a day since 1970 as text.

    Example:
        >>> day_name(18262)
        '2020-01-01'
    """
    return str(np.datetime64(day, "D"))


def is_known(path: str) -> bool:
    """Return whether a path below `STATE` is one that this version writes.

    Example:
        >>> is_known("state/ingest/LTCUSD.state"), is_known("state/traded/LTCUSD.state")
        (True, False)
    """
    return KNOWN.fullmatch(path) is not None


def ingest_path(symbol: str) -> str:
    """Return the path of what ingest stores for a symbol: its files, days and steps."""
    return f"state/ingest/{symbol}.state"


def activity_path() -> str:
    """Return the path of the number of symbols that traded at each step."""
    return "state/activity.state"


def bucket_path(month: str, symbol: str) -> str:
    """Return the path of a symbol's training rows that no refit before a month may use.

    Example:
        >>> bucket_path("2019-02", "LTCUSD")
        'state/gather/2019-02/LTCUSD.state'
    """
    return f"{BUCKETS}{month}/{symbol}.state"


def market_path(start: int) -> str:
    """Return the path of the market for the block that starts at a step; it is deleted at the end of the run."""
    return f"{MARKET}{start}.state"


def checkpoint_folder(day: int) -> str:
    """Return the folder of all states as of the midnight that begins a day."""
    return f"{CHECKPOINTS}{day_name(day)}/"


def checkpoint_path(day: int, stage: str, symbol: str = ALL) -> str:
    """Return the path of a stage's state of a symbol, as of the midnight that begins a day.

    Example:
        >>> checkpoint_path(18262, "gather", "LTCUSD")
        'state/checkpoints/2020-01-01/gather/LTCUSD.state'
    """
    return f"{checkpoint_folder(day)}{stage}/{symbol}.state"


def scores_path(symbol: str) -> str:
    """Return the path of the score sums of a symbol, for all horizons."""
    return f"state/scores/{symbol}.state"


def artefact_path(fit: str, year: str, symbol: str = ALL) -> str:
    """Return the path of the fits of a year by one fit task: the common parts, or those of one symbol.

    Example:
        >>> artefact_path("sample", "2019"), artefact_path("sample", "2019", "LTCUSD")
        ('artefacts/all/sample-2019.jsonl', 'artefacts/LTCUSD/sample-2019.jsonl')
    """
    return f"{ARTEFACTS}{symbol}/{fit}-{year}.jsonl"
