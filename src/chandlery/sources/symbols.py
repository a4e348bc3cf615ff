"""Whose candles a file holds, by its path."""

import fnmatch
import re
from itertools import pairwise

from chandlery.errors import SourceError
from chandlery.settings.model import LayoutSettings, ReadingSettings
from chandlery.units import UNASSIGNED_SYMBOL, normalise_symbol

__all__ = ["find_symbol", "match_layout", "split_pair"]

# The currencies that pairs end with, as the exchanges spell them.
QUOTE_WORDS = (
    "USDT USDC TUSD BUSD FDUSD DAI USD EUROC EUR EURT GBP JPY CNHT CHT CNH TRY AUD CAD CHF MXNT BRL KRW UST BTC XBT "
    "ETH EOS XLM DUSK XAUT XAU MIM BNB"
)
QUOTES = tuple(QUOTE_WORDS.split())
BASE_LENGTHS = range(2, 11)  # letters of the other currency of a pair
EXCHANGES = (
    "bitfinex binance bitstamp bybit coinbase kraken kucoin okx okex huobi gemini bitmex poloniex bittrex yahoo ccxt "
    "cryptodatadownload"
)
OTHER_WORDS = (
    "api candle candles kline klines ohlc ohlcv bars trades spot perp data dated hist history historical minute "
    "minutes hourly daily raw part sample csv json export"
)
SILENT = set(EXCHANGES.split()) | set(OTHER_WORDS.split())
SUFFIX = re.compile(r"\.(csv|tsv|txt|json|jsonl|ndjson|gz|zst|zip)$", re.IGNORECASE)


def match_layout(source: str, settings: ReadingSettings) -> LayoutSettings | None:
    """Return the layout set by hand that holds for a file: the first whose pattern matches its path or name."""
    name = source.replace("!", "/").rpartition("/")[2]
    matches = (
        layout for layout in settings.layout if any(fnmatch.fnmatchcase(text, layout.files) for text in (source, name))
    )
    return next(matches, None)


def find_symbol(source: str, settings: ReadingSettings | None = None) -> str:
    """Return the symbol that a path names: in the file's name, else in the nearest folder that names one.

    Args:
        source: The path below the source root, `archive.zip!member` inside a zip.
        settings: Where a symbol set by hand stands; it wins.

    Raises:
        SourceError: No part of the path names a symbol, or one part names several; or the path ends with "/", the mark
            of what cannot be read.

    Example:
        >>> paths = ("ltcusd.csv.gz", "LTC-USD/2019.csv", "x/BSV_1541600000000_USD.csv", "tLTCUSD-1m.json")
        >>> [find_symbol(path) for path in paths]
        ['LTCUSD', 'LTCUSD', 'BSVUSD', 'LTCUSD']
    """
    if source.endswith("/"):
        raise _refuse_name(source.rstrip("/"))
    by_hand = match_layout(source, settings) if settings else None
    if by_hand and by_hand.symbol:
        return by_hand.symbol
    parts = re.split(r"[/!]", source)[::-1]
    for find in (_find_pairs, _find_lone):
        for part in parts:
            found = find(part)
            if len(found) == 1:
                return found[0]
            if found:
                raise _refuse(source, f"names {' and '.join(found)}")
    raise _refuse(source, "names no symbol")


def _refuse_name(source: str) -> SourceError:
    if "\\" in source:
        found = f"the name {source} holds line breaks, other control characters or bytes that are no UTF-8"
        return SourceError(found, "a name that every store can have", "rename the file")
    found = f"{source} is a link that leads back to itself, to a folder above it or to a lake"
    return SourceError(found, "a link to raw files", "remove the link, or leave it out by a glob")


def _refuse(source: str, what: str) -> SourceError:
    return SourceError(
        f"the path {source} {what}",
        "one pair in the name of the file or its folder, as in ltcusd.csv or LTC-USD/2019.csv",
        f'set [[source.layout]] files = "{source}", symbol = "…"',
    )


def _words(part: str) -> list[str]:
    """Return the words of a path's part that may name a coin."""
    while SUFFIX.search(part):
        part = SUFFIX.sub("", part)
    part = re.sub(r"^symbol=", "", part)
    words = [re.sub(r"^t(?=[A-Z0-9]{5,}$)", "", word) for word in re.split(r"[^A-Za-z0-9]+", part)]
    silent = re.compile(r"\d+|\d+(m|min|h|d|w|s|mo)|v\d+", re.IGNORECASE)
    return [word for word in words if word and not silent.fullmatch(word) and word.lower() not in SILENT]


def _find_pairs(part: str) -> list[str]:
    words = [word.upper() for word in _words(part)]
    bounded = [f"{base}{quote}" for base, quote in pairwise(words) if quote in QUOTES and not _is_pair(base)]
    whole = [word for word in words if _is_pair(word)]
    return sorted({normalise_symbol(pair) for pair in (*bounded, *whole)})


def split_pair(symbol: str) -> tuple[str, str]:
    """Return the base and the quote of a symbol; the quote is empty where no known one stands at its end.

    Example:
        >>> split_pair("BTCUSDT"), split_pair("LTC")
        (('BTC', 'USDT'), ('LTC', ''))
    """
    found = [quote for quote in QUOTES if symbol.endswith(quote) and len(symbol) - len(quote) in BASE_LENGTHS]
    quote = max(found, key=len, default="")
    return symbol.removesuffix(quote), quote


def _is_pair(word: str) -> bool:
    return any(word.endswith(quote) and len(word) - len(quote) in BASE_LENGTHS for quote in QUOTES)


def _find_lone(part: str) -> list[str]:
    """Return a lone coin without its quote: one word in capitals, as in bitfinex_LTC_30m.csv."""
    lone = [word for word in _words(part) if re.fullmatch(r"[A-Z][A-Z0-9]{1,7}", word)]
    return lone if len(lone) == 1 and lone[0] != UNASSIGNED_SYMBOL else []
