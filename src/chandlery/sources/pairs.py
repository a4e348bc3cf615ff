"""The pair that words name: which of them is the base and which the quote, and the kind of market."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from chandlery.sources.words import (
    COIN_QUOTES,
    COINS,
    EXCHANGES,
    KINDS,
    MARKETS,
    MONEY,
    QUOTES,
    SILENT,
    Word,
    find_interval,
    split_words,
)
from chandlery.units import UNASSIGNED_SYMBOL

__all__ = ["Pair", "find_pair", "name_exchange", "read_symbol", "split_pair"]

BASE_LENGTHS = range(2, 16)  # letters of the other currency of a pair that is written as one word
# Quote currencies that common words end with, such as august, country, years and details.
ENDS_OF_WORDS = frozenset("UST TRY EOS ARS ILS COP DAI MIM EUR RUB PHP DUSK".split())
EXPIRY = re.compile(r"\d{1,2}(JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)\d{2}", re.IGNORECASE)
MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
SUFFIXES = re.compile(r"(_(?:PERP|MARK|INDEX|PREMIUM|\d{6}))+$")


@dataclass(frozen=True)
class Pair:
    """A pair that words name.

    Args:
        base: What is traded; the whole symbol if no quote currency is known.
        quote: What it is paid in; empty if it is not known.
        suffix: What the kind of market adds, such as _PERP.
        is_turned: Whether the quote currency is written first.
        is_open: Whether base and quote could be the other way round: the prices decide.
        date: Six digits behind it, which are the expiry of a future or the date of the file; empty if there are none.
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


@lru_cache(maxsize=10_000)  # most paths of a source have the same words, and each is asked for several times
def name_exchange(word: str) -> str:
    """Return the exchange of a word; also of a word such as bitstampUSD, which names a quote currency as well."""
    if word in EXCHANGES:
        return EXCHANGES[word]
    rests = (word.removesuffix(quote.lower()) for quote in MONEY if word.endswith(quote.lower()))
    return next((EXCHANGES[rest] for rest in rests if rest in EXCHANGES), "")


def find_pair(words: list[list[Word]], keys: Mapping[str, str]) -> tuple[Pair | None, tuple[str, str] | None]:
    """Return the pair of a path, or why there is none.

    Args:
        words: The words of each part, the file's name first.
        keys: The values of Hive partitions.
    """
    kinds = {KINDS[word.lower] for of_part in words for word in of_part if word.lower in KINDS} - {""}
    if "symbol" in keys:
        words = [split_words(keys["symbol"]), *words[:0]]
    elif "base" in keys and "quote" in keys:
        words = [[Word(keys["base"]), Word(keys["quote"], "-")]]
    found: list[Pair] = []
    for place, of_part in enumerate(words):
        pairs = find_pairs(of_part) or join_folder(of_part, words[place + 1] if place + 1 < len(words) else [])
        found += [pair for pair in pairs if all(pair.symbol != other.symbol for other in found)]
    if not found:
        found = next((lone for of_part in words if (lone := find_lone(of_part))), [])
    if len({(pair.base, pair.quote) for pair in found}) > 1:
        return None, ("symbol", f"names {' and '.join(dict.fromkeys(pair.symbol for pair in found))}")
    if not found:
        return None, explain_missing(words)
    pair = max(found, key=lambda each: (len(each.suffix), bool(each.date)))
    return add_kinds(pair, kinds)


def add_kinds(pair: Pair, kinds: set[str]) -> tuple[Pair | None, tuple[str, str] | None]:
    """Return a pair with the suffix of its kind of market, or why it is no series of candles."""
    if "OTHER" in kinds or pair.suffix == "_OPTION":
        return None, ("market", f"names {pair.symbol} and funding rates or options, which are no candles of a price")
    suffix = pair.suffix
    if "PERP" in kinds and not suffix and not pair.date:
        suffix = "_PERP"
    suffix += "".join(f"_{kind}" for kind in ("MARK", "INDEX", "PREMIUM") if kind in kinds)
    return Pair(pair.base, pair.quote, suffix, pair.is_turned, pair.is_open, pair.date), None


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


def explain_missing(words: list[list[Word]]) -> tuple[str, str]:
    """Return why words name no pair."""
    joined = [
        word for of_part in words for word in of_part if word.lower not in EXCHANGES and name_exchange(word.lower)
    ]
    if joined:
        return "symbol", f"names an exchange and a quote currency ({joined[0].text}), and no coin"
    return "symbol", "names no symbol"


