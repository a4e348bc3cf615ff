"""Whose candles a file holds: the symbol and the exchange that its path or its settings name."""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from chandlery.errors import SourceError
from chandlery.settings.model import LayoutSettings, ReadingSettings
from chandlery.sources.doubts import HOW_TO_NAME, NO_SYMBOL, UndecidedError, match_exactly, paste
from chandlery.sources.pairs import Pair, read_symbol, set_market
from chandlery.sources.path_pairs import Problem, doubt, find_pair
from chandlery.sources.path_words import find_keys, list_words, split_path
from chandlery.sources.words import EXCHANGES, Word, find_interval, name_exchange, split_words

__all__ = [
    "PathName",
    "add_given",
    "find_given",
    "find_symbol",
    "list_layouts",
    "match_layout",
    "read_path",
    "refuse_name",
]

SIX = len("240329")  # digits of an expiry


@dataclass(frozen=True)
class PathName:
    """What a path names.

    Args:
        pair: The pair; None if it names none.
        exchange: The exchange; empty if it names none.
        interval: The length of a candle in seconds; None if it names none, 0 for months.
        problem: Why there is no pair; None if there is one.
    """

    pair: Pair | None = None
    exchange: str = ""
    interval: int | None = None
    problem: Problem | None = None


def list_layouts(source: str, settings: ReadingSettings) -> list[LayoutSettings]:
    """Return the layouts set by hand that match the path or the name of a file, in their order.

    Those that name its path without wildcards come first, so that lines which a message gives for one file hold.
    """
    name, exact = source.replace("!", "/").rpartition("/")[2], {source, match_exactly(source)}
    matching = [
        layout for layout in settings.layout if any(fnmatch.fnmatchcase(text, layout.files) for text in (source, name))
    ]
    return sorted(matching, key=lambda layout: layout.files not in exact) if len(matching) > 1 else matching


def match_layout(source: str, settings: ReadingSettings) -> LayoutSettings | None:
    """Return the settings by hand that hold for a file: each is that of the first layout that matches and has it."""
    matches = list_layouts(source, settings)
    if not matches:
        return None
    first = matches[0]
    given: dict[str, object] = {}
    for layout in matches[1:]:
        for field in layout.model_fields_set - first.model_fields_set:
            given.setdefault(field, getattr(layout, field))
    return first.model_copy(update=given) if given else first


def add_given(settings: ReadingSettings, given: Mapping[str, str]) -> ReadingSettings:
    """Return settings for one file alone, which has those that were given for it before, or by like files, as well.

    A setting by hand comes before a given one, also where it is that of a pattern.

    Args:
        settings: The settings.
        given: Texts by the names of settings, as the ledger has them.
    """
    values: dict[str, object] = {name: text for name, text in given.items() if name in LayoutSettings.model_fields}
    if not values:
        return settings
    if "columns" in values:
        values["columns"] = given["columns"].split(", ")
    added = LayoutSettings.model_validate({"files": "*", **values})  # one that names the file would come first
    return settings.model_copy(update={"layout": [*settings.layout, added]})


def find_symbol(source: str, settings: ReadingSettings | None = None) -> str:
    """Return the symbol that a path names: in the file's name, else in the nearest folder that names one.

    Args:
        source: The path below the source root, `archive.zip!member` inside a zip.
        settings: Where a symbol set by hand stands; it wins.

    Raises:
        SourceError: No part of the path names a symbol, or it names several; or the path ends with "/", the mark of
            what cannot be read.

    Example:
        >>> paths = ("ltcusd.csv.gz", "LTC-USD/2019.csv", "BTC/USDT:USDT-1h.csv", "tDUSK:USD.json", "KRW-BTC.csv")
        >>> [find_symbol(path) for path in paths]
        ['LTCUSD', 'LTCUSD', 'BTCUSDT_PERP', 'DUSKUSD', 'BTCKRW']
    """
    if source.endswith("/"):
        raise refuse_name(source.rstrip("/"))
    by_hand = (match_layout(source, settings) if settings else None) or LayoutSettings()
    if by_hand.symbol and not by_hand.market:
        return by_hand.symbol
    path = read_path(source)
    pair = find_given(path, by_hand)
    if pair is None:
        raise refuse_path(source, path.problem or Problem("symbol", "names no symbol"))
    if pair.date:
        raise refuse_date(source, pair)
    return pair.symbol


