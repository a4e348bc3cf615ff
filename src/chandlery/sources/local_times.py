"""Whether times without an offset are local ones: the nights in which clocks are put forward or back show it."""

import datetime as dt
from collections.abc import Iterable, Mapping
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from chandlery.errors import SourceError
from chandlery.grid import DAY_MS, HOUR_SECONDS
from chandlery.sources.decisions import BY_HAND, Decision, Decisions, is_naive
from chandlery.sources.doubts import UndecidedError, paste

__all__ = [
    "find_doubled_hour",
    "find_followers",
    "find_local_hour",
    "find_local_kind",
    "find_set_kind",
    "find_skipped_hour",
    "follow",
    "list_hour_gaps",
    "name_both_readings",
    "name_local",
    "refuse_local",
]

HOUR_MS = HOUR_SECONDS * 1000
SUNDAY = 6
CHANGE_MONTHS = {2, 3, 4, 9, 10, 11}  # in which summer time ends somewhere
NIGHT = range(5)  # hours at which it does
# One zone for each rule by which clocks are changed where much is traded.
ZONES = (
    "Europe/Berlin Europe/London Europe/Athens America/New_York America/Chicago America/Los_Angeles "
    "Australia/Sydney America/Sao_Paulo Asia/Jerusalem"
).split()
BY_NIGHT = "a night in which clocks were changed"
EXPECTED = "times in UTC, with an offset, or a zone that is set"


def find_local_hour(
    source: str, times: NDArray[np.int64], opens: NDArray[np.float64], seconds: int
) -> UndecidedError | None:
    """Return why the first rows of a file have local times; None if they do not show it.

    Args:
        source: The file.
        times: Its times, read as if they were in UTC, in ms.
        opens: The open of each.
        seconds: The interval.
    """
    order = np.argsort(times, kind="stable")
    ordered, prices = times[order], opens[order]
    twice = np.unique(ordered[1:][(ordered[1:] == ordered[:-1]) & (prices[1:] != prices[:-1])])
    doubled = find_doubled_hour(twice, ordered)
    if doubled is not None:
        return refuse_local(source, doubled, is_skipped=False)
    if not ordered.size:
        return None
    skipped = find_skipped_hour(list_hour_gaps(ordered, seconds), int(ordered[0]), int(ordered[-1]))
    return None if skipped is None else refuse_local(source, skipped, is_skipped=True)


