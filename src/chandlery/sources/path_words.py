"""The words of the parts of a path: of folders, of the name of a file, and of the values of Hive partitions."""

import re
from functools import lru_cache
from urllib.parse import unquote

from chandlery.sources.endings import DAY
from chandlery.sources.pairs import find_common, spell, split_pair
from chandlery.sources.words import MONEY, Word, list_named, split_words

__all__ = ["find_keys", "list_words", "read_words", "split_path", "split_tails"]

KEY = re.compile(r"([A-Za-z][\w.-]*)=(.+)", re.DOTALL)
# Keys of Hive partitions without their marks, by what their values are. A base may be a whole symbol as well.
ROLES = {
    "quote": re.compile("quote.*|vs(currency)?|to(symbol|currency)|tsym"),
    "currency": re.compile("currency"),
    "base": re.compile("base.*|coin|asset|crypto|from(symbol|currency)|fsym"),
    "symbol": re.compile(".*(symbol|pair|ticker|instrument|product).*|sym|instid"),
    "exchange": re.compile("exchange|venue"),
    "interval": re.compile("interval|timeframe|freq|resolution"),
}
# Lengths in minutes that MetaTrader writes behind a pair, as in BTCUSD60.csv.
MINUTES = {
    "1": "1m", "5": "5m", "15": "15m", "30": "30m", "60": "1h", "240": "4h", "1440": "1d", "10080": "1w", "43200": "1mo"
}  # fmt: skip
# A pair with an interval or a date behind it, without a mark between them.
TAIL = re.compile(
    rf"(\w*?[A-Za-z])({'|'.join(MINUTES)}|M1|M5|M15|M30|H1|H4|D1|W1|MN1?|\d{{1,2}}[smhdwHDW]|20\d\d|{DAY}|\d{{6}}|20\d{{6}})"
)


def split_path(source: str) -> list[str]:
    """Return the parts of a path, the file's name first, without percent-encoding.

    Example:
        >>> split_path("symbol=BTC%2FUSDT/2024.zip!2024.csv")
        ['2024.csv', '2024.zip', 'symbol=BTC/USDT']
    """
    return [unquote(part) for part in re.split(r"[/!]", source)[::-1]]


def find_keys(parts: list[str]) -> dict[str, str]:
    """Return the values of Hive partitions in a path, by what they stand for.

    Example:
        >>> find_keys(["2024.csv", "currency=USD", "baseAsset=LTC", "type=spot"])
        {'base': 'LTC', 'quote': 'USD'}
    """
    found: dict[str, str] = {}
    for part in parts:
        met = KEY.fullmatch(part)
        role, value = (find_role(met[1]), met[2]) if met else ("", "")
        if role in {"symbol", "base"} and not (list_named(split_words(value)) or find_common(split_words(value))):
            continue  # another label of what it is, such as product_type=spot
        if role:
            found.setdefault(role, value)
    currency = found.pop("currency", "")
    if currency:
        is_quote = "base" in found or "symbol" in found or currency.upper() in MONEY
        found.setdefault("quote" if is_quote else "base", currency)
    return found


def find_role(key: str) -> str:
    """Return what the value of a key stands for; empty if that is not known."""
    plain = re.sub(r"[^a-z0-9]", "", key.lower())
    return next((role for role, keys in ROLES.items() if keys.fullmatch(plain)), "")


def list_words(parts: list[str]) -> list[list[Word]]:
    """Return the words of each part of a path; an archive that is called like the file inside it counts once."""
    words: list[list[Word]] = []
    for place, part in enumerate(parts):
        of_part = read_words(part, is_folder=place > 0)
        if not words or [word.text for word in of_part] != [word.text for word in words[-1]]:
            words.append(of_part)
    return words


@lru_cache(maxsize=10_000)  # many files have the same folders
def read_words(part: str, *, is_folder: bool) -> list[Word]:
    """Return the words of a part of a path, which must not be changed: of a Hive partition those of its value.

    Args:
        part: Without percent-encoding.
        is_folder: Whether it is one. In the name of a file only known keys are keys: EURUSD=X.csv has none.

    Example:
        >>> [[word.text for word in read_words(part, is_folder=True)] for part in ("vs=usd", "BTCUSD60", "ETHBTCH4")]
        [['usd'], ['BTCUSD', '1h'], ['ETHBTC', 'H4']]
    """
    met = KEY.fullmatch(part)
    if met and (is_folder or find_role(met[1])):
        part = met[2]
    return split_tails(split_words(part))


def split_tails(words: list[Word]) -> list[Word]:
    """Return words, of which a pair with an interval or a date behind it is split from these."""
    split: list[Word] = []
    for word in words:
        tail = TAIL.fullmatch(word.text)
        # With USD1 at its end, a symbol is one of that currency, or of one minute.
        if tail is None or word.upper.endswith("USD1") or not split_pair(spell(Word(tail[1])))[1]:
            split.append(word)
        else:
            split += [Word(tail[1], word.before), Word(MINUTES.get(tail[2], re.sub("MN1?", "1mo", tail[2])))]
    return split
