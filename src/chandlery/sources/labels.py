"""Columns that name what the rows are of, under names that do not say so: symbols, kinds of markets, other labels."""

from collections.abc import Iterable, Mapping, Sequence

from chandlery.sources.columns import Columns, list_plain, to_number
from chandlery.sources.series_names import is_certain, read_pair
from chandlery.sources.words import COINS, KINDS

__all__ = ["find_kind_column", "find_label", "find_symbol_column"]

COIN_NAMES = {"asset", "token", "base", "baseasset", "basecurrency", "crypto", "cryptocurrency"}
KIND_NAMES = "market markettype insttype category contracttype producttype".split()
# Names of columns with one value in all rows of a series, in order of preference.
LABELS = (
    "pricetype contracttype markettype insttype category producttype market side contract contractcode instrumentcode "
    "symbolid symbolname tradingsymbol inst asset token coin crypto cryptocurrency series code slug name id currency"
).split()
ROWS = 300
LEAST_REPEATS = 4  # rows of each value: a number of the row, or a comment, has fewer


def find_symbol_column(table: Columns, places: Iterable[int]) -> int | None:
    """Return the place of the column whose texts are all symbols, whatever its name; None if there is none.

    Every text is a pair with a known quote currency, or a well-known coin where the name of the column is that of one.

    Args:
        table: The first rows, with names.
        places: The columns that hold nothing else.
    """
    names = table.names or []
    for place in places:
        texts = set(filter(None, table.texts(place)[:ROWS]))
        is_coin = bool(COIN_NAMES.intersection(list_plain(names[place])))
        if texts and all(is_certain(read_pair(text)) or (is_coin and text.upper() in COINS) for text in texts):
            return place
    return None


def find_kind_column(table: Columns, places_of: Mapping[str, Sequence[int]], taken: set[int]) -> int | None:
    """Return the place of the column whose texts are all kinds of markets, such as spot or swap; None if there is none.

    Args:
        table: The first rows, with names.
        places_of: The places of columns by their plain names.
        taken: Places of other columns.
    """
    for place in (place for name in KIND_NAMES for place in places_of.get(name, ()) if place not in taken):
        texts = set(filter(None, table.texts(place)[:ROWS]))
        if texts and all(text.lower() in KINDS for text in texts):
            return place
    return None


def find_label(table: Columns, places_of: Mapping[str, Sequence[int]], taken: set[int]) -> int | None:
    """Return the place of a column that has one value in all rows of a series; None if there is none.

    Args:
        table: The first rows, with names.
        places_of: The places of columns by their plain names.
        taken: Places of other columns.
    """
    for place in (place for name in LABELS for place in places_of.get(name, ()) if place not in taken):
        texts = [text for text in table.texts(place)[:ROWS] if text]
        is_word = bool(texts) and not any(to_number(text) == to_number(text) for text in set(texts))
        if is_word and len(set(texts)) * LEAST_REPEATS <= len(texts):
            return place
    return None
