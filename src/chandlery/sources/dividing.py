"""Whether the rows of a file decide to which series they belong, or its path and its settings do."""

from collections.abc import Iterable, Mapping, Sequence

from chandlery.settings.model import LayoutSettings
from chandlery.sources.doubts import HOW_TO_NAME, NO_SYMBOL, UndecidedError, paste
from chandlery.sources.identity import ALIASES, agrees, check_pair
from chandlery.sources.pairs import Pair
from chandlery.sources.parts import ROLES, Value, find_kinds, find_usual, name_value
from chandlery.sources.series_names import read_exchange, read_plain
from chandlery.sources.symbols import PathName, find_given
from chandlery.sources.words import COINS
from chandlery.units import to_interval_text

__all__ = ["check_quotes", "find_dividing", "list_told"]

SHOWN = 5  # names in a message
APART = "whether rows go to the series that their own columns name"


def list_told(texts: Mapping[str, Iterable[str]], kinds: Iterable[str]) -> dict[str, list[str]]:
    """Return one text for each symbol, exchange and interval that rows name, by role.

    Args:
        texts: What stands in rows, by role.
        kinds: The kinds of markets of all rows.
    """
    told: dict[str, list[str]] = {}
    for role in ROLES:
        first: dict[Value, str] = {}
        for text in texts.get(role, ()):
            if value := name_value(role, text, kinds):
                first.setdefault(find_usual(str(value)) if role == "symbol" else value, text)
        told[role] = list(first.values())
    return told


def find_dividing(
    told: Mapping[str, Sequence[str]], path: PathName, by_hand: LayoutSettings, exchange: str, source: str
) -> tuple[str, ...]:
    """Return by what the rows of a file are told apart; nothing where its path and its settings decide its series.

    Args:
        told: A text for each symbol, exchange and interval that its rows name, by role.
        path: What its path names.
        by_hand: Its settings.
        exchange: The exchange that `[source] exchange` sets; empty if it sets none.
        source: The file.

    Raises:
        UndecidedError: Rows name another symbol, exchange or interval than the path or the settings do, or several.
    """
    if by_hand.split is False:
        return ()
    if "OTHER" in find_kinds(source, by_hand.market) and told["symbol"] and by_hand.symbol is None:
        found = f"the path {source} names funding rates, options or the like, which are no candles of a price"
        raise UndecidedError("market", found, "candles", paste(source, {"symbol": NO_SYMBOL}, {"symbol": HOW_TO_NAME}))
    decided = [
        role
        for role, decides in (
            ("symbol", decides_symbol(told["symbol"], path, by_hand, source)),
            ("exchange", decides_exchange(told["exchange"], path, by_hand, exchange, source)),
        )
        if decides
    ]
    if has_lengths(told["interval"], path, by_hand, source) or (by_hand.split and told["interval"]):
        decided.append("interval")
    return tuple(role for role in ROLES if role in decided or (decided and role == "interval" and told[role]))


def decides_symbol(texts: Sequence[str], path: PathName, by_hand: LayoutSettings, source: str) -> bool:
    """Return whether the symbols of rows decide to which series they belong.

    A pair of the path is a doubt where its coin is not a well-known one: a collector may be called like that.

    Raises:
        UndecidedError: They contradict the path or the settings.
    """
    if not texts or by_hand.split:
        return bool(texts)
    is_set = by_hand.symbol is not None
    pair = find_given(path, by_hand)
    pairs = {text: each for text in texts if (each := read_plain(text))}
    if pair is None:
        check_some_quotes(pairs, source)
        return True
    agreeing = [text for text, each in pairs.items() if agrees(pair, each, is_set=is_set)]
    if len(texts) == 1 and agreeing:
        return False
    is_certain = is_set or usual(pair) in COINS or any(usual(pair) == usual(each) for each in pairs.values())
    if not agreeing and not is_certain:
        check_some_quotes(pairs, source)
        return True
    if len(texts) == 1:
        check_pair(pair, pairs[texts[0]], texts[0], source, is_set=is_set)
    by_whom = "its settings say" if is_set else "its path says"
    found = f"{source} has candles of {list_some(texts)} by its rows, and {by_whom} {pair.symbol}"
    raise UndecidedError("symbol", found, "one symbol, or a path that names none", hint_split(source, "symbol"))


def check_some_quotes(pairs: Mapping[str, Pair], source: str) -> None:
    """Check that the first rows name a quote currency; a row among them that cannot be read may name none.

    Raises:
        UndecidedError: They name none at all.
    """
    if not any(pair.quote for pair in pairs.values()):
        check_quotes(pairs, source)


def check_quotes(pairs: Mapping[str, Pair], source: str) -> None:
    """Check that rows which alone decide the symbol name the quote currency as well.

    Raises:
        UndecidedError: They name coins, and what these are paid in is not known.
    """
    bare = [text for text, pair in pairs.items() if not pair.quote]
    if not bare:
        return
    found = (
        f"{source} has candles of {list_some(bare)} by its rows, and neither they nor its path name a quote currency"
    )
    settings: dict[str, object] = {"split": True} if len(pairs) > 1 else {"symbol": f"{bare[0]}USD"}
    notes = {"split": "symbols without a quote currency, as the rows have them", "symbol": "base, then quote"}
    raise UndecidedError("symbol", found, "a pair, such as BTC/USD", paste(source, settings, notes))


def usual(pair: Pair) -> str:
    """Return the usual name of the base of a pair."""
    return ALIASES.get(pair.base, pair.base)


def decides_exchange(texts: Sequence[str], path: PathName, by_hand: LayoutSettings, exchange: str, source: str) -> bool:
    """Return whether the exchanges of rows decide to which series they belong.

    Raises:
        UndecidedError: They contradict the path or the settings.
    """
    named = by_hand.exchange or path.exchange or exchange
    if not texts or by_hand.split or not named:
        return bool(texts)
    if [read_exchange(text) for text in texts] == [named]:
        return False
    by_whom = "its settings say" if by_hand.exchange else "its path says" if path.exchange else "the settings say"
    found = f"{source} has candles of the exchange {list_some(texts)} by its rows, and {by_whom} {named}"
    if len(texts) == 1:
        seen = read_exchange(texts[0]) or ""
        hint = paste(source, {"exchange": seen, "split": True}, {"split": f"or this alone: {APART}"})
        raise UndecidedError("exchange", found, "one exchange", hint)
    raise UndecidedError("exchange", found, "one exchange", hint_split(source, "exchange"))


def has_lengths(texts: Sequence[str], path: PathName, by_hand: LayoutSettings, source: str) -> bool:
    """Return whether rows name several intervals.

    Raises:
        UndecidedError: They do, and the path or the settings name one.
    """
    if len(texts) < 2 or by_hand.split:  # noqa: PLR2004 - several
        return bool(texts) and len(texts) > 1
    if by_hand.interval is None and path.interval is None:
        return True
    named = by_hand.interval or ("months" if not path.interval else to_interval_text(path.interval))
    by_whom = "its settings say" if by_hand.interval else "its path says"
    found = f"{source} has candles of {list_some(texts)} by its rows, and {by_whom} {named}"
    raise UndecidedError("interval", found, "one interval, or a path that names none", hint_split(source, "interval"))


def list_some(texts: Sequence[str]) -> str:
    """Return the first of some names in words."""
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return f"{', '.join(texts[:SHOWN])}{more}"


def hint_split(source: str, role: str) -> str:
    """Return the lines that let the rows of a file decide to which series they belong."""
    return paste(source, {"split": True}, {"split": f"{APART}, whatever {role} its path says; or leave it out"})
