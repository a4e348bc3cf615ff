"""Local times to UTC. Where summer time ends an hour stands twice: the order of the rows tells which is which."""

import polars as pl

__all__ = ["to_utc"]


def to_utc(milliseconds: pl.Series, zone: str) -> pl.Series:
    """Return local times as times in UTC, both in ms; null where a time does not exist, or could be two.

    A time that could be two is known if it stands twice: the first one is the earlier where rows ascend.

    Args:
        milliseconds: Local times, in the order of the file.
        zone: The zone, as in Europe/Berlin.

    Example:
        >>> hours = pl.Series([1_698_544_800_000, 1_698_544_800_000, 1_698_548_400_000])  # 02:00, 02:00, 03:00
        >>> [ms // 3_600_000 % 24 for ms in to_utc(hours, "Europe/Berlin").to_list()]
        [0, 1, 2]
    """
    local = milliseconds.cast(pl.Datetime("ms"))
    early, late = (
        local.dt.replace_time_zone(zone, ambiguous=which, non_existent="null").dt.epoch("ms")
        for which in ("earliest", "latest")
    )
    if (early == late).fill_null(value=True).all():
        return early
    frame = pl.DataFrame({"local": milliseconds, "early": early, "late": late})
    known = milliseconds.drop_nulls()
    ascends = known.len() < 2 or known[0] <= known[-1]  # noqa: PLR2004 - a single time has no order
    place, times = pl.int_range(pl.len()).over("local"), pl.len().over("local")
    is_first = (place == 0) if ascends else (place == 1)
    is_open = pl.col("early") != pl.col("late")
    chosen = pl.when(is_first).then("early").otherwise("late")
    return frame.select(
        utc=pl.when(~is_open).then("early").when(times == 2).then(chosen)  # noqa: PLR2004 - once before, once after
    )["utc"]
