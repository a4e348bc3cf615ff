"""What the name of a column says of its times: whether they are those of the open or of the end, and their zone."""

import re
from functools import lru_cache
from zoneinfo import ZoneInfo

from chandlery.sources.columns import list_plain

__all__ = ["PREFERRED", "find_zones", "is_made", "name_clock", "names_utc", "rank_name", "rank_open"]

# Words of names. Only columns whose texts are times are ranked by them, so that a price named close is never met.
OPENS = frozenset("open opening opened start starting started begin beginning from".split())
ENDS = frozenset("end ending ended stop until till to".split())
CLOSES = frozenset("close closing closed".split())  # alone it is the name of a price
TIMES = frozenset("time timestamp stamp ts date datetime unix epoch day at".split())
CANDLES = frozenset("candle candlestick bar kline period bucket window interval ohlc ohlcv".split())
UTC = frozenset(["utc", "gmt"])
MARKS = UTC | frozenset("ms us ns sec seconds millis milliseconds micros nanos iso".split())
# Of something else than the candle, or of another candle.
MADE = frozenset(["created"])
EVENTS = MADE | frozenset(
    "high low first last prev previous next received updated update modified inserted ingested ingestion ingest "
    "fetched fetch downloaded download retrieved collected scraped loaded processed saved expiry expiration".split()
)
WHOLE = frozenset("at to from day bar us ns ms sec last low".split())  # that are no words inside longer ones
INSIDE = sorted((OPENS | ENDS | CLOSES | TIMES | CANDLES | MARKS | EVENTS) - WHOLE, key=len, reverse=True)
JOINED = re.compile(f"(?:{'|'.join([*INSIDE, *sorted(WHOLE - {'to', 'from', 'bar', 'day'})])})+")
PIECE = r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])"
PART = re.compile("|".join([*INSIDE, *sorted(WHOLE)]))
# Of columns with times of day.
HOURS = frozenset("hour hours hr".split())
CLOCKS = HOURS | frozenset("time clock timeofday".split())
# Names that are read as a whole.
KNOWN = {
    **dict.fromkeys(["t", "mts", "candletime", "candledatetimeutc"], "open"),
    **dict.fromkeys(["index", "key", "tsevent"], "any"),
    **dict.fromkeys(["tradetime", "lasttradetime", "eventtime", "tsinit", "candledatetimekst"], "else"),
}
# Of several names of times that do not say whether they are those of the open, in this order.
PREFERRED = "time timestamp ts unixtimestamp unix unixtime timestampms datetime date datetimeutc".split()

LOCAL = frozenset(["local", "localtime"])
# Zones by the abbreviations with which columns name them: the first is the likeliest.
ABBREVIATIONS = {
    "kst": "Asia/Seoul",
    "jst": "Asia/Tokyo",
    "hkt": "Asia/Hong_Kong",
    "sgt": "Asia/Singapore",
    "beijing": "Asia/Shanghai",
    "ist": "Asia/Kolkata Asia/Jerusalem Europe/Dublin",
    "msk": "Europe/Moscow",
    "trt": "Europe/Istanbul",
    "eet": "Europe/Athens Etc/GMT-2",
    "eest": "Europe/Athens Etc/GMT-3",
    "cet": "Europe/Berlin Etc/GMT-1",
    "cest": "Europe/Berlin Etc/GMT-2",
    "bst": "Europe/London",
    "et": "America/New_York",
    "est": "America/New_York Etc/GMT+5",
    "edt": "America/New_York Etc/GMT+4",
    "ny": "America/New_York",
    "nyc": "America/New_York",
    "ct": "America/Chicago",
    "cst": "America/Chicago Asia/Shanghai Etc/GMT+6",
    "cdt": "America/Chicago Etc/GMT+5",
    "mst": "America/Denver America/Phoenix",
    "mdt": "America/Denver",
    "pt": "America/Los_Angeles",
    "pst": "America/Los_Angeles Etc/GMT+8",
    "pdt": "America/Los_Angeles Etc/GMT+7",
    "brt": "America/Sao_Paulo",
    "aest": "Australia/Sydney Australia/Brisbane",
    "aedt": "Australia/Sydney",
}
# Of names of cities: the parts of the world in which the time zone database has them.
REGIONS = ("America", "Asia", "Europe", "Australia", "Africa", "Pacific", "US")
OFFSET = re.compile(r"(?:utc|gmt)[ _]?([-+]|plus|minus)?[ _]?(\d{1,2})(?::?(\d{2}))?(?![a-z0-9])")
ZONE = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z_/]+")
FIRST_HOUR, LAST_HOUR = -12, 14  # of the zones of the world


@lru_cache(maxsize=10_000)
def list_words(name: str) -> frozenset[str]:
    """Return the words of a column's name in lower case; those that are written together are told apart if all known.

    Example:
        >>> sorted(list_words("kline_close_time")), sorted(list_words("endtimestamp")), sorted(list_words("trend"))
        (['close', 'kline', 'time'], ['end', 'timestamp'], ['trend'])
    """
    pieces = re.findall(PIECE, name)
    words: set[str] = set()
    for piece in map(str.lower, pieces):
        words |= {*PART.findall(piece)} if piece not in WHOLE and JOINED.fullmatch(piece) else {piece}
    return frozenset(words)


