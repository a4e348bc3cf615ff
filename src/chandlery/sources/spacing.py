"""The interval of a file's candles and the grid that they open on, by how its times are spaced."""

import datetime as dt
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chandlery.grid import DAY_MS, DAY_SECONDS, HOUR_SECONDS, MINUTE_SECONDS, Grid
from chandlery.units import to_interval_text

__all__ = [
    "MIN_CANDLES",
    "MONTHS",
    "NEARLY_ALL",
    "SECOND_MS",
    "Spacing",
    "describe_grid",
    "find_commonest",
    "find_offset",
    "find_problem",
    "find_share",
    "measure_spacing",
]

MIN_CANDLES = 100  # of so many, a few that are off the grid are errors of the file and not evidence
LEAST_SPACINGS = 3  # equal ones: two may be equal by chance
NEARLY_ALL = 0.9  # of the times lie on the grid of a clear interval: the others are errors of the file
SECOND_MS = 1_000
LONGEST_SECONDS = 7 * DAY_SECONDS  # a longer candle would be a month, and months differ in length
SHORTEST_MONTH, LONGEST_MONTH = 28, 31
MONTHS = "its candles last a month, and months are not of equal length: they are not supported"
SAMPLE = 50_000  # times: more would cost time and not change the commonest spacing
CHANCE = 4  # standard errors of a count, within which two spacings are as common
LEAST_AS_COMMON = 10  # times that a spacing occurs before it counts as common


@dataclass(frozen=True)
class Spacing:
    """How times are spaced.

    Args:
        grid: The commonest spacing and its offset; None where there are fewer than two times.
        is_clear: Whether the times leave no doubt about it.
        problem: What is wrong with this spacing, where it is clear or nothing else is known; empty if nothing is.
    """

    grid: Grid | None
    is_clear: bool = False
    problem: str = ""


def measure_spacing(times: NDArray[np.int64]) -> Spacing:
    """Return how times are spaced.

    The commonest spacing is the interval; it is clear if at least 100 times lie on its grid but for a tenth, or if of
    fewer times at least three spacings, and half of all, are equal to it and the others are multiples. Of spacings
    that are as common but for chance it is the shortest.

    Args:
        times: Milliseconds, in any order.

    Example:
        >>> measure_spacing(np.arange(200) * 1_800_000)
        Spacing(grid=Grid(seconds=1800, offset=0), is_clear=True, problem='')
    """
    times = times[:SAMPLE]
    steps = np.diff(times)
    if not (steps > 0).all():
        times = np.unique(times)
        steps = np.diff(times)
    if not steps.size:
        return Spacing(None)
    spacings, counts = np.unique(steps, return_counts=True)
    longest = LONGEST_SECONDS * SECOND_MS
    if times.size > LEAST_SPACINGS and spacings[-1] > longest and np.median(steps) > longest:
        return Spacing(None, problem=describe_long(float(np.median(steps)) / DAY_MS))
    place = find_commonest(counts)
    commonest, count = int(spacings[place]), int(counts[place])
    is_regular = count >= LEAST_SPACINGS and 2 * count >= counts.sum()
    if commonest % SECOND_MS:
        problem = f"its times are {commonest} ms apart, which is no whole number of seconds" if is_regular else ""
        return Spacing(None, problem=problem)
    seconds = commonest // SECOND_MS
    grid = Grid(seconds, find_offset(times, seconds))
    few_agree = is_regular and bool((spacings % commonest == 0).all())
    is_clear = find_share(grid, times) >= NEARLY_ALL if times.size >= MIN_CANDLES else few_agree
    return Spacing(grid, is_clear, find_problem(grid) if is_clear else "")


def find_commonest(counts: NDArray[np.int64]) -> int:
    """Return the place of the commonest spacing; of those that are as common but for chance, of the shortest.

    A pair that trades in one of twenty minutes has candles one, two, three and more minutes apart about as often:
    which of these spacings occurs most is chance. Where one spacing makes up half of all, nothing is left to chance.

    Args:
        counts: How often each spacing occurs, from the shortest to the longest.

    Example:
        >>> find_commonest(np.array([130, 138, 121])), find_commonest(np.array([130, 900, 121]))
        (0, 1)
    """
    most = int(counts.max())
    if 2 * most >= counts.sum() or most < LEAST_AS_COMMON:
        return int(np.argmax(counts))
    return int(np.argmax(counts >= max(LEAST_AS_COMMON, most - CHANCE * np.sqrt(most))))


def describe_long(days: float) -> str:
    """Return what is wrong with candles that last longer than a week."""
    if SHORTEST_MONTH <= days <= LONGEST_MONTH:
        return MONTHS
    return f"its times are {days:g} days apart, and a week is the longest candle that is supported"


def find_offset(times: NDArray[np.int64], seconds: int) -> int:
    """Return how many seconds after a whole multiple of the interval most times lie; of several, the smallest.

    Example:
        >>> find_offset(np.array([345_600_000, 950_400_000]), 604_800)
        345600
    """
    offsets = times % (seconds * SECOND_MS) // SECOND_MS
    if not offsets.size:
        return 0
    if (offsets == offsets[0]).all():
        return int(offsets[0])
    found, counts = np.unique(offsets, return_counts=True)
    return int(found[np.argmax(counts)])


def find_problem(grid: Grid) -> str:
    """Return what is wrong with a grid; empty if nothing is."""
    if grid.seconds % MINUTE_SECONDS and HOUR_SECONDS % grid.seconds:
        return f"its times are {grid.seconds} s apart, which is neither whole minutes nor a part of an hour"
    if grid.offset and grid.seconds < HOUR_SECONDS and HOUR_SECONDS % grid.seconds == 0:
        return f"its times lie {grid.offset} s after each full {to_interval_text(grid.seconds)}, where no candle opens"
    if grid.offset % 60:
        return f"its times lie {grid.offset % 60} s after a full minute, so that they may be the ends of candles"
    return ""


def find_share(grid: Grid, times: NDArray[np.int64]) -> float:
    """Return the share of times (ms) at which candles of a grid open; 0 where there are none."""
    return float(((times - grid.offset * SECOND_MS) % grid.step_ms == 0).mean()) if times.size else 0.0


def describe_grid(grid: Grid) -> str:
    """Return a grid in words.

    Example:
        >>> describe_grid(Grid(60)), describe_grid(Grid(604_800, 345_600)), describe_grid(Grid(86_400, 18_000))
        ('1m', '10080m that open on Monday', '1440m that open at 05:00')
    """
    opens = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=grid.offset)  # noqa: DTZ001 - in UTC, and only shown
    clock = f" at {opens:%H:%M}" if grid.offset % DAY_SECONDS else ""
    day = f" on {opens:%A}" if grid.seconds == LONGEST_SECONDS else ""
    days = (
        f" {grid.offset // DAY_SECONDS} days after the full interval" if grid.offset >= DAY_SECONDS and not day else ""
    )
    return to_interval_text(grid.seconds) + (f" that open{days}{day}{clock}" if grid.offset else "")
