"""Which column is the time at which a candle opens, and which one the time at which it closes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chandlery.settings.model import LayoutSettings
from chandlery.sources.columns import Columns, find_column, list_plain, to_number
from chandlery.sources.doubts import UndecidedError, paste
from chandlery.sources.times import FORMS, PER_SECOND, TimeForm, find_form, parse_epochs, parse_texts

__all__ = ["ChosenTime", "choose_time", "parse_moments", "read_moments"]

# In order of preference.
OPENS = (
    "opentime timeperiodstart periodstart starttime starttimestamp start timeopen opentimestamp opentimems opents "
    "bucketstart windowstart intervalbegin begin begintime candlebegintime candletime from mts candledatetimeutc t"
).split()
ANY = (
    "time timestamp ts unixtimestamp unix unixtime timestampms unixtimestampms epoch epochms datetime date datetimeutc "
    "dateutc timeutc timestamputc day klinetime openat index key tsevent"
).split()
ENDS = (
    "closetime timeperiodend periodend endtime endtimestamp end timeclose closetimestamp closets windowend to closeat T"
).split()
ELSE = set(  # times of something else than the candle
    "timehigh timelow timelast lasttradetime tradetime receivedat createdat updatedat ingestedat fetchedat "
    "downloadedat eventtime tsinit E candledatetimekst".split()
)
LOCAL = set("kst jst est edt cst cdt pst pdt cet cest ist bst hkt sgt aest local localtime".split())
COLONS = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?")
CLOCK = re.compile(rf"{COLONS.pattern}|\d{{4}}|\d{{6}}")
DATE_ONLY = re.compile(r"\D*\d+\D+\d+\D+\d+\D*|\d{8}")
ROWS = 300  # enough to tell
LEAST_ROWS = 2  # of a single one nothing is steady
LEAST_REPEATS = 3  # rows of each distance from open to close, where several series have several
REGULAR = 0.5  # of the distances between times are equal
QUARTER_MS = 900_000  # zones differ by whole quarters of an hour
LONGEST_MS = 7 * 86_400_000
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
        clock: The place of the time of day, where `place` is a date alone; None if there is none.
        end: The place of the time at which a candle closes; None if there is none.
        is_end: Whether the only column of times says that it is the end of a candle.
        forms: How each column of times writes them, by its place.
    """

    place: int
    form: TimeForm
    evidence: str
    clock: int | None = None
    end: int | None = None
    is_end: bool = False
    forms: Mapping[int, TimeForm] = field(default_factory=dict)


def choose_time(table: Columns, by_hand: LayoutSettings, place: int | None, source: str) -> ChosenTime:
    """Return the column of the time.

    Args:
        table: The first rows.
        by_hand: The settings of the file.
        place: The column that `columns` sets by hand; None if it sets none.
        source: The file.

    Raises:
        UndecidedError: No column has times, or several could be the time.
    """
    if by_hand.time_column is not None:
        place = find_column(table, by_hand.time_column, "time_column", source)
    forms = {each: form for each in range(table.width) if (form := find_form(table.texts(each)[:ROWS]))}
    if place is not None:
        chosen = ChosenTime(place, forms.get(place) or TimeForm(""), "set by hand", find_clock(table, place, forms))
    elif forms:
        chosen = choose_among(table, forms, source)
    elif by_hand.time_format is None:
        raise no_time(table, source)
    else:
        named = next((each for each, name in enumerate(table.names or []) if set(list_plain(name)) & set(ANY)), 0)
        chosen = ChosenTime(named, TimeForm(""), "its name")
    return replace(chosen, form=settle_form(table, chosen, by_hand, source), forms=forms)


def no_time(table: Columns, source: str) -> UndecidedError:
    """Return that no column has times, with what stands in its place."""
    named = [each for each, name in enumerate(table.names or []) if set(list_plain(name)) & {*OPENS, *ANY, *ENDS}]
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


def choose_among(table: Columns, forms: dict[int, TimeForm], source: str) -> ChosenTime:
    """Return the column of the time, among columns that have times."""
    places = list(forms)
    ranks = {place: rank_name(table, place) for place in places}
    places = [place for place in places if ranks[place] != "else"]
    if not places:
        raise no_time(table, source)
    opens, anys, ends = ([each for each in places if ranks[each] == rank] for rank in ("open", "any", "end"))
    unnamed = [place for place in places if ranks[place] == ""]
    named = opens or anys
    if not named and not unnamed:
        clock = find_clock(table, ends[0], forms)
        return ChosenTime(ends[0], forms[ends[0]], "its name, which is that of the end of a candle", clock, is_end=True)
    pool = named or unnamed
    evidence = "its name" if named else "the only column of times" if len(pool) == 1 else "its numbers"
    if len(opens) > 1:  # such as the beginning of a period and the time of its first trade
        order = [place for name in OPENS for place in opens if name in list_plain((table.names or [])[place])]
        pool = [
            next(
                (each for each in order if measure_regularity(read_moments(table, each, forms[each])) >= REGULAR),
                order[0],
            )
        ]
    chosen, end = compare(table, pool, forms, source) if len(pool) > 1 else (pool[0], None)
    before = [] if opens else [each for each in unnamed if each != chosen and is_after(table, each, chosen, forms)]
    if before:  # the time that is named, such as timestamp, is that of the end
        chosen, end, evidence = before[0], chosen, "its numbers"
    others = [*ends, *anys, *unnamed]
    if end is None:
        end = next((each for each in others if each != chosen and is_after(table, chosen, each, forms)), None)
    return ChosenTime(chosen, forms[chosen], evidence, find_clock(table, chosen, forms), end)