def find_pairs(words: list[Word]) -> list[Pair]:
    """Return the pairs that the words of one part name, each once."""
    length = find_interval(words)
    used = set(length[1]) if length else set()
    named = [word for word in words if not word.is_number and word not in used and not is_silent(word)]
    if any(not word.text.isascii() for word in named):
        return []  # a coin in other letters, some of which look like Latin ones
    for choose in (find_bounded, find_joined, find_turned):
        if found := choose(named, words):
            return found
    # A coin may be called like a common word or an interval: RAW_USDT, 1D-USD. It stands before its quote currency.
    upper = [word for word in words if word.upper == word.text and not word.text.isdigit()]
    return [
        Pair(base.upper, quote.upper)
        for base, quote in pairwise(upper)
        if quote.upper in QUOTES and quote.before in "-_/"
    ]


def is_silent(word: Word) -> bool:
    """Return whether a word names no coin: a common word of file names, an exchange or a kind of market."""
    return word.lower in SILENT or word.lower in KINDS or bool(name_exchange(word.lower))


def find_bounded(named: list[Word], words: list[Word]) -> list[Pair]:
    """Return the pairs whose two currencies are words of their own, the base before the quote."""
    found: list[Pair] = []
    skip = -1
    for place, (first, second) in enumerate(pairwise(named)):
        base, quote = strip_mark(first, second), second.upper
        if place == skip or quote not in QUOTES or base == quote or is_whole_pair(base):
            continue
        after = named[place + 2].upper if place + 2 < len(named) else ""
        has_settlement = after in {base, quote} and after != ""
        suffix, date = read_ending(words, second if not has_settlement else named[place + 2])
        if has_settlement:
            skip, suffix = place + 1, suffix or ("" if date else "_PERP")
        is_open = base in QUOTES and rank(base) < rank(quote)
        pair = Pair(base, quote, suffix, date=date)
        found.append(Pair(quote, base, suffix, is_turned=True, is_open=True, date=date) if is_open else pair)
    return found


def find_joined(named: list[Word], words: list[Word]) -> list[Pair]:
    """Return the pairs that are written as one word."""
    found = []
    for word in named:
        text = re.sub(r"(?<=[A-Z])20\d{2}$", "", strip_mark(word))  # a year behind it, as in BTCUSDT2024-01-01.csv
        bare, perp = (text[:-4], "_PERP") if text.endswith("PERP") and len(text) > 4 else (text, "")  # noqa: PLR2004
        if perp and bare in COINS:
            found.append(Pair(bare, "", perp))
        elif is_pair_word(bare, is_lower=word.text == word.lower):
            suffix, date = read_ending(words, word)
            base, quote = split_pair(bare)
            found.append(Pair(base, quote, perp or suffix, date=date))
    return list(dict.fromkeys(found))


def find_turned(named: list[Word], words: list[Word]) -> list[Pair]:
    """Return the pairs whose quote currency is written before the base."""
    found = []
    for first, second in pairwise(named):
        if first.upper in QUOTES and second.upper in COINS and second.upper not in QUOTES:
            suffix, date = read_ending(words, second)
            found.append(Pair(second.upper, first.upper, suffix, is_turned=True, date=date))
    return found


def join_folder(words: list[Word], above: list[Word]) -> list[Pair]:
    """Return the pair whose base is the folder and whose quote is the file, as in BTC/USDT.csv."""
    named = [word for word in words if not word.is_number and not is_silent(word)]
    length = find_interval(words)
    named = [word for word in named if length is None or word not in length[1]]
    base = [word for word in above if not word.is_number and not is_silent(word)]
    if len(base) != 1 or not named or any(word.upper not in {*QUOTES, base[0].upper} for word in named):
        return []
    if base[0].upper == named[0].upper or (base[0].upper not in COINS and base[0].text != base[0].upper):
        return []
    suffix, date = read_ending(words, named[-1])
    settled = len(named) > 1 and not suffix and not date
    return [Pair(base[0].upper, named[0].upper, "_PERP" if settled else suffix, date=date)]


