"""Which column is which: by name, by hand, or by what the numbers must obey."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from chandlery.errors import SourceError
from chandlery.sources.dialects import is_numbering
from chandlery.sources.doubts import UndecidedError, paste

__all__ = [
    "PRICES",
    "ROLES",
    "Columns",
    "Placed",
    "find_named",
    "place_by_data",
    "place_by_hand",
    "place_by_name",
    "plain",
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
MIN_ROWS = 10  # of fewer rows the numbers settle nothing: an order may fit by chance
CLOSE_TOGETHER = 0.1  # of the prices of a candle, in logs
NEARLY_ALL = 0.95  # of the rows: a few faulty ones must not hide which column is the high or the low
CLEAR_SIGMAS = 3.0  # by chance, open and close would be mistaken for each other in one file of a thousand
KLINES = 12  # columns of klines, whose seventh is the time of the close


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

    @property
    def width(self) -> int:
        """Columns: as many as there are names, or as most rows have fields."""
        if self.names is not None:
            return len(self.names)
        return Counter(map(len, self.rows)).most_common(1)[0][0]

    def texts(self, place: int) -> list[str]:
        """Return the texts of a column, without those of rows that are too short."""
        return self._columns[place] if place < len(self._columns) else []

    @cached_property
    def _columns(self) -> list[list[str]]:
        widths = set(map(len, self.rows))
        if len(widths) == 1:
            return [list(texts) for texts in zip(*self.rows, strict=True)]
        return [[row[place] for row in self.rows if len(row) > place] for place in range(max(widths, default=0))]

    def whole(self) -> list[Sequence[str]]:
        """Return the rows that have as many fields as most."""
        width = self.width
        return [row for row in self.rows if len(row) == width]

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
        volume: The place that is set by hand; None if it is to be found.
        time: The same of the time.
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
        places = find_prefixed(names, source) or places
    if not places and all(re.fullmatch(r"[a-z]*\d+|[a-z]?", each) for name in names for each in list_plain(name)):
        return None
    if missing := [role for role in PRICES if role not in places]:
        found = f"{source} has the columns {', '.join(name.replace(chr(10), ' ') for name in names)[:200]}"
        raise UndecidedError("columns", found, f"also {', '.join(missing)}", hint_columns(source, len(names)))
    prices = (places["open"], places["high"], places["low"], places["close"])
    return Placed(prices, "columns by name")


def find_prefixed(names: Sequence[str], source: str) -> dict[str, int]:
    """Return the places of names such as btc_open and btc_close; empty if there are none.

    Raises:
        UndecidedError: There are two sets of them, such as bid_open and ask_open.
    """
    flat = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in names]
    ends = {name.removesuffix("open") for name in flat if name.endswith("open")}
    complete = [end for end in sorted(ends) if all(f"{end}{role}" in flat for role in PRICES)]
    if len(complete) > 1:
        found = f"{source} has the prices of {' and '.join(complete)} beside each other"
        raise UndecidedError("series", found, "the prices of one series", hint_columns(source, len(names)))
    return {role: flat.index(f"{complete[0]}{role}") for role in PRICES} if complete else {}


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


def place_by_data(table: Columns, times: Sequence[int], moments: NDArray[np.float64], source: str) -> Placed:
    """Return where the prices stand, by the numbers.

    The columns that lie close together are prices; the one never below the others is the high, the one never above
    them the low; of the others, the open is the one that lies nearest to the previous value of the close.

    Args:
        table: The first rows.
        times: The places of columns of times.
        moments: The times of the whole rows, by which they are put in order.
        source: The file.

    Raises:
        UndecidedError: Another order would do as well, or none does.
    """
    whole, groups = table.whole(), table.whole_groups()
    unused = {place for place in range(table.width) if place not in times and is_numbered(whole, groups, place)}
    others = [place for place in range(table.width) if place not in {*times, *unused}]
    numbers = np.array([[to_number(row[place]) for place in others] for row in whole]).reshape(len(whole), -1)
    order = np.lexsort((moments, groups))
    numbers, groups = numbers[order], groups[order]
    is_column = np.isfinite(numbers).mean(axis=0) > 0.5 if len(numbers) else np.zeros(len(others), np.bool_)  # noqa: PLR2004
    others = [place for place, fits in zip(others, is_column, strict=True) if fits]
    numbers = numbers[:, is_column]
    is_whole = np.isfinite(numbers).all(axis=1)
    numbers, groups = numbers[is_whole], groups[is_whole]
    if len(numbers) < MIN_ROWS:
        rows = f"only {len(numbers)} rows of numbers to settle the order of columns by"
        raise ambiguous(source, table, rows)
    cluster = find_cluster(numbers)
    if len(cluster) < len(PRICES):
        raise ambiguous(source, table, "no four columns that lie close together as prices do")
    found = find_envelope(numbers, cluster)
    if found is None:
        raise ambiguous(source, table, "no single column that is always the highest, or the lowest")
    cluster, high, low = found
    inner = [place for place in cluster if place not in {high, low}]
    opens, closes = find_ends(numbers, inner, groups) or (None, None)
    evidence = "columns by their numbers: high/low envelope, then continuity"
    if opens is None and table.width == KLINES and list(times) == [0, 6] and others[: len(PRICES)] == [1, 2, 3, 4]:
        opens, closes = inner[0], inner[1]
        evidence = "columns by their numbers: high/low envelope, then the twelve columns of klines"
    if opens is None or closes is None:
        raise ambiguous(source, table, "open and close cannot be told apart by continuity")
    prices = (others[opens], others[high], others[low], others[closes])
    means = {others[place] for place in cluster} - set(prices)  # such as a mean price weighted by volume
    return Placed(prices, evidence, unused=frozenset(unused | means))


def to_number(text: str) -> float:
    """Return a text as a number; NaN if it is none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def find_cluster(numbers: NDArray[np.float64]) -> list[int]:
    """Return the columns that lie close together in most rows: the largest such set."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(numbers)
        apart = np.array([np.median(np.abs(logs - logs[:, [place]]), axis=0) for place in range(numbers.shape[1])])
    near = np.nan_to_num(apart, nan=np.inf) < CLOSE_TOGETHER
    best = max(range(len(near)), key=lambda place: int(near[place].sum()), default=0)
    return np.flatnonzero(near[best]).tolist() if near.size else []


def find_envelope(numbers: NDArray[np.float64], cluster: list[int]) -> tuple[list[int], int, int] | None:
    """Return the columns of prices, that of the high and that of the low; None if there is no such envelope.

    A volume may lie near the prices by chance: then there is an envelope without it alone.
    """
    smaller = [[place for place in cluster if place != left] for left in cluster] if len(cluster) > len(PRICES) else []
    for sets in ([cluster], smaller):
        fitting = []
        for places in sets:
            high, low = (find_extreme(numbers[:, places] * sign) for sign in (1, -1))
            if high is not None and low is not None and high != low:
                fitting.append((places, places[high], places[low]))
        if len(fitting) == 1:
            return fitting[0]
    return None


def find_extreme(prices: NDArray[np.float64]) -> int | None:
    """Return the only column that is not below the others in nearly all rows."""
    top = prices.max(axis=1)
    at_top = (prices == top[:, None])[prices.min(axis=1) != top]
    shares = at_top.mean(axis=0) if len(at_top) >= MIN_ROWS else np.zeros(prices.shape[1])
    best = int(np.argmax(shares))
    rivals = np.delete(shares, best)
    return best if shares[best] > NEARLY_ALL and rivals.max() < NEARLY_ALL else None


def is_numbered(rows: Sequence[Sequence[str]], groups: NDArray[np.int64], place: int) -> bool:
    """Return whether a column numbers the rows, or those of each series."""
    texts = [row[place] for row in rows]
    if is_numbering(texts) or not texts or not texts[0].strip('"').isdigit():
        return is_numbering(texts)
    of_series = [[texts[each] for each in np.flatnonzero(groups == group)] for group in np.unique(groups).tolist()]
    several = [each for each in of_series if len(each) > 1]
    return len(of_series) > 1 and bool(several) and all(map(is_numbering, several))


def find_ends(numbers: NDArray[np.float64], inner: Sequence[int], groups: NDArray[np.int64]) -> tuple[int, int] | None:
    """Return the columns of the open and the close: each open lies near the close before it. None if that is open.

    Args:
        numbers: The numbers of the rows, those of each series by time.
        inner: The columns of prices that are neither the high nor the low.
        groups: The series of each row.
    """
    pairs = [(opens, closes) for opens in inner for closes in inner if opens != closes]
    follows = groups[1:] == groups[:-1]
    jumps = {pair: np.abs(numbers[1:, pair[0]] - numbers[:-1, pair[1]])[follows] for pair in pairs}
    best = min(pairs, key=lambda pair: float(jumps[pair].mean()), default=None)
    if best is None:
        return None
    rivals = [pair for pair in pairs if pair != best]
    return best if all(count_wins(jumps[best], jumps[rival]) > CLEAR_SIGMAS for rival in rivals) else None


def count_wins(jump: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return by how many sigmas one reading of open and close is more continuous than another."""
    better, worse = int((jump < other).sum()), int((jump > other).sum())
    return (better - worse) / float(np.sqrt(better + worse)) if better + worse >= MIN_ROWS else 0.0


def ambiguous(source: str, table: Columns, why: str) -> UndecidedError:
    """Return that the numbers do not decide which column is which."""
    first = ",".join(table.rows[0])[:80] if table.rows else ""
    found = f"{source}: {why} (tried names, the high/low envelope and continuity; first row {first!r})"
    return UndecidedError(
        "columns", found, "columns that are settled by their names or their numbers", hint_columns(source, table.width)
    )


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
