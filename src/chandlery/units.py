"""Durations, intervals, symbols and series: parses the spellings that users write into the one that the lake uses."""

import math
import re
from functools import cache

from chandlery.errors import SettingsError

__all__ = [
    "LONGEST_DAYS",
    "LONGEST_MINUTES",
    "UNASSIGNED_NAME",
    "UNASSIGNED_SYMBOL",
    "check_timezone",
    "name_symbol",
    "normalise_exchange",
    "normalise_series",
    "normalise_symbol",
    "parse_interval",
    "parse_minutes",
    "parse_offset",
    "round_up_minutes",
    "to_interval_text",
    "to_minutes_text",
]

UNASSIGNED_SYMBOL = "UNKNOWN"  # stands for refused files that belong to no series; no candle has it
UNASSIGNED_NAME = "unknown/unknown"  # stands for the series of refused files whose symbol or interval is not known
MINUTES = {"m": 1, "min": 1, "h": 60, "d": 1440, "w": 10080}
LONGEST_DAYS = 3660  # ten years with leap days: a longer duration is a mistake, such as minutes written as days
LONGEST_MINUTES = LONGEST_DAYS * MINUTES["d"]
SYMBOL_SUFFIX = re.compile(r"(_(?:PERP|MARK|INDEX|PREMIUM|\d{6}))+$", re.IGNORECASE)
MONTHS = re.compile(r"\s*\d+\s*(M|mo|mon|mth|months?|Months?)\s*")


@cache
def parse_minutes(text: str) -> int:
    """Return the minutes of a duration such as `30m`, `2h` or `180d`.

    Raises:
        SettingsError: The text is not a whole number of at least one followed by m, h, d or w, it means months, or
            the duration is longer than ten years.

    Example:
        >>> parse_minutes("2h")
        120
    """
    if MONTHS.fullmatch(text):
        found = f"duration {text!r}: months differ in length and are not supported"
        hint = "write m for minutes; write 4w or 30d for about a month"
        raise SettingsError(found, "minutes, hours, days or weeks", hint)
    match = re.fullmatch(r"\s*(\d+)\s*(m|min|h|d|w)\s*", text)
    minutes = int(match[1]) * MINUTES[match[2]] if match else 0
    if not 0 < minutes <= LONGEST_MINUTES:
        raise SettingsError(
            f"duration {text!r}", "a number and m, h, d or w, of ten years at most", "write 30m, 2h or 180d"
        )
    return minutes


def parse_offset(text: str) -> int:
    """Return the seconds of an offset: 0, or a duration as for `parse_minutes`.

    Raises:
        SettingsError: The text is neither.

    Example:
        >>> parse_offset("0"), parse_offset("5h")
        (0, 18000)
    """
    return 0 if re.fullmatch(r"\s*0\s*[mhdw]?\s*", text) else 60 * parse_minutes(text)


def check_timezone(text: str) -> str:
    """Return the name of a time zone.

    Raises:
        SettingsError: There is no such zone.
    """
    import polars as pl  # noqa: PLC0415 - its zones are those that times are read with; importing it takes long

    try:
        pl.Series([0]).cast(pl.Datetime("ms")).dt.replace_time_zone(text or "no name")
    except pl.exceptions.PolarsError:
        hint = "write it as Europe/Berlin or Asia/Seoul"
        raise SettingsError(f"timezone {text!r}", "the name of a time zone", hint) from None
    return text


def to_minutes_text(minutes: int) -> str:
    """Return minutes in the form used for intervals: always in minutes, so that each length has one name.

    Example:
        >>> to_minutes_text(60)
        '60m'
    """
    return f"{minutes}m"


@cache
def parse_interval(text: str) -> int:
    """Return the seconds of an interval: a duration as for `parse_minutes`, or seconds as in `15s`.

    Raises:
        SettingsError: The text is neither.

    Example:
        >>> parse_interval("15s"), parse_interval("30m")
        (15, 1800)
    """
    match = re.fullmatch(r"\s*([1-9]\d{0,5})\s*(s|sec)\s*", text)
    return int(match[1]) if match else 60 * parse_minutes(text)


