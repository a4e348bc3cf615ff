"""Numbers that are times: the unit in which they count from 1970."""

from bisect import bisect
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

__all__ = ["EARLIEST_S", "EPOCH_DIGITS", "LATEST_S", "PER_SECOND", "are_small", "find_unit", "find_units"]

PER_SECOND = {"s": 1, "ms": 1000, "us": 10**6, "ns": 10**9}
EARLIEST_S, LATEST_S = 1_230_940_800, 4_102_444_800  # 2009-01-03 and 2100-01-01
EDGES = [edge * per for per in PER_SECOND.values() for edge in (EARLIEST_S, LATEST_S)]  # of the years in each unit
EPOCH_DIGITS = 10  # of a time in seconds: a number in exponent form with fewer has lost some
UNIT_AT = {2 * number + 1: unit for number, unit in enumerate(PER_SECOND)}  # by the place among these edges
SMALLEST = 20_090_000  # a date of 2009 as in 20090131


def find_unit(text: str) -> str:
    """Return the unit in which a number is a time of 2009 to 2100; empty if it is none.

    Example:
        >>> [find_unit(text) for text in ("1368976980", "1368976980000", "1.368976980e9", "1.7E+12", "3.14")]
        ['s', 'ms', 's', '', '']
    """
    try:
        value = float(text)
    except ValueError:
        return ""
    if ("e" in text or "E" in text) and has_lost_digits(text):
        return ""
    place = bisect(EDGES, value)
    return UNIT_AT.get(place, "")


def find_units(texts: Sequence[str]) -> list[str]:
    """Return for each text what `find_unit` does, at once where all are numbers without an exponent."""
    try:
        values = np.array([] if "e" in "".join(texts).lower() else texts, np.float64)
    except ValueError:
        values = np.array([])
    if not values.size:
        return [find_unit(text) for text in texts]
    return [UNIT_AT.get(place, "") for place in np.searchsorted(EDGES, values, side="right").tolist()]


def are_small(texts: Sequence[str]) -> bool:
    """Return whether texts are numbers too small for a time, as those of most columns are."""
    with suppress(ValueError):
        return max(map(float, texts)) < SMALLEST
    return False


def has_lost_digits(text: str) -> bool:
    """Return whether a number in exponent form has fewer digits than a time has."""
    mantissa, mark, _ = text.lower().partition("e")
    return bool(mark) and sum(letter.isdigit() for letter in mantissa.lstrip("+-0.")) < EPOCH_DIGITS
