"""Runs of missing candles, and their kinds: how improbable it was at the time that nobody traded.

A symbol's habit is the share of steps that it traded in the 7 days before a run. The probability that a symbol with
this habit is quiet for the whole run is P = (1 − share)^missing. Everything is known at the end of the run: shares are
of the days before it, and other symbols count as listed if they traded in those days.

A day is here the whole number of steps that fit into one, counted from the first step of the grid: 1,440 steps of a
minute, 205 of 7 minutes (5 minutes less than a day), and a single step of half a day and longer, so that the habit
of daily, 3-day and weekly candles is that of 7 candles.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chandlery.elementwise import log1p_each
from chandlery.grid import DAY_SECONDS, Floats, Grid, Ints, Traded
from chandlery.machine.jit import kernel
from chandlery.schema import TIME

__all__ = ["Activity", "barriers", "combine_activity", "find_gaps", "measure_activity"]

HABIT_DAYS = 7  # a whole week, since pairs trade less at weekends
# A run that is less likely is no quiet. A symbol has up to 500,000 steps a year at which a run may begin, so that one
# or none of them is called a hole by chance; between the two limits the kind is `unknown`.
IMPROBABLE = 1e-6
DOUBTFUL = 1e-5
LEAST_OTHERS = 2  # silent symbols besides this one that make an outage of the exchange: one may have a hole of its own


@dataclass(frozen=True)
class Activity:
    """When symbols traded; the activities of several symbols can be added.

    Args:
        start: First step, the first of a day.
        traded: How many symbols traded at each step, uint16 (steps,).
        listed: How many traded in the 7 days before each day, (days,).
        log_quiet: Sum over these of log(1 − share of steps traded in those 7 days), (days,).
    """

    start: int
    traded: NDArray[np.uint16]
    listed: Ints
    log_quiet: Floats

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as named arrays."""
        days = {"listed": self.listed, "log_quiet": self.log_quiet}
        return {"start": np.array(self.start), "traded": self.traded, **days}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> "Activity":
        """Return the activity that `to_arrays` gave."""
        return cls(int(arrays["start"]), arrays["traded"], arrays["listed"], arrays["log_quiet"])

    @classmethod
    def nothing(cls) -> "Activity":
        """Return the activity of no symbol."""
        return cls(0, np.zeros(0, np.uint16), np.zeros(0, np.int64), np.zeros(0))


