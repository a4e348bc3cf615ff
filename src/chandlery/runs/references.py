"""Which pairs are the market of a series: a fixed list of coins, in the quote that most of its symbols have."""

from collections import Counter
from collections.abc import Iterable

from chandlery.sources.symbols import split_pair

__all__ = ["choose_references"]

# The coins that were traded most when the oldest candles of several pairs begin, leaders first: a fixed list, since a
# list chosen with hindsight would know which of them are still traded. Some have a second spelling.
COINS = (("BTC", "XBT"), ("ETH",), ("XRP",), ("EOS",), ("LTC",), ("NEO",), ("IOT", "IOTA"), ("ETC",), ("XMR",))
PREFERRED = ("USD", "USDT", "USDC", "EUR")  # of quotes that equally many symbols have


def choose_references(symbols: Iterable[str]) -> list[str]:
    """Return the references of a series, leaders first; those without candles are listed as well, and may come later.

    Args:
        symbols: Those of the series.

    Example:
        >>> choose_references(["XBTUSDT", "LTCUSDT", "LTCUSD"])[:3]
        ['XBTUSDT', 'ETHUSDT', 'XRPUSDT']
    """
    known = set(symbols)
    quotes = Counter(quote for symbol in known if (quote := split_pair(symbol)[1]))
    quote = min(quotes, key=lambda name: (-quotes[name], rank(name), name), default=PREFERRED[0])
    return [next((coin + quote for coin in names if coin + quote in known), names[0] + quote) for names in COINS]


def rank(quote: str) -> int:
    """Return the place of a quote among the preferred ones; the others come after them."""
    return PREFERRED.index(quote) if quote in PREFERRED else len(PREFERRED)
