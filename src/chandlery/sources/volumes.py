"""Which column is the volume in the base currency: by its name, and by what two volumes and the prices must obey.

Where a file has a volume in the base currency and one in the quote currency, the second divided by the first is a
price of the candle: it lies between the low and the high.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from chandlery.sources.columns import Columns, Placed, list_plain, to_number
from chandlery.sources.doubts import UndecidedError, paste

__all__ = ["ChosenVolume", "choose_of_several", "choose_volume"]

BASE = (
    "volume vol v basevolume volumebase baseassetvolume volumefrom homenotional volumetraded candleacctradevolume "
    "amount qty quantity size volccy basevol turnoverbase"
).split()
QUOTE = set(
    "quotevolume volumequote quoteassetvolume quoteassetvol quotevol volquote volccyquote volumeto volumeusd turnover "
    "amountquote value foreignnotional candleacctradeprice volumecurrency money q notional quoteamount".split()
)
OTHER = set(  # neither volume, whatever its numbers say
    "count trades n numtrades numberoftrades tradescount tradecount ticks tickcount taker takerbuyvolume "
    "takerbuybasevolume takerbuybaseassetvolume takerbuyquotevolume takerbuyquoteassetvolume takerbuyquoteassetvol "
    "takerbasevol takerquotevol ignore marketcap marketcapitalization vwap weightedaverage weightedprice adjclose "
    "openinterest oi spread sno id index lastsize prevclose nr rownumber unnamed0".split()
)
ROWS = 300  # enough to tell
SERIES = 8  # of several series, those with the most rows are looked at
LEAST_ROWS = 5  # with a trade: of fewer rows a ratio may fit by chance
NEARLY_ALL = 0.95  # of the rows: the others are faulty, or their volume has few digits
ROUNDING = 2e-3  # of a ratio, by the digits of both volumes
STEADY = 0.02  # the spread of a factor that is constant
CONTRACTS = (1.0, 10.0, 100.0, 1000.0)  # units of the quote currency that an inverse contract is worth


@dataclass(frozen=True)
class ChosenVolume:
    """The column of the volume, and what decided it."""

    place: int
    evidence: str


def choose_volume(
    table: Columns, placed: Placed, taken: Iterable[int], currencies: tuple[str, str], source: str
) -> ChosenVolume:
    """Return the column of the volume in the base currency.

    Args:
        table: The first rows.
        placed: Where the prices stand.
        taken: Places of columns that are times, prices or names.
        currencies: Base and quote of the pair; empty where they are not known.
        source: The file.

    Raises:
        UndecidedError: No column is the volume, or several could be.
    """
    candidates = list_candidates(table, {*taken, *placed.prices, *placed.unused})
    named = find_by_name(table, candidates, currencies)
    if table.names is not None and named is None and placed.evidence == "columns by name":
        names = ", ".join(name.replace("\n", " ") for name in table.names)[:200]
        raise doubt(table, candidates, source, f"has the columns {names}", "also volume")
    if named is not None and len(candidates) == 1:
        return ChosenVolume(named, "its name")
    width = table.width
    rows = [row for row in table.rows[:ROWS] if len(row) >= width]
    numbers = {place: np.array([to_number(row[place]) for row in rows]) for place in {*candidates, *placed.prices}}
    low, high, close = (numbers[placed.prices[place]] for place in (2, 1, 3))
    pairs = [
        (base, quote)
        for base in candidates
        for quote in candidates
        if base != quote and is_turnover(numbers[base], numbers[quote], low, high)
    ]
    bases = drop_parts(sorted({base for base, _ in pairs if not is_other(table, base)}), numbers)
    if named is not None and (not bases or named in bases):
        rivals = [place for place in candidates if place != named and is_quote(table, place, currencies)]
        if bases or not rivals:
            evidence = "its ratio to the volume in the quote currency is a price" if bases else "its name"
            return ChosenVolume(named, evidence)
        return settle_contracts(table, numbers, close, (named, rivals), source)
    if len(bases) == 1:
        return ChosenVolume(bases[0], "its ratio to the volume in the quote currency is a price")
    if bases:
        raise doubt(table, bases, source, "could have its volume in several columns", "one volume in the base currency")
    return choose_alone(table, candidates, numbers, source)


def choose_of_several(
    table: Columns, placed: Placed, taken: Iterable[int], currencies: tuple[str, str], source: str
) -> ChosenVolume:
    """Return the volume of a file with rows of several series; takes and raises what `choose_volume` does.

    What the numbers of all rows show must hold in each series as well: the volume of one may count contracts.
    """
    chosen: ChosenVolume | None = None
    try:
        chosen = choose_volume(table, placed, taken, currencies, source)
    except UndecidedError as error:
        problem = error
    if chosen is not None and chosen.evidence == "its name":
        return chosen
    found: dict[int, ChosenVolume] = {}
    for rows in table.divide(SERIES):
        try:
            one = choose_volume(rows, placed, taken, currencies, source)
            found.setdefault(one.place, one)
        except UndecidedError as error:
            if chosen is None or "contracts" in chosen.evidence:
                raise (problem if chosen is None else error) from error
    if chosen is not None:
        found.setdefault(chosen.place, chosen)
    if len(found) == 1:
        return chosen or next(iter(found.values()))
    raise doubt(table, list(found), source, "has its volume in another column in each series", "one column for all")


def drop_parts(bases: list[int], numbers: dict[int, NDArray[np.float64]]) -> list[int]:
    """Return volumes in the base currency without those that are a part of another one, such as the takers' share."""
    for whole in bases:
        others = [place for place in bases if place != whole]
        finite = np.isfinite(numbers[whole])
        if others and all(
            (np.nan_to_num(numbers[part]) <= numbers[whole])[finite].all()
            and (np.nan_to_num(numbers[part]) < numbers[whole])[finite].any()
            for part in others
        ):
            return [whole]
    return bases


