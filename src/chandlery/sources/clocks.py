"""Times of day as files write them, beside a date or in a column of their own."""

import re
from collections.abc import Sequence

import polars as pl

__all__ = ["CLOCK", "DIGITS", "is_clock", "list_digits", "parse_clocks", "read_clock"]

CLOCK = r"(?P<H>\d{1,2})(?::?(?P<M>\d{2})(?::?(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?)?(?:[ -]?(?P<ap>[AaPp])\.?[Mm]\.?)?"
MARKED = re.compile(r"\d{1,2}(:\d{2}){1,2}([.,]\d{1,9})?([ -]?[AaPp]\.?[Mm]\.?)?|\d{1,2} ?[AaPp]\.?[Mm]\.?")
DIGITS = (2, 4, 6)  # of hours, of hours and minutes, and of these and seconds, without marks between
LIMITS = (24, 60, 60)  # of hours, minutes and seconds


def is_clock(text: str) -> bool:
    """Return whether a text is a time of day with marks between hours and minutes, or with AM or PM.

    Example:
        >>> [is_clock(text) for text in ("09:30", "9:30:15.250", "01:00 PM", "930", "09:30+02:00")]
        [True, True, True, False, False]
    """
    return bool(MARKED.fullmatch(text))


def list_digits(texts: Sequence[str]) -> list[int]:
    """Return with how many digits all of some texts can be times of day without marks.

    Zeros before them may have been lost, as in 930 for half past nine.

    Example:
        >>> list_digits(["0", "930", "2359"]), list_digits(["0", "23"]), list_digits(["093000"]), list_digits(["9.5"])
        ([4, 6], [2, 4, 6], [6], [])
    """
    if not all(text.isdigit() for text in texts):
        return []
    longest = max(map(len, texts), default=0)
    if longest in DIGITS and all(len(text) == longest for text in texts):
        return [longest] if fits(texts, longest) else []
    return [digits for digits in DIGITS if longest <= digits and fits(texts, digits)]


def fits(texts: Sequence[str], digits: int) -> bool:
    """Return whether all texts are times of day of so many digits."""
    whole = (text.zfill(digits) for text in dict.fromkeys(texts))
    return all(
        int(text[2 * place : 2 * place + 2]) < limit
        for text in whole
        for place, limit in enumerate(LIMITS[: digits // 2])
    )


def parse_clocks(texts: pl.Series, apart: str) -> tuple[pl.Series, pl.Series]:
    """Return times of day as milliseconds, and whether anything finer was cut off; null what is none.

    Args:
        texts: The times of day.
        apart: How many digits they have where they have no marks; another text where they have.
    """
    whole = texts.str.zfill(int(apart)) if apart.isdigit() else texts
    parts = pl.DataFrame({"text": whole}).lazy().select(pl.col("text").str.extract_groups(f"^{CLOCK}$").alias("g"))
    clock, nanos = read_clock()
    met = pl.col("g").struct.field("H").is_not_null()
    read = parts.select(ms=pl.when(met).then(clock + nanos // 1_000_000), uneven=nanos % 1_000_000 != 0)
    found = read.collect(engine="in-memory")
    return found["ms"], found["uneven"].fill_null(value=False)


def read_clock() -> tuple[pl.Expr, pl.Expr]:
    """Return the milliseconds of the whole seconds of a time of day, null where it is none, and the nanoseconds.

    They are read from the groups of `CLOCK` in the column `g`; it is midnight where they are null.
    """

    def group(name: str) -> pl.Expr:
        return pl.col("g").struct.field(name)

    def number(name: str) -> pl.Expr:
        return group(name).fill_null("0").cast(pl.Int64, strict=False)

    is_half_day, is_noon = group("ap").is_not_null(), group("ap").str.to_lowercase() == "p"
    hour = pl.when(is_half_day).then(number("H") % 12 + 12 * is_noon.cast(pl.Int64)).otherwise(number("H"))
    nanos = group("f").fill_null("0").str.pad_end(9, "0").cast(pl.Int64)
    seconds = (hour * 60 + number("M")) * 60 + number("S")
    is_time = (hour < LIMITS[0]) & (number("M") < LIMITS[1]) & (number("S") < LIMITS[2])
    return pl.when(is_time).then(seconds * 1000), nanos