def find_given(path: PathName, by_hand: LayoutSettings) -> Pair | None:
    """Return the pair that path and settings give a file; None if they give none.

    Args:
        path: What its path names.
        by_hand: Its settings.

    Raises:
        UndecidedError: Its settings contradict each other.
    """
    pair = read_symbol(by_hand.symbol) if by_hand.symbol else path.pair
    if pair is None or by_hand.market is None:
        return pair
    found = set_market(pair, by_hand.market)
    if by_hand.symbol and pair.suffix and found.suffix != pair.suffix:
        said = f"the settings of {by_hand.files} say symbol = {by_hand.symbol!r} and market = {by_hand.market!r}"
        raise UndecidedError("market", said, "one kind of market", "leave one of the two settings out")
    return found


@lru_cache(maxsize=10_000)
def read_path(source: str) -> PathName:
    """Return what a path names, from the name of the file upwards."""
    parts = split_path(source)
    keys, words = find_keys(parts), list_words(parts)
    exchange = keys.get("exchange", "").lower() or find_exchange(words)
    interval = find_interval(split_words(keys["interval"])) if "interval" in keys else None
    lengths = (find_interval(of_part) for of_part in words)
    interval = interval or next((length for length in lengths if length), None)
    pair, problem = find_pair(words, keys)
    if pair and interval and [word.upper for word in interval[1]] == [pair.base]:
        interval = None  # a coin that is called like an interval: 1D-USD.csv
    if pair and pair.quote == "USD1" and interval is None and any(pair.symbol == text for text in list_upper(words)):
        # MetaTrader writes the minutes of the interval behind its symbols.
        problem, pair = doubt([pair, replace(pair, quote="USD")]), None
    return PathName(pair, exchange, interval[0] if interval else None, problem)


def list_upper(words: list[list[Word]]) -> list[str]:
    """Return the words of all parts of a path in upper case."""
    return [word.upper for of_part in words for word in of_part]


def find_exchange(words: list[list[Word]]) -> str:
    """Return the exchange that a path names, if it names one alone."""
    for of_part in words:
        found = {name for word in of_part if (name := name_exchange(word.lower))}
        found |= {EXCHANGES[joined] for one, two in pairwise(of_part) if (joined := one.lower + two.lower) in EXCHANGES}
        if found:
            longest = max(found, key=len)  # binanceus, not binance
            return longest if all(longest.startswith(name) for name in found) else ""
    return ""


def refuse_name(source: str) -> SourceError:
    """Return why a file whose name cannot be used is refused."""
    if "\\" in source:
        found = f"the name {source} holds line breaks, other control characters or bytes that are no UTF-8"
        return SourceError(found, "a name that every store can have", "rename the file")
    if source.endswith("/*"):
        found = f"the folder {source.removesuffix('/*')} may not be read by the user of this process"
        return SourceError(found, "folders that can be read", "give the right, or leave it out with [source] exclude")
    if any(part in {"", ".", ".."} for part in source.split("/")):
        found = f"the name {source} has a part that is empty, . or .., by which no client can ask for it"
        return SourceError(found, "a name without //, /./ and /../", "rename the object, such as by the AWS CLI")
    found = f"{source} is a link that leads back to itself, to a folder above it or to a lake"
    return SourceError(found, "a link to raw files", "remove the link, or leave it out with [source] exclude")


def refuse_path(source: str, problem: Problem) -> UndecidedError:
    """Return why a path does not decide the symbol."""
    expected = "one pair in the name of the file or its folder, as in ltcusd.csv or LTC-USD/2019.csv"
    first, *others = problem.choices or (NO_SYMBOL,)
    note = ", ".join(f'or "{symbol}"' for symbol in others) or HOW_TO_NAME
    hint = paste(source, {"symbol": first}, {"symbol": note})
    if problem.decision == "market":
        expected, hint = "candles of a price", f"leave it out with [source] exclude; or, if it holds candles, {hint}"
    return UndecidedError(problem.decision, f"the path {source} {problem.found}", expected, hint)


def refuse_date(source: str, pair: Pair) -> UndecidedError:
    """Return that digits behind a pair may be the expiry of a future or the date of the file."""
    found = f"the path {source} names {pair.symbol} and {pair.date}: the expiry of a future, or the date of the file"
    settings, note = {"symbol": f"{pair.symbol}_{pair.date}"}, f'or "{pair.symbol}", if it is the date of the file'
    if len(pair.date) != SIX:
        settings, note = (
            {"symbol": pair.symbol},
            f'if it is the date of the file; else a future, as in "{pair.symbol}_240329"',
        )
    return UndecidedError(
        "market", found, "a name that can be read in one way", paste(source, settings, {"symbol": note})
    )
