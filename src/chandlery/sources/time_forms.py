"""How the column of the time writes times: its texts, its name and settings tell."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from chandlery.settings.model import LayoutSettings
from chandlery.sources.columns import Columns, list_plain, to_numbers
from chandlery.sources.doubts import UndecidedError, paste
from chandlery.sources.epochs import PER_SECOND
from chandlery.sources.moments import ROWS, read_moments, share_commonest
from chandlery.sources.time_names import find_zones, rank_name
from chandlery.sources.times import FORMS, TimeForm, has_clock

__all__ = ["ChosenTime", "follow", "no_time", "settle_form"]

# Names of columns with the zone of each row, or its offset, and texts of them that mean UTC.
ZONE_NAMES = set("timezone tz zone tzname timezonename utcoffset tzoffset gmtoffset exchangetimezone".split())
IS_UTC = re.compile(r"(?i)utc|gmt|z|etc/utc|[+-]?0+(?:[:.]0+)*|(?:utc|gmt)[+-]?0+(?::0+)?")
FIRST = {"dmy": "day", "mdy": "month", "ymd": "year"}
EXPECTED = (
    "epoch s, ms, us or ns between 2009 and 2100, or text such as 2019-01-31 23:59:00, 20190131 23:59 or 31/01/2019"
)


@dataclass(frozen=True)
class ChosenTime:
    """The column of the time.

    Args:
        place: Its place.
        form: How it writes times.
        evidence: What decided it.
        clock: The place of the time of day, where `place` is a date alone, or of the rest of the time; None if there is
            none.
        end: The place of the time at which a candle closes; None if there is none.
        is_end: Whether it is the end of a candle: its name says so, or times of trades lie before it.
        forms: How each column of times writes them, by its place.
    """

    place: int
    form: TimeForm
    evidence: str
    clock: int | None = None
    end: int | None = None
    is_end: bool = False
    forms: Mapping[int, TimeForm] = field(default_factory=dict)


def settle_form(table: Columns, chosen: ChosenTime, by_hand: LayoutSettings, source: str) -> TimeForm:
    """Return how the column of the time writes times, by the settings and by its texts.

    Raises:
        UndecidedError: Days and months could be the other way round, or the settings contradict the texts.
    """
    form = chosen.form
    if by_hand.time_format in FORMS:
        form = replace(form, form=str(by_hand.time_format), also=(), is_naive=form.is_naive or not form.form)
    elif by_hand.time_format is not None:
        form = read_by_hand(table, chosen, by_hand.time_format, source)
    elif by_hand.time_unit == "iso":
        form = form if form.form not in {"", "epoch"} else TimeForm("iso", is_naive=True)
    elif by_hand.time_unit is not None:
        form = TimeForm("epoch", by_hand.time_unit, is_fixed=True)
        check_unit(table, chosen.place, by_hand.time_unit, source)
    if not form.form:
        raise no_time(Columns(table.names, [[row[chosen.place]] for row in table.rows if len(row) > chosen.place][:5])
                      if table.names is None else table, source)  # fmt: skip
    if form.also:
        form = settle_days(table, chosen, form, source)
    if by_hand.timezone is not None and form.is_naive:
        form = replace(form, timezone=by_hand.timezone)
    elif form.is_naive and form.is_ahead:
        found = f"{source}: some times in {table.describe(chosen.place)} have an offset, and others have none"
        hint = paste(source, {"timezone": "Europe/Berlin"}, {"timezone": 'the zone of the others, or "UTC"'})
        raise UndecidedError("timezone", found, "an offset in each time, or a zone that is set", hint)
    elif form.is_naive and (zones := list_zones(table, chosen) or read_zones(table)) is not None:
        found = f"{source}: {table.describe(chosen.place)} has local times without an offset, as its columns say"
        others = [f'"{zone}"' for zone in (*zones[1:], "UTC")]
        note = f"the zone of these times, or {', or '.join(others)}"
        hint = paste(source, {"timezone": zones[0] if zones else "Asia/Seoul"}, {"timezone": note})
        raise UndecidedError("timezone", found, "times in UTC or with an offset", hint)
    return form


def check_unit(table: Columns, place: int, unit: str, source: str) -> None:
    """Check that a unit that is set by hand makes times of 2009 to 2100 of most numbers.

    Raises:
        UndecidedError: It does not.
    """
    texts = [text for text in table.texts(place)[:ROWS] if text]
    per = PER_SECOND[unit]
    numbers = to_numbers(texts)
    within = (numbers >= 1_230_940_800 * per) & (numbers < 4_102_444_800 * per)
    if texts and within.mean() < 0.5:  # noqa: PLR2004 - most rows
        found = f"{source}: time_unit = {unit!r} is set, and {texts[0]} is no time of 2009 to 2100 in that unit"
        raise UndecidedError("time_unit", found, "a unit that the numbers allow", "mend the setting, or leave it out")


def list_zones(table: Columns, time: ChosenTime) -> tuple[str, ...] | None:
    """Return the zones that the names of the time, or of its time of day, may mean; None where they name none."""
    places = [place for place in (time.place, time.clock) if place is not None and table.names]
    found = (find_zones((table.names or [])[place]) for place in places)
    return next((zones for zones in found if zones is not None), None)


def read_zones(table: Columns) -> tuple[str, ...] | None:
    """Return the zones that a column of zones or offsets names; None where there is none, or it says UTC."""
    for place, name in enumerate(table.names or []):
        texts = {text for text in table.texts(place)[:ROWS] if text}
        if ZONE_NAMES.intersection(list_plain(name)) and texts and not all(map(IS_UTC.fullmatch, texts)):
            shown = next(iter(sorted(texts)))
            return (shown,) if "/" in shown else ()
    return None


def read_by_hand(table: Columns, chosen: ChosenTime, pattern: str, source: str) -> TimeForm:
    """Return how the column of the time writes times by a format that is set by hand.

    Raises:
        UndecidedError: It is no format, or most times are not in it.
    """
    apart = "" if chosen.clock is None else "rest" if has_clock(pattern) else chosen.form.apart
    form = TimeForm("format", pattern=pattern, is_naive="%z" not in pattern, apart=apart)
    shown = next((text for text in table.texts(chosen.place) if text), "")[:40]
    problem = f"and most times, such as {shown!r}, are not in it"
    try:
        moments = read_moments(table, chosen.place, form, chosen.clock)
    except pl.exceptions.PolarsError as error:
        moments, problem = np.array([]), f"which is no format: {error}"
    if not moments.size or np.isfinite(moments).mean() < 0.5:  # noqa: PLR2004 - most rows
        found = f"{source}: time_format = {pattern!r} is set, {problem}"
        raise UndecidedError(
            "time_format", found, "a format such as %Y-%m-%d %H:%M", "mend the setting, or leave it out"
        )
    return form


def settle_days(table: Columns, chosen: ChosenTime, form: TimeForm, source: str) -> TimeForm:
    """Return in which order day, month and year stand: in that in which the times are regular.

    Raises:
        UndecidedError: Several are.
    """
    orders = [replace(form, form=each, also=()) for each in (form.form, *form.also)]
    moments = [read_moments(table, chosen.place, each, chosen.clock) for each in orders]
    if len(orders) == 2 and np.array_equal(moments[0], moments[1]):  # noqa: PLR2004 - 01/01, and later rows tell: see `date_orders`
        return form
    steady = [share_commonest(np.abs(np.diff(each[np.isfinite(each)]))) for each in moments]  # from row to row
    best = int(np.argmax(steady))
    if steady[best] > sorted(steady)[-2] + 0.02:  # a month has a first day in every order
        return orders[best]
    firsts = [FIRST[each.form] for each in orders]
    found = f"{source}: {table.texts(chosen.place)[0]!r} has the {' or the '.join(firsts)} first"
    notes = [f'or "{each.form}", the {first} first' for each, first in zip(orders[1:], firsts[1:], strict=True)]
    note = f"the {firsts[0]} first; {', '.join(notes)}"
    hint = paste(source, {"time_format": orders[0].form}, {"time_format": note})
    raise UndecidedError("time_format", found, "dates that can be read in one way", hint)


def follow(form: TimeForm, found: TimeForm, settled: TimeForm) -> TimeForm:
    """Return how another column of times is written: in the order and the zone that were settled for the time.

    Args:
        form: How it seems to be written.
        found: How the time seemed to be written.
        settled: How it is written.
    """
    if form.also and {form.form, *form.also} == {found.form, *found.also}:
        form = replace(form, form=settled.form, pattern=settled.pattern, also=())
    return replace(form, timezone=settled.timezone) if form.is_naive else form


def no_time(table: Columns, source: str) -> UndecidedError:
    """Return that no column has times, with what stands in its place."""
    named = [each for each, name in enumerate(table.names or []) if rank_name(name) in {"open", "any", "end"}]
    texts = table.texts(named[0]) if named else []
    if not named:
        first = ",".join(table.rows[0])[:80] if table.rows else ""
        names = f" {', '.join(table.names)[:200]}" if table.names else ""
        found = f"{source}: no column of times among the columns{names} (first row {first!r})"
        hint = paste(
            source, {"time_column": "1", "time_format": "%Y-%m-%d %H:%M:%S"}, {"time_column": "name or number"}
        )
        return UndecidedError("time_column", found, EXPECTED, hint)
    found = f"{source}: {texts[0][:40] if texts else ''!r} in the place of the time"
    if any(re.fullmatch(r"[\d.]+[eE][+-]?\d+", text) for text in texts[:5]):
        found = f"{found}, in exponent form, which has lost digits"
    hint = paste(source, {"time_format": "%Y-%m-%d %H:%M:%S"}, {"time_format": "as strptime reads it"})
    return UndecidedError("time_format", found, EXPECTED, hint)
