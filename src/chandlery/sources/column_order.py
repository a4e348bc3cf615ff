"""Which columns are the prices, by what the numbers must obey, where no names tell it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chandlery.sources.columns import PRICES, Columns, Placed, hint_columns, to_number
from chandlery.sources.dialects import is_numbering
from chandlery.sources.doubts import UndecidedError

__all__ = ["MIN_ROWS", "place_by_data"]

PART = 0.002  # of a price: volumes are rounded
MIN_ROWS = 10  # of fewer rows the numbers settle nothing: an order may fit by chance
CLOSE_TOGETHER = 0.1  # of the prices of a candle, in logs
NEARLY_ALL = 0.95  # of the rows: a few faulty ones must not hide which column is the high or the low
CLEAR_SIGMAS = 3.0  # by chance, open and close would be mistaken for each other in one file of a thousand
KLINES = 12  # columns of klines, whose seventh is the time of the close


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
    if len(numbers) < MIN_ROWS and is_klines(table, times, whole):
        return Placed((1, 2, 3, 4), "columns by the twelve columns of klines", volume=5)
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


def is_klines(table: Columns, times: Sequence[int], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether few rows have the twelve columns of Binance's klines, whose order its documentation gives.

    The seventh is the last millisecond or microsecond of the candle, the twelfth is 0, and the numbers fit the names.
    """
    if table.width != KLINES or list(times) != [0, 6] or not rows:
        return False
    numbers = np.array([[to_number(field) for field in row] for row in rows])
    begin, open_, high, low, close, volume, end, quote, trades, taker, taker_quote, ignored = numbers.T
    is_price = (high == numbers[:, 1:5].max(axis=1)) & (low == numbers[:, 1:5].min(axis=1)) & (open_ > 0) & (close > 0)
    is_turnover = (quote >= low * volume * (1 - PART)) & (quote <= high * volume * (1 + PART))
    is_part = (taker <= volume) & (taker_quote <= quote * (1 + PART)) & (trades % 1 == 0)
    is_candle = ((end + 1 - begin) % 1000 == 0) & (end > begin) & (ignored == 0)
    return bool((is_price & is_turnover & is_part & is_candle).all())


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
