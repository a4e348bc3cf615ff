"""Which symbol a file holds, by its name."""

import itertools
import re

from chandlery.config import normalise_symbol
from chandlery.errors import SourceError

__all__ = ["find_symbol"]

QUOTES = "USDT USDC BUSD TUSD USD EUR GBP JPY CHF AUD CAD TRY KRW BRL CNHT XAUT MIM EUT UST BTC XBT ETH BNB DAI".split()
NOISE = set(
    "bitfinex binance bybit bitstamp kraken coinbase gemini okx kucoin huobi yahoo cryptodatadownload api candles candle "
    "ohlc ohlcv hist history historical data dated minute minutes hourly daily part spot futures trades export dump raw full".split()
)
ENDINGS = re.compile(r"\.(csv|tsv|txt|json|ndjson|jsonl|gz|gzip|zst|zstd|zip)$", re.IGNORECASE)
MOST_BASE = 10


def find_symbol(source: str) -> str:
    """Return the symbol that a file's path names: in its name, or else in a folder's.

    Raises:
        SourceError: It names none.

    Example:
        >>> [find_symbol(name) for name in ("ltcusd.csv", "binance_LTC_USDT-1m.json", "symbol=tETHUSD/2019.csv.gz")]
        ['LTCUSD', 'LTCUSDT', 'ETHUSD']
    """
    inner = source.rpartition("!")[2]
    for part in reversed([part for text in (source.split("!", maxsplit=1)[0], inner if "!" in source else "") for part in text.split("/") if part]):
        if found := _find_in(part):
            return found
    raise SourceError(f"{source} names no symbol", "a name such as LTCUSD.csv or ltc-usd_2019.csv.gz", 'rename it, or set [[source.layout]] files = "…", symbol = "…"')


def _find_in(part: str) -> str | None:
    if match := re.fullmatch(r"(?:symbol|pair|ticker)=(.+)", part, re.IGNORECASE):
        return normalise_symbol(match[1])
    stem = part
    while ENDINGS.search(stem):
        stem = ENDINGS.sub("", stem)
    tokens = [token for token in re.split(r"[^A-Za-z0-9]+", stem) if token and not _is_noise(token)]
    for base, quote in itertools.pairwise(tokens):
        if quote.upper() in QUOTES and len(base) <= MOST_BASE:
            return normalise_symbol(f"{base}{quote}")
    for token in tokens:
        bare = token[1:] if re.fullmatch(r"t[A-Z0-9]{5,}", token) else token
        if any(bare.upper().endswith(quote) and len(bare) > len(quote) + 1 for quote in QUOTES):
            return normalise_symbol(bare)
    if len(tokens) == 1 and re.fullmatch(r"[A-Za-z][A-Za-z0-9]{1,9}", tokens[0]):
        return normalise_symbol(tokens[0])
    return None


def _is_noise(token: str) -> bool:
    return token.lower() in NOISE or re.fullmatch(r"\d+|\d+(s|m|min|h|d|w)|\d{4}\d*T\d+Z?", token, re.IGNORECASE) is not None
