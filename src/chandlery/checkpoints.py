"""Where a forecast run may take up the thread: the newest checkpoint whose past is still the same.

A checkpoint at midnight *c* holds all states as of *c*. It rests on the candles before *c* plus one
lead (the longest horizon in whole days: labels of rows before *c* reach that far) and on the gaps
that begin there. Its fingerprint is a hash of exactly that, so whether it still holds is decided by
content: new rows, changed rows and new symbols need no bookkeeping of their own.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from chandlery.grid import DAY_MS

__all__ = ["Past", "Span", "checkpoint_days", "day_name", "digest_days", "fingerprint", "lead_days", "restart_day"]

MULTIPLIERS = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F, 0xE7037ED1A0B428DB], dtype=np.uint64)
ACTIVE_DAYS = 7


@dataclass(frozen=True)
class Past:
    """What a symbol's forecasts rest on, in a form that can be compared.

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
class Span:
    """The stretch of time that a forecast run computes.

    Args:
        since: First day computed; states are taken from the checkpoint of that day where `resumed`.
        resumed: Whether there is such a checkpoint.
        saves: Days at whose midnight states are saved, ascending.
        stop_ms: close_time of the newest candle of all.
    """

    since: int
    resumed: bool
    saves: tuple[int, ...]
    stop_ms: int


def fingerprint(*parts: Any) -> str:
    """Return a hash of anything that msgspec can write as JSON."""
    return hashlib.blake2b(msgspec.json.encode(parts, order="sorted"), digest_size=16).hexdigest()


def day_name(day: int) -> str:
    """Return a day since 1970 as text.

    Example:
        >>> day_name(18262)
        '2020-01-01'
    """
    return str(np.datetime64(day, "D"))


def lead_days(horizons: tuple[int, ...]) -> int:
    """Return the longest of the horizons (minutes) in days, rounded up: the embargo before each fit.

    Example:
        >>> lead_days((1, 60)), lead_days((2880,))
        (1, 2)
    """
    return -(-max(horizons) // 1440)


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


def checkpoint_fingerprint(base: str, pasts: dict[str, Past], day: int, lead: int, interval_minutes: int) -> str:
    """Return the hash of everything that the states at a day's midnight rest on.

    Args:
        base: Hash of the settings, algorithms and versions.
        pasts: By symbol; symbols that begin later leave no trace in it.
        day: The checkpoint.
        lead: From `lead_days`.
        interval_minutes: Of the lake.
    """
    edge = day + lead
    edge_step = edge * 1440 // interval_minutes
    digest = hashlib.blake2b(base.encode(), digest_size=16)
    for symbol in sorted(pasts):
        past = pasts[symbol]
        count = int(np.searchsorted(past.days, edge))
        if count == 0:
            continue
        digest.update(f"{symbol}:{day}:{lead}".encode())
        digest.update(past.days[:count].tobytes())
        digest.update(past.digests[:count].tobytes())
        digest.update(past.barriers[past.barriers[:, 0] < edge_step].tobytes())
    return digest.hexdigest()


def restart_day(pasts: dict[str, Past], lead: int) -> int:
    """Return the last midnight whose labels are all known, for every symbol that still trades.

    A symbol counts as trading while its newest candle is within a week of the newest of all: a daily
    run finds its checkpoint there.
    """
    newest = [past.newest_ms for past in pasts.values()]
    active = [ms for ms in newest if ms > max(newest) - ACTIVE_DAYS * DAY_MS]
    return min(active) // DAY_MS - lead


def checkpoint_days(first_day: int, last_day: int) -> tuple[int, ...]:
    """Return the days in (first_day, last_day) at which states are kept for good: each half-year's first.

    Example:
        >>> [day_name(day) for day in checkpoint_days(17900, 18270)]
        ['2019-07-01', '2020-01-01']
    """
    years = range(int(np.datetime64(first_day, "D").astype("datetime64[Y]").astype(int)), last_day // 365 + 1)
    firsts = [np.datetime64(f"{1970 + year}-{month:02}-01", "D").astype(int) for year in years for month in (1, 7)]
    return tuple(int(day) for day in firsts if first_day < day < last_day)