def rank_name(table: Columns, place: int) -> str:
    """Return what the name of a column says of its times: open, any, end, else; empty if nothing."""
    if table.names is None:
        return ""
    name, plain_names = table.names[place], list_plain(table.names[place])
    if name in ENDS or (name == name.upper() and len(name) == 1 and name in {"T", "E"}):
        return "end" if name == "T" else "else"
    for rank, known in (("open", OPENS), ("end", ENDS), ("any", ANY)):
        if any(each in known for each in plain_names):
            return rank
    return "else" if any(each in ELSE for each in plain_names) else ""


def compare(table: Columns, pool: list[int], forms: dict[int, TimeForm], source: str) -> tuple[int, int | None]:
    """Return which of several columns is the time at which a candle opens, and the one at which it closes, if any.

    Raises:
        UndecidedError: They differ, and nothing tells which is right.
    """
    preferred = [
        place
        for name in (*OPENS, *ANY)
        for place in pool
        if name in list_plain((table.names or [""] * table.width)[place])
    ]
    pool = list(dict.fromkeys([*preferred, *pool]))
    moments = {place: read_moments(table, place, forms[place]) for place in pool}
    regular = [place for place in pool if measure_regularity(moments[place]) >= REGULAR] or pool
    best = regular[0]
    for other in regular[1:]:
        apart = find_distances(table, moments[other] - moments[best])
        if apart.size == 1 and apart[0] == 0:
            best = min((best, other), key=lambda place: (forms[place].form != "epoch", regular.index(place)))
        elif apart.size == 1 and forms[best].is_naive != forms[other].is_naive and apart[0] % QUARTER_MS == 0:
            best = other if forms[best].is_naive else best  # local times beside others that tell their zone
        elif apart.size == 1 and 0 < abs(apart[0]) <= LONGEST_MS:
            earlier, later = (best, other) if apart[0] > 0 else (other, best)
            return earlier, later
        elif forms[best].is_mixed != forms[other].is_mixed or agree(moments[best], moments[other]):
            best = other if forms[best].is_mixed else best
        elif forms[best].is_naive and not forms[other].is_naive:
            best = other
        elif not (forms[other].is_naive and not forms[best].is_naive):
            found = f"{source} has times in {table.describe(best)} and {table.describe(other)}, which differ"
            names = [table.describe(place).strip("'") for place in (best, other)]
            hint = paste(source, {"time_column": names[0]}, {"time_column": f"or {names[1]}"})
            raise UndecidedError("time_column", found, "one time of a candle", hint)
    return best, None


