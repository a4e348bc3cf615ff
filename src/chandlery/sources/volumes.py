"""Which column is the volume in the base currency: by its name, and by what two volumes and the prices must obey.

Where a file has a volume in the base currency and one in the quote currency, the second divided by the first is a
price of the candle: it lies between the low and the high. Where it is a price times a constant, one of them counts
contracts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chandlery.sources.columns import Columns, Placed, to_numbers
from chandlery.sources.decisions import name_column
from chandlery.sources.doubts import UndecidedError, paste
from chandlery.sources.volume_names import (
    find_by_name,
    is_market_cap,
    is_other,
    is_quote,
    names_volume,
    tells_trades,
)
from chandlery.sources.volume_ratios import (
    LEAST_ROWS,
    ROUNDING,
    STEADY,
    Numbers,
    find_relation,
    is_turnover,
)

__all__ = ["ChosenVolume", "choose_of_several", "choose_volume"]

ROWS = 300  # enough to tell
ABSENT = {"", "nan", "null", "none", "na", "n/a"}
EXACT = 1e-5  # of a ratio of volumes with many digits
SERIES = 8  # of several series, those with the most rows are looked at
NEARLY_ALL = 0.95  # of the rows: the others are faulty, or their volume has few digits
CONTRACTS = (1.0, 10.0, 100.0, 1000.0)  # units of the quote currency that an inverse contract is worth
# Coins that can ever exist, by the rules of their chains, or twice as many as do where there is no limit.
MOST_COINS = {
    "BTC": 21e6, "XBT": 21e6, "BCH": 21e6, "BSV": 21e6, "ZEC": 21e6, "LTC": 84e6, "BNB": 200e6, "ETC": 211e6,
    "ETH": 250e6, "AVAX": 720e6, "LINK": 1e9, "SOL": 1.2e9,
}  # fmt: skip
BY_NAME = "its name"
BY_RATIO = "its ratio to the volume in the quote currency is a price"
EXPECTED = "a column of the volume in the base currency"


@dataclass(frozen=True)
class ChosenVolume:
    """The column of the volume, and what decided it."""

    place: int
    evidence: str


@dataclass(frozen=True)
class Trial:
    """The columns among which the volume is looked for.

    Args:
        table: The first rows.
        source: The file.
        currencies: Base and quote of the pair; empty where they are not known.
        candidates: The columns of numbers that may be a volume.
        numbers: Their numbers, and those of the prices.
        prices: The places of open, high, low and close.
    """

    table: Columns
    source: str
    currencies: tuple[str, str]
    candidates: Sequence[int]
    numbers: Mapping[int, Numbers]
    prices: tuple[int, int, int, int]

    @property
    def close(self) -> Numbers:
        """The close of each row."""
        return self.numbers[self.prices[3]]

    def doubt(self, found: str, places: Sequence[int], note: str = "") -> UndecidedError:
        """Return that the volume is open, with the lines that decide it.

        Args:
            found: What was found, about the file.
            places: The columns that may be the volume, the likeliest first.
            note: What the lines say of the first of them.
        """
        text = f"{self.source} {found}"
        if not places:
            hint = (
                "write a column of the volume into the file, such as the sum of the volumes of buys and of sells, "
                "or leave the file out with [source] exclude"
            )
            return UndecidedError("volume", text, EXPECTED, hint)
        names = [name_column(self.table, place) for place in places]
        others = f"or {', '.join(names[1:])}" if len(names) > 1 else "the name of the column, or its number from 1"
        hint = paste(self.source, {"volume": names[0]}, {"volume": note or others})
        return UndecidedError("volume", text, EXPECTED, hint)

    def describe(self, places: Iterable[int]) -> str:
        """Return columns by their names, or their numbers from 1."""
        return ", ".join(map(self.table.describe, places))


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
    numbers = read_numbers(table, {*candidates, *placed.prices})
    trial = Trial(table, source, currencies, candidates, numbers, placed.prices)
    named = find_by_name(table, candidates, currencies)
    bases = find_bases(trial)
    if named is not None and bases and named not in bases and not any(is_priced(trial, named, each) for each in bases):
        bases = []  # other columns are a product of each other, such as a supply and what it is worth
    if named in bases or len(bases) == 1:
        return ChosenVolume(bases[0] if named is None or named not in bases else named, BY_RATIO)
    if bases:
        raise trial.doubt(f"could have its volume in several columns: {trial.describe(bases)}", bases)
    if named is not None:
        chosen = settle_named(trial, named)
    elif table.names is not None and placed.evidence == "columns by name":
        raise doubt_names(trial)
    else:
        chosen = choose_alone(trial)
    check_supply(trial, chosen.place)
    return chosen


def read_numbers(table: Columns, places: Iterable[int]) -> dict[int, Numbers]:
    """Return the numbers of some columns, in the first of the rows that are not too short."""
    if table.is_even:
        return {place: table.numbers(place)[:ROWS] for place in places}
    rows = [row for row in table.rows[:ROWS] if len(row) >= table.width]
    return {place: to_numbers([row[place] for row in rows]) for place in places}


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
    found: dict[int, ChosenVolume] = {}
    for rows in table.divide(SERIES):
        if chosen is not None and len(rows.rows) < LEAST_ROWS:
            continue  # they show nothing, and may be rows that are no candles
        try:
            one = choose_volume(rows, placed, taken, currencies, source)
            found.setdefault(one.place, one)
        except UndecidedError as error:
            if chosen is None or chosen.evidence == BY_NAME or "contracts" in chosen.evidence:
                raise (problem if chosen is None else error) from error
    if chosen is not None:
        found.setdefault(chosen.place, chosen)
    if len(found) == 1:
        return chosen or next(iter(found.values()))
    names = [name_column(table, place) for place in found]
    hint = paste(source, {"volume": names[0]}, {"volume": f"or {', '.join(names[1:])}"})
    where = ", ".join(map(table.describe, found))
    raise UndecidedError(
        "volume", f"{source} has its volume in another column in each series: {where}", "one column for all", hint
    )


def find_bases(trial: Trial) -> list[int]:
    """Return the volumes in the base currency by which another column, divided by them, is a price of the candle.

    That must hold in nearly all rows with a trade.
    """
    low, high = trial.numbers[trial.prices[2]], trial.numbers[trial.prices[1]]
    if len(trial.candidates) < 2:  # noqa: PLR2004 - a ratio needs two
        return []
    none = np.full_like(low, np.nan)
    quotes = np.array([none if is_market_cap(trial.table, each) else trial.numbers[each] for each in trial.candidates])
    lowest, highest = low * (1 - ROUNDING), high * (1 + ROUNDING)
    is_priced = (quotes > 0) & np.isfinite(quotes) & (low > 0) & (high > 0)
    bases: dict[int, float] = {}  # each with the share of rows in which it is a price without rounding
    for number, place in enumerate(trial.candidates):
        base = trial.numbers[place]
        if is_other(trial.table, place) or is_quote(trial.table, place, trial.currencies) or not (base > 0).any():
            continue
        traded = is_priced & (base > 0) & np.isfinite(base)
        large = traded & (base >= np.median(base[base > 0]))  # of small volumes few digits are left
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = quotes / base
        fits = (large & (ratios >= lowest) & (ratios <= highest)).sum(axis=1)
        tells = (traded.sum(axis=1) >= LEAST_ROWS) & (fits > 0) & (fits >= NEARLY_ALL * large.sum(axis=1))
        tells[number] = False
        if tells.any():
            exact = (large & (ratios >= low * (1 - EXACT)) & (ratios <= high * (1 + EXACT))).sum(axis=1)
            bases[place] = float((exact[tells] / large[tells].sum(axis=1)).max())
    best = max(bases.values(), default=0.0)  # of two coins of nearly equal worth, each is nearly a price in the other
    found: list[int] = []
    for place in (place for place, share in bases.items() if 2 * share >= best):
        if not any(np.array_equal(trial.numbers[place], trial.numbers[other], equal_nan=True) for other in found):
            found.append(place)  # of two columns with the same numbers, either will do
    return drop_parts(found, trial.numbers)


def is_priced(trial: Trial, place: int, base: int) -> bool:
    """Return whether a column, divided by a volume, is a price of the candle in most rows."""
    low, high = trial.numbers[trial.prices[2]], trial.numbers[trial.prices[1]]
    return is_turnover(trial.numbers[place], trial.numbers[base], low, high)


def drop_parts(bases: list[int], numbers: Mapping[int, Numbers]) -> list[int]:
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
        finite = int(np.isfinite(table.numbers(place)[:ROWS]).sum())
        texts = table.texts(place)[:ROWS]
        filled = finite if finite == len(texts) else sum(text.lower() not in ABSENT for text in texts)
        if finite > filled / 2 or (not filled and names_volume(table, place)):
            found.append(place)
    return found


def settle_named(trial: Trial, named: int) -> ChosenVolume:
    """Return the volume of a file in which a name tells it, and no ratio: it may count contracts, or be empty.

    Raises:
        UndecidedError: Another column contradicts the name.
    """
    table, numbers = trial.table, trial.numbers
    beside = [place for place in trial.candidates if place != named]
    if (numbers[named] == 0).all():
        others = [place for place in beside if tells_trades(table, place) and (numbers[place] > 0).any()]
        if others:
            found = f"has only zeros in {table.describe(named)}, and other numbers in {trial.describe(others)}"
            raise trial.doubt(found, [named, *others])
    for rival in beside:
        if is_other(table, rival) or is_market_cap(table, rival):
            continue
        relation = find_relation(numbers[named], numbers[rival], trial.close)
        if relation is None:
            traded = (numbers[named] > 0) & (numbers[rival] > 0) & (trial.close > 0)
            if is_quote(table, rival, trial.currencies) and traded.sum() >= LEAST_ROWS:
                places = trial.describe([named, rival])
                raise trial.doubt(f"has {places}, whose ratio is no price of the candles", [named, rival])
            continue
        chosen = settle_contracts(trial, named, rival, relation)
        if chosen is not None:
            return chosen
    return ChosenVolume(named, BY_NAME)


def settle_contracts(trial: Trial, volume: int, other: int, relation: tuple[str, float] | None) -> ChosenVolume | None:
    """Return the volume where one column shows that another counts contracts; None if it shows no such thing.

    Args:
        trial: The columns.
        volume: The column that may count contracts.
        other: The other one.
        relation: What the other one is of it, by `find_relation`.

    Raises:
        UndecidedError: It counts contracts of coins, or nothing tells which of the two is right.
    """
    if relation is None:
        return None
    kind, factor = relation
    name, beside = trial.table.describe(volume), trial.table.describe(other)
    if kind == "base":
        nearest = min(CONTRACTS, key=lambda each: abs(each * factor - 1))
        if abs(nearest * factor - 1) < STEADY:
            return ChosenVolume(other, f"{name} counts contracts of {nearest:g} of the quote currency")
    elif abs(factor - 1) < STEADY and not (kind == "multiple" and is_quote(trial.table, other, trial.currencies)):
        return None
    if kind == "turnover":
        found = f"has {name}, which counts contracts of {factor:.2g} of the base currency by its ratio to {beside}"
        raise trial.doubt(found, [volume], f"as it stands, in contracts of {factor:.2g}")
    words = {"multiple": "times", "base": "divided by the price and"}[kind]
    raise trial.doubt(f"has two volumes: {beside} is {name} {words} {factor:.2g}", [volume, other])


def choose_alone(trial: Trial) -> ChosenVolume:
    """Return the only column that can be the volume, where no name and no ratio tells it.

    Raises:
        UndecidedError: There is none, or there are several.
    """
    is_only = len(trial.candidates) == 1
    free = [place for place in trial.candidates if can_be_volume(trial, place, is_only=is_only)]
    if len(free) == 1:
        return ChosenVolume(free[0], "the only other column of numbers")
    for volume in free:
        for other in free:
            relation = find_relation(trial.numbers[volume], trial.numbers[other], trial.close)
            if volume != other and relation is not None and relation[0] != "multiple":
                chosen = settle_contracts(trial, volume, other, relation)
                if chosen is not None:
                    return chosen
    fractions = [place for place in free if (np.nan_to_num(trial.numbers[place]) % 1 != 0).any()]
    # A count of trades stands behind the volume; behind a volume that is whole, anything may stand.
    if len(fractions) == 1 and fractions[0] == free[0]:
        return ChosenVolume(fractions[0], "the first other column, and the only one whose numbers are not whole")
    what = f"several columns that could be its volume: {trial.describe(free)}" if free else "no column of a volume"
    raise trial.doubt(f"has {what}", free)


def can_be_volume(trial: Trial, place: int, *, is_only: bool = False) -> bool:
    """Return whether the name and the numbers of a column allow that it is the volume in the base currency.

    Args:
        trial: The columns.
        place: The column.
        is_only: Whether there is no other one that could be: then its numbers may be as even as those of made-up files.
    """
    numbers = trial.numbers[place]
    known = numbers[np.isfinite(numbers)]
    steps = np.diff(known)
    is_enough = (known > 0).sum() >= LEAST_ROWS
    is_constant = is_enough and known[0] != 0 and (steps == 0).all()
    is_numbering = is_enough and float((np.abs(steps) == 1).mean()) >= NEARLY_ALL
    is_negative = known.size and float((known < 0).mean()) > 1 - NEARLY_ALL
    named_other = is_other(trial.table, place) or is_quote(trial.table, place, trial.currencies)
    low, high = trial.numbers[trial.prices[2]], trial.numbers[trial.prices[1]]
    is_mean = is_enough and float(((numbers >= low) & (numbers <= high))[numbers > 0].mean()) >= NEARLY_ALL
    is_even = (is_constant or is_numbering) and not is_only
    return not (is_even or is_negative or is_mean or named_other)


def doubt_names(trial: Trial) -> UndecidedError:
    """Return that the names of a file tell its prices and no volume."""
    places = [place for place in trial.candidates if can_be_volume(trial, place)]
    if places:
        return trial.doubt(f"has no column that is clearly the volume: {trial.describe(places)}", places)
    names = ", ".join(name.replace("\n", " ") for name in trial.table.names or ())[:200]
    return trial.doubt(f"has no column that can be its volume among {names}", [])


def check_supply(trial: Trial, place: int) -> None:
    """Check that a volume is not larger than all coins there are, which one in the quote currency may be.

    Raises:
        UndecidedError: It is, in most rows with a trade.
    """
    volume = trial.numbers[place]
    traded = (volume > 0) & (trial.close > 0)
    if traded.sum() < LEAST_ROWS:
        return
    base = trial.currencies[0]
    caps = [trial.numbers[each] for each in trial.candidates if is_market_cap(trial.table, each)]
    caps = [cap for cap in caps if not np.array_equal(cap[traded], volume[traded])]  # as Alpha Vantage fills it
    # Of a market as a whole, a volume in the base currency may come near all coins.
    mosts = [MOST_COINS.get(base, np.inf), *(2 * np.median((cap / trial.close)[traded & (cap > 0)]) for cap in caps)]
    most, usual = min(mosts), float(np.median(volume[traded]))
    if usual > most:
        name = trial.table.describe(place)
        found = f"has {usual:.4g} in {name} in most rows, more than the {most:.4g} {base or 'coins'} that can exist: "
        raise trial.doubt(f"{found}it may be the volume in the quote currency", [place], "if it is right as it stands")