@lru_cache(maxsize=10_000)
def rank_name(name: str) -> str:
    """Return what the name of a column of times says of them: open, any, end, else; empty if nothing.

    Example:
        >>> [rank_name(name) for name in ("Open Time", "timestamp_ms", "candle_end", "closing_time", "created_at", "x")]
        ['open', 'any', 'end', 'end', 'else', '']
    """
    if name in {"T", "E"}:  # as Binance's streams write the end of a candle, and the time of a message
        return "end" if name == "T" else "else"
    known = next((KNOWN[each] for each in list_plain(name) if each in KNOWN), "")
    return known or next(filter(None, map(rank_words, name.split("\n"))), "")


def rank_words(name: str) -> str:
    """Return the same of one line of a name, by its words."""
    words = list_words(name.rpartition(".")[2])
    zones = LOCAL | ABBREVIATIONS.keys()
    of_times = words & (TIMES | CANDLES)
    is_end = bool(words & ENDS or (words & CLOSES and of_times))
    is_open = bool(words & OPENS - {"open", "opening", "opened"} or (words & OPENS and of_times))
    if words & EVENTS and words & TIMES:
        return "else"
    if is_end != is_open:
        return "end" if is_end else "open"
    return "any" if words & TIMES and words <= TIMES | CANDLES | MARKS | zones else ""


def rank_open(name: str) -> tuple[bool, bool]:
    """Return how well a name says that times are those at which candles open: the lower, the better.

    The beginning of a period or candle is preferred to a beginning, and that to an open, which may be the first trade.
    """
    words = list_words(name)
    return (not words & CANDLES, "open" in words)


def name_clock(name: str) -> str:
    """Return what times of day a name says that a column has: `hour`, or `time` of any; empty if it does not say so.

    Example:
        >>> [name_clock(name) for name in ("<TIME>", "Time (UTC)", "hour", "high_time", "timestamp")]
        ['time', 'time', 'hour', '', '']
    """
    words = list_words(name)
    if not words & CLOCKS or not words <= CLOCKS | MARKS | LOCAL | ABBREVIATIONS.keys():
        return ""
    return "hour" if words & HOURS else "time"


def is_made(name: str) -> bool:
    """Return whether a name says that times are those at which something was made, which may be the candle."""
    return bool(list_words(name) & MADE)


@lru_cache(maxsize=10_000)
def find_zones(name: str) -> tuple[str, ...] | None:
    """Return the zones that a column's name may mean, the likeliest first; None if it does not say that it has one.

    The result is empty where the name says that times are local ones, and not of which zone.

    Example:
        >>> find_zones("Time (UTC+8)"), find_zones("datetime_msk"), find_zones("Date (America/New_York)")
        (('Etc/GMT-8',), ('Europe/Moscow',), ('America/New_York',))
        >>> find_zones("LocalTime"), find_zones("Date (UTC)")
        ((), None)
    """
    if (met := OFFSET.search(name.lower())) is not None:
        return name_offset(*met.groups())
    if (written := ZONE.search(name)) is not None and is_zone(written[0]):
        return (written[0],)
    words = list_words(name)
    named = next((each for each in ABBREVIATIONS if each in words), None)
    if named is not None:
        return tuple(ABBREVIATIONS[named].split())
    if words & LOCAL:
        return ()
    return find_city(name)


def names_utc(name: str) -> bool:
    """Return whether a name says that times are in UTC.

    Example:
        >>> [names_utc(name) for name in ("date_utc", "Gmt time", "Time (UTC+8)", "date")]
        [True, True, False, False]
    """
    return bool(list_words(name) & UTC) and find_zones(name) is None


def name_offset(sign: str | None, hours: str, minutes: str | None) -> tuple[str, ...] | None:
    """Return the zones of an offset from UTC; None if it is zero, or no zone has it."""
    hour = int(hours) * (-1 if sign in {"-", "minus"} else 1)
    if not FIRST_HOUR <= hour <= LAST_HOUR or (hour == 0 and not int(minutes or 0)):
        return None
    if int(minutes or 0):
        return {(5, 30): ("Asia/Kolkata",), (5, 45): ("Asia/Kathmandu",)}.get((hour, int(minutes or 0)), ())
    return (f"Etc/GMT{-hour:+d}",)  # the database counts hours to the west


def find_city(name: str) -> tuple[str, ...] | None:
    """Return the zone of a city that stands beside words of times alone, as in time_berlin; None if there is none."""
    known = OPENS | ENDS | CLOSES | TIMES | CANDLES | MARKS | EVENTS
    pieces = [piece.capitalize() for piece in re.findall(PIECE, name) if not list_words(piece) <= known]
    regions = [pieces.pop(0)] if pieces and pieces[0] in REGIONS else REGIONS
    if not 1 <= len(pieces) <= 2 or not list_words(name) & TIMES:  # noqa: PLR2004 - as in New York
        return None
    zones = [f"{region}/{'_'.join(pieces)}" for region in regions]
    return next(((zone,) for zone in zones if is_zone(zone)), None)


@lru_cache(maxsize=1000)
def is_zone(name: str) -> bool:
    """Return whether the time zone database has a zone."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # no such zone, or a folder of zones
        return False
    return True
