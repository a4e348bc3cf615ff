"""Texts of symbols, exchanges and intervals, as they stand in columns of a file or around its rows."""

import re
from collections.abc import Mapping
from functools import lru_cache

from chandlery.errors import SettingsError
from chandlery.sources.pairs import Pair, read_symbol
from chandlery.sources.words import COINS, EXCHANGES, KINDS, find_interval, split_words
from chandlery.units import normalise_exchange

__all__ = [
    "AROUND",
    "KEYS",
    "KIND_MARK",
    "is_certain",
    "read_context",
    "read_exchange",
    "read_length",
    "read_pair",
    "read_plain",
    "read_prefix",
]

# Names of what stands around rows, such as the channel that they came by. Names of what holds them count as well.
AROUND = {
    "symbol": (
        "symbol pair s instId instrument instrument_name instrumentName ticker product_id currency_pair currencyPair "
        "market ch channel topic stream"
    ).split(),
    "exchange": "exchange venue".split(),
    "interval": "interval granularity resolution timeframe i ch channel topic stream".split(),
}
MARKETS = "category instType market_type marketType contractType".split()  # names of the kind of a market
KEYS = "\nkeys"  # under this name a context has the names of what holds the rows, from the innermost outwards
KIND_MARK = " · "  # between a symbol and the kind of its market, where both stand around rows


def read_pair(text: str) -> Pair | None:
    """Return the pair that a text names for certain: with a known quote currency, or a coin in capitals."""
    pair = read_symbol(text)
    if pair is None or (not pair.quote and not (pair.base in COINS or text.strip() == text.strip().upper())):
        return None
    return pair


def read_plain(text: str) -> Pair | None:
    """Return the pair of a symbol that stands in or around rows, without the kind of market that stands around them."""
    return read_pair(text.partition(KIND_MARK)[0])


def read_exchange(text: str) -> str | None:
    """Return the exchange that a text names; None if it is no name of one.

    Example:
        >>> read_exchange("Bitstamp"), read_exchange("coinbase pro"), read_exchange("12.5")
        ('bitstamp', 'coinbase', None)
    """
    name = re.sub(r"[ .-]+", "_", text.strip().lower())
    if not re.search(r"[a-z]", name) or re.fullmatch(r"[\d_.e+-]+", name):
        return None
    try:
        return EXCHANGES.get(name.replace("_", "")) or normalise_exchange(name)
    except SettingsError:
        return None


def read_prefix(text: str) -> str:
    """Return the exchange that stands before a symbol; empty where none does.

    Example:
        >>> read_prefix("BITSTAMP:BTCUSD"), read_prefix("BTC/USDT:USDT")
        ('bitstamp', '')
    """
    before, mark, _ = text.partition(":")
    return EXCHANGES.get(before.strip().lower(), "") if mark else ""


def read_length(text: str) -> int | None:
    """Return the seconds of a length of candles; None if a text is none.

    Example:
        >>> read_length("15m"), read_length("1 hour"), read_length("spot")
        (900, 3600, None)
    """
    found = find_interval(split_words(text))
    return found[0] if found else None


def read_context(context: Mapping[str, str]) -> tuple[str, str, str]:
    r"""Return the texts of symbol, exchange and interval that stand around rows; empty where they do not.

    Example:
        >>> read_context({"category": "linear", "symbol": "BTCUSDT", KEYS: "list"}), read_context({KEYS: "1h\nBTCUSD"})
        (('BTCUSDT · linear', '', ''), ('BTCUSD', '', '1h'))
    """
    return _read_texts(tuple(context.get(name, "") for name in CONSIDERED))


@lru_cache(maxsize=10_000)
def _read_texts(texts: tuple[str, ...]) -> tuple[str, str, str]:
    """Return what `read_context` does, from the texts of the names that it considers."""
    context = dict(zip(CONSIDERED, texts, strict=True))
    keys = context[KEYS].split("\n") if context[KEYS] else []
    symbols = [*((context[name], False) for name in AROUND["symbol"]), *((key, True) for key in keys)]
    symbol = next((text for text, is_key in symbols if text and is_symbol(text, is_key=is_key)), "")
    kind = next((context[name] for name in MARKETS if KINDS.get(context[name].lower())), "")
    exchanges = (context[name] for name in AROUND["exchange"])
    exchange = next((text for text in exchanges if text and read_exchange(text) is not None), "")
    exchange = exchange or next((key for key in keys if key.lower() in EXCHANGES), "")
    lengths = (*(context[name] for name in AROUND["interval"]), *keys)
    interval = next((text for text in lengths if text and read_length(text) is not None), "")
    return f"{symbol}{KIND_MARK}{kind}" if symbol and kind else symbol, exchange, interval


CONSIDERED = tuple(dict.fromkeys([*AROUND["symbol"], *AROUND["exchange"], *AROUND["interval"], *MARKETS, KEYS]))


def is_symbol(text: str, *, is_key: bool) -> bool:
    """Return whether a text around rows is a symbol for certain; a key may be a well-known coin alone."""
    pair = read_symbol(text)
    return is_certain(pair) or (is_key and text in COINS)


def is_certain(pair: object) -> bool:
    """Return whether a pair has a known quote currency."""
    return isinstance(pair, Pair) and bool(pair.quote)
