"""The columns by which rows say whether their candle had closed."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from chandlery.sources.column_order import MIN_ROWS
from chandlery.sources.columns import CLOSED_FLAGS, NAMES, Columns, list_plain

__all__ = ["find_flags"]

SOME_ROWS = 300
NEARLY_ALL = 0.9
WORDS = frozenset(["true", "false"])
DIGITS = frozenset("01")


def find_flags(table: Columns, taken: set[int], read_times: Callable[[], NDArray[np.float64]]) -> dict[str, int]:
    """Return the places of the columns that say that a candle had closed, as `closed`, or had not, as `partial`.

    A column whose name says that candles were open counts only if most were not: others may mean an open market.

    Without names, a column of true and false is a flag of closed candles. A column of 1 and 0 is one if it stands
    beside a volume and has 1 in all rows but those that need not have closed: the newest of a series, and those whose
    time stands once more with 1, as where a candle is written again. If all first rows have 1, it has to be the last
    column. A number of trades is another number now and then, and is 0 in the midst of a file.

    Args:
        table: The first rows.
        taken: Places of other columns.
        read_times: Returns the times of the whole rows in ms.
    """
    free = [place for place in range(table.width) if place not in taken]
    if table.names is not None:
        plain = {place: list_plain(table.names[place]) for place in free}
        found = {}
        for role in ("closed", "partial"):
            named = (place for known in NAMES[role].split() for place in free if known in plain[place])
            fitting = next((place for place in named if is_flag(table.texts(place), role)), None)
            if fitting is not None:
                found[role] = fitting
        return found
    words = [place for place in free if is_made_of(table.texts(place), WORDS)]
    if words:
        return {"closed": words[0]} if len(words) == 1 else {}
    rows = table.whole()
    digits = [place for place in free if is_made_of([row[place] for row in rows], DIGITS)]
    if len(digits) != 1 or len(digits) == len(free) or len(rows) < MIN_ROWS:
        return {}
    flags = np.array([row[digits[0]] == "1" for row in rows])
    if flags.all():
        return {"closed": digits[0]} if digits[0] == table.width - 1 else {}
    return {"closed": digits[0]} if fits_newest(flags, read_times(), table.whole_groups()) else {}


def is_made_of(texts: Sequence[str], known: frozenset[str]) -> bool:
    """Return whether a column has none but some texts."""
    return bool(texts) and {text.lower() for text in dict.fromkeys(texts)} <= known


def is_flag(texts: Sequence[str], role: str) -> bool:
    """Return whether most texts of a column are those of a flag, and whether most candles had closed by a `partial`."""
    flags = [CLOSED_FLAGS.get(text.lower()) for text in texts[:SOME_ROWS] if text]
    is_known = bool(flags) and sum(flag is not None for flag in flags) >= NEARLY_ALL * len(flags)
    return is_known and (role == "closed" or 2 * sum(flag is True for flag in flags) <= len(flags))


def fits_newest(flags: NDArray[np.bool_], times: NDArray[np.float64], groups: NDArray[np.int64]) -> bool:
    """Return whether all flags are set but for the newest row of a series, and rows whose time stands again."""
    if not flags.any():
        return False
    closed = set(zip(groups[flags].tolist(), times[flags].tolist(), strict=True))
    unset = set(zip(groups[~flags].tolist(), times[~flags].tolist(), strict=True)) - closed
    return all(time == times[groups == group].max() for group, time in unset)