def list_candidates(table: Columns, taken: set[int]) -> list[int]:
    """Return the columns of numbers that may be a volume."""
    found = []
    for place in sorted(set(range(table.width)) - taken):
        texts = [text for text in table.texts(place)[:ROWS] if text]
        is_numeric = bool(texts) and sum(isfinite(to_number(text)) for text in texts) > len(texts) / 2
        is_empty_named = not texts and table.names is not None and any(each in BASE for each in names_of(table, place))
        if is_numeric or is_empty_named:
            found.append(place)
    return found


def names_of(table: Columns, place: int) -> tuple[str, ...]:
    """Return the plain names of a column; none without a header."""
    return list_plain(table.names[place]) if table.names is not None else ()


def is_other(table: Columns, place: int) -> bool:
    """Return whether the name of a column says that it is neither of the two volumes."""
    return any(name in OTHER for name in names_of(table, place))


def is_quote(table: Columns, place: int, currencies: tuple[str, str]) -> bool:
    """Return whether the name of a column says that it is the volume in the quote currency."""
    base, quote = (currency.lower() for currency in currencies)
    for name in names_of(table, place):
        coin = name.removeprefix("volume").removeprefix("vol")
        if name in QUOTE or (coin and coin != name and coin == quote and coin != base):
            return True
    return False


def find_by_name(table: Columns, candidates: Sequence[int], currencies: tuple[str, str]) -> int | None:
    """Return the column whose name says that it is the volume in the base currency; None if there is none."""
    base = currencies[0].lower()
    known = [f"volume{base}", f"vol{base}", *BASE] if base else BASE
    plain_names = {place: names_of(table, place) for place in candidates}
    for name in known:
        met = [place for place in candidates if name in plain_names[place]]
        if len(met) > 1 and table.names is not None:
            met = [place for place in met if table.names[place] == table.names[place].lower()] or met
        if met:
            return met[0]
    rest = [
        place
        for place in candidates
        if any(name.startswith("volume") for name in plain_names[place])
        and not is_quote(table, place, currencies)
        and not is_other(table, place)
    ]
    return rest[0] if rest else None