def count_day_steps(grid: Grid) -> int:
    """Return the steps that count as a day: as many as fit into one, and at least one.

    Example:
        >>> [count_day_steps(Grid(seconds)) for seconds in (60, 420, 86_400, 604_800)]
        [1440, 205, 1, 1]
    """
    return max(1, DAY_SECONDS // grid.seconds)


def measure_activity(traded: Traded, grid: Grid) -> Activity:
    """Return one symbol's activity, from its first day to a week after its last.

    Args:
        traded: Its steps with a candle.
        grid: The lake's.
    """
    day_steps = count_day_steps(grid)
    if traded.flags.size == 0:
        return Activity.nothing()
    first_day = traded.start // day_steps
    last_day = (traded.start + traded.flags.size - 1) // day_steps + HABIT_DAYS + 1
    days = last_day - first_day + 1
    start = first_day * day_steps
    each = np.zeros(days * day_steps, np.uint16)
    each[traded.start - start : traded.start - start + traded.flags.size] = traded.flags
    before = np.concatenate([[0], np.cumsum(each.reshape(days, day_steps).sum(axis=1, dtype=np.int64))])
    place = np.arange(days)
    count = before[place] - before[np.maximum(place - HABIT_DAYS, 0)]
    span = np.maximum(np.minimum(place, HABIT_DAYS), 1) * day_steps
    share = np.minimum(count / span, 1 - 1 / (span + 1))
    return Activity(start, each, (count > 0).astype(np.int64), log1p_each(-share))


def combine_activity(parts: Iterable[Activity], grid: Grid) -> Activity:
    """Return the activity of all symbols together; the parts are taken one at a time, to save memory."""
    total, day_steps = Activity.nothing(), count_day_steps(grid)
    for part in parts:
        if part.traded.size == 0:
            continue
        total = _widen(total, part, day_steps)
        first = part.start - total.start
        total.traded[first : first + part.traded.size] += part.traded
        days = slice(first // day_steps, first // day_steps + part.listed.size)
        total.listed[days] += part.listed
        total.log_quiet[days] += part.log_quiet
    return total


def _widen(total: Activity, part: Activity, day_steps: int) -> Activity:
    """Return an activity with the span of steps of both, and the counts of the first."""
    spans = [(each.start, each.start + each.traded.size) for each in (total, part) if each.traded.size]
    start, stop = min(first for first, _ in spans), max(last for _, last in spans)
    if (start, stop) == spans[0] and len(spans) > 1:
        return total
    days = (stop - start) // day_steps
    wide = Activity(start, np.zeros(stop - start, np.uint16), np.zeros(days, np.int64), np.zeros(days))
    if total.traded.size:
        wide.traded[total.start - start : total.start - start + total.traded.size] = total.traded
        first = (total.start - start) // day_steps
        days_of = slice(first, first + total.listed.size)
        wide.listed[days_of], wide.log_quiet[days_of] = total.listed, total.log_quiet
    return wide


def find_gaps(traded: Traded, grid: Grid, activity: Activity) -> pl.DataFrame:
    """Find a symbol's gaps, and sum up its quiet runs, which are no gaps, in one row per year.

    Returns:
        One row per gap or year of quiet runs, ascending: start, end, missing, kind, evidence.

    Args:
        traded: Its steps with a candle.
        grid: The lake's.
        activity: Of all symbols, including this one.
    """
    day_steps = count_day_steps(grid)
    own = measure_activity(traded, grid)
    flags = traded.flags
    ends = flags[:-1] & ~flags[1:], flags[1:] & ~flags[:-1]
    start, stop = (traded.start + np.flatnonzero(each) + 1 for each in ends)
    missing = stop - start
    span = np.clip(start - traded.start, 1, HABIT_DAYS * day_steps)
    count = count_before(flags, start - traded.start, span)
    log_p = missing * log1p_each(-np.minimum(count / span, 1 - 1 / (span + 1)))
    day = start // day_steps - activity.start // day_steps
    own_day = start // day_steps - own.start // day_steps
    others = activity.listed[day] - own.listed[own_day]
    log_all = log_p + missing * np.minimum(activity.log_quiet[day] - own.log_quiet[own_day], 0.0)
    heard = count_heard(activity.traded, start - activity.start, stop - activity.start)
    improbable, doubtful = np.log(IMPROBABLE), np.log(DOUBTFUL)
    silent = (others >= LEAST_OTHERS) & (heard == 0)
    is_outage = silent & (log_all < improbable)
    kind = np.select(
        [is_outage, log_p < improbable, (log_p < doubtful) | (silent & (log_all < doubtful))],
        ["outage", "hole", "unknown"],
        "",
    )
    is_together = is_outage | (log_p >= doubtful)  # the kind follows from the silence of all listed symbols
    chosen = np.flatnonzero(kind != "")
    gaps = pl.DataFrame(
        {"start": start[chosen], "end": stop[chosen], "missing": missing[chosen], "kind": kind[chosen].astype(object)},
        schema={"start": pl.Int64, "end": pl.Int64, "missing": pl.Int64, "kind": pl.String},
    )
    unit = "days" if day_steps > 1 or grid.seconds == DAY_SECONDS else "steps"
    whole = HABIT_DAYS * day_steps
    words = [
        f"{_describe_habit(int(count[k]), int(span[k]), whole, unit)}; "
        f"{_describe_chance(log_all[k] if is_together[k] else log_p[k], together=bool(is_together[k]))}; "
        f"{others[k]} others listed, {heard[k]} candles of theirs"
        for k in chosen
    ]
    gaps = gaps.with_columns(pl.Series("evidence", words, pl.String))
    quiet = _sum_quiet(start[kind == ""], missing[kind == ""], traded, grid)
    return _to_table(pl.concat([gaps, quiet]), grid)


def _to_table(gaps: pl.DataFrame, grid: Grid) -> pl.DataFrame:
    """Return gaps with their start and end, which are counted in steps, as times."""
    times = [(pl.col(name) * grid.step_ms + grid.offset * 1_000).cast(TIME) for name in ("start", "end")]
    return gaps.sort("start", "kind").select(*times, "missing", "kind", "evidence")


@kernel
def count_before(flags, stop, span):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return how many of the `span` flags before each `stop` are set; stops and beginnings ascend."""
    count = np.zeros(stop.size, np.int64)
    low = high = running = 0
    for i in range(stop.size):
        while high < stop[i]:
            running += flags[high]
            high += 1
        while low < stop[i] - span[i]:
            running -= flags[low]
            low += 1
        count[i] = running
    return count


@kernel
def count_heard(traded, start, stop):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return how many candles there are in each stretch [start, stop)."""
    heard = np.zeros(start.size, np.int64)
    for i in range(start.size):
        for step in range(start[i], stop[i]):
            heard[i] += traded[step]
    return heard


def barriers(gaps: pl.DataFrame, grid: Grid) -> Ints:
    """Return the steps that no label may cross: start and stop of every gap other than quiet runs, (k, 2)."""
    real = gaps.filter(pl.col("kind") != "no_trade").sort("start")
    times = [real[name].dt.epoch("ms").to_numpy() for name in ("start", "end")]
    return np.column_stack([grid.steps_of(ms) for ms in times]).astype(np.int64)


def _describe_habit(count: int, span: int, whole: int, unit: str) -> str:
    """Describe how many of the steps before a run were traded.

    Args:
        count: How many.
        span: Of how many steps: fewer than `whole` soon after the first candle of a symbol.
        whole: Steps of 7 days.
        unit: Whether the 7 are days or steps.
    """
    full = f"the steps of the {HABIT_DAYS} days before" if unit == "days" else f"the {HABIT_DAYS} steps before"
    before = full if span == whole else f"the {span:,} steps since the first candle"
    return f"traded {count / span * 100:.1f} % of {before}"


def _describe_chance(log_p: float, *, together: bool) -> str:
    """Describe the chance that decided the kind."""
    whose = "mere quiet of it and the others at once" if together else "mere quiet"
    return f"chance of {whose} 1e{log_p / np.log(10):.1f}"


def _sum_quiet(start: Ints, missing: Ints, traded: Traded, grid: Grid) -> pl.DataFrame:
    """Return one row per year with the sum of the quiet runs that begin in it."""
    schema = {"start": pl.Int64, "end": pl.Int64, "missing": pl.Int64, "kind": pl.String, "evidence": pl.String}
    if start.size == 0:
        return pl.DataFrame(schema=schema)
    years = grid.open_ms(start).astype("datetime64[ms]").astype("datetime64[Y]").astype(int)
    rows = []
    for year in np.unique(years):
        chosen = years == year
        first, last = int(start[chosen][0]), int((start + missing)[chosen][-1])
        runs, total = int(chosen.sum()), int(missing[chosen].sum())
        candles = int(traded.flags[first - traded.start : last - traded.start].sum())
        longest = int(missing[chosen].max())
        evidence = f"{runs} quiet runs, the longest of {longest} steps, between {candles} candles"
        rows.append((first, last, total, "no_trade", evidence))
    return pl.DataFrame(rows, schema=schema, orient="row")
