"""Which column is which: by name, by hand, or by what the numbers must obey."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from chandlery.errors import SourceError
from chandlery.sources.doubts import UndecidedError, paste
from chandlery.sources.words import QUOTES

__all__ = [
    "PRICES",
    "ROLES",
    "Columns",
    "Placed",
    "find_column",
    "find_named",
    "hint_columns",
    "list_affixed",
    "place_by_hand",
    "place_by_name",
    "plain",
    "to_number",
    "to_numbers",
]

PRICES = ("open", "high", "low", "close")
ROLES = ("time", *PRICES, "volume")

# In order of preference, where a file has several that would do.
NAMES = {
    "open": "open o openprice priceopen openingprice first pxopen",
    "high": "high h highprice pricehigh highestprice max pxhigh",
    "low": "low l lowprice pricelow lowestprice min pxlow",
    "close": "close c closeprice priceclose closingprice tradeprice last lastprice pxclose",
    "symbol": "symbol pair ticker tic instrument instrumentname instid productid currencypair sym s market coin",
    "exchange": "exchange venue exch exchangename exchangeid market",
    "interval": "interval timeframe granularity resolution period freq frequency tf per i",
    "closed": "confirm closed isclosed isfinal final complete iscomplete windowclosed isclosedcandle x",
    "partial": "isopen partial ispartial unfinished isunfinished incomplete isincomplete inprogress forming isforming",
}
# Texts by which a row says whether its candle had closed, in lower case; `t` and `f` are those of PostgreSQL.
CLOSED_FLAGS = {
    **dict.fromkeys(["true", "1", "1.0", "yes", "t", "y"], True),
    **dict.fromkeys(["false", "0", "0.0", "no", "f", "n"], False),
}
EVENT = "tsevent"  # the plain name of the time in rows of NautilusTrader and Databento
BESIDE_EVENT = frozenset(["tsinit", "rtype", "publisherid", "instrumentid"])  # one of which such rows have as well
ROWS_OF_PARTS = 20  # enough to tell whole prices from others


@dataclass(frozen=True)
class Columns:
    """The first rows of a file as a table of texts.

    Args:
        names: Of the columns; None if there are none.
        rows: The fields of the rows.
        groups: The number of each row's series, where rows name several; empty if they are of one.
    """

    names: Sequence[str] | None
    rows: Sequence[Sequence[str]]
    groups: Sequence[int] = ()

    @cached_property
    def width(self) -> int:
        """Columns: as many as there are names, or as most rows have fields."""
        if self.names is not None:
            return len(self.names)
        return Counter(map(len, self.rows)).most_common(1)[0][0]

    def texts(self, place: int) -> list[str]:
        """Return the texts of a column, without those of rows that are too short."""
        return self._columns[place] if place < len(self._columns) else []

    def numbers(self, place: int) -> NDArray[np.float64]:
        """Return the texts of a column as numbers; NaN where one is none."""
        if place not in self._numbers:
            self._numbers[place] = to_numbers(self.texts(place))
        return self._numbers[place]

    @cached_property
    def _numbers(self) -> dict[int, NDArray[np.float64]]:
        return {}

    @cached_property
    def is_even(self) -> bool:
        """Whether all rows have equally many fields, one for each column."""
        return {self.width} == set(map(len, self.rows))

    @cached_property
    def _columns(self) -> list[list[str]]:
        widths = set(map(len, self.rows))
        if len(widths) == 1:
            return [list(texts) for texts in zip(*self.rows, strict=True)]
        return [[row[place] for row in self.rows if len(row) > place] for place in range(max(widths, default=0))]

    def whole(self) -> list[Sequence[str]]:
        """Return the rows that have as many fields as most."""
        width = self.width
        return list(self.rows) if self.is_even else [row for row in self.rows if len(row) == width]

    def whole_groups(self) -> NDArray[np.int64]:
        """Return the number of the series of each row that has as many fields as most."""
        width = self.width
        groups = self.groups or [0] * len(self.rows)
        pairs = zip(self.rows, groups, strict=True)
        return np.array([group for row, group in pairs if len(row) == width], np.int64)

    def divide(self, most: int) -> list["Columns"]:
        """Return the rows of each series, of those with the most rows; nothing if there is one series."""
        counts = Counter(self.groups).most_common(most)
        pairs = list(zip(self.rows, self.groups, strict=False))
        return [Columns(self.names, [row for row, group in pairs if group == each]) for each, _ in counts]

    def describe(self, place: int) -> str:
        """Return the name of a column, or its number from 1."""
        if self.names is not None and self.names[place]:
            return repr(self.names[place].replace("\n", " "))
        return f"column {place + 1}"


@dataclass(frozen=True)
class Placed:
    """Where the prices stand.

    Args:
        prices: The places of open, high, low and close.
        volume: The place of the volume, where it is set by hand or the order of the columns is that of klines; None if
            it is to be found.
        time: The place of the time that is set by hand; None if it is to be found.
        evidence: What decided it.
        unused: Places of columns that number the rows.
    """

    prices: tuple[int, int, int, int]
    evidence: str
    volume: int | None = None
    time: int | None = None
    unused: frozenset[int] = frozenset()


def plain(name: str) -> str:
    """Return a column's name without case, marks and the coin before the dot, as in `LTC.open`."""
    return re.sub(r"[^a-z0-9]", "", name.strip().lower().rpartition(".")[2])


