"""Local times to UTC. Where summer time ends an hour stands twice: the order of the rows tells which is which."""

from collections.abc import Sequence

import polars as pl

__all__ = ["to_utc"]


def to_utc(milliseconds: pl.Series, zone: str, series: Sequence[pl.Series] = ()) -> pl.Series:
    """Return local times as times in UTC, both in ms; null where a time does not exist, or could be two.

    A time that could be two is known if it stands twice: the first one is the earlier where rows ascend.

    Args:
        milliseconds: Local times, in the order of the file.
        zone: The zone, as in Europe/Berlin.
        series: What tells the series of each row, where rows are of several.

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
    frame = pl.DataFrame({"local": milliseconds, "early": early, "late": late, "all": 0})
    frame = frame.with_columns(values.alias(f"series {number}") for number, values in enumerate(series))
    of_series = frame.columns[3:]
    known = pl.col("local").drop_nulls()
    ascends = (known.first() <= known.last()).fill_null(value=True).over(of_series)
    place, times = pl.int_range(pl.len()).over("local", *of_series), pl.len().over("local", *of_series)
    is_first = place == pl.when(ascends).then(0).otherwise(1)
    is_open = pl.col("early") != pl.col("late")
    chosen = pl.when(is_first).then("early").otherwise("late")
    return frame.select(
        utc=pl.when(~is_open).then("early").when(times == 2).then(chosen)  # noqa: PLR2004 - once before, once after
    )["utc"]
