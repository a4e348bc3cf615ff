"""The pair that a path names: in the file's name, in its folders, or in both together."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from chandlery.sources.endings import find_option
from chandlery.sources.pairs import (
    Pair,
    choose_kind,
    find_common,
    find_lone,
    find_pairs,
    is_coin,
    is_ticker,
    join_folder,
    order,
    read_symbol,
    spell,
)
from chandlery.sources.words import (
    COIN_QUOTES,
    ENGLISH,
    EXCHANGES,
    KINDS,
    MONEY,
    QUOTES,
    Word,
    is_english,
    list_kinds,
    list_named,
    name_exchange,
)
from chandlery.units import UNASSIGNED_SYMBOL

__all__ = ["Problem", "find_pair"]

# Words in lower case that may be a coin; longer ones, and those of hexadecimal digits, are of all sorts.
LOWER = re.compile(r"(?![a-f]+$)[a-z]{2,5}")


class Problem(NamedTuple):
    """Why a path names no pair.

    Args:
        decision: What is open.
        found: What the path names instead.
        choices: The symbols that it may name.
    """

    decision: str
    found: str
    choices: tuple[str, ...] = ()


class Placed(NamedTuple):
    """A pair, or a coin alone, in a part of a path.

    Args:
        place: The number of the part, the file's name first.
        pair: The pair.
        words: The words that name it.
    """

    place: int
    pair: Pair
    words: tuple[Word, ...]


Result = tuple[Pair | None, Problem | None]


def find_pair(parts: list[list[Word]], keys: Mapping[str, str]) -> Result:
    """Return the pair of a path, or why there is none.

    Args:
        parts: The words of each part, the file's name first.
        keys: The values of Hive partitions.
    """
    if option := next(filter(None, map(find_option, parts)), ""):
        return None, Problem("market", f"names an option ({option}), whose prices are not those of its coin")
    result = find_by_keys(parts, keys)
    if result is None:
        result = find_by_words(parts)
    pair, problem = result
    if pair is None:
        return None, problem
    other = next((text for words in parts for text, kind in list_kinds(words) if kind == "OTHER"), "")
    found, reason = choose_kind([pair], parts)
    if reason is not None and other:
        text = f"names {pair.symbol} and {other}, which is no price that it was traded at"
        return None, Problem("market", text, (pair.symbol,))
    return found, Problem(*reason) if reason else None


def find_by_keys(parts: list[list[Word]], keys: Mapping[str, str]) -> Result | None:
    """Return the pair that Hive partitions name, such as symbol=BTCUSDT; None if the words of the path decide."""
    text, quote = keys.get("symbol") or keys.get("base", ""), keys.get("quote", "").upper()
    told = read_symbol(text) if text else None
    if told is None or told.symbol == UNASSIGNED_SYMBOL or told.quote:
        return (told, None) if told is not None and told.quote else None
    if quote in QUOTES:
        return order(told.base, quote, told.suffix, told.date), None
    pair, problem = find_by_words(parts)  # its quote currency may stand elsewhere: coin=BTC/BTCUSDT.csv
    if pair is not None and pair.quote:
        return (pair, None) if pair.base == told.base else (None, doubt([told, pair]))
    if problem is not None and any(symbol != told.symbol for symbol in problem.choices):
        return None, problem
    return told, None


def find_by_words(parts: list[list[Word]]) -> Result:
    """Return the pair that the words of a path name, without the kind of its market, or why there is none."""
    placed = list(iter_pairs(parts))
    known = [each for each in placed if is_coin(each.pair.base)]
    if known:
        nearest = known[0].place
        rivals = [
            coin for place, word, coin in iter_coins(parts, known) if place < nearest and word.upper not in ENGLISH
        ]
        # Another word before a quote currency, as in my_BTC/ETHUSDT.csv, is a coin only if it stands nearer.
        pairs = [each.pair for each in placed if each in known or each.place <= nearest]
        return choose([*pairs, *(Pair(coin, pairs[0].quote) for coin in rivals if coin not in pairs[0].symbol)])
    if placed:
        pairs = [each.pair for each in placed]
        return choose(pairs) if len(set(map(name, pairs))) > 1 else settle_unknown(parts, placed[0])
    common = [Placed(place, *each) for place, words in enumerate(parts) for each in find_common(words)]
    if common:
        others = (Pair(coin, common[0].pair.quote) for _, _, coin in iter_coins(parts, common))
        return choose([*(each.pair for each in common), *others])
    return choose_lone(parts)


def iter_pairs(parts: list[list[Word]]) -> Iterator[Placed]:
    """Yield the pairs of the parts of a path, and those that a part and a folder above it name together."""
    telling = [(place, words) for place, words in enumerate(parts) if list_named(words)]
    for number, (place, words) in enumerate(telling):
        found = find_pairs(words)
        if not found and number + 1 < len(telling):
            found = join_folder(words, telling[number + 1][1])
        yield from (Placed(place, each.pair, each.words) for each in found)


def iter_coins(parts: list[list[Word]], but: Iterable[Placed]) -> Iterator[tuple[int, Word, str]]:
    """Yield the well-known coins of a path outside some pairs: the number of the part, the word, the coin."""
    used = {word.upper for each in but for word in each.words}
    for place, words in enumerate(parts):
        for word in list_named(words):
            coin = spell(word)
            if word.upper not in used and is_coin(coin) and coin not in MONEY and not is_english(word):
                yield place, word, coin


def settle_unknown(parts: list[list[Word]], placed: Placed) -> Result:
    """Return the pair of a path whose coin is not well known, if nothing else in the path may be the coin.

    Args:
        parts: The words of each part.
        placed: The pair. Its base may be another word, as in SOL_vs_USD and top50_usdt/SOL.csv.
    """
    pair, place = placed.pair, placed.place
    is_joined = len(placed.words) == 1
    is_capital = is_in_capitals(placed.words[0])
    coins = [each for each in iter_coins(parts, [placed]) if each[2] not in {pair.base, pair.quote}]
    if is_joined or is_capital:  # a pair that is written like a symbol, in a folder that is called like a coin
        coins = [each for each in coins if each[0] < place or not (is_joined or not is_in_capitals(each[1]))]
    if not coins:
        strangers = [word for words in parts[:place] for word in list_named(words) if is_like(word, placed.words)]
        if strangers:
            return None, doubt([pair, Pair(strangers[0].upper, pair.quote)])
        if not is_joined and not is_capital and pair.quote in COIN_QUOTES:  # my_eth.csv
            return None, doubt([pair, Pair(pair.quote)])
        return pair, None
    of_path, word, coin = coins[0]
    other = Pair(coin, pair.quote, pair.suffix, date=pair.date)
    is_mixed = not is_joined and not is_capital and is_in_capitals(placed.words[1])  # vs_USD
    is_clear = is_in_capitals(word) and (of_path < place or not is_capital)
    if len({each[2] for each in coins}) == 1 and of_path <= place and pair.quote in MONEY and (is_clear or is_mixed):
        return other, None
    return None, doubt([other, pair])


def is_in_capitals(word: Word) -> bool:
    """Return whether a word is written in capitals, as symbols are."""
    return word.text == word.upper


def is_like(word: Word, others: Sequence[Word]) -> bool:
    """Return whether a word may be a coin just as the words of a pair, which are written in the same letters."""
    if word.upper in {other.upper for other in others}:
        return False
    return is_ticker(word) if is_in_capitals(others[0]) else bool(LOWER.fullmatch(word.text)) or is_ticker(word)


def choose_lone(parts: list[list[Word]]) -> Result:
    """Return the coin that a path names without a quote currency, or why there is none."""
    lone = [(place, words, found) for place, words in enumerate(parts) if (found := find_lone(words))]
    if not lone:
        return None, explain_missing(parts)
    place, words, found = lone[0]
    pairs = [each.pair for each in found]
    if len(set(map(name, pairs))) > 1:
        return choose(pairs)
    pair = pairs[0]
    if is_coin(pair.base):
        markets = [coin for above, _, coin in iter_coins(parts, []) if above > place and coin in COIN_QUOTES]
        return choose([pair, *(order(pair.base, coin, "", "") for coin in markets if coin != pair.base)])
    if pair.suffix or is_before_kind(words, found[0].words[0]):  # FOO-29MAR24, FOO-PERP
        return pair, None
    above = next((coin for _, _, coin in iter_coins(parts, [])), "")
    if not above:
        return None, Problem(
            "symbol", f"names {pair.base}, which is no well-known coin, and no quote currency", (pair.symbol,)
        )
    return None, doubt([Pair(above), *([Pair(pair.base, above)] if above in COIN_QUOTES else []), pair])


def is_before_kind(words: list[Word], coin: Word) -> bool:
    """Return whether the kind of market stands behind a coin in capitals, as exchanges write symbols."""
    place = next(place for place, word in enumerate(words) if word is coin)
    return any(is_in_capitals(word) and KINDS.get(word.lower) == "PERP" for word in words[place + 1 : place + 2])


def choose(pairs: Sequence[Pair]) -> Result:
    """Return the one of some pairs that has most behind it, or the doubt if they are several."""
    if len(set(map(name, pairs))) > 1:
        return None, doubt(pairs)
    return max(pairs, key=lambda each: (len(each.suffix), bool(each.date))), None


def name(pair: Pair) -> tuple[str, str]:
    """Return by what pairs are compared."""
    return pair.base, pair.quote


def doubt(pairs: Iterable[Pair]) -> Problem:
    """Return that a path names several pairs."""
    choices = tuple(dict.fromkeys(pair.symbol for pair in pairs))
    return Problem("symbol", f"names {' and '.join(choices)}", choices)


def explain_missing(parts: list[list[Word]]) -> Problem:
    """Return why words name no pair."""
    words = [word for of_part in parts for word in of_part]
    joined = [word for word in words if word.lower not in EXCHANGES and name_exchange(word.lower)]
    if joined:
        return Problem("symbol", f"names an exchange and a quote currency ({joined[0].text}), and no coin")
    return Problem("symbol", "names no symbol")
