"""Where a forecast run can resume: at the newest checkpoint whose past is unchanged.

A checkpoint at midnight *c* has all states as of *c*. It depends on the candles before *c* plus one lead (the longest
label in whole days: labels of rows before *c* reach that far), on the gaps that begin before then, and on whether the
symbol has traded up to then, because a label is unknown until the newest candle of its symbol closes at or after the
target. Its fingerprint is a hash of exactly these. So its content decides whether it is valid, and new rows, changed
rows and new symbols need no separate records.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chandlery.grid import DAY_MINUTES, DAY_MS, Grid
from chandlery.state.paths import day_name

__all__ = [
    "Marked",
    "Past",
    "Span",
    "checkpoint_days",
    "choose_kept",
    "combine_marks",
    "digest_days",
    "lead_days",
    "mark_past",
    "plan_span",
    "restart_day",
    "select_days",
]

# One odd 64-bit constant for each column of a candle, so that exchanged values change the hash of a day. They are part
# of stored fingerprints.
MULTIPLIERS = np.array(
    [
        0x9E3779B97F4A7C15,
        0xBF58476D1CE4E5B9,
        0x94D049BB133111EB,
        0xD6E8FEB86659FD93,
        0xA0761D6478BD642F,
        0xE7037ED1A0B428DB,
    ],
    dtype=np.uint64,
)
ACTIVE_DAYS = 7  # a symbol without candles for so long does not hold back the day to resume from
# Days: when a symbol trades again after a silence, a run computes a stretch of about that length again, and not
# everything since the start of the half-year.
KEPT_AGES = (8, 16, 32, 64, 128)


@dataclass(frozen=True)
class Past:
    """What the forecasts of a symbol depend on, in a form that can be compared.

    Args:
        days: UTC days since 1970 with candles, ascending, int32 (n,).
        digests: A hash of each day's candles, uint64 (n,).
        barriers: Steps that no label crosses, start and stop, int64 (k, 2), ascending.
        newest_ms: close_time of the newest candle.
    """

    days: NDArray[np.int32]
    digests: NDArray[np.uint64]
    barriers: NDArray[np.int64]
    newest_ms: int


@dataclass(frozen=True)
class Marked:
    """Hashes of a symbol's past: what the driver needs to choose a checkpoint.

    Args:
        symbol: The symbol.
        candles: Hash of its candles.
        first_day: UTC day on which its first candle closes, since 1970.
        newest_ms: close_time of the newest candle.
        marks: From `mark_past`, by day of the checkpoint.
    """

    symbol: str
    candles: str
    first_day: int
    newest_ms: int
    marks: dict[int, str]


@dataclass(frozen=True)
class Span:
    """The stretch of time that a forecast run computes.

    Args:
        since: First day computed; if `resumed`, states are read from the checkpoint of that day.
        resumed: Whether there is such a checkpoint.
        saves: Days at whose midnight states are saved, ascending.
        stop_ms: close_time of the newest candle of any symbol.
    """

    since: int
    resumed: bool
    saves: tuple[int, ...]
    stop_ms: int


def lead_days(reach: int) -> int:
    """Return the longest label (in minutes) in days, rounded up: the embargo before each fit.

    Example:
        >>> lead_days(60), lead_days(2880)
        (1, 2)
    """
    return -(-reach // DAY_MINUTES)


def digest_days(candles: pl.DataFrame) -> tuple[NDArray[np.int32], NDArray[np.uint64]]:
    """Hash the candles of each UTC day.

    Reads:
        open_time, open, high, low, close, volume; ascending.

    Returns:
        The days since 1970 that have candles, and a hash of each day's candles.
    """
    times = candles["open_time"].dt.epoch("ms").to_numpy()
    mixed = np.zeros(times.size, np.uint64)
    columns = [times, *(candles[name].to_numpy() for name in ("open", "high", "low", "close", "volume"))]
    for column, multiplier in zip(columns, MULTIPLIERS, strict=True):
        mixed = (mixed ^ column.view(np.uint64)) * multiplier
        mixed ^= mixed >> np.uint64(29)
    days = (times // DAY_MS).astype(np.int32)
    firsts = np.flatnonzero(np.diff(days, prepend=-1))
    return days[firsts], np.add.reduceat(mixed, firsts) if times.size else mixed


def mark_past(past: Past, day: int, lead: int, grid: Grid) -> str:
    """Return the hash of what a symbol's states at a midnight depend on; empty if the symbol begins later.

    Args:
        past: Of the symbol.
        day: Of the checkpoint.
        lead: From `lead_days`.
        grid: The lake's.
    """
    edge = day + lead
    count = int(np.searchsorted(past.days, edge))
    if count == 0:
        return ""
    reaches = past.newest_ms >= edge * DAY_MS  # if not, the last labels before the checkpoint are still unknown
    digest = hashlib.blake2b(f"{day}:{lead}:{reaches}".encode(), digest_size=16)
    digest.update(past.days[:count].tobytes())
    digest.update(past.digests[:count].tobytes())
    digest.update(past.barriers[past.barriers[:, 0] < grid.step_at(edge)].tobytes())
    return digest.hexdigest()


def combine_marks(base: str, pasts: Mapping[str, Marked], day: int) -> str:
    """Return the fingerprint of a checkpoint: of everything that the states at its midnight depend on.

    Args:
        base: Hash of the settings, stage versions and libraries.
        pasts: By symbol; symbols that begin later have no part in it.
        day: Of the checkpoint.
    """
    digest = hashlib.blake2b(base.encode(), digest_size=16)
    for symbol in sorted(pasts):
        if mark := pasts[symbol].marks[day]:
            digest.update(f"{symbol}:{mark}".encode())
    return digest.hexdigest()


def restart_day(newest: Iterable[int], lead: int) -> int:
    """Return the last midnight before which all labels are known, for every symbol that still trades.

    A symbol counts as trading while its newest candle is within `ACTIVE_DAYS` of the newest of all. A daily run resumes
    from the checkpoint of this day.

    Args:
        newest: close_time of each symbol's newest candle, in ms.
        lead: From `lead_days`.
    """
    times = list(newest)
    active = [ms for ms in times if ms > max(times) - ACTIVE_DAYS * DAY_MS]
    return min(active) // DAY_MS - lead


def select_days(first_day: int, newest: Iterable[int], lead: int, stored: Iterable[int]) -> tuple[int, ...]:
    """Return the days to mark in every symbol's past: those of stored checkpoints, and of those that a run may store.

    Args:
        first_day: The first on which a candle of any symbol closes.
        newest: close_time of each symbol's newest candle, in ms.
        lead: From `lead_days`.
        stored: Days of the stored checkpoints.
    """
    restart = restart_day(newest, lead)
    return tuple(sorted({*stored, *checkpoint_days(first_day, restart), restart}))


def plan_span(base: str, pasts: Mapping[str, Marked], lead: int, stored: Mapping[int, str]) -> Span:
    """Return the stretch of time to compute: from the newest checkpoint whose past is unchanged.

    Args:
        base: Hash of the settings, stage versions and libraries.
        pasts: By symbol, marked for the days of `select_days`.
        lead: From `lead_days`.
        stored: Fingerprints of the stored checkpoints, by day.
    """
    newest = [past.newest_ms for past in pasts.values()]
    first, restart = min(past.first_day for past in pasts.values()), restart_day(newest, lead)
    valid = [day for day, known in stored.items() if day <= restart and known == combine_marks(base, pasts, day)]
    since = max(valid, default=first)
    saves = {*checkpoint_days(since, restart), restart}
    return Span(since, bool(valid), tuple(sorted(day for day in saves if day > since)), max(newest))


def choose_kept(days: Iterable[int]) -> set[int]:
    """Return which checkpoints to keep.

    These are the first day of each half-year, the newest, and the oldest and the newest of each age in `KEPT_AGES`.

    Example:
        >>> sorted(choose_kept([18262, 18300, 18305, 18306, 18307, 18308]))
        [18262, 18300, 18305, 18307, 18308]
    """
    found = sorted(days)
    kept = {day for day in found if day_name(day).endswith(("-01-01", "-07-01"))} | set(found[-1:])
    for youngest, oldest in zip((1, *KEPT_AGES), KEPT_AGES, strict=False):
        aged = [day for day in found if youngest <= found[-1] - day < oldest]
        # The oldest is the first to reach the next age; the newest is the nearest to resume from.
        kept |= {*aged[:1], *aged[-1:]}
    return kept


def checkpoint_days(first_day: int, last_day: int) -> tuple[int, ...]:
    """Return the days in (first_day, last_day) whose checkpoints are always kept: the first of each half-year.

    Example:
        >>> [day_name(day) for day in checkpoint_days(17900, 18270)]
        ['2019-07-01', '2020-01-01']
    """
    years = range(int(np.datetime64(first_day, "D").astype("datetime64[Y]").astype(int)), last_day // 365 + 1)
    firsts = [np.datetime64(f"{1970 + year}-{month:02}-01", "D").astype(int) for year in years for month in (1, 7)]
    return tuple(int(day) for day in firsts if first_day < day < last_day)
