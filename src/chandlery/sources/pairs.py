"""The pairs that words name: which of them is the base and which the quote, and the kind of market."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from chandlery.sources.endings import OPTION, ROLLING, find_option, read_ending, read_short_date
from chandlery.sources.words import (
    COIN_QUOTES,
    COINS,
    KINDS,
    MARKETS,
    MONEY,
    QUOTES,
    SILENT,
    Word,
    find_interval,
    is_english,
    list_kinds,
    list_named,
    name_exchange,
    split_words,
)
from chandlery.units import UNASSIGNED_SYMBOL

__all__ = [
    "SUFFIXES",
    "Found",
    "Pair",
    "add_kinds",
    "choose_kind",
    "find_common",
    "find_lone",
    "find_pairs",
    "is_coin",
    "is_ticker",
    "join_folder",
    "order",
    "read_symbol",
    "set_market",
    "spell",
    "split_pair",
]

BASE_LENGTHS = range(2, 16)  # letters of the other currency of a pair that is written as one word
# Quote currencies that common words end with, such as august, country, years, teeth and details.
ENDS_OF_WORDS = frozenset("UST TRY EOS ARS ILS COP DAI MIM EUR RUB PHP DUSK ETH".split())
SUFFIXES = re.compile(r"(_(?:PERP|MARK|INDEX|PREMIUM|\d{6}))+$")
# Kraken writes X before its first coins and Z before money: XXBTZUSD, XETHXXBT, USDTZUSD.
KRAKEN = re.compile(r"(?:[XZ]([A-Z]{3})|(USDT))(?:Z(USD|EUR|GBP|JPY|CAD|AUD)|X(XBT|ETH))")
SHORT = 4  # letters that a ticker has at most, where a common word of file names may be one: DATA, PART, RAW


@dataclass(frozen=True)
class Pair:
    """A pair that words name.

    Args:
        base: What is traded; the whole symbol if no quote currency is known.
        quote: What it is paid in; empty if it is not known.
        suffix: What the kind of market adds, such as _PERP.
        is_turned: Whether the quote currency is written first.
        is_open: Whether base and quote could be the other way round: the prices decide.
        date: Digits behind it, which are the expiry of a future or the date of the file: six, or less behind a lone
            coin; empty if there are none.
    """

    base: str
    quote: str = ""
    suffix: str = ""
    is_turned: bool = False
    is_open: bool = False
    date: str = ""

    @property
    def symbol(self) -> str:
        """The symbol as the lake writes it."""
        return f"{self.base}{self.quote}{self.suffix}"


class Found(NamedTuple):
    """A pair where it was found.

    Args:
        pair: The pair.
        words: The words that name it: two, or one that it is written as.
    """

    pair: Pair
    words: tuple[Word, ...]

    @property
    def is_known(self) -> bool:
        """Whether its coin is a well-known one: another word before a quote currency need be no coin."""
        return is_coin(self.pair.base)


def is_coin(currency: str) -> bool:
    """Return whether a currency is well known, or a multiple of such a one.

    Example:
        >>> is_coin("BTC"), is_coin("1000PEPE"), is_coin("1INCH"), is_coin("MY")
        (True, True, True, False)
    """
    return re.sub(r"^1(0+|M)(?=[A-Z])", "", currency) in {*COINS, *QUOTES} or currency in COINS


def is_ticker(word: Word) -> bool:
    """Return whether a word may be a coin that is not well known: it is in capitals, and it is no name of ours."""
    return bool(re.fullmatch(r"[A-Z][A-Z0-9]{1,9}", word.text)) and word.text not in {UNASSIGNED_SYMBOL, *MONEY}


def add_kinds(pair: Pair, kinds: Iterable[str]) -> tuple[Pair | None, tuple[str, str] | None]:
    """Return a pair with the suffix of its kind of market, or why it is no series of candles."""
    if "OTHER" in kinds or pair.suffix == OPTION:
        return None, ("market", f"names {pair.symbol} and funding rates or options, which are no candles of a price")
    has_expiry = bool(pair.date or re.search(r"\d{6}", pair.suffix))
    if pair.suffix == ROLLING or ("ROLLING" in kinds and not has_expiry):
        coin = pair.symbol.removesuffix(ROLLING)
        return None, ("market", f"names futures of {coin} and not their expiry: one contract follows another")
    suffix = pair.suffix
    if "PERP" in kinds and not suffix and not pair.date:
        suffix = "_PERP"
    added = (f"_{kind}" for kind in ("MARK", "INDEX", "PREMIUM") if kind in kinds)
    suffix += "".join(each for each in added if each not in suffix)
    return replace(pair, suffix=suffix), None


def set_market(pair: Pair, market: str) -> Pair:
    """Return a pair with the kind of market that a setting names, in place of that of its own name.

    Example:
        >>> perp = Pair("BTC", "USDT", "_PERP")
        >>> [set_market(perp, market).symbol for market in ("spot", "perp", "mark")]
        ['BTCUSDT', 'BTCUSDT_PERP', 'BTCUSDT_PERP_MARK']
    """
    kept = re.findall(r"_\d{6}", pair.suffix)
    if market == "perp" or (market != "spot" and "_PERP" in pair.suffix):
        kept.append("_PERP")
    added = f"_{MARKETS[market]}" if market not in {"spot", "perp"} else ""
    return replace(pair, suffix="".join([*kept, added]), date="")  # six digits are the date of the file then


def find_pairs(words: list[Word]) -> list[Found]:
    """Return the pairs that the words of one part of a path name, each once."""
    named = list_named(words)
    if any(not word.text.isascii() for word in named):
        return []  # a coin in other letters, some of which look like Latin ones
    for choose in (find_bounded, find_joined, find_turned):
        if found := choose(named, words):
            return found
    return []


def find_bounded(named: list[Word], words: list[Word]) -> list[Found]:
    """Return the pairs whose two currencies are words of their own, the base before the quote."""
    found: list[Found] = []
    skip = -1
    for place, (first, second) in enumerate(pairwise(named)):
        base, quote = spell(first, second), second.upper
        if place == skip or quote not in QUOTES or base == quote or is_whole_pair(base):
            continue
        after = named[place + 2].upper if place + 2 < len(named) else ""
        has_settlement = after in {base, quote} and after != ""
        if not has_settlement and not is_coin(base) and after in QUOTES and rank(after) < rank(quote):
            continue  # a word before a well-known pair: my_ETH_USDT
        last = named[place + 2] if has_settlement else second
        suffix, date = read_ending(words, first, last)
        if has_settlement:
            skip, suffix = place + 1, suffix or ("" if date else "_PERP")
        found.append(Found(order(base, quote, suffix, date), (first, second)))
    return found


def order(first: str, second: str, suffix: str, date: str) -> Pair:
    """Return the pair of two currencies that are written in this order: the stronger one is its quote."""
    if first in QUOTES and second in QUOTES and rank(first) < rank(second):
        return Pair(second, first, suffix, is_turned=True, is_open=True, date=date)
    return Pair(first, second, suffix, date=date)


def find_joined(named: list[Word], words: list[Word]) -> list[Found]:
    """Return the pairs that are written as one word."""
    found: dict[Pair, Found] = {}
    for word in named:
        text = spell(word)
        bare, perp = (text[:-4], "_PERP") if text.endswith("PERP") and len(text) > 4 else (text, "")  # noqa: PLR2004
        if word.text.endswith("M") and is_whole_pair(text[:-1]):  # KuCoin's perpetuals: XBTUSDTM
            bare, perp = text[:-1], "_PERP"
        suffix, date = read_ending(words, word, word)
        pair = None
        if perp and bare in COINS:
            pair = Pair(bare, "", perp)
        elif is_pair_word(bare, is_capital=word.text[1:] == word.text[1:].upper()):
            pair = Pair(*split_pair(bare), perp or suffix, date=date)
        if pair is not None:
            found.setdefault(pair, Found(pair, (word,)))
    return list(found.values())


def find_turned(named: list[Word], words: list[Word]) -> list[Found]:
    """Return the pairs whose quote currency is written before the base.

    Where the coin is not well known, nothing else may be named, and the quote currency must be money: BTC_NAME may be a
    file of BTC.
    """
    found = []
    for first, second in pairwise(named):
        base, quote = second.upper, first.upper
        is_whole = (
            len(named) == len((first, second)) and quote in MONEY and is_ticker(second) and first.text == first.upper
        )
        if quote in QUOTES and base not in QUOTES and (base in COINS or is_whole):
            suffix, date = read_ending(words, first, second)
            found.append(Found(Pair(base, quote, suffix, is_turned=True, date=date), (first, second)))
    return found


def join_folder(words: list[Word], above: list[Word]) -> list[Found]:
    """Return the pair of which the folder names one currency and the file the other, as in BTC/USDT.csv.

    Args:
        words: The words of the file, or of a folder.
        above: Those of the nearest folder above that may name a currency.
    """
    named, base = list_named(words), list_named(above)
    if len(base) != 1 or not named or any(is_english(word) for word in (named[0], base[0])):
        return []
    first, second = base[0], named[0]
    if first.upper == second.upper or any(word.upper not in {second.upper, first.upper} for word in named):
        return []
    suffix, date = read_ending(words, second, named[-1])
    if len(named) > 1 and not suffix and not date:
        suffix = "_PERP"
    one, other = spell(first), spell(second)
    if any(split_pair(text)[1] in MONEY and not is_coin(text) for text in (one, other)):
        return []  # one of them is a whole pair
    if other in QUOTES and (is_coin(one) or is_ticker(first)):
        found = [Found(order(one, other, suffix, date), (first, second))]
        return found if is_coin(one) or other in MONEY else [*found, Found(Pair(other), (second,))]
    if one in MONEY and (is_coin(other) or is_ticker(second)):
        return [Found(Pair(other, one, suffix, is_turned=True, date=date), (first, second))]
    return []


def find_common(words: list[Word]) -> list[Found]:
    """Return the pairs whose coin is called like a common word or an interval, as in RAW_USDT and 1D-USD.

    It stands in capitals before its quote currency. Before a quote currency that is a coin, as in DATA_BTC, it need be
    no coin: then this coin alone is found as well.
    """
    upper = [word for word in words if word.upper == word.text and not word.text.isdigit()]
    found = []
    for base, quote in pairwise(upper):
        if quote.upper not in QUOTES or quote.before not in "-_/:" or KINDS.get(base.lower) == "OTHER":
            continue
        pair = Found(Pair(base.upper, quote.upper), (base, quote))
        if quote.upper in MONEY and (base.text in COINS or not name_exchange(base.lower)):
            found.append(pair)
        elif quote.upper not in MONEY and len(base.text) <= SHORT and (base.lower in SILENT or find_interval([base])):
            found += [pair, Found(Pair(quote.upper), (quote,))]
    return found


def find_lone(words: list[Word]) -> list[Found]:
    """Return the coins that words name without a quote currency, in capitals, as in bitfinex_LTC_30m.csv."""
    found = []
    for word in list_named(words):
        coin = spell(word)
        if word.text == word.upper and coin not in MONEY and (is_coin(coin) or is_ticker(word)):
            suffix, date = read_ending(words, word, word)
            found.append(Found(Pair(coin, "", suffix, date=date or read_short_date(words, word)), (word,)))
    return found


def spell(word: Word, following: Word | None = None) -> str:
    """Return a word in upper case without the marks that exchanges put before their symbols.

    Bitfinex writes tLTCUSD and tDUSK:USD, Phemex sBTCUSDT, and Kraken XXBTZUSD.
    """
    if met := KRAKEN.fullmatch(word.upper):
        base, quote = met[1] or met[2], met[3] or met[4]
        return f"{base}{quote}" if is_coin(base) else word.upper
    mark, rest = word.text[:1], word.text[1:]
    if mark not in {"t", "s"} or rest != rest.upper() or rest == rest.lower():
        return word.upper
    if mark == "s":
        return rest if is_whole_pair(rest) else word.upper
    has_colon = following is not None and following.before == ":"
    return rest if has_colon or is_whole_pair(rest) or len(rest) > 3 else word.upper  # noqa: PLR2004 - tBTC is a coin


def is_pair_word(text: str, *, is_capital: bool) -> bool:
    """Return whether one word is a pair: it ends with a quote currency, and cannot be a common word.

    Args:
        text: In upper case.
        is_capital: Whether the file has it in capitals: common words are not written so.
    """
    base, quote = split_pair(text)
    if not quote:
        return False
    return is_capital or base in COINS or quote not in ENDS_OF_WORDS


def is_whole_pair(text: str) -> bool:
    """Return whether a word is a pair for certain: a well-known coin and a quote currency."""
    base, quote = split_pair(text)
    return bool(quote) and base in COINS


def rank(currency: str) -> int:
    """Return how strong a quote currency is: 0 for money, and more for coins that fewer pairs are quoted in."""
    return 0 if currency in MONEY else 1 + COIN_QUOTES.index(currency)


def split_pair(symbol: str) -> tuple[str, str]:
    """Return the base and the quote of a symbol, with the suffix of its kind; empty where no known quote ends it.

    Example:
        >>> split_pair("BTCUSDT"), split_pair("BTCUSDT_PERP"), split_pair("SUSDT"), split_pair("LTC")
        (('BTC', 'USDT'), ('BTC', 'USDT_PERP'), ('S', 'USDT'), ('LTC', ''))
    """
    met = SUFFIXES.search(symbol)
    suffix = met[0] if met else ""
    bare = symbol.removesuffix(suffix)
    found = [quote for quote in QUOTES if bare.endswith(quote) and len(bare) - len(quote) in BASE_LENGTHS]
    known = [quote for quote in found if bare.removesuffix(quote) in COINS]
    quote = max(known or found, key=len, default="")
    if not quote and bare[1:] in {"USDT", "USDC"}:  # coins of one letter: other quote currencies are too short
        quote = bare[1:]
    return (bare.removesuffix(quote), f"{quote}{suffix}") if quote else (symbol, "")


@lru_cache(maxsize=100_000)  # files of all coins name the same ones again and again
def read_symbol(text: str) -> Pair | None:
    """Return the pair that a text names, such as a value of a column of symbols; None if it names none.

    Example:
        >>> [read_symbol(text).symbol for text in ("ETH/USD", "BTC-USDT-SWAP", "BITSTAMP:BTCUSD", "tLTCUSD", "BTC")]
        ['ETHUSD', 'BTCUSDT_PERP', 'BTCUSD', 'LTCUSD', 'BTC']
    """
    words = split_words(text.strip())
    if find_option(words):
        return None
    found = [each.pair for each in find_pairs(words) or find_common(words) or find_lone(words)]
    if len({(pair.base, pair.quote) for pair in found}) == 1:
        return choose_kind(found, [words])[0]
    if not found and len(words) == 1 and re.fullmatch(r"[A-Za-z0-9]{1,12}", words[0].text):
        return Pair(words[0].upper)
    return None


def choose_kind(found: list[Pair], parts: list[list[Word]]) -> tuple[Pair | None, tuple[str, str] | None]:
    """Return the pair that words name in several ways, with the kind of its market, or why it is no series of candles.

    Args:
        found: The same base and quote, each with what follows it.
        parts: All words; a coin that is called like a kind of market, as in PERP-USDT, names none.
    """
    pair = max(found, key=lambda each: (len(each.suffix), bool(each.date)))
    others = ([word for word in words if word.upper not in {pair.base, pair.quote}] for words in parts)
    return add_kinds(pair, {kind for words in others for _, kind in list_kinds(words)})
