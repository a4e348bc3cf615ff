"""Which column is the time at which a candle opens, and which one the time at which it closes."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from chandlery.settings.model import LayoutSettings
from chandlery.sources.clocks import DIGITS, is_clock, list_digits
from chandlery.sources.columns import Columns, find_column, list_plain
from chandlery.sources.doubts import UndecidedError, paste
from chandlery.sources.moments import (
    REGULAR,
    ROWS,
    agree,
    are_zones,
    find_distances,
    is_after,
    is_candle,
    is_day,
    is_within,
    measure_regularity,
    read_moments,
)
from chandlery.sources.time_forms import ChosenTime, follow, no_time, settle_form
from chandlery.sources.time_names import PREFERRED, find_zones, is_made, name_clock, names_utc, rank_name, rank_open
from chandlery.sources.times import TimeForm, find_form

__all__ = ["ChosenTime", "choose_time"]

DATE_ONLY = re.compile(r"\D*\d+\D+\d+\D+\d+\D*|\d{8}|(?=.*[A-Za-z]{3})[^\d:]*\d+[^\d:]+\d+[^\d:]*")


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
        chosen = replace(take_given(table, place, forms, source), evidence="set by hand")
    elif forms:
        chosen = choose_among(table, forms, source)
    elif halves := find_halves(table, range(table.width - 1)):
        chosen = halves
    elif by_hand.time_format is None:
        raise no_time(table, source)
    else:
        named = next((each for each, name in enumerate(table.names or []) if rank_name(name) in {"open", "any"}), 0)
        chosen = ChosenTime(named, TimeForm(""), "its name")
    if chosen.clock is None and (found := find_clock(table, chosen, forms, source)) is not None:
        clock, apart = found
        chosen = replace(chosen, clock=clock, form=replace(chosen.form, apart=apart))
    settled = settle_form(table, chosen, by_hand, source)
    return replace(
        chosen, form=settled, forms={each: follow(form, chosen.form, settled) for each, form in forms.items()}
    )


def take_given(table: Columns, place: int, forms: Mapping[int, TimeForm], source: str) -> ChosenTime:
    """Return the column of the time that is set by hand, with what its name and the times of trades tell of it."""
    if place not in forms:
        return find_halves(table, [place]) or ChosenTime(place, TimeForm(""), "")
    columns = _Times(table, forms, source)
    opens = [each for each in forms if each != place and columns.rank(each) == "open"]
    is_end = columns.rank(place) == "end" or columns.is_end(place, opens)
    return ChosenTime(place, forms[place], "", is_end=is_end)


def find_halves(table: Columns, places: Iterable[int]) -> ChosenTime | None:
    """Return the first two columns beside each other whose texts together are times, as where a date holds a comma."""
    for place in places:
        pairs = [(row[place], row[place + 1]) for row in table.rows[:ROWS] if len(row) > place + 1]
        form = find_form([" ".join(pair) for pair in pairs if all(pair)])
        if form is not None and form.form != "epoch":
            return ChosenTime(place, replace(form, apart="rest"), "two columns that are a time together", place + 1)
    return None


def choose_among(table: Columns, forms: dict[int, TimeForm], source: str) -> ChosenTime:
    """Return the column of the time, among columns that have times.

    Raises:
        UndecidedError: They are times of something else, or several could be the time.
    """
    columns = _Times(table, forms, source)
    ranks = {place: columns.rank(place) for place in forms}
    places = leave_local(table, [place for place in forms if ranks[place] != "else"], forms)
    if not places:  # the time at which a row was made is that of its candle if nothing else is, and it is regular
        made = [place for place in forms if table.names and is_made(table.names[place]) and columns.is_steady(place)]
        if len(made) != 1:
            raise no_time(table, source)
        return ChosenTime(made[0], forms[made[0]], "the only column of times")
    opens, anys, ends, unnamed = (
        [each for each in places if ranks[each] == rank] for rank in ("open", "any", "end", "")
    )
    if not (opens or anys or unnamed):
        return ChosenTime(ends[0], forms[ends[0]], "its name, which is that of the end of a candle", is_end=True)
    pool, trades = columns.choose_pool(opens, anys, unnamed)
    evidence = "its name" if ranks[pool[0]] else "the only column of times" if len(pool) == 1 else "its numbers"
    chosen, end = columns.compare(sort_names(table, pool)) if len(pool) > 1 else (pool[0], None)
    before = [each for each in unnamed if ranks[chosen] == "any" and columns.is_before(each, chosen)]
    if before:  # the time that is named, such as timestamp, is that of the end
        chosen, end, evidence = before[0], chosen, "its numbers"
    if end is None:
        end = columns.find_end(chosen, ends, [each for each in (*anys, *unnamed) if each != chosen])
    return ChosenTime(chosen, forms[chosen], evidence, end=end, is_end=columns.is_end(chosen, trades))


def leave_local(table: Columns, places: list[int], forms: Mapping[int, TimeForm]) -> list[int]:
    """Return columns of times without those that are local by their names, where others have the same in UTC."""
    zones = {place: find_zones(table.names[place]) if table.names else None for place in places}
    # Times in UTC that are called local are those of the clock of a collector.
    local = [place for place in places if zones[place] is not None and (forms[place].is_naive or not zones[place])]
    others = [place for place in places if place not in local]
    ranks = {rank_name(table.names[place]) for place in others} if table.names else set()
    return others if ranks - {"end"} or not all(forms[place].is_naive for place in others) else places


def sort_names(table: Columns, places: Sequence[int]) -> list[int]:
    """Return columns whose names do not say that times are those of the open, in order of preference."""
    names = {place: list_plain((table.names or [""] * table.width)[place]) for place in places}
    ranks = {
        place: next((rank for rank, known in enumerate(PREFERRED) if known in names[place]), len(PREFERRED))
        for place in places
    }
    return sorted(places, key=lambda place: ranks[place])


class _Times:
    """The columns of times of a table.

    Args:
        table: The first rows.
        forms: How each column writes them, by its place.
        source: The file.
    """

    def __init__(self, table: Columns, forms: Mapping[int, TimeForm], source: str) -> None:
        self.table, self.forms, self.source = table, forms, source
        self._moments: dict[int, NDArray[np.float64]] = {}

    def rank(self, place: int) -> str:
        """Return what the name of a column says of its times."""
        return rank_name(self.table.names[place]) if self.table.names else ""

    def read(self, place: int) -> NDArray[np.float64]:
        """Return the times of a column in ms: of several orders of day, month and year, in the most regular one."""
        if place not in self._moments:
            form = self.forms[place]
            orders = [replace(form, form=each) for each in (form.form, *form.also)]
            read = [read_moments(self.table, place, each) for each in orders]
            self._moments[place] = max(read, key=measure_regularity) if len(read) > 1 else read[0]
        return self._moments[place]

    def is_steady(self, place: int) -> bool:
        """Return whether the times of a column are regular."""
        return measure_regularity(self.read(place)) >= REGULAR

    def choose_pool(
        self, opens: Sequence[int], anys: Sequence[int], unnamed: Sequence[int]
    ) -> tuple[list[int], list[int]]:
        """Return the columns that may be the time, and those named as the open that are not it.

        These are of first trades, or of what is the same in all rows, such as the time from which rows were asked for.

        Args:
            opens: Columns whose names say that times are those of the open.
            anys: Those whose names do not say so.
            unnamed: Those whose names say nothing.
        """
        names = self.table.names or []
        others = [each for each in anys or unnamed if opens and self.is_steady(each)]
        if len(opens) > 1 or others:
            opens = sorted(opens, key=lambda place: (not self.is_steady(place), *rank_open(names[place])))[:1]
            if others and not self.is_steady(opens[0]):
                return others, list(opens)
        if opens:
            return list(opens), []
        pool = list(anys or unnamed)
        steady = [each for each in pool if self.is_steady(each)] if len(pool) > 1 else []
        return steady or pool, []

    def find_end(self, chosen: int, ends: Sequence[int], others: Sequence[int]) -> int | None:
        """Return the column of the time at which a candle closes; None if there is none.

        Args:
            chosen: The column of the time at which it opens.
            ends: Columns whose names say that times are those of the end.
            others: Other columns of times.
        """
        named = (each for each in ends if is_after(self.table, self.read(chosen), self.read(each)))
        later = (each for each in others if self.is_candle(chosen, each))
        return next(named, next(later, None))

    def is_candle(self, early: int, late: int) -> bool:
        """Return whether a column is later than another by the length of a candle."""
        return is_candle(self.table, self.read(early), self.read(late))

    def is_before(self, early: int, late: int) -> bool:
        """Return whether a column is earlier than another by the length of a candle.

        Raises:
            UndecidedError: It may be the same time in another zone.
        """
        if not self.is_candle(early, late):
            return False
        if self._are_zones(early, late):
            if self.forms[late].is_naive:
                raise self._differ(late, early)
            return False
        return True

    def is_end(self, chosen: int, opens: Sequence[int]) -> bool:
        """Return whether times of first trades, which are not regular, lie before those of a column."""
        trades = [each for each in opens if not self.is_steady(each)]
        return any(is_within(self.read(each), self.read(chosen)) for each in trades)

    def compare(self, pool: Sequence[int]) -> tuple[int, int | None]:
        """Return which of several columns is the time at which a candle opens, and at which it closes, if any.

        Raises:
            UndecidedError: They differ, and nothing tells which is right.
        """
        forms = self.forms
        best = pool[0]
        for other in pool[1:]:
            apart = find_distances(self.table, self.read(other) - self.read(best))
            distance = float(apart[0]) if apart.size == 1 else 0.0
            if apart.size == 1 and distance == 0:
                best = min((best, other), key=lambda place: (forms[place].form != "epoch", pool.index(place)))
            elif forms[best].is_naive != forms[other].is_naive and are_zones(forms[best], forms[other], distance):
                best = other if forms[best].is_naive else best  # local times beside others that tell their zone
            elif self._says_utc(best) != self._says_utc(other) and self._are_zones(best, other):
                best = best if self._says_utc(best) else other
            elif distance and not (self.table.names and self._are_zones(best, other)) and self._are_candle(best, other):
                return (best, other) if distance > 0 else (other, best)
            elif is_day(self.read(best), self.read(other)) or is_day(self.read(other), self.read(best)):
                best = other if is_day(self.read(best), self.read(other)) else best
            elif forms[best].is_mixed != forms[other].is_mixed or agree(self.read(best), self.read(other)):
                best = other if forms[best].is_mixed else best
            elif forms[best].is_naive != forms[other].is_naive:
                best = other if forms[best].is_naive else best
            else:
                raise self._differ(best, other)
        return best, None

    def _are_candle(self, one: int, other: int) -> bool:
        return self.is_candle(one, other) or self.is_candle(other, one)

    def _are_zones(self, one: int, other: int) -> bool:
        distances = self.read(other) - self.read(one)
        distance = float(np.nanmedian(distances)) if np.isfinite(distances).any() else 0.0
        return are_zones(self.forms[one], self.forms[other], distance)

    def _says_utc(self, place: int) -> bool:
        return bool(self.table.names) and names_utc((self.table.names or [])[place])

    def _differ(self, one: int, other: int) -> UndecidedError:
        found = f"{self.source} has times in {self.table.describe(one)} and {self.table.describe(other)}, which differ"
        names = [self.table.describe(place).strip("'") for place in (one, other)]
        hint = paste(self.source, {"time_column": names[0]}, {"time_column": f"or {names[1]}"})
        return UndecidedError("time_column", found, "one time of a candle", hint)


def find_clock(table: Columns, time: ChosenTime, forms: Mapping[int, TimeForm], source: str) -> tuple[int, str] | None:
    """Return the column with the time of day and how it writes it, where the column of the time has dates alone.

    Args:
        table: The first rows.
        time: The column of the time.
        forms: How each column of times writes them.
        source: The file.

    Raises:
        UndecidedError: A column is named as one of times of day, dates stand several times, and it cannot be read.
    """
    texts = [text for text in table.texts(time.place)[:ROWS] if text]
    if not texts or not all(map(DATE_ONLY.fullmatch, texts)):
        return None
    for other in range(table.width):
        clocks = [text for text in table.texts(other)[:ROWS] if text]
        name = table.names[other] if table.names else ""
        if other == time.place or other in forms or not clocks or rank_name(name) == "else":
            continue
        if all(map(is_clock, clocks)):
            return other, "clock"
        named = name_clock(name)
        if named and (apart := find_digits(table, time, other, is_hour=named == "hour")):
            return other, apart
        if named and len(set(texts)) < len(texts):
            shown = ", ".join(list(dict.fromkeys(clocks))[:3])
            found = f"{source}: {table.describe(time.place)} has dates alone, and which times of day stand in"
            found = f"{found} {table.describe(other)} is not clear ({shown})"
            hint = "write each date and its time of day into one column, such as 2019-01-31 23:59"
            raise UndecidedError("time_format", found, "times of day such as 23:59, 2359 or hours from 0 to 23", hint)
    return None


def find_digits(table: Columns, time: ChosenTime, place: int, *, is_hour: bool) -> str:
    """Return how many digits times of day without marks have: as make the times most regular; empty for none.

    Args:
        table: The first rows.
        time: The column of the dates.
        place: That of the times of day.
        is_hour: Whether its name says that it has hours.
    """
    fitting = list_digits([text for text in table.texts(place)[:ROWS] if text])
    if is_hour or len(fitting) < 2:  # noqa: PLR2004 - of one there is no choice
        return str(fitting[0]) if fitting and (not is_hour or fitting[0] == DIGITS[0]) else ""
    forms = [replace(time.form, apart=str(digits)) for digits in fitting] if time.form.form else []
    steady = [measure_regularity(read_moments(table, time.place, form, place)) for form in forms] or [0.0] * len(
        fitting
    )
    best = int(np.argmax(steady))
    # A day of hours may also be some minutes after midnight; a day of hours and minutes seldom some seconds.
    is_open = fitting[best] == DIGITS[0] and steady[best] == steady[best + 1]
    return "" if is_open else str(fitting[best])
