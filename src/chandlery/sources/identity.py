"""Whether what the rows of a file say of its symbol, exchange and market agrees with its path and its settings."""

from collections.abc import Collection, Iterable
from dataclasses import replace

from chandlery.settings.model import LayoutSettings
from chandlery.sources.decisions import Decision, Decisions
from chandlery.sources.doubts import UndecidedError, paste
from chandlery.sources.layout import Facts
from chandlery.sources.pairs import Pair
from chandlery.sources.series_names import read_exchange, read_length, read_pair, read_plain, read_prefix
from chandlery.sources.symbols import find_given
from chandlery.sources.words import KINDS, MARKETS, MONEY
from chandlery.units import to_interval_text

__all__ = [
    "ALIASES",
    "agrees",
    "check_identity",
    "check_labels",
    "check_order",
    "check_pair",
    "check_values",
    "explain_names",
]

ALIASES = {"XBT": "BTC", "XDG": "DOGE", "XXBT": "BTC", "XETH": "ETH", "XXBTZ": "BTC", "IOT": "IOTA"}
SHOWN = 5  # names in a message


def check_identity(facts: Facts, by_hand: LayoutSettings, exchange: str, source: str) -> None:
    """Check that the first rows of a file belong to the symbol and the exchange of its path or its settings.

    Args:
        facts: What they say.
        by_hand: The settings of the file.
        exchange: The exchange that `[source] exchange` sets; empty if it sets none.
        source: The file.

    Raises:
        UndecidedError: They do not, or they belong to several.
    """
    check_values(source, "symbol", facts.symbols)
    check_values(source, "exchange", facts.exchanges)
    pair = find_given(facts.path, by_hand)
    told = read_plain(facts.symbols[0]) if facts.symbols else None
    if told is not None and pair is not None:
        check_pair(pair, told, facts.symbols[0], source, is_set=bool(by_hand.symbol))
    if pair is not None and pair.is_open and facts.price is not None:
        check_order(pair, facts.price, source)
    if pair is not None and facts.market and not by_hand.market:
        check_market(pair, facts.market, source)
    if pair is not None and facts.quote not in {"", pair.quote} and not by_hand.symbol:
        found = f"{source} has prices in {facts.quote} by one of its columns, and its path says {pair.symbol}"
        note = {"symbol": f'or "{pair.symbol}", if its rows are wrong'}
        lines = paste(source, {"symbol": f"{pair.base}{facts.quote}{pair.suffix}"}, note)
        raise UndecidedError("symbol", found, "one quote currency", lines)
    named = by_hand.exchange or facts.path.exchange or exchange
    seen = read_exchange(facts.exchanges[0]) if facts.exchanges else None
    if seen is not None and seen != named:
        by_whom = (
            "its settings say" if by_hand.exchange else "its path says" if facts.path.exchange else "the settings say"
        )
        other = f"{by_whom} {named}" if named else "neither its path nor a setting names it"
        found = f"{source} has candles of the exchange {facts.exchanges[0]} by its column, and {other}"
        raise UndecidedError("exchange", found, "one exchange", paste(source, {"exchange": seen}))


def check_market(pair: Pair, text: str, source: str) -> None:
    """Check that the kind of market of the rows is that of the path, or of the settings.

    Raises:
        UndecidedError: It is another one.
    """
    kind = KINDS[text.lower()]
    if f"_{kind}" in pair.suffix or (kind == "PERP" and pair.suffix):
        return
    found = f"{source} has candles of {text!r} by one of its columns, and its path or its settings say {pair.symbol}"
    market = next((name for name, each in MARKETS.items() if each == kind), "")
    hint = paste(source, {"market": market}, {"market": 'or "spot", if its rows are wrong'})
    hint = hint if market else "leave it out with [source] exclude"
    raise UndecidedError("market", found, "one market", hint)


def explain_names(facts: Facts, by_hand: LayoutSettings) -> Decisions:
    """Return the evidence for the symbol and the exchange of a file, whose values the lake's keys are.

    Args:
        facts: What its first rows say.
        by_hand: The settings of the file.
    """
    by_rows = " and its rows" if facts.symbols else ""
    symbol = "set by hand" if by_hand.symbol else f"its path{by_rows}" if facts.path.pair else "its rows"
    by_rows = " and its rows" if facts.exchanges else ""
    if by_hand.exchange:
        exchange = "set by hand"
    elif facts.path.exchange:
        exchange = f"its path{by_rows}"
    else:  # the same text with and without the setting, because runs need not repeat it
        exchange = f"that of the source or of the lake{by_rows}"
    return {"symbol": Decision("", symbol), "exchange": Decision("", exchange)}