@lru_cache(maxsize=10_000)
def list_plain(name: str) -> tuple[str, ...]:
    """Return the plain names of a column, one for each line of names that the file has."""
    return tuple(plain(part) for part in name.split("\n"))


def find_named(names: Sequence[str], wanted: Sequence[str], source: str) -> int | None:
    """Return the place of the first of some names that a file has; None if it has none.

    Of names that differ by case alone, such as t and T, the one in lower case counts.

    Raises:
        UndecidedError: Two columns have that name.
    """
    for known in wanted:
        met = [place for place, name in enumerate(names) if known in list_plain(name)]
        if len(met) > 1:
            lower = [place for place in met if names[place] == names[place].lower()]
            met = lower if len(lower) == 1 else met
        if len(met) > 1:
            found = f"{source} has two columns {names[met[0]].splitlines()[0]!r}"
            raise UndecidedError("columns", found, "one of each", hint_columns(source, len(names)))
        if met:
            return met[0]
    return None


def place_by_name(table: Columns, source: str) -> Placed | None:
    """Return where the prices stand, by the names; None where they tell nothing at all about prices.

    Raises:
        UndecidedError: Some prices have a name and others have none, or a name stands twice.
    """
    names = table.names or []
    named = {role: find_named(names, NAMES[role].split(), source) for role in PRICES}
    places = {role: place for role, place in named.items() if place is not None}
    if len(places) < len(PRICES):
        places = find_affixed(names, source) or places
    if not places and all(re.fullmatch(r"[a-z]*\d+|[a-z]?", each) for name in names for each in list_plain(name)):
        return None
    if missing := [role for role in PRICES if role not in places]:
        found = f"{source} has the columns {', '.join(name.replace(chr(10), ' ') for name in names)[:200]}"
        raise UndecidedError("columns", found, f"also {', '.join(missing)}", hint_columns(source, len(names)))
    check_parts(table, places, source)
    prices = (places["open"], places["high"], places["low"], places["close"])
    return Placed(prices, "columns by name")


