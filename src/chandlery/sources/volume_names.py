"""What the name of a column says of the numbers in it, as far as volumes go."""

import re
from collections.abc import Sequence
from functools import lru_cache

from chandlery.sources.columns import NAMES, Columns, list_plain
from chandlery.sources.words import COINS, MONEY

__all__ = ["find_by_name", "is_market_cap", "is_other", "is_quote", "names_volume", "tells_trades"]

# Plain names, in order of preference.
BASE = (
    "volume vol v basevolume volumebase baseassetvolume volumefrom homenotional volumetraded candleacctradevolume "
    "amount qty quantity size volccy basevol turnoverbase sxsum"
).split()
QUOTE = set(
    "quotevolume volumequote quoteassetvolume quoteassetvol quotevol volquote volccyquote volumeto volumeusd turnover "
    "amountquote value foreignnotional candleacctradeprice volumecurrency money q notional quoteamount".split()
)
OTHER = {  # neither volume, whatever its numbers say
    *"n taker ignore marketcap marketcapitalization weightedaverage weightedprice adjclose openinterest lastsize "
    "prevclose nr rownumber unnamed0 tickcount tradecount numtrades numberoftrades sno id index".split(),
    *(name for role in ("symbol", "exchange", "interval", "closed") for name in NAMES[role].split()),
}
# A name with one of these words is that of a part of the volume, of a figure made of it, or of something else.
OTHER_WORDS = frozenset(
    "taker maker buy buys sell sells buyer seller buying selling bid ask up down long short "
    "rolling cumulative cum ma sma ema wma avg average mean median std zscore rank ratio change chg delta diff pct "
    "percent percentage growth lag prev previous obv rsi macd atr adx cci vwap imbalance profile oscillator osc "
    "count cnt trades ticks transactions contracts lots spread interest oi cap fee fees funding "
    "period interval timeframe id index".split()
)
LONG = re.compile(r"24h\w*|(?!1d)\d+d\w*")  # of a sum over more than a candle, as in volume_24h
VOLUMES = frozenset(["volume", "volumes", "vol"])
# Words beside volume that change nothing; with another word it is not clear what is counted.
PLAIN_WORDS = frozenset("base traded trade total real exchange candle bar coin crypto asset token in".split())
QUOTE_WORDS = frozenset(["quote", "quoted", "counter"])
TRADES = frozenset("tick ticks tickvol trade trades count turnover amount quantity qty".split())
SAME_COINS = ({"btc", "xbt"},)
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+[A-Za-z]*")


def names_of(table: Columns, place: int) -> tuple[str, ...]:
    """Return the plain names of a column; none without a header."""
    return list_plain(table.names[place]) if table.names is not None else ()


def words_of(table: Columns, place: int) -> list[frozenset[str]]:
    """Return the words of each line of a column's name; none without a header."""
    return [split_name(line) for line in table.names[place].split("\n")] if table.names is not None else []


@lru_cache(maxsize=10_000)
def split_name(name: str) -> frozenset[str]:
    """Return the words of the name of a column in lower case, without the coin before the dot.

    Example:
        >>> sorted(split_name("LTC.baseTokenVolume")), sorted(split_name("Volume (USDT)")), sorted(split_name("vol24h"))
        (['base', 'token', 'volume'], ['usdt', 'volume'], ['24h', 'vol'])
    """
    last = name.strip().rstrip(".").rpartition(".")[2]
    return frozenset(word.lower() for word in WORDS.findall(re.sub(r"(?i)^(volume)(?=[a-z]{3})", r"\1 ", last)))


def is_other(table: Columns, place: int) -> bool:
    """Return whether the name of a column says that it is neither of the two volumes."""
    if any(name in BASE or name in QUOTE for name in names_of(table, place)):
        return False
    if any(name in OTHER for name in names_of(table, place)):
        return True
    return any(words & OTHER_WORDS or any(map(LONG.fullmatch, words)) for words in words_of(table, place))


def is_market_cap(table: Columns, place: int) -> bool:
    """Return whether the name of a column says that it is the worth of all coins."""
    return any(name.startswith("marketcap") for name in names_of(table, place))


def is_quote(table: Columns, place: int, currencies: tuple[str, str]) -> bool:
    """Return whether the name of a column says that it is the volume in the quote currency."""
    base, quote = (currency.lower() for currency in currencies)
    for name, words in zip(names_of(table, place), words_of(table, place), strict=True):
        coin = name.removeprefix("volume").removeprefix("vol")
        if name in QUOTE or (coin and coin != name and coin == quote and coin != base):
            return True
        foreign = words - same_as(base)
        if words & VOLUMES and any(each in QUOTE_WORDS or each == quote or each.upper() in MONEY for each in foreign):
            return not is_other(table, place)
    return False


def same_as(coin: str) -> set[str]:
    """Return the codes of a coin, in lower case."""
    return next((codes for codes in SAME_COINS if coin in codes), {coin})


def names_volume(table: Columns, place: int) -> bool:
    """Return whether the name of a column is one of a volume in the base currency."""
    return any(name in BASE for name in names_of(table, place))


def tells_trades(table: Columns, place: int) -> bool:
    """Return whether the name of a column says that its numbers are 0 where nothing was traded."""
    known = {*BASE, *QUOTE, "n"}
    words = words_of(table, place)
    return any(name in known for name in names_of(table, place)) or any(each & (VOLUMES | TRADES) for each in words)


def is_clear(words: frozenset[str], base: str) -> bool:
    """Return whether the words of a name say that it is the volume in the base currency, and nothing else."""
    known = VOLUMES | PLAIN_WORDS | same_as(base)
    known |= {"currency"} if "base" in words else set()
    rest = words - known
    return bool(words & VOLUMES) and (not rest or (not base and all(word.upper() in COINS for word in rest)))


def find_by_name(table: Columns, candidates: Sequence[int], currencies: tuple[str, str]) -> int | None:
    """Return the column whose name says that it is the volume in the base currency; None if there is none.

    Args:
        table: The first rows.
        candidates: The columns of numbers.
        currencies: Base and quote of the pair; empty where they are not known.
    """
    base = currencies[0].lower()
    known = [f"volume{base}", f"vol{base}", *BASE] if base else BASE
    plain_names = {place: names_of(table, place) for place in candidates}
    for name in known:
        met = [place for place in candidates if name in plain_names[place]]
        if len(met) > 1 and table.names is not None:
            met = [place for place in met if table.names[place] == table.names[place].lower()] or met
        if met:
            return met[0]
    clear = [
        place
        for place in candidates
        if not is_quote(table, place, currencies) and any(is_clear(words, base) for words in words_of(table, place))
    ]
    of_base = [place for place in clear if any(words & {"base", *same_as(base)} for words in words_of(table, place))]
    return next((places[0] for places in (of_base, clear) if len(places) == 1), None)
