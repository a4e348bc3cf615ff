"""Times as files write them: epochs in four units, also mixed, and dates in several forms."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from chandlery.grid import MINUTE_MS
from chandlery.sources.clocks import CLOCK, parse_clocks, read_clock
from chandlery.sources.epochs import (
    EARLIEST_S,
    EPOCH_DIGITS,
    LATEST_S,
    PER_SECOND,
    are_small,
    find_unit,
    find_units,
)
from chandlery.sources.zones import to_utc

__all__ = [
    "FORMS",
    "UNITS",
    "TimeForm",
    "find_form",
    "has_clock",
    "is_time",
    "parse_epochs",
    "parse_iso",
    "parse_texts",
    "read_ms",
    "scale_epochs",
]

UNITS = {
    "s": "epoch seconds",
    "ms": "epoch milliseconds",
    "us": "epoch microseconds",
    "ns": "epoch nanoseconds",
}
YEARS = range(2009, 2100)  # Bitcoin began in 2009: an earlier time is read in the wrong unit
SHIFT = r"Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?"
OFFSET = rf"(?:{SHIFT})\s*$"  # ends a time that has one
FIRST_MS, LAST_MS = -62_135_596_800_000, 253_402_300_799_000  # years 1 and 9999: what a calendar can name
CENTURY = 2000
NEARLY_ALL = 0.9  # of the first rows: the others are faulty
MOST_ROWS = 300  # whose form is found: more would cost time
SOME_ROWS = 20  # in which a form is seen that is worth a look at all of them

ISO = (
    r"^(\d{4})[-/](\d{2})[-/](\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?"
    r"\s*(Z|UTC|[+-]\d{2}:?\d{2})?$"
)
YEAR = r"(?P<y>\d{4}|\d{2})"  # of two digits: of this century
ZONE = rf"\s*(?P<z>{SHIFT})?"
NAMED = r"(?P<mon>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
# In this order: of two forms that fit, the first holds, but for the orders of day, month and year.
FORMS = {
    "iso": ISO,
    "ymd": rf"^{YEAR}[-/.](?P<mo>\d{{1,2}})[-/.](?P<d>\d{{1,2}})(?:[T ,_]+{CLOCK})?{ZONE}$",
    "compact": rf"^(?P<y>20\d{{2}})(?P<mo>\d{{2}})(?P<d>\d{{2}})(?:[T ,_-]*{CLOCK})?{ZONE}$",
    "dmy": rf"^(?P<d>\d{{1,2}})[-/.](?P<mo>\d{{1,2}})[-/.]{YEAR}(?:[T ,_]+{CLOCK})?{ZONE}$",
    "mdy": rf"^(?P<mo>\d{{1,2}})[-/](?P<d>\d{{1,2}})[-/]{YEAR}(?:[T ,_]+{CLOCK})?{ZONE}$",
    "day month": rf"(?i)^(?:[a-z]{{3,9}},? )?(?P<d>\d{{1,2}})[ -]{NAMED}[ -](?P<y>\d{{4}})(?:[T ,_]+{CLOCK})?{ZONE}$",
    "month day": rf"(?i)^(?:[a-z]{{3,9}},? )?{NAMED}[ -](?P<d>\d{{1,2}}),?[ -](?P<y>\d{{4}})(?:[T ,_]+{CLOCK})?{ZONE}$",
}
ORDERS = ("dmy", "mdy", "ymd")  # in which the numbers of a date may stand, the likeliest first
WORDS = {
    "iso": "ISO text",
    "ymd": "text, year first",
    "compact": "text as in 20240131",
    "dmy": "text, day first",
    "mdy": "text, month first",
    "day month": "text with the name of the month, day first",
    "month day": "text with the name of the month, month first",
}
MONTHS = {
    name: f"{number:02}" for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)
}
HOURS = re.compile(r"%[-_0]?[HIkl]|%[TRXcr+s]")
MINUTES = re.compile(r"%[-_0]?M|%[TRXcr+s]")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
COMPILED = {form: re.compile(pattern) for form, pattern in FORMS.items()}


@dataclass(frozen=True)
class TimeForm:
    """How a column writes times.

    Args:
        form: `epoch`, one of `FORMS`, or `format` for one that is set by hand.
        unit: Of an epoch: that of most first rows. A row whose time lies in the years of another unit has that unit.
        is_fixed: Whether the unit is set by hand, for every row.
        is_mixed: Whether the first rows have several units.
        is_naive: Whether it is text without an offset, in some rows at least.
        is_ahead: Whether some first rows have an offset other than that of UTC.
        pattern: The format that is set by hand, as for `strptime`.
        timezone: The zone of text without an offset; empty for UTC.
        also: Other forms that the first rows fit as well, with day, month and year in another order.
        apart: What stands in a second column: empty if nothing does, `rest` for the rest of the text, `clock` for a
            time of day with marks between hours and minutes, or as many digits of one without marks.
    """

    form: str
    unit: str = ""
    is_fixed: bool = False
    is_mixed: bool = False
    is_naive: bool = False
    is_ahead: bool = False
    pattern: str = ""
    timezone: str = ""
    also: tuple[str, ...] = ()
    apart: str = ""

    @property
    def words(self) -> str:
        """What the ledger says."""
        if self.form == "epoch":
            return "epoch in several units, row by row" if self.is_mixed else UNITS[self.unit]
        text = f"text as in {self.pattern}" if self.form == "format" else WORDS[self.form]
        zone = f"{self.timezone} where it has no offset" if self.timezone else "UTC where it has no offset"
        return f"{text} read as {zone}"


def is_time(text: str) -> bool:
    """Return whether a text is a time of 2009 to 2100 in any form."""
    return bool(find_unit(text)) or any(read_ms(text, form) is not None for form in FORMS)


def find_form(texts: Sequence[str]) -> TimeForm | None:
    """Return how most of the texts write times of 2009 to 2100; None if they do not.

    Example:
        >>> find_form(["1368976980"]).words, find_form(["2019-01-01 00:00"]).form, find_form(["3.14"])
        ('epoch seconds', 'iso', None)
    """
    texts = [text for text in texts[:MOST_ROWS] if text]
    if not texts:
        return None
    some = texts[:: max(1, len(texts) // SOME_ROWS)]
    if are_small(some):
        return None
    if all(map(NUMBER.fullmatch, some)):  # forms other than `compact` have marks between digits
        forms = ["compact"] if any(map(COMPILED["compact"].match, some)) else []
    else:
        forms = list(FORMS)
    fitting = [form for form in forms if any(read_ms(text, form) is not None for text in some)]
    if not fitting and not any(map(find_unit, some)):
        return None
    units = find_units(texts)
    if sum(map(bool, units)) > len(texts) / 2:
        met = sorted(set(filter(None, units)), key=units.count)
        return TimeForm("epoch", met[-1], is_mixed=len(met) > 1)
    shares = {form: sum(read_ms(text, form) is not None for text in texts) / len(texts) for form in fitting}
    fitting = [
        form for form, share in shares.items() if share >= max(NEARLY_ALL * max(shares.values(), default=0), 0.5)
    ]
    if not fitting:
        return None
    orders = [each for each in ORDERS if each in fitting] if fitting[0] in ORDERS else []
    form = max(orders, key=lambda each: shares[each], default=fitting[0])
    also = tuple(each for each in orders if each != form and shares[each] == shares[form])
    found = [COMPILED[form].match(text) for text in texts]
    offsets = [met.group(8 if form == "iso" else "z") or "" for met in found if met]
    is_ahead = any(re.search("[1-9]", offset) for offset in offsets)
    return TimeForm(form, is_naive=not all(offsets), is_ahead=is_ahead, also=also)


def read_ms(text: str, form: str) -> int | None:
    """Return a text as milliseconds since 1970 in a form, without its offset; None if it is no time of 2009 to 2100."""
    met = COMPILED[form].match(text.strip())
    if met is None:
        return None
    if form == "iso":
        year, month, day, hour, minute, second = (int(part or 0) for part in met.groups()[:6])
    else:
        parts = met.groupdict()
        month = int(MONTHS[parts["mon"].lower()]) if parts.get("mon") else int(parts["mo"])
        year, day, hour, minute, second = (int(parts.get(name) or 0) for name in ("y", "d", "H", "M", "S"))
        year += CENTURY * (len(parts["y"]) == 2)  # noqa: PLR2004 - digits
        if parts.get("ap"):
            hour = hour % 12 + 12 * (parts["ap"].lower() == "p")
    if year not in YEARS or not 1 <= month <= 12 or not 1 <= day <= days_in(year, month) or hour > 23:  # noqa: PLR2004
        return None
    days = (year - 1970) * 365 + (year - 1969) // 4 + day - 1 + sum(days_in(year, each) for each in range(1, month))
    return ((days * 24 + hour) * 60 + minute) * MINUTE_MS + second * 1000


def days_in(year: int, month: int) -> int:
    """Return the number of days of a month of 2009 to 2099."""
    return (31, 29 if year % 4 == 0 else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


def scale_epochs(values: pl.Series, form: TimeForm) -> tuple[pl.Series, pl.Series]:
    """Return whole epochs as milliseconds (null where no calendar reaches), and whether anything finer was cut off."""
    if form.is_fixed or is_within(values, form.unit):
        return scale_in_unit(values, form.unit)
    milliseconds, uneven = scale_in_unit(values, form.unit)
    for unit, per in PER_SECOND.items():
        if unit != form.unit:
            mine = ((values >= EARLIEST_S * per) & (values < LATEST_S * per)).fill_null(value=False)
            if mine.any():
                scaled, cut = scale_in_unit(values, unit)
                milliseconds, uneven = scaled.zip_with(mine, milliseconds), cut.zip_with(mine, uneven)
    return milliseconds, uneven


def is_within(values: pl.Series, unit: str) -> bool:
    """Return whether all values are times of 2009 to 2100 in a unit."""
    lowest, highest = values.min(), values.max()
    if lowest is None:
        return True
    per = PER_SECOND[unit]
    return bool(lowest >= EARLIEST_S * per and highest < LATEST_S * per)  # type: ignore[operator]


def scale_in_unit(values: pl.Series, unit: str) -> tuple[pl.Series, pl.Series]:
    """Return whole epochs of one unit as milliseconds, and whether anything finer was cut off."""
    uneven = pl.Series([False]).new_from_index(0, len(values))
    if unit == "s":
        milliseconds = values.clip(FIRST_MS // 1000 - 1, LAST_MS // 1000 + 1) * 1000
    elif unit == "ms":
        milliseconds = values
    else:
        per = PER_SECOND[unit] // 1000
        milliseconds, uneven = values // per, values % per != 0
    return milliseconds, uneven


def parse_epochs(texts: pl.Series, form: TimeForm) -> tuple[pl.Series, pl.Series]:
    """Return texts of numbers as milliseconds, null where they are none, and whether anything finer was cut off."""
    whole = texts.cast(pl.Int64, strict=False)
    milliseconds, uneven = scale_epochs(whole, form)
    if whole.null_count() == texts.null_count():
        return milliseconds, uneven
    missing = whole.is_null()
    fractional, cut = scale_fractions(texts, form)
    return milliseconds.zip_with(~missing, fractional), (uneven & ~missing) | (missing & cut)


def scale_fractions(texts: pl.Series, form: TimeForm) -> tuple[pl.Series, pl.Series]:
    """Return texts with a point or an exponent as milliseconds, and whether anything finer was cut off."""
    mantissa = texts.str.to_lowercase().str.extract(r"^[-+0.]*([\d.]*)e", 1).str.replace_all(".", "", literal=True)
    is_lost = (mantissa.str.len_chars() < EPOCH_DIGITS).fill_null(value=False)
    values = texts.cast(pl.Float64, strict=False)
    per = pl.Series([float(PER_SECOND[form.unit])]).new_from_index(0, len(texts))
    for of_unit in () if form.is_fixed else PER_SECOND.values():
        mine = ((values >= EARLIEST_S * of_unit) & (values < LATEST_S * of_unit)).fill_null(value=False)
        per = pl.Series([float(of_unit)]).new_from_index(0, len(texts)).zip_with(mine, per)
    scaled = values * (1000 / per)
    floor = scaled.floor()
    finite = scaled.is_finite().fill_null(value=False) & ~is_lost
    within = floor.clip(FIRST_MS - 1, LAST_MS + 1)
    none = pl.Series([None], dtype=pl.Float64).new_from_index(0, len(texts))
    return within.zip_with(finite, none).cast(pl.Int64), (scaled != floor).fill_null(value=False)


def parse_texts(
    texts: pl.Series, form: TimeForm, series: Sequence[pl.Series] = (), beside: pl.Series | None = None
) -> tuple[pl.Series, pl.Series]:
    """Return dates as milliseconds in UTC, and whether digits finer than that were cut off.

    A text without an offset is in the zone that is set by hand, or in UTC; what is no time in this form becomes null.

    Args:
        texts: The dates.
        form: How they are written.
        series: What tells the series of each row, where rows are of several.
        beside: What stands in a second column, where the times stand in two.
    """
    if beside is None or form.apart == "rest":
        joined = texts if beside is None else pl.select(pl.concat_str(texts, beside, separator=" ")).to_series()
        milliseconds, uneven = parse_local(joined, form)
    else:
        days, _ = parse_local(texts, form)
        clocks, uneven = parse_clocks(beside, form.apart)
        milliseconds = days + clocks
    if not form.is_ahead:
        return (to_utc(milliseconds, form.timezone, series) if form.timezone else milliseconds), uneven
    none = pl.Series([None], dtype=pl.Int64).new_from_index(0, len(texts))
    local = to_utc(milliseconds, form.timezone, series) if form.timezone else none  # nothing tells their zone
    return milliseconds.zip_with(texts.str.contains(OFFSET).fill_null(value=False), local), uneven


def parse_local(texts: pl.Series, form: TimeForm) -> tuple[pl.Series, pl.Series]:
    """Return dates as milliseconds, and whether digits finer than that were cut off.

    A text without an offset is in UTC here; what is no time in this form becomes null.
    """
    if form.form == "iso":
        return parse_iso(texts)
    if form.form == "format":
        return parse_by_format(texts, form.pattern)
    return parse_groups(texts, FORMS[form.form])


def has_clock(pattern: str) -> bool:
    """Return whether a format, as for `strptime`, has hours."""
    return bool(HOURS.search(pattern))


def parse_by_format(texts: pl.Series, pattern: str) -> tuple[pl.Series, pl.Series]:
    """Return dates as milliseconds by a format, as for `strptime`, and whether anything finer was cut off.

    Raises:
        pl.exceptions.ComputeError: It is no format.
    """
    if has_clock(pattern) and not MINUTES.search(pattern):  # polars reads no hours without minutes
        texts, pattern = texts + " 00", f"{pattern} %M"
    read = texts.str.to_datetime(pattern, time_unit="us", strict=False)
    if getattr(read.dtype, "time_zone", None) is not None:
        read = read.dt.convert_time_zone("UTC")
    micros = read.dt.epoch("us")
    return micros // 1000, (micros % 1000 != 0).fill_null(value=False)


def parse_groups(texts: pl.Series, pattern: str) -> tuple[pl.Series, pl.Series]:
    """Return dates as milliseconds by the named groups of a pattern, and whether anything finer was cut off."""
    names = re.findall(r"\(\?P<(\w+)>", pattern)

    def group(name: str) -> pl.Expr:
        return pl.col("g").struct.field(name)

    month = group("mo") if "mo" in names else group("mon").str.to_lowercase().replace_strict(MONTHS, default=None)
    year = pl.when(group("y").str.len_chars() == 2).then(pl.lit(str(CENTURY)[:2]) + group("y")).otherwise(group("y"))  # noqa: PLR2004 - digits
    date = pl.concat_str([year, month.str.zfill(2), group("d").str.zfill(2)], separator="-")
    midnight = date.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("ms")).dt.epoch("ms")
    clock, nanos = read_clock()
    parts = pl.DataFrame({"text": texts}).lazy().select(pl.col("text").str.extract_groups(pattern).alias("g"))
    read = parts.select(
        ms=midnight + clock + nanos // 1_000_000 - read_offset(group("z")) * MINUTE_MS, uneven=nanos % 1_000_000 != 0
    ).collect(engine="in-memory")
    return read["ms"], read["uneven"].fill_null(value=False)


def read_offset(zone: pl.Expr) -> pl.Expr:
    """Return the minutes by which a zone, such as +01:00 or Z, is before UTC."""
    digits = zone.str.replace(":", "", literal=True)
    hours, minutes = (digits.str.slice(first, 2).cast(pl.Int64, strict=False).fill_null(0) for first in (1, 3))
    offset = hours * 60 + minutes
    return pl.when(digits.str.starts_with("-")).then(-offset).otherwise(offset).fill_null(0)


def parse_iso(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return ISO texts as milliseconds, and whether digits finer than that were cut off.

    A text without an offset is in UTC; what is no ISO time becomes null.
    """
    groups = pl.col("text").str.extract_groups(ISO)
    parts = pl.DataFrame({"text": texts}).lazy().select(groups.alias("g")).unnest("g")
    date = pl.concat_str(["1", "2", "3"], separator="-")
    clock = pl.concat_str([pl.col(name).fill_null("00") for name in ("4", "5", "6")], separator=":")
    nanos = pl.col("7").fill_null("0").str.pad_end(9, "0").cast(pl.Int64)
    stamps = pl.concat_str([date, clock], separator="T").str.to_datetime(
        "%Y-%m-%dT%H:%M:%S", time_unit="ms", strict=False
    )
    read = parts.select(
        ms=stamps.dt.epoch("ms") + nanos // 1_000_000 - read_offset(pl.col("8")) * MINUTE_MS,
        uneven=nanos % 1_000_000 != 0,
    ).collect(engine="in-memory")
    return read["ms"], read["uneven"].fill_null(value=False)
