"""Where everything that runs remember stands: the only module that knows these names.

One object holds what one task computed: of a symbol, a stage and a checkpoint. No object is written by two tasks.
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
ALL = "all"  # in place of a symbol: what is common to all
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
    """Return whether an object below `STATE` has a name that this version gives.

    Example:
        >>> is_known("state/ingest/LTCUSD.state"), is_known("state/traded/LTCUSD.state")
        (True, False)
    """
    return KNOWN.fullmatch(path) is not None


def ingest_path(symbol: str) -> str:
    """Return where the files, days and steps of a symbol are remembered."""
    return f"state/ingest/{symbol}.state"


def activity_path() -> str:
    """Return where it is remembered how many symbols traded at each step."""
    return "state/activity.state"


def bucket_path(month: str, symbol: str) -> str:
    """Return where a symbol's training rows stand that no refit before a month may use.

    Example:
        >>> bucket_path("2019-02", "LTCUSD")
        'state/gather/2019-02/LTCUSD.state'
    """
    return f"{BUCKETS}{month}/{symbol}.state"


def market_path(start: int) -> str:
    """Return where the market of the block that starts at a step stands, for as long as a run needs it."""
    return f"{MARKET}{start}.state"


def checkpoint_folder(day: int) -> str:
    """Return the folder of all states as of a day's midnight."""
    return f"{CHECKPOINTS}{day_name(day)}/"


def checkpoint_path(day: int, stage: str, symbol: str = ALL) -> str:
    """Return where a stage's state of a symbol stands, as of a day's midnight.

    Example:
        >>> checkpoint_path(18262, "gather", "LTCUSD")
        'state/checkpoints/2020-01-01/gather/LTCUSD.state'
    """
    return f"{checkpoint_folder(day)}{stage}/{symbol}.state"


def scores_path(symbol: str) -> str:
    """Return where the score sums of a symbol stand, of all horizons."""
    return f"state/scores/{symbol}.state"


def artefact_path(fit: str, year: str, symbol: str = ALL) -> str:
    """Return the name of the text with the fits of a year that one fit task made: the common parts, or those of one symbol.

    Example:
        >>> artefact_path("sample", "2019"), artefact_path("sample", "2019", "LTCUSD")
        ('artefacts/all/sample-2019.jsonl', 'artefacts/LTCUSD/sample-2019.jsonl')
    """
    return f"{ARTEFACTS}{symbol}/{fit}-{year}.jsonl"
