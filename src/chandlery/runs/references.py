"""The reference symbols of a series, which are its market: a fixed list of coins, in the quote of most symbols."""

from collections import Counter
from collections.abc import Iterable

from chandlery.sources.pairs import split_pair

__all__ = ["choose_references"]

# The most traded coins at the time of the oldest candles of several pairs, leaders first. The list is fixed, because a
# list that is chosen with hindsight would know which coins are still traded. Some coins have a second spelling.
COINS = (("BTC", "XBT"), ("ETH",), ("XRP",), ("EOS",), ("LTC",), ("NEO",), ("IOT", "IOTA"), ("ETC",), ("XMR",))
PREFERRED = ("USD", "USDT", "USDC", "EUR")  # the order of quotes that equally many symbols have


def choose_references(symbols: Iterable[str]) -> list[str]:
    """Return the references of a series, leaders first, including those without candles, which may be added later.

    Args:
        symbols: The symbols of the series.

    Example:
        >>> choose_references(["XBTUSDT", "LTCUSDT", "LTCUSD"])[:3]
        ['XBTUSDT', 'ETHUSDT', 'XRPUSDT']
    """
    known = set(symbols)
    quotes = Counter(quote for symbol in known if (quote := split_pair(symbol)[1]))
    quote = min(quotes, key=lambda name: (-quotes[name], rank(name), name), default=PREFERRED[0])
    return [next((coin + quote for coin in names if coin + quote in known), names[0] + quote) for names in COINS]


def rank(quote: str) -> int:
    """Return the rank of a quote: the preferred ones come first, in their order."""
    return PREFERRED.index(quote) if quote in PREFERRED else len(PREFERRED)