def list_affixed(names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return the places of prices by what stands before or behind all four names, as in btc_open and open (USD)."""
    flat, last = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in names], list(map(plain, names))
    before = {name.removesuffix("open") for name in flat if name.endswith("open")}
    behind = {name.removeprefix("open") for name in last if name.startswith("open")}
    wanted = [(each, flat, {role: f"{each}{role}" for role in PRICES}) for each in sorted(before)]
    wanted += [
        (each, last, {role: f"{role}{each}" for role in PRICES}) for each in sorted(behind) if each.upper() in QUOTES
    ]
    return {
        each: {role: known.index(name) for role, name in spelt.items()}
        for each, known, spelt in wanted
        if all(name in known for name in spelt.values())
    }


def find_affixed(names: Sequence[str], source: str) -> dict[str, int]:
    """Return the places of prices whose names have something in common; empty if there are none.

    Raises:
        UndecidedError: There are two sets of them, such as bid_open and ask_open.
    """
    found = list_affixed(names)
    if len(found) > 1:
        note = f"the columns in the order of the file, with the prices of {next(iter(found))}"
        hint = hint_order(source, names, next(iter(found.values())), note)
        text = f"{source} has the prices of {' and '.join(found)} beside each other"
        raise UndecidedError("series", text, "the prices of one series", hint)
    return next(iter(found.values()), {})


def hint_order(source: str, names: Sequence[str], prices: Mapping[str, int], note: str) -> str:
    """Return the lines of settings that name the columns of a file whose prices are known, with a note."""
    rest = [place for place in range(len(names)) if place not in prices.values()]
    time = next((place for place in rest if re.match("(?i)time|date|ts", names[place])), rest[0] if rest else 0)
    volume = next((place for place in rest if "vol" in plain(names[place])), rest[-1] if rest else 0)
    order = {**{place: role for role, place in prices.items()}, time: "time", volume: "volume"}
    return paste(source, {"columns": [order.get(place, "-") for place in range(len(names))]}, {"columns": note})


def check_parts(table: Columns, places: Mapping[str, int], source: str) -> None:
    """Check that prices are no whole numbers of fixed parts, which NautilusTrader and Databento write.

    Raises:
        UndecidedError: They may be: they are whole and stand beside the time of these formats.
    """
    names = table.names or []
    known = {each for name in names for each in list_plain(name)}
    texts = [text for place in places.values() for text in table.texts(place)[:ROWS_OF_PARTS] if text]
    if not texts or EVENT not in known or not all(map(str.isdigit, texts)):
        return
    hint = 'write prices as decimals; Databento does with price_type="float"'
    if not known & BESIDE_EVENT:
        note = "if the prices are right as they stand; otherwise write them as decimals"
        hint = hint_order(source, names, places, note)
    found = f"{source} has whole prices, such as {texts[0]}, beside ts_event, which may be parts of 0.000000001"
    raise UndecidedError("columns", found, "prices as decimals", hint)


def place_by_hand(columns: Sequence[str], table: Columns, source: str) -> Placed:
    """Return where each role stands, as `[[source.layout]] columns` says.

    Args:
        columns: The roles in the file's order; `-` leaves one out.
        table: The first rows; the names of JSON objects are their keys in order.
        source: The file.

    Raises:
        SourceError: A role is missing or stands twice, or the file has fewer columns.
    """
    counts = Counter(column for column in columns if column != "-")
    if counts != Counter(ROLES):
        raise SourceError(
            f"[[source.layout]] columns for {source}: {', '.join(columns)}",
            f"{', '.join(ROLES)}, each once, and - for others",
            "mend the setting",
        )
    if table.width < len(columns):
        raise SourceError(
            f"{source} has {table.width} columns",
            f"{len(columns)}, as [[source.layout]] columns says",
            "mend the setting",
        )
    places = {role: columns.index(role) for role in ROLES}
    prices = (places["open"], places["high"], places["low"], places["close"])
    return Placed(prices, "columns set by hand", places["volume"], places["time"])


def to_numbers(texts: Sequence[str]) -> NDArray[np.float64]:
    """Return texts as numbers; NaN where one is none."""
    try:
        return np.array(texts, dtype=np.float64)  # several times faster, and fails if one is none
    except ValueError:
        return np.array([to_number(text) for text in texts])


def to_number(text: str) -> float:
    """Return a text as a number; NaN if it is none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def hint_columns(source: str, width: int) -> str:
    """Return the lines of settings that name the columns of a file with so many."""
    columns = [*ROLES, *["-"] * (width - len(ROLES))]
    return paste(source, {"columns": columns}, {"columns": 'the columns in the order of the file; "-" leaves one out'})


def find_column(table: Columns, wanted: str, setting: str, source: str) -> int:
    """Return the place of a column that a setting names, or numbers from 1.

    Raises:
        UndecidedError: There is no such column.
    """
    names = list(table.names or [])
    matches = [place for place, name in enumerate(names) if name == wanted]
    matches = matches or [place for place, name in enumerate(names) if plain(wanted) in list_plain(name)]
    if len(matches) == 1:
        return matches[0]
    if wanted.isdigit() and 0 < int(wanted) <= table.width:
        return int(wanted) - 1
    has = ", ".join(names)[:200] if names else f"{table.width} columns without names"
    found = f"[[source.layout]] {setting} = {wanted!r} for {source}, which has {has}"
    raise UndecidedError(setting, found, "the name of one column, or its number from 1", "mend the setting")