def find_doubled_hour(twice: NDArray[np.int64], times: NDArray[np.int64]) -> int | None:
    """Return the start (ms) of an hour that stands twice in a night in which summer time may end; None if none does.

    Args:
        twice: Times at which rows have different prices, in ms.
        times: All times around them.
    """
    for hour in np.unique(twice // HOUR_MS).tolist():
        moment = dt.datetime.fromtimestamp(hour * HOUR_SECONDS, dt.UTC)
        if moment.weekday() != SUNDAY or moment.month not in CHANGE_MONTHS or moment.hour not in NIGHT:
            continue
        inside = np.unique(times[times // HOUR_MS == hour])
        if np.isin(inside, twice).all():
            return int(hour) * HOUR_MS
    return None


def list_hour_gaps(times: NDArray[np.int64], seconds: int) -> NDArray[np.int64]:
    """Return the starts (ms) of gaps of exactly one hour that begin with an hour.

    Args:
        times: Times of candles in ms; ascending or descending.
        seconds: The interval; gaps of candles of more than an hour are never one hour long.
    """
    if HOUR_SECONDS % seconds or times.size < 2:  # noqa: PLR2004 - there is nothing between fewer
        return np.empty(0, np.int64)
    starts = np.minimum(times[1:], times[:-1]) + seconds * 1000
    is_hour = np.abs(np.diff(times)) == HOUR_MS + seconds * 1000
    found: NDArray[np.int64] = starts[is_hour & (starts % HOUR_MS == 0)]
    return found


def find_skipped_hour(gaps: NDArray[np.int64], first_ms: int, last_ms: int) -> int | None:
    """Return the first of some gaps of an hour (ms), if all are hours that the clocks of one zone have skipped.

    Where a file has gaps of an hour at other times too, those of the nights in question may be chance. So they are
    where the file also has a night in which the clocks of the zone were put back, since no hour stands twice.

    Args:
        gaps: The starts of gaps, in a file in which no hour stands twice.
        first_ms: The first time of the file.
        last_ms: The last one.
    """
    zones = [set(list_zones(gap, is_skipped=True)) for gap in gaps.tolist()]
    common = set.intersection(*zones) if zones else set()
    return int(gaps[0]) if any(not puts_back(zone, first_ms, last_ms) for zone in common) else None


def puts_back(zone: str, first_ms: int, last_ms: int) -> bool:
    """Return whether the clocks of a zone were put back between two local times, in ms."""
    days = range(first_ms // DAY_MS, last_ms // DAY_MS + 1)
    hours = (day * DAY_MS + hour * HOUR_MS for day in days for hour in NIGHT)
    return any(zone in list_zones(hour, is_skipped=False) for hour in hours if first_ms <= hour <= last_ms - HOUR_MS)


def list_zones(hour_ms: int, *, is_skipped: bool) -> list[str]:
    """Return the zones in which a local hour was skipped, or stood twice.

    Args:
        hour_ms: Its start, as if it were in UTC.
        is_skipped: Whether it was skipped.

    Example:
        >>> list_zones(1_711_850_400_000, is_skipped=True)  # 2024-03-31 02:00
        ['Europe/Berlin']
    """
    moment = dt.datetime.fromtimestamp(hour_ms / 1000, dt.UTC).replace(tzinfo=None)
    jump = dt.timedelta(hours=1 if is_skipped else -1)
    found = []
    for name in ZONES:
        early, late = (moment.replace(tzinfo=ZoneInfo(name), fold=fold).utcoffset() for fold in (0, 1))
        if early is not None and late is not None and late - early == jump:
            found.append(name)
    return found


def refuse_local(source: str, hour_ms: int, *, is_skipped: bool) -> UndecidedError:
    """Return why a file is refused one of whose hours was skipped, or stands twice."""
    moment = dt.datetime.fromtimestamp(hour_ms / 1000, dt.UTC)
    shown = f"the hour from {moment:%Y-%m-%d %H:%M} on"
    if is_skipped:
        found = f"{source} has candles up to {shown} and after it, and none in it"
        found = f"{found}: its times may be local ones, of a zone in which summer time began then"
    else:
        found = f"{source} has {shown} twice, at different prices"
        found = f"{found}: its times are local ones, of a zone in which summer time ended then"
    zones = list_zones(hour_ms, is_skipped=is_skipped) or ["Europe/Berlin"]
    others = [f'"{zone}"' for zone in (*zones[1:], *(["UTC"] if is_skipped else []))]
    note = f"the zone of its times{''.join(f', or {other}' for other in others)}"
    return UndecidedError("timezone", found, EXPECTED, paste(source, {"timezone": zones[0]}, {"timezone": note}))


def follow(source: str, witness: str) -> UndecidedError:
    """Return why a file is refused whose times have no offset, where those of a like file are local ones."""
    found = f"{source} has times without an offset, and {witness}, a file like it, has local times"
    hint = paste(source, {"timezone": "Europe/Berlin"}, {"timezone": 'the zone of its times, or "UTC"'})
    return UndecidedError("timezone", found, EXPECTED, hint)


def name_both_readings(error: SourceError, stored: Iterable[Decisions]) -> SourceError:
    """Return why a file with local times is refused, with how like files of the lake were read.

    Args:
        error: Why a file is refused; returned as it is where that is something else.
        stored: The decisions of the files of the lake that were read.
    """
    kind = find_local_kind(name_local(error))
    count = sum(is_naive(each) and each["kind"].value == kind for each in stored) if kind else 0
    if not count:
        return error
    files = "1 file like it was" if count == 1 else f"{count} files like it were"
    found = f"{error.found}; {files} read as UTC"
    named = UndecidedError("timezone", found, error.expected, f"{error.hint}\nfor all files like it, and use --restate")
    named.kind = kind
    return named


def find_followers(decisions: Mapping[str, Decisions], local: Mapping[str, str]) -> dict[str, UndecidedError]:
    """Return why files are refused whose times have no offset, where those of a like file are local ones.

    Args:
        decisions: Of the files, by source.
        local: The kinds of files with local times, each with a file that shows it.
    """
    kinds = {source: each["kind"].value for source, each in decisions.items() if is_naive(each)}
    return {source: follow(source, local[kind]) for source, kind in kinds.items() if kind in local}


def name_local(error: Exception) -> Decisions:
    """Return what the ledger keeps of a refused file with local times, so that it tells of files like it."""
    if not isinstance(error, UndecidedError) or error.decision != "timezone" or not error.kind:
        return {}
    return {"timezone": Decision("", BY_NIGHT), "kind": Decision(error.kind, "its path and its columns")}


def find_local_kind(decisions: Mapping[str, Decision]) -> str:
    """Return the kind of a file that was refused for its local times; empty of any other file."""
    is_local = "timezone" in decisions and decisions["timezone"].by == BY_NIGHT
    return decisions["kind"].value if is_local else ""


def find_set_kind(decisions: Mapping[str, Decision]) -> str:
    """Return the kind of a file whose zone is set by hand and is not UTC; empty of any other file."""
    zone = decisions.get("timezone")
    is_set = zone is not None and zone.by == BY_HAND and zone.value not in {"", "UTC", "Etc/UTC"}
    return decisions["kind"].value if is_set and "kind" in decisions else ""
