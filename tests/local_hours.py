"""Files with candles in local times, which they do not say, for the tests of how these are told."""

import datetime as dt
import zoneinfo

HEADER = "time,open,close,high,low,volume\n"


def write_local(
    first: dt.datetime,
    hours: int,
    zone: str = "Europe/Berlin",
    *,
    minutes: int = 60,
    drop: frozenset[int] = frozenset(),
) -> bytes:
    """Return candles from a moment in UTC on, with the local times of a zone and no offset.

    Args:
        first: The moment.
        hours: For how many hours.
        zone: The zone.
        minutes: The interval.
        drop: The numbers of candles that are left out.
    """
    rows = []
    for step in range(hours * 60 // minutes):
        local = (first + dt.timedelta(minutes=step * minutes)).astimezone(zoneinfo.ZoneInfo(zone))
        if step not in drop:
            open_, close = 1000 + step, 1000.5 + step
            rows.append(f"{local:%Y-%m-%d %H:%M:%S},{open_},{close},{close + 0.5},{open_ - 1},1.5")
    return (HEADER + "\n".join(rows)).encode() + b"\n"
