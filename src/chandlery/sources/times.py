"""Times as files write them: epochs in four units, and ISO text."""

import re
from collections.abc import Sequence

import polars as pl

from chandlery.errors import SourceError
from chandlery.grid import MINUTE_MS

__all__ = ["UNITS", "find_time_unit", "guess_time_unit", "parse_epochs", "parse_iso", "read_time", "scale_epochs"]

UNITS = {
    "s": "epoch seconds",
    "ms": "epoch milliseconds",
    "us": "epoch microseconds",
    "ns": "epoch nanoseconds",
    "iso": "ISO text",
}
PER_SECOND = {"s": 1, "ms": 1000, "us": 10**6, "ns": 10**9}
YEARS = range(2009, 2100)  # Bitcoin began in 2009: an earlier time is read in the wrong unit
EARLIEST_S, LATEST_S = 1_230_940_800, 4_102_444_800  # 2009-01-03 and 2100-01-01
ISO = (
    r"^(\d{4})[-/](\d{2})[-/](\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?"
    r"\s*(Z|UTC|[+-]\d{2}:?\d{2})?$"
)
FIRST_MS, LAST_MS = -62_135_596_800_000, 253_402_300_799_000  # years 1 and 9999: what a calendar can name


def guess_time_unit(texts: Sequence[str]) -> str | None:
    """Return the unit in which most of the texts are times of 2009 to 2100; None where there is none.

    Example:
        >>> [guess_time_unit([text]) for text in ("1368976980", "1368976980000", "2019-01-01 00:00", "3.14")]
        ['s', 'ms', 'iso', None]
    """
    for unit in UNITS:
        if 2 * sum(read_time(text, unit) is not None for text in texts) > len(texts):
            return unit
    return None


def find_time_unit(texts: Sequence[str], source: str) -> str:
    """Return the unit of a column of times.

    Raises:
        SourceError: The texts are no times in any unit.
    """
    unit = guess_time_unit(texts)
    if unit is None:
        raise SourceError(
            f"{source}: {texts[0][:40] if texts else ''!r} in the place of the time",
            "epoch s, ms, us or ns between 2009 and 2100, or ISO text such as 2019-01-31 23:59:00",
            f'set [[source.layout]] files = "{source}" and time_unit or columns, or convert the file',
        )
    return unit


def read_time(text: str, unit: str) -> float | None:
    """Return a text as seconds since 1970 where it is a time of 2009 to 2100 in a unit; None otherwise."""
    if unit == "iso":
        match = re.match(ISO, text.strip())
        if not match or int(match[1]) not in YEARS:
            return None
        years, months, days, hours, minutes = (int(part or 0) for part in match.groups()[:5])
        return (
            ((years - 1970) * 372 + months * 31 + days) * 24 + hours
        ) * 3600.0 + minutes * 60  # only its order matters
    try:
        seconds = float(text) / PER_SECOND[unit]
    except ValueError:
        return None
    return seconds if EARLIEST_S <= seconds < LATEST_S else None


def scale_epochs(values: pl.Series, unit: str) -> tuple[pl.Series, pl.Series]:
    """Return whole epochs as milliseconds (null where no calendar reaches), and whether anything finer was cut off."""
    uneven = pl.Series([False]).new_from_index(0, len(values))
    if unit == "s":
        milliseconds = values.clip(FIRST_MS // 1000 - 1, LAST_MS // 1000 + 1) * 1000
    elif unit == "ms":
        milliseconds = values
    else:
        per = PER_SECOND[unit] // 1000
        milliseconds, uneven = values // per, values % per != 0
    return milliseconds, uneven


def parse_epochs(texts: pl.Series, unit: str) -> tuple[pl.Series, pl.Series]:
    """Return texts of numbers as milliseconds, null where they are none, and whether anything finer was cut off."""
    whole = texts.cast(pl.Int64, strict=False)
    milliseconds, uneven = scale_epochs(whole, unit)
    if whole.null_count() == texts.null_count():
        return milliseconds, uneven
    scaled = texts.cast(pl.Float64, strict=False) * (1000 / PER_SECOND[unit])
    floor = scaled.floor()
    finite = scaled.is_finite().fill_null(value=False)
    within = floor.clip(FIRST_MS - 1, LAST_MS + 1)
    fractional = within.zip_with(finite, pl.Series([None], dtype=pl.Float64).new_from_index(0, len(texts))).cast(
        pl.Int64
    )
    missing = whole.is_null()
    return milliseconds.zip_with(~missing, fractional), (uneven & ~missing) | (missing & (scaled != floor))


def parse_iso(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return ISO texts as milliseconds, and whether digits finer than that were cut off.

    A text without an offset is in UTC; what is no ISO time becomes null.
    """
    groups = pl.col("text").str.extract_groups(ISO)
    parts = pl.DataFrame({"text": texts}).lazy().select(groups.alias("g")).unnest("g")
    clock = pl.concat_str(
        [
            pl.col("1"),
            pl.lit("-"),
            pl.col("2"),
            pl.lit("-"),
            pl.col("3"),
            pl.lit("T"),
            pl.col("4").fill_null("00"),
            pl.lit(":"),
            pl.col("5").fill_null("00"),
            pl.lit(":"),
            pl.col("6").fill_null("00"),
        ]
    )
    nanos = pl.col("7").fill_null("0").str.pad_end(9, "0").cast(pl.Int64)
    digits = pl.col("8").str.replace(":", "", literal=True)
    offset = digits.str.slice(1, 2).cast(pl.Int64, strict=False) * 60 + digits.str.slice(3, 2).cast(
        pl.Int64, strict=False
    )
    shift = pl.when(digits.str.starts_with("-")).then(-offset).otherwise(offset).fill_null(0)
    read = parts.select(
        ms=clock.str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="ms", strict=False).dt.epoch("ms")
        + nanos // 1_000_000
        - shift * MINUTE_MS,
        uneven=nanos % 1_000_000 != 0,
    ).collect(engine="in-memory")
    return read["ms"], read["uneven"].fill_null(value=False)