def is_turnover(
    base: NDArray[np.float64], quote: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> bool:
    """Return whether one volume divided by another is a price of the candle in nearly all rows with a trade."""
    traded = (base > 0) & (quote > 0) & np.isfinite(base * quote) & (high > 0) & (low > 0)
    if traded.sum() < LEAST_ROWS:
        return False
    traded &= base >= np.median(base[traded])  # of small volumes few digits are left
    ratio = quote[traded] / base[traded]
    fits = (ratio >= low[traded] * (1 - ROUNDING)) & (ratio <= high[traded] * (1 + ROUNDING))
    return bool(fits.mean() >= NEARLY_ALL)


def settle_contracts(
    table: Columns,
    numbers: dict[int, NDArray[np.float64]],
    close: NDArray[np.float64],
    places: tuple[int, list[int]],
    source: str,
) -> ChosenVolume:
    """Return the volume of a file whose named volume is not that in the base currency: it may count contracts.

    Args:
        table: The first rows.
        numbers: The columns.
        close: The close of each row.
        places: The column that is named volume, and those that are named the volume in the quote currency.
        source: The file.

    Raises:
        UndecidedError: No factor makes one of them the other.
    """
    named, rivals = places
    for rival in rivals:
        traded = (numbers[named] > 0) & (numbers[rival] > 0) & (close > 0)
        if traded.sum() < LEAST_ROWS:
            return ChosenVolume(named, "its name")  # hardly a trade: nothing contradicts
        factors = numbers[named][traded] / (numbers[rival][traded] * close[traded])
        worth = 1 / float(np.median(factors))
        nearest = min(CONTRACTS, key=lambda each: abs(each / worth - 1))
        is_steady = float(np.median(np.abs(factors * worth - 1))) < STEADY
        if is_steady and abs(nearest / worth - 1) < STEADY:
            name = table.describe(named)
            return ChosenVolume(rival, f"{name} counts contracts of {nearest:g} of the quote currency")
    found = f"has {table.describe(named)} beside {table.describe(rivals[0])}, whose ratio is no price of the candles"
    raise doubt(table, [named, *rivals], source, found, "a volume in the base currency")


def choose_alone(
    table: Columns, candidates: Sequence[int], numbers: dict[int, NDArray[np.float64]], source: str
) -> ChosenVolume:
    """Return the only column that can be the volume, where no name and no ratio tells it.

    Raises:
        UndecidedError: There is none, or there are several.
    """
    free = [place for place in candidates if not is_other(table, place)]
    if len(free) > 1:
        fractions = [place for place in free if (np.nan_to_num(numbers[place]) % 1 != 0).any()]
        if len(fractions) == 1:
            return ChosenVolume(fractions[0], "the only other column whose numbers are not whole")
    if len(free) == 1:
        return ChosenVolume(free[0], "the only other column of numbers")
    what = "several columns could be its volume" if free else "no column is a volume"
    raise doubt(table, free, source, f"{what}", "one volume in the base currency")


def doubt(table: Columns, places: Sequence[int], source: str, found: str, expected: str) -> UndecidedError:
    """Return that the volume is open, with the lines that decide it."""
    names = [
        table.names[place] if table.names is not None and table.names[place] else str(place + 1) for place in places
    ]
    others = f"or {', '.join(names[1:])}" if len(names) > 1 else "the name of the column, or its number from 1"
    shown = f": {', '.join(map(table.describe, places))}" if places else ""
    hint = paste(source, {"volume": names[0] if names else "volume"}, {"volume": others})
    return UndecidedError("volume", f"{source} {found}{shown}", expected, hint)