def find_lone(words: list[Word]) -> list[Pair]:
    """Return a lone coin without its quote: one word in capitals, as in bitfinex_LTC_30m.csv."""
    length = find_interval(words)
    used = set(length[1]) if length else set()
    named = [word for word in words if not word.is_number and word not in used and not is_silent(word)]
    lone = [word for word in named if re.fullmatch(r"[A-Z][A-Z0-9]{1,7}", word.text)]
    lone = [word for word in lone if word.text not in MONEY and not EXPIRY.fullmatch(word.text)] or lone
    if len(lone) != 1 or lone[0].text in {UNASSIGNED_SYMBOL, *MONEY}:
        return []
    suffix, _ = read_ending(words, lone[0])
    return [Pair(strip_mark(lone[0]), "", suffix)]


def read_ending(words: list[Word], last: Word) -> tuple[str, str]:
    """Return the suffix of a future whose expiry follows a word, and six digits that may be one.

    A strike and C or P behind the expiry make it an option, which `add_kinds` refuses by the suffix.
    """
    place = next(place for place, word in enumerate(words) if word is last)
    following = words[place + 1 :]
    if following and (following[0].before, following[0].text) == (".", "P"):  # TradingView's perpetuals: BTCUSDT.P
        return "_PERP", ""
    if place and words[place - 1].text in {"PF", "PI", "PV"}:  # Kraken's perpetuals: PF_XBTUSD
        return "_PERP", ""
    for number, word in enumerate(following):
        if EXPIRY.fullmatch(word.text):
            behind = [each.text for each in following[number + 1 : number + 3]]
            if len(behind) == 2 and behind[0].isdigit() and behind[1] in {"C", "P"}:  # noqa: PLR2004 - strike and side
                return "_OPTION", ""
            day, month, year = word.text[:-5].zfill(2), MONTHS.index(word.text[-5:-2].upper()) + 1, word.text[-2:]
            return f"_{year}{month:02}{day}", ""
        if re.fullmatch(r"\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])", word.text):
            return "", word.text
    return "", ""


def strip_mark(word: Word, following: Word | None = None) -> str:
    """Return a word in upper case without the t that Bitfinex puts before its symbols, as in tLTCUSD and tDUSK:USD."""
    rest = word.text[1:]
    if word.text[:1] != "t" or rest != rest.upper() or rest == rest.lower():
        return word.upper
    has_colon = following is not None and following.before == ":"
    return rest if has_colon or is_whole_pair(rest) or len(rest) > 3 else word.upper  # noqa: PLR2004 - tBTC is a coin


def is_pair_word(text: str, *, is_lower: bool) -> bool:
    """Return whether one word is a pair: it ends with a quote currency, and cannot be a common word.

    Args:
        text: In upper case.
        is_lower: Whether the file has it in lower case, as it has common words.
    """
    base, quote = split_pair(text)
    if not quote:
        return False
    return not is_lower or base in COINS or quote not in ENDS_OF_WORDS


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
        >>> split_pair("BTCUSDT"), split_pair("BTCUSDT_PERP"), split_pair("LTC")
        (('BTC', 'USDT'), ('BTC', 'USDT_PERP'), ('LTC', ''))
    """
    met = SUFFIXES.search(symbol)
    suffix = met[0] if met else ""
    bare = symbol.removesuffix(suffix)
    found = [quote for quote in QUOTES if bare.endswith(quote) and len(bare) - len(quote) in BASE_LENGTHS]
    known = [quote for quote in found if bare.removesuffix(quote) in COINS]
    quote = max(known or found, key=len, default="")
    return (bare.removesuffix(quote), f"{quote}{suffix}") if quote else (symbol, "")


@lru_cache(maxsize=100_000)  # files of all coins name the same ones again and again
def read_symbol(text: str) -> Pair | None:
    """Return the pair that a text names, such as a value of a column of symbols; None if it names none.

    Example:
        >>> [read_symbol(text).symbol for text in ("ETH/USD", "BTC-USDT-SWAP", "BITSTAMP:BTCUSD", "tLTCUSD", "BTC")]
        ['ETHUSD', 'BTCUSDT_PERP', 'BTCUSD', 'LTCUSD', 'BTC']
    """
    words = split_words(text.strip())
    pair, _ = find_pair([words], {})
    if pair is None and len(words) == 1 and re.fullmatch(r"[A-Za-z0-9]{1,12}", words[0].text):
        return Pair(words[0].upper)
    return pair
