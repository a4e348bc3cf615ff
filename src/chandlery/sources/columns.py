"""Which column is which: by name, by hand, or by what the numbers must obey."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from chandlery.errors import SourceError
from chandlery.sources.times import guess_time_unit, read_time

__all__ = ["ROLES", "Places", "place_by_data", "place_by_hand", "place_by_name"]

ROLES = ("time", "open", "high", "low", "close", "volume")
Places = tuple[int | str, ...]

# In order of preference, where a file has several that would do.
NAMES = {
    "time": "time opentime timestamp mts ts t unixtimestamp unix unixtime datetime date datetimeutc dateutc starttime "
    "start opentimems candletime",
    "open": "open o openprice priceopen",
    "high": "high h highprice pricehigh max",
    "low": "low l lowprice pricelow min",
    "close": "close c closeprice priceclose last",
    "volume": "volume v vol basevolume volumebase amount qty",
}
MIN_ROWS = 10  # of fewer rows the numbers settle nothing: an order may fit by chance
CLOSE_TOGETHER = 0.1  # of the four prices of a candle, in logs
NEARLY_ALL = 0.95  # of the rows: a few faulty ones must not hide which column is the high or the low
CLEAR_SIGMAS = 3.0  # by chance, open and close would be mistaken for each other in one file of a thousand


def _plain(name: str) -> str:
    """Return a column's name without case, marks and the coin before the dot, as in `LTC.open`."""
    return re.sub(r"[^a-z0-9]", "", name.strip().lower().rpartition(".")[2])


def place_by_name(names: Sequence[str], source: str) -> Places | None:
    """Return where each role stands, by the names; None where they tell nothing at all about prices.

    Raises:
        SourceError: Some roles have a name and others have none, or a name stands twice.
    """
    plain = [_plain(name) for name in names]
    places: dict[str, int] = {}
    for role, known in NAMES.items():
        met = [name for name in known.split() if name in plain] or [
            name for name in plain if role == "volume" and name.startswith("volume")
        ]
        if met:
            places[role] = plain.index(met[0])
            if plain.count(met[0]) > 1:
                raise SourceError(f"{source} has two columns {names[places[role]]!r}", "one of each", _hint(source))
    if not places.keys() & {"open", "high", "low", "close"} and all(
        re.fullmatch(r"[a-z]*\d+|[a-z]?", name) for name in plain
    ):
        return None
    if missing := [role for role in ROLES if role not in places]:
        raise SourceError(
            f"{source} has the columns {', '.join(names)[:200]}", f"also {', '.join(missing)}", _hint(source)
        )
    return tuple(places[role] for role in ROLES)


def place_by_hand(columns: Sequence[str], names: Sequence[str] | None, source: str) -> Places:
    """Return where each role stands, as `[[source.layout]] columns` says.

    Args:
        columns: The roles in the file's order; `-` leaves one out.
        names: The keys of JSON objects in order; None for fields and arrays.
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
    if names is None:
        return tuple(columns.index(role) for role in ROLES)
    if len(names) < len(columns):
        raise SourceError(
            f"{source} has {len(names)} keys", f"{len(columns)}, as [[source.layout]] columns says", "mend the setting"
        )
    return tuple(names[columns.index(role)] for role in ROLES)


def place_by_data(rows: Sequence[Sequence[str]], source: str) -> tuple[Places, str]:
    """Return where each role stands, by the numbers, and what settled it.

    The four columns that lie close together are prices; the one never below the others is the high, the one never
    above them the low; of the other two, the one that lies nearer to the other's previous value is the open.

    Raises:
        SourceError: Another order would do as well, or none does.
    """
    width = Counter(map(len, rows)).most_common(1)[0][0]
    table = [row for row in rows if len(row) == width]
    time_place = next((place for place in range(min(width, 3)) if guess_time_unit([row[place] for row in table])), None)
    if time_place is None or width < len(ROLES):
        raise _ambiguous(source, table, "no column of times among the first three")
    unit = guess_time_unit([row[time_place] for row in table])
    others = [place for place in range(width) if place != time_place][:5]
    numbers = np.array([[_number(row[place]) for place in others] for row in table])
    order = np.argsort(np.array([read_time(row[time_place], str(unit)) or 0 for row in table]), kind="stable")
    numbers = numbers[order]
    numbers = numbers[np.isfinite(numbers).all(axis=1)]
    if len(numbers) < MIN_ROWS:
        raise _ambiguous(source, table, f"only {len(numbers)} rows of numbers to settle the order of columns by")
    volume = _find_volume(numbers)
    if volume is None:
        raise _ambiguous(source, table, "no four columns that lie close together as prices do")
    prices = [place for place in range(5) if place != volume]
    high, low = (_find_extreme(numbers[:, prices] * sign) for sign in (1, -1))
    if high is None or low is None or high == low:
        raise _ambiguous(source, table, "no single column that is always the highest, or the lowest")
    first, second = (place for place in prices if place not in {prices[high], prices[low]})
    if _wins(numbers, second, first) > CLEAR_SIGMAS:
        first, second = second, first
    elif _wins(numbers, first, second) <= CLEAR_SIGMAS:
        raise _ambiguous(source, table, "open and close cannot be told apart by continuity")
    found = (first, prices[high], prices[low], second, volume)
    return (
        time_place,
        *(others[place] for place in found),
    ), "columns by their numbers: high/low envelope, then continuity"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _find_volume(numbers: np.ndarray) -> int | None:
    """Return the column without which the others lie closest together in each row."""
    spreads = []
    for place in range(5):
        prices = np.delete(numbers, place, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.log(prices.max(axis=1) / prices.min(axis=1))
        spreads.append(float(np.median(np.where(np.isfinite(ratios), ratios, np.inf))))
    best, second = np.argsort(spreads)[:2]
    return int(best) if spreads[best] < CLOSE_TOGETHER and spreads[second] > 2 * spreads[best] + 1e-6 else None


def _find_extreme(prices: np.ndarray) -> int | None:
    """Return the only column that is not below the others in nearly all rows."""
    top = prices.max(axis=1)
    at_top = (prices == top[:, None])[prices.min(axis=1) != top]
    shares = at_top.mean(axis=0) if len(at_top) >= MIN_ROWS else np.zeros(4)
    best = int(np.argmax(shares))
    rivals = np.delete(shares, best)
    return best if shares[best] > NEARLY_ALL and rivals.max() < NEARLY_ALL else None


def _wins(numbers: np.ndarray, opens: int, closes: int) -> float:
    """Return by how many sigmas one reading of open and close is more continuous than the other."""
    jump = np.abs(numbers[1:, opens] - numbers[:-1, closes])
    other = np.abs(numbers[1:, closes] - numbers[:-1, opens])
    better, worse = int((jump < other).sum()), int((jump > other).sum())
    return (better - worse) / np.sqrt(better + worse) if better + worse >= MIN_ROWS else 0.0


def _ambiguous(source: str, table: Sequence[Sequence[str]], why: str) -> SourceError:
    first = ",".join(table[0])[:80] if table else ""
    return SourceError(
        f"{source}: {why} (tried names, the high/low envelope and continuity; first row {first!r})",
        "columns that are settled by their names or their numbers",
        _hint(source),
    )


def _hint(source: str) -> str:
    columns = '["time", "open", "close", "high", "low", "volume"]'
    return f'set [[source.layout]] files = "{source}", columns = {columns} in the file\'s order, "-" for others'
