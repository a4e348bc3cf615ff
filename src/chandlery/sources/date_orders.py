"""Whether the day or the month comes first, where the first rows have dates such as 01/01 that do not tell.

Later rows do: dates follow each other within hours in one order, and after a month in the other.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import count, islice

import numpy as np
from numpy.typing import NDArray

from chandlery.grid import DAY_MS
from chandlery.sources.decisions import Decision
from chandlery.sources.doubts import UndecidedError, paste
from chandlery.sources.layout import Layout
from chandlery.sources.parse import Batch
from chandlery.sources.times import TimeForm

__all__ = ["settle_order"]

NEAR_MS = 2 * DAY_MS  # between rows that follow each other; in a wrong order, the next day is 27 days away or more
OFTEN, SELDOM = 0.3, 0.05  # of rows whose dates differ between the orders: series may stand one behind the other
BEYOND = "its first day beyond the 12th"


def settle_order(layout: Layout, read: Callable[[Layout], Iterable[Batch]], source: str) -> Layout:
    """Return a layout with the order that later rows show, or the likelier one where all rows are the same in both.

    Args:
        layout: With an open order.
        read: Returns the rows of the file, as a layout has them.
        source: The file's name in messages.

    Raises:
        UndecidedError: Times differ between the orders, and rows do not tell which is right.
    """
    first, second = (layout.time.form, *layout.time.also)
    batches, last, rows, unread = iter(read(_in_order(layout, first))), np.empty(0), 0, 0
    for number in count():
        batch = next(batches, None)
        if batch is None:
            break
        column = batch.fields["time"]
        rows += len(column)
        if column.null_count():
            unread += column.null_count()
            if _count_unread(read(_in_order(layout, second)), rows) < unread:
                return _apply(layout, second, BEYOND)
            batches = islice(read(_in_order(layout, first)), number + 1, None)  # both move within the same file
        times = np.concatenate([last, column.drop_nulls().to_numpy().astype(np.float64)])
        other = swap_days(times)
        if np.isnan(other).any():  # a day that is no month
            return _apply(layout, first, BEYOND)
        steps, others = np.diff(times), np.diff(other)
        tells = steps != others
        if tells.any():
            near = [float((np.abs(each[tells]) <= NEAR_MS).mean()) for each in (steps, others)]
            if max(near) < OFTEN or min(near) > SELDOM:
                raise _doubt(layout.time, source)
            return _apply(layout, first if near[0] > near[1] else second, "its first dates that tell")
        last = times[-1:]
    return _apply(layout, first, "its dates, which are the same in each order")


def _count_unread(batches: Iterable[Batch], rows: int) -> int:
    """Return how many of the first rows have no time that can be read; in each order rows are cut otherwise."""
    unread = 0
    for batch in batches:
        column = batch.fields["time"].head(rows)
        unread, rows = unread + column.null_count(), rows - len(column)
        if not rows:
            break
    return unread


def _in_order(layout: Layout, order: str) -> Layout:
    """Return a layout by which rows are read in an order, as if their times were in UTC."""
    return replace(layout, time=replace(layout.time, form=order, also=(), timezone=""))


def swap_days(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return times with the day of the month in the place of the month; NaN where there is no such date.

    Args:
        times: Milliseconds since 1970.

    Example:
        >>> swap_days(np.array([1546387200000.0, 1546300800000.0])).astype("datetime64[ms]").astype(str).tolist()
        ['2019-02-01T00:00:00.000', '2019-01-01T00:00:00.000']
    """
    days = (times // DAY_MS).astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    years = days.astype("datetime64[Y]")
    day, month = (days - months).astype(np.int64), (months - years).astype(np.int64)  # from 0 on
    swapped_month = years.astype("datetime64[M]") + day
    swapped = swapped_month.astype("datetime64[D]") + month
    exists = (day < 12) & (swapped.astype("datetime64[M]") == swapped_month)  # noqa: PLR2004 - months
    ms = swapped.astype(np.int64) * float(DAY_MS) + times % DAY_MS
    return np.where(exists, ms, np.nan)


def _apply(layout: Layout, order: str, evidence: str) -> Layout:
    """Return a layout whose times are read in an order."""
    time, facts = replace(layout.time, form=order, also=()), layout.facts
    end = facts.end
    if end is not None and end[1].form == layout.time.form:
        end = (end[0], replace(end[1], form=order))
    decisions = {**facts.decisions, "time_format": Decision(order, evidence)}
    words = layout.words.removesuffix(layout.time.words) + time.words
    return replace(layout, time=time, words=words, facts=replace(facts, end=end, decisions=decisions))


def _doubt(time: TimeForm, source: str) -> UndecidedError:
    other = time.also[0]
    found = f"{source}: its dates can have the day or the month first, and its rows follow each other in neither order"
    hint = paste(source, {"time_format": time.form}, {"time_format": f'or "{other}"'})
    return UndecidedError("time_format", found, "dates that can be read in one way", hint)
