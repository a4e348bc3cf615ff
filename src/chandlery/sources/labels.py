"""Columns that name what the rows are of, under names that do not say so: symbols, kinds of markets, other labels."""

import math
from collections.abc import Iterable, Mapping, Sequence

from chandlery.sources.columns import Columns, list_plain, to_number
from chandlery.sources.series_names import is_certain, read_pair
from chandlery.sources.words import COINS, KINDS

__all__ = ["find_kind_column", "find_label", "find_symbol_column"]

COIN_NAMES = {"asset", "token", "base", "baseasset", "basecurrency", "crypto", "cryptocurrency"}
KIND_NAMES = "market markettype insttype instrumenttype category contracttype producttype type kind".split()
# Names of columns with one value in all rows of a series, in order of preference.
LABELS = (
    "pricetype contracttype markettype insttype instrumenttype category producttype market side contract contractcode "
    "instrumentcode symbolid symbolname tradingsymbol inst asset token coin crypto cryptocurrency series code slug "
    "name id currency"
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

    def is_symbol(text: str, place: int) -> bool:
        return is_certain(read_pair(text)) or (text.upper() in COINS and is_of_coins(names[place]))

    for place in places:
        texts = table.texts(place)[:ROWS]
        first = next(filter(None, texts), "")
        may_be = first[:1].isalnum() and not is_number(first) and is_symbol(first, place)  # of few columns
        if may_be and all(is_symbol(text, place) for text in set(texts) - {""}):
            return place
    return None


def is_of_coins(name: str) -> bool:
    """Return whether the name of a column says that it holds coins."""
    return bool(COIN_NAMES.intersection(list_plain(name)))


def is_number(text: str) -> bool:
    """Return whether a text is a number."""
    return not math.isnan(to_number(text))


def list_named(names: Iterable[str], places_of: Mapping[str, Sequence[int]], taken: set[int]) -> list[int]:
    """Return the places of the columns that have some plain names, in the order of these, without those taken."""
    return [place for name in names for place in places_of.get(name, ()) if place not in taken]


def find_kind_column(table: Columns, places_of: Mapping[str, Sequence[int]], taken: set[int]) -> int | None:
    """Return the place of the column whose texts are all kinds of markets, such as spot or swap; None if there is none.

    Args:
        table: The first rows, with names.
        places_of: The places of columns by their plain names.
        taken: Places of other columns.
    """
    for place in list_named(KIND_NAMES, places_of, taken):
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
    for place in list_named(LABELS, places_of, taken):
        texts = [text for text in table.texts(place)[:ROWS] if text]
        is_word = bool(texts) and not any(map(is_number, set(texts)))
        if is_word and len(set(texts)) * LEAST_REPEATS <= len(texts):
            return place
    return None