def check_values(source: str, role: str, texts: Iterable[str]) -> None:
    """Check that a column names one symbol, one exchange or one interval.

    Raises:
        UndecidedError: It names several.
    """
    names: dict[str, str] = {}
    prefixes: dict[str, str] = {}
    for text in texts:
        if role == "symbol":
            pair = read_pair(text)
            name = standard(pair) if pair else ""
        elif role == "exchange":
            name = read_exchange(text) or ""
        else:
            seconds = read_length(text)
            name = to_interval_text(seconds) if seconds else ""
        if name:
            names.setdefault(name, text)
            prefixes.setdefault(read_prefix(text) if role == "symbol" else "", text)
    if len(prefixes.keys() - {""}) > 1:
        role, names = "exchange", prefixes
    if len(names) > 1:
        shown = ", ".join(sorted(names)[:SHOWN])
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        found = f"{source} holds the {role}s {shown}{more}"
        raise UndecidedError("series", found, f"one {role} a file", f"split the file by {role}")


def check_labels(source: str, labels: Collection[str]) -> None:
    """Check that rows of one series have one label.

    Raises:
        UndecidedError: They have several.
    """
    if len(labels) > 1:
        shown = " and ".join(repr(each[:40]) for each in sorted(labels)[:2])
        more = f" and {len(labels) - 2} more" if len(labels) > 2 else ""  # noqa: PLR2004 - two are shown
        found = f"{source} holds rows of {shown}{more} by one of its columns"
        lines = paste(source, {"split": False}, {"split": "if all rows are of one series"})
        raise UndecidedError("series", found, "rows of one series", f"split the file by that column; or {lines}")


def standard(pair: Pair) -> str:
    """Return a symbol with the usual names of coins."""
    base = ALIASES.get(pair.base, pair.base)
    return f"{base}{pair.quote}{pair.suffix}"


def check_pair(pair: Pair, told: Pair, text: str, source: str, *, is_set: bool) -> None:
    """Check that the symbol of the rows is that of the path, or of the settings.

    Raises:
        UndecidedError: It is another one.
    """
    if agrees(pair, told, is_set=is_set):
        return
    by_whom = "its settings say" if is_set else "its path says"
    is_market = agrees(pair, replace(told, suffix=""), is_set=is_set)  # then the kind of the market alone differs
    decision = "market" if is_market else "symbol"
    found = f"{source} has candles of {text} by its rows, and {by_whom} {pair.symbol}"
    note = {
        "symbol": f'or "{pair.symbol}", if its rows are wrong',
        "split": "or this alone: rows go to the series that they name",
    }
    raise UndecidedError(decision, found, "one symbol", paste(source, {"symbol": told.symbol, "split": True}, note))


def agrees(pair: Pair, told: Pair, *, is_set: bool) -> bool:
    """Return whether the symbol of rows can be that of the path, or of the settings; rows may tell less of it."""
    is_base = ALIASES.get(pair.base, pair.base) == ALIASES.get(told.base, told.base)
    is_quote = pair.quote == told.quote or not told.quote or (not pair.quote and not is_set)
    is_market = pair.suffix == told.suffix or not told.suffix
    return is_base and is_quote and is_market and not (told.quote and not pair.quote)


def check_order(pair: Pair, price: float, source: str) -> None:
    """Check by the price that a pair which is written with its quote currency first is that.

    Bitcoin has always cost more than one unit of any money, and every other coin less than one bitcoin.

    Raises:
        UndecidedError: The price says otherwise.
    """
    is_money = pair.quote in MONEY
    is_dear = pair.base in {"BTC", "XBT", "BTCF0", "ETH", "BNB", "XAU", "XAUT"}
    fits = price > 1 or not is_dear if is_money else price < 1
    if fits:
        return
    other = f"{pair.quote}{pair.base}"
    found = f"{source} names {other}, and its prices, such as {price:g}, are neither clearly those of {pair.symbol}"
    hint = paste(source, {"symbol": pair.symbol}, {"symbol": f'or "{other}"'})
    raise UndecidedError("symbol", f"{found} nor of {other}", "a pair whose base is clear", hint)