def find_distances(table: Columns, apart: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distances between the times of two columns; the longest one alone where each series has one.

    Series of different intervals have different times from open to close.
    """
    distances = np.unique(apart[np.isfinite(apart)])
    is_few = 1 < distances.size <= apart.size / LEAST_REPEATS
    if not is_few or not table.groups or not (np.sign(distances) == np.sign(distances[0])).all():
        return distances
    groups = np.array(table.groups[:ROWS])
    for group in np.unique(groups).tolist():
        of_group = apart[groups == group]
        if np.unique(of_group[np.isfinite(of_group)]).size > 1:
            return distances
    return distances[-1:] if distances[0] > 0 else distances[:1]


def agree(one: NDArray[np.float64], two: NDArray[np.float64]) -> bool:
    """Return whether two columns have the same times in most rows."""
    return bool((one == two).mean() > REGULAR)


def measure_regularity(moments: NDArray[np.float64]) -> float:
    """Return the share of the distances between neighbouring times that are the commonest one."""
    return share_commonest(np.diff(np.unique(moments[np.isfinite(moments)])))


def share_commonest(distances: NDArray[np.float64]) -> float:
    """Return the share of distances that are equal to the commonest one; 0 if there are none."""
    if not distances.size:
        return 0.0
    _, counts = np.unique(distances, return_counts=True)
    return float(counts.max() / distances.size)


def is_after(table: Columns, place: int, other: int, forms: dict[int, TimeForm]) -> bool:
    """Return whether a column is a fixed time after another one in nearly all rows: the end of the candle."""
    apart = read_moments(table, other, forms[other]) - read_moments(table, place, forms[place])
    if (distances := find_distances(table, apart)).size == 1 and np.isfinite(apart).sum() >= LEAST_ROWS:
        return bool(0 < distances[0] <= LONGEST_MS)
    apart = apart[np.isfinite(apart)]
    values, counts = np.unique(apart, return_counts=True)
    if apart.size < LEAST_ROWS:
        return False
    commonest = int(np.argmax(counts))
    return bool(counts[commonest] >= 0.9 * apart.size and 0 < values[commonest] <= LONGEST_MS)


def read_moments(table: Columns, place: int, form: TimeForm) -> NDArray[np.float64]:
    """Return the times of the first rows in ms, NaN where a row has none."""
    return parse_moments([row[place] if len(row) > place else None for row in table.rows[:ROWS]], form)


def parse_moments(texts: Sequence[str | None], form: TimeForm) -> NDArray[np.float64]:
    """Return texts as times in ms, NaN where one is no time."""
    values = pl.Series(texts, dtype=pl.String)
    read, _ = parse_epochs(values, form) if form.form == "epoch" else parse_texts(values, form)
    moments: NDArray[np.float64] = read.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return moments


def find_clock(table: Columns, place: int, forms: dict[int, TimeForm]) -> int | None:
    """Return the column with the time of day, where the column of the time has dates alone."""
    texts = [text for text in table.texts(place)[:ROWS] if text]
    if not texts or not all(map(DATE_ONLY.fullmatch, texts)) or table.names is None:
        return None
    for other, name in enumerate(table.names):
        clocks = [text for text in table.texts(other)[:ROWS] if text]
        is_named = bool({"time", "clock", "timeofday", "hour"} & set(list_plain(name)))
        is_clock = clocks and all((CLOCK if is_named else COLONS).fullmatch(text) for text in clocks)
        if other != place and other not in forms and is_clock:
            return other
    return None


def settle_form(table: Columns, chosen: ChosenTime, by_hand: LayoutSettings, source: str) -> TimeForm:
    """Return how the column of the time writes times, by the settings and by its texts.

    Raises:
        UndecidedError: Days and months could be the other way round, or the settings contradict the texts.
    """
    form = chosen.form
    if by_hand.time_format in FORMS:
        form = replace(form, form=str(by_hand.time_format), also="", is_naive=form.is_naive or not form.form)
    elif by_hand.time_format is not None:
        form = TimeForm("format", pattern=by_hand.time_format, is_naive="%z" not in by_hand.time_format)
    elif by_hand.time_unit == "iso":
        form = form if form.form not in {"", "epoch"} else TimeForm("iso", is_naive=True)
    elif by_hand.time_unit is not None:
        form = TimeForm("epoch", by_hand.time_unit, is_fixed=True)
        check_unit(table, chosen.place, by_hand.time_unit, source)
    if not form.form:
        raise no_time(Columns(table.names, [[row[chosen.place]] for row in table.rows if len(row) > chosen.place][:5])
                      if table.names is None else table, source)  # fmt: skip
    if form.also:
        form = settle_days(table, chosen.place, form, source)
    if by_hand.timezone is not None and form.is_naive:
        form = replace(form, timezone=by_hand.timezone)
    elif form.is_naive and table.names is not None and names_zone(table.names[chosen.place]):
        found = f"{source}: {table.describe(chosen.place)} has local times without an offset"
        hint = paste(source, {"timezone": "Asia/Seoul"}, {"timezone": 'the zone of these times, or "UTC"'})
        raise UndecidedError("timezone", found, "times in UTC or with an offset", hint)
    return form


def names_zone(name: str) -> bool:
    """Return whether the name of a column says that its times are local ones."""
    return any(word.lower() in LOCAL for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name))


def check_unit(table: Columns, place: int, unit: str, source: str) -> None:
    """Check that a unit that is set by hand makes times of 2009 to 2100 of most numbers.

    Raises:
        UndecidedError: It does not.
    """
    texts = [text for text in table.texts(place)[:ROWS] if text]
    per = PER_SECOND[unit]
    numbers = np.array([to_number(text) for text in texts])
    within = (numbers >= 1_230_940_800 * per) & (numbers < 4_102_444_800 * per)
    if texts and within.mean() < 0.5:  # noqa: PLR2004 - most rows
        found = f"{source}: time_unit = {unit!r} is set, and {texts[0]} is no time of 2009 to 2100 in that unit"
        raise UndecidedError("time_unit", found, "a unit that the numbers allow", "mend the setting, or leave it out")


def settle_days(table: Columns, place: int, form: TimeForm, source: str) -> TimeForm:
    """Return whether days or months stand first: the order in which the times are regular.

    Raises:
        UndecidedError: Both orders are.
    """
    both = (form, replace(form, form=form.also))
    moments = (read_moments(table, place, each) for each in both)
    steady = [share_commonest(np.abs(np.diff(each[np.isfinite(each)]))) for each in moments]  # from row to row
    if max(steady) > min(steady) + 0.02:  # a month has a first day in every order
        return replace(both[int(np.argmax(steady))], also="")
    found = f"{source}: {table.texts(place)[0]!r} has the day or the month first"
    hint = paste(source, {"time_format": "dmy"}, {"time_format": 'the day first; or "mdy", the month first'})
    raise UndecidedError("time_format", found, "dates that can be read in one way", hint)