def to_interval_text(seconds: int) -> str:
    """Return an interval in the form that the lake uses: whole minutes in minutes, others in seconds.

    Example:
        >>> to_interval_text(15), to_interval_text(3600)
        ('15s', '60m')
    """
    return f"{seconds}s" if seconds % 60 else to_minutes_text(seconds // 60)


def round_up_minutes(minutes: int, interval_seconds: int) -> int:
    """Return the smallest number of minutes that is a multiple of an interval and not less than `minutes`.

    Example:
        >>> [round_up_minutes(30, seconds) for seconds in (7, 45, 60, 420, 604_800)]
        [35, 30, 30, 35, 10080]
    """
    unit = math.lcm(interval_seconds, 60) // 60
    return -(-minutes // unit) * unit


def normalise_symbol(text: str) -> str:
    """Return a symbol as the lake writes it: A–Z and 0–9, without separators and without Bitfinex's prefix `t`.

    Markets other than spot have a suffix: `_PERP` for perpetuals, the expiry as in `_240329` for dated futures, and
    `_MARK`, `_INDEX` and `_PREMIUM` for prices that nobody trades at.

    Raises:
        SettingsError: Nothing is left, or the text holds characters other than letters, digits and `/:-_.`.

    Example:
        >>> [normalise_symbol(text) for text in ("ltc/usd", "tLTCUSD", "dusk:usd", "btc-usdt_perp", "BTC/USDT:USDT")]
        ['LTCUSD', 'LTCUSD', 'DUSKUSD', 'BTCUSDT_PERP', 'BTCUSDT_PERP']
    """
    text = text.strip()
    suffix = SYMBOL_SUFFIX.search(text)
    pair, ending = (text[: suffix.start()], suffix[0].upper()) if suffix else (text, "")
    if settled := re.fullmatch(r"(\w+)/(\w+):(?:\1|\2)", pair):  # as ccxt writes derivatives
        pair, ending = f"{settled[1]}{settled[2]}", ending or "_PERP"
    bare = re.sub(r"[/:\-_.\s]", "", pair)
    if re.fullmatch(r"t[A-Z0-9]{5,}", bare):
        bare = bare[1:]
    if not re.fullmatch(r"[A-Za-z0-9]+", bare):
        raise SettingsError(f"symbol {text!r}", "letters and digits", "write it as LTCUSD or ltc/usd")
    return bare.upper() + ending


def name_symbol(text: str) -> str:
    """Return the symbol that a setting gives to files, as `normalise_symbol` does.

    Raises:
        SettingsError: The text is no symbol, or the one that stands for refused files.
    """
    symbol = normalise_symbol(text)
    if symbol == UNASSIGNED_SYMBOL:
        found = f"symbol {text!r}, which stands for refused files alone"
        raise SettingsError(found, "the symbol of candles", "write it as LTCUSD or ltc/usd")
    return symbol


def normalise_exchange(text: str) -> str:
    """Return the name of an exchange as the lake writes it: lower-case a–z, 0–9 and `_`.

    Raises:
        SettingsError: The text is empty or holds another character.

    Example:
        >>> normalise_exchange("Kraken")
        'kraken'
    """
    name = text.strip().lower()
    if not re.fullmatch(r"[a-z0-9_]+", name):
        raise SettingsError(f"exchange {text!r}", "a name of a–z, 0–9 and _", "write it as kraken or binance_us")
    return name


def normalise_series(text: str) -> str:
    """Return the name of a series as the lake writes it: exchange and interval, as in kraken/60m.

    Raises:
        SettingsError: The text is not an exchange and an interval with a slash between them.

    Example:
        >>> normalise_series("kraken/1h"), normalise_series("unknown/unknown")
        ('kraken/60m', 'unknown/unknown')
    """
    exchange, _, interval = (part.strip() for part in text.partition("/"))
    expected, hint = "an exchange and an interval, as in kraken/1m", "`chandlery tables` lists the series of a lake"
    if (
        not re.fullmatch(r"[\w.-]+", exchange) or not interval
    ):  # as wide as lake.json allows, for names of earlier releases
        raise SettingsError(f"series {text!r}", expected, hint)
    if f"{exchange}/{interval}" == UNASSIGNED_NAME:
        return UNASSIGNED_NAME
    try:
        return f"{exchange.lower()}/{to_interval_text(parse_interval(interval))}"
    except SettingsError as error:
        raise SettingsError(f"series {text!r}: {error.found}", expected, hint) from None
