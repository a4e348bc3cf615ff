"""Texts of symbols, exchanges and intervals, as they stand in columns of a file or around its rows."""

import re
from collections.abc import Iterable, Mapping

from chandlery.errors import SettingsError
from chandlery.sources.doubts import UndecidedError, paste
from chandlery.sources.pairs import Pair, read_symbol
from chandlery.sources.words import COINS, EXCHANGES, find_interval, split_words
from chandlery.units import normalise_exchange

__all__ = ["check_contexts", "read_context", "read_exchange", "read_length", "read_pair"]

# Names of what stands around rows, such as the key that holds them or the channel that they came by.
AROUND = {
    "symbol": "symbol pair s instId instrument ticker product_id market ch channel topic stream key".split(),
    "exchange": "exchange venue".split(),
    "interval": "interval granularity resolution timeframe i ch channel topic stream".split(),
}


def read_pair(text: str) -> Pair | None:
    """Return the pair that a text names for certain: with a known quote currency, or a coin in capitals."""
    pair = read_symbol(text)
    if pair is None or (not pair.quote and not (pair.base in COINS or text.strip() == text.strip().upper())):
        return None
    return pair


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


def read_length(text: str) -> int | None:
    """Return the seconds of a length of candles; None if a text is none.

    Example:
        >>> read_length("15m"), read_length("1 hour"), read_length("spot")
        (900, 3600, None)
    """
    found = find_interval(split_words(text))
    return found[0] if found else None


def read_context(context: Mapping[str, str], role: str) -> tuple[str, ...]:
    """Return the text of a symbol, an exchange or an interval that stands around rows; empty without one."""
    read = {"symbol": read_symbol, "exchange": read_exchange, "interval": read_length}[role]
    for name in AROUND[role]:
        text = context.get(name, "")
        known = read(text) if text else None
        if known is not None and (role != "symbol" or is_certain(known)):
            return (text,)
    return ()


def is_certain(pair: object) -> bool:
    """Return whether a pair has a known quote currency."""
    return isinstance(pair, Pair) and bool(pair.quote)


def check_contexts(contexts: Iterable[Mapping[str, str]], source: str) -> None:
    """Check that rows at several places of a document belong to one symbol, one exchange and one interval.

    Raises:
        UndecidedError: They do not.
    """
    for role in AROUND:
        texts = {text for context in contexts for text in read_context(context, role)}
        if len(texts) > 1:
            found = f"{source} holds rows of {', '.join(sorted(texts)[:5])}"
            hint = "split it, so that each file holds one"
            raise UndecidedError(
                "series", found, f"one {role} a file", f"{hint}. {paste(source, {'symbol': 'LTCUSD'})}"
            )
