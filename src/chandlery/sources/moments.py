"""The times of the first rows as numbers: how regular they are, and how far those of two columns are apart."""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chandlery.grid import DAY_MS, MINUTE_MS
from chandlery.sources.columns import Columns
from chandlery.sources.times import TimeForm, parse_epochs, parse_texts

__all__ = [
    "REGULAR",
    "ROWS",
    "agree",
    "are_zones",
    "find_distances",
    "is_after",
    "is_candle",
    "is_day",
    "is_within",
    "measure_length",
    "measure_regularity",
    "parse_moments",
    "read_moments",
    "share_commonest",
]

ROWS = 300  # enough to tell
LEAST_ROWS = 2  # of a single one nothing is steady
FEW_ROWS = 10  # of which the least distance may be more than one candle
LEAST_REPEATS = 3  # rows of each distance from open to close, where several series have several
REGULAR = 0.5  # of the distances between times are equal
NEARLY_ALL = 0.9
QUARTER_MS = 900_000  # zones differ by whole quarters of an hour
SECOND_MS = 1000
WIDEST_MS = 14 * 3_600_000  # between a zone and UTC
LONGEST_MS = 7 * DAY_MS


def read_moments(table: Columns, place: int, form: TimeForm, beside: int | None = None) -> NDArray[np.float64]:
    """Return the times of the first rows in ms, NaN where a row has none.

    Args:
        table: The first rows.
        place: The column of the time.
        form: How it is written.
        beside: The second column of the time, where it stands in two.
    """
    texts, others = (
        None if each is None else [row[each] if len(row) > each else None for row in table.rows[:ROWS]]
        for each in (place, beside)
    )
    return parse_moments(texts or [], form, others)


def parse_moments(
    texts: Sequence[str | None], form: TimeForm, others: Sequence[str | None] | None = None
) -> NDArray[np.float64]:
    """Return texts as times in ms, NaN where one is no time.

    Args:
        texts: The times.
        form: How they are written.
        others: What stands in the second column, where they stand in two.
    """
    values = pl.Series(texts, dtype=pl.String)
    beside = None if others is None else pl.Series(others, dtype=pl.String)
    read, _ = parse_epochs(values, form) if form.form == "epoch" else parse_texts(values, form, beside=beside)
    moments: NDArray[np.float64] = read.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return moments


def measure_regularity(moments: NDArray[np.float64]) -> float:
    """Return the share of the distances between neighbouring times that are the commonest one."""
    return share_commonest(np.diff(np.unique(moments[np.isfinite(moments)])))


def share_commonest(distances: NDArray[np.float64]) -> float:
    """Return the share of distances that are equal to the commonest one; 0 if there are none."""
    if not distances.size:
        return 0.0
    _, counts = np.unique(distances, return_counts=True)
    return float(counts.max() / distances.size)


def find_distances(table: Columns, apart: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distances between the times of two columns; the longest one alone where each series has one.

    Series of different intervals have different times from open to close.
    """
    distances = np.unique(apart[np.isfinite(apart)])
    is_few = 1 < distances.size <= apart.size / LEAST_REPEATS
    if not is_few or not table.groups or not (np.sign(distances) == np.sign(distances[0])).all():
        return distances
    groups = np.array(table.groups[:ROWS])
    for group in np.unique(groups).tolist():
        of_group = apart[groups == group]
        if np.unique(of_group[np.isfinite(of_group)]).size > 1:
            return distances
    return distances[-1:] if distances[0] > 0 else distances[:1]


def agree(one: NDArray[np.float64], two: NDArray[np.float64]) -> bool:
    """Return whether two columns have the same times in most rows."""
    return bool((one == two).mean() > REGULAR)


def is_day(days: NDArray[np.float64], times: NDArray[np.float64]) -> bool:
    """Return whether a column has the day of each time of another one."""
    return bool(np.array_equal(days, times - times % DAY_MS, equal_nan=True))


def are_zones(one: TimeForm, other: TimeForm, distance: float) -> bool:
    """Return whether two columns so far apart (ms) may be one time in two zones: the texts of one have no offset."""
    return (one.is_naive or other.is_naive) and distance % QUARTER_MS == 0 and 0 < abs(distance) <= WIDEST_MS


def is_after(table: Columns, early: NDArray[np.float64], late: NDArray[np.float64]) -> bool:
    """Return whether times are a fixed time after others in nearly all rows, as the end of a candle is."""
    apart = late - early
    apart = apart[np.isfinite(apart)]
    if apart.size < LEAST_ROWS:
        return False
    if (distances := find_distances(table, late - early)).size == 1:
        return bool(0 < distances[0] <= LONGEST_MS)
    values, counts = np.unique(apart, return_counts=True)
    commonest = int(np.argmax(counts))
    return bool(counts[commonest] >= NEARLY_ALL * apart.size and 0 < values[commonest] <= LONGEST_MS)


def is_candle(table: Columns, early: NDArray[np.float64], late: NDArray[np.float64]) -> bool:
    """Return whether two columns are as far apart as a candle is long: as the times of each series are spaced.

    Rows may be missing, so that the least distance between times counts beside the commonest, and in a file of few
    rows also one of which all others are multiples.
    """
    found = []
    for rows in iter_series(table, len(early)):
        length = measure_length(late[rows] - early[rows])
        spacings = np.diff(np.unique(early[rows][np.isfinite(early[rows])]))
        if length is None or length > LONGEST_MS:
            return False
        is_few = spacings.size < FEW_ROWS and bool((spacings % length == 0).all())
        found.append(is_few or length in {spacings.min(), find_commonest(spacings)})
    return bool(found) and all(found)


def is_within(early: NDArray[np.float64], late: NDArray[np.float64]) -> bool:
    """Return whether times lie inside the candles that end at later, regular ones, as those of first trades do."""
    apart = (late - early)[np.isfinite(late - early)]
    spacings = np.diff(np.unique(late[np.isfinite(late)]))
    if not spacings.size or np.unique(early).size < LEAST_ROWS:
        return False
    inside = (apart >= 0) & (apart <= find_commonest(spacings))
    return bool(inside.mean() >= NEARLY_ALL and (apart > 0).any())


def iter_series(table: Columns, count: int) -> Iterator[NDArray[np.bool_]]:
    """Yield which of the first rows belong to each series."""
    groups = np.array(table.groups[:count] or [0] * count)
    for group in np.unique(groups).tolist():
        yield groups == group


def find_commonest(spacings: NDArray[np.float64]) -> float:
    """Return the commonest of some distances."""
    values, counts = np.unique(spacings, return_counts=True)
    return float(values[np.argmax(counts)])


def measure_length(apart: NDArray[np.float64]) -> int | None:
    """Return the length of a candle in ms by times from open to close; None if they are not steady.

    It is rounded up to whole seconds.
    """
    values, counts = np.unique(apart[np.isfinite(apart)], return_counts=True)
    if not values.size or counts.max() < NEARLY_ALL * counts.sum():
        return None
    length = -(-int(values[np.argmax(counts)]) // SECOND_MS) * SECOND_MS
    length += SECOND_MS * (length % MINUTE_MS == MINUTE_MS - SECOND_MS)  # up to the last second of a minute
    return length if length > 0 else None
