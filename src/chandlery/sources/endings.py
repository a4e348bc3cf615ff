"""What stands behind a pair: the expiry of a future, the strike of an option, or the date of a file."""

import re

from chandlery.sources.words import EXPIRY, MONTHS, ORDERS, Word

__all__ = ["DAY", "OPTION", "ROLLING", "find_option", "read_ending", "read_short_date"]

OPTION, ROLLING = "_OPTION", "_ROLLING"  # suffixes of what is no series of candles of one price, which is refused
DAY = r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
# Expiry, strike and side, as exchanges write them: BTC-29MAR24-50000-C, BTC-240329-50000-P, XRP_USDC-3MAY24-0d52-C.
OPTIONS = re.compile(
    rf"(?<![^-])(?:\d{{1,2}}(?:{'|'.join(MONTHS)})\d\d|(?:20)?\d\d{DAY})-\d+(?:[d-]\d+)?-(?:C|P|CALL|PUT)(?![^-])",
    re.IGNORECASE,
)
ORDERS_IN_FULL = frozenset("quarter quarterly delivery".split())


def find_option(words: list[Word]) -> str:
    """Return the expiry, the strike and the side of the option that words name; empty if they name none.

    Example:
        >>> from chandlery.sources.words import split_words
        >>> find_option(split_words("BTC-240329-50000-C-1h.csv")), find_option(split_words("BTC-240329.csv"))
        ('240329-50000-C', '')
    """
    met = OPTIONS.search("-".join(word.text for word in words))
    return met[0] if met else ""


def read_ending(words: list[Word], first: Word, last: Word) -> tuple[str, str]:
    """Return the suffix of a future by what follows its pair, and digits that may be its expiry or a date.

    Args:
        words: All words of the part of the path.
        first: The first word of the pair.
        last: Its last word, which is the first one where the pair is a single word.
    """
    start, end = (next(place for place, word in enumerate(words) if word is each) for each in (first, last))
    behind = words[end + 1] if end + 1 < len(words) else Word("")
    mark = words[start - 1].text if start else ""
    if mark in {"PF", "PI", "PV"} or (behind.before, behind.text) == (".", "P"):
        return "_PERP", ""  # Kraken's PF_XBTUSD and TradingView's BTCUSDT.P
    if behind.text in ORDERS or behind.lower in ORDERS_IN_FULL or (behind.before, behind.text) == ("=", "F"):
        return ROLLING, ""
    if not behind.before and re.fullmatch(DAY, behind.text):  # OKX once wrote BTCUSD0329
        return "", behind.text
    for word in words[start + 1 :]:
        if met := EXPIRY.fullmatch(word.text):
            date = f"{met[3][-2:]}{MONTHS.index(met[2].upper()) + 1:02}{met[1].zfill(2)}"
            # No exchange writes four digits of a year: that may be the date of the file as well.
            return ("", date) if len(met[3]) > len("24") else (f"_{date}", "")
        if re.fullmatch(rf"\d\d{DAY}", word.text):
            return "", word.text
    return "", ""


def read_short_date(words: list[Word], coin: Word) -> str:
    """Return a day or a month behind a lone coin that may be an expiry, as in BTC-0329 of FTX; empty without one."""
    place = next(place for place, word in enumerate(words) if word is coin)
    behind = words[place + 1].text if place + 1 < len(words) else ""
    return behind if re.fullmatch(rf"{DAY}|(?:{'|'.join(MONTHS)})\d\d", behind) else ""
