"""What rows name beside their candle: the symbol, the exchange and the interval."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from chandlery.sources.columns import NAMES, Columns, list_plain, to_number
from chandlery.sources.labels import find_kind_column, find_label, find_symbol_column
from chandlery.sources.pairs import Pair
from chandlery.sources.series_names import AROUND, KIND_MARK, is_certain, read_exchange, read_length, read_pair
from chandlery.sources.words import COINS, EXCHANGES, KINDS, QUOTES

__all__ = ["JOINED", "find_currencies", "find_extras", "find_market", "find_quote", "group_rows", "list_texts"]

# Names of columns with the currencies of a pair, where these stand apart.
BASES = "base basecurrency baseccy baseasset basecoin basesymbol fromsymbol fsym fromcurrency".split()
MAYBE_BASES = "coin asset symbol ticker".split()  # or whole symbols
QUOTED = (
    "quote quotecurrency quoteccy quoteasset quotecoin quotesymbol tosymbol tsym tocurrency vscurrency currency"
).split()
BASE = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9]{1,15}")
JOINED = {"quote": "/", "kind": KIND_MARK}  # columns that are read as parts of the symbol, and what stands before them
FACT_ROWS = 2000  # whose symbols, exchanges and intervals are looked at
SOME_ROWS = 300
NEARLY_ALL = 0.9


def find_extras(table: Columns, taken: set[int]) -> dict[str, int]:
    """Return the places of the columns that name the symbol, the exchange or the interval.

    Where the currencies of a symbol stand apart, that of the base is given as `symbol`, that of the quote as `quote`.

    Args:
        table: The first rows.
        taken: Places of other columns.
    """
    if table.names is None:
        return find_unnamed(table, taken)
    names = table.names
    places_of: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        for each in list_plain(name):
            places_of.setdefault(each, []).append(place)
    found = find_currency_columns(table, places_of, taken)
    for role in (role for role in AROUND if role not in found):
        for known in NAMES[role].split():
            places = places_of.get(known, [])
            lower = [place for place in places if names[place] == names[place].lower()]
            places = lower if len(places) > 1 and len(lower) == 1 else places
            fitting = [
                each
                for each in places
                if each not in {*taken, *found.values()} and fits(role, table.texts(each), is_market=known == "market")
            ]
            if fitting:
                found[role] = fitting[0]
                break
    return found | find_labels(table, places_of, taken, found)


def find_labels(
    table: Columns, places_of: Mapping[str, list[int]], taken: set[int], found: Mapping[str, int]
) -> dict[str, int]:
    """Return the places of the columns that name what rows are of and whose names do not say that they do.

    These are a symbol; the kind of its market; and a label, which has one value in all rows of a series.

    Args:
        table: The first rows.
        places_of: The places of columns by their plain names.
        taken: Places of other columns.
        found: The columns that are known by their names.
    """
    more: dict[str, int] = {}
    free = [place for place in range(table.width) if place not in {*taken, *found.values()}]
    if "symbol" not in found and (symbol := find_symbol_column(table, free)) is not None:
        more["symbol"] = symbol
    used = {*taken, *found.values(), *more.values()}
    if "symbol" in {*found, *more} and (kind := find_kind_column(table, places_of, used)) is not None:
        more["kind"] = kind
    label = find_label(table, places_of, {*used, *more.values()})
    return more if label is None else {**more, "label": label}


def find_currency_columns(table: Columns, places_of: Mapping[str, list[int]], taken: set[int]) -> dict[str, int]:
    """Return the places of the columns with the base and the quote of a pair; nothing if there are none.

    Args:
        table: The first rows.
        places_of: The places of columns by their plain names.
        taken: Places of other columns.
    """
    bases, quotes = (
        {place: name for name in names for place in places_of.get(name, []) if place not in taken}
        for names in ((*BASES, *MAYBE_BASES), QUOTED)
    )
    for quote in quotes:
        for base, name in bases.items():
            texts = {(row[base], row[quote].upper()) for row in table.rows[:SOME_ROWS] if len(row) > max(base, quote)}
            is_whole = name in MAYBE_BASES and all(text.upper().endswith(of_quote) for text, of_quote in texts)
            if texts and not is_whole and all(of_quote in QUOTES and is_base(text) for text, of_quote in texts):
                return {"symbol": base, "quote": quote}
    return {}


def is_base(text: str) -> bool:
    """Return whether a text can be the base of a pair.

    Example:
        >>> is_base("1INCH"), is_base("eth"), is_base("BTC/USD"), is_base("1.5")
        (True, True, False, False)
    """
    return bool(BASE.fullmatch(text))


def fits(role: str, texts: Sequence[str], *, is_market: bool) -> bool:
    """Return whether most texts of a column can be what its name says.

    Args:
        role: What it says.
        texts: The texts.
        is_market: Whether its name is `market`, which may be anything: only a well-known exchange counts as one.
    """
    readers: dict[str, Callable[[str], object]] = {
        "symbol": read_pair,
        "exchange": (lambda text: EXCHANGES.get(text.lower())) if is_market else read_exchange,
        "interval": read_length,
    }
    return can_be(readers[role], texts)


def can_be(read: Callable[[str], object], texts: Sequence[str]) -> bool:
    """Return whether most of some texts can be read."""
    counts = Counter(text for text in texts[:SOME_ROWS] if text)
    readable = (count for text, count in counts.items() if read(text) is not None)
    return bool(counts) and sum(readable) >= NEARLY_ALL * counts.total()


def find_unnamed(table: Columns, taken: set[int]) -> dict[str, int]:
    """Return the same places in a table without names: of columns whose texts can be nothing else."""
    readers: dict[str, Callable[[str], object]] = {
        "symbol": lambda text: is_certain(read_pair(text)) or None,
        "exchange": lambda text: EXCHANGES.get(text.lower()),
        "interval": lambda text: read_length(text) or None,
    }
    found: dict[str, int] = {}
    words = [
        place for place in range(table.width) if place not in taken and not can_be(read_number, table.texts(place))
    ]
    for role, read in readers.items():
        fitting = [place for place in words if place not in found.values() and can_be(read, table.texts(place))]
        if len(fitting) == 1:
            found[role] = fitting[0]
    return found


def read_number(text: str) -> float | None:
    """Return a text as a number; None if it is none."""
    number = to_number(text)
    return number if np.isfinite(number) else None


def group_rows(table: Columns, around: Sequence[Sequence[str]]) -> tuple[int, ...]:
    """Return the number of the series of each row; empty if all rows name one series, or none.

    Args:
        table: The first rows.
        around: The texts of symbol, exchange and interval that stand around each row; empty if none do.
    """
    places = [place for role, place in find_extras(table, set()).items() if role != "label"]
    if not places and not around:
        return ()
    beside = around or [()] * len(table.rows)
    keys = [
        (*texts, *(row[place] if len(row) > place else "" for place in places))
        for row, texts in zip(table.rows, beside, strict=True)
    ]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return tuple(numbers[key] for key in keys) if len(numbers) > 1 else ()


def find_quote(table: Columns, extras: Mapping[str, int]) -> str:
    """Return the quote currency that a column of the first rows names, where none names the symbol; else empty."""
    if "symbol" in extras or table.names is None:
        return ""
    for place in (place for place, name in enumerate(table.names) if set(list_plain(name)).intersection(QUOTED)):
        texts = {text.strip().upper() for text in table.texts(place)[:SOME_ROWS]}
        if len(texts) == 1 and texts <= QUOTES:
            return texts.pop()
    return ""


def find_market(table: Columns, extras: Mapping[str, int]) -> str:
    """Return the kind of market that a label of the first rows names, as it is written; empty if it names none."""
    texts = table.texts(extras["label"]) if "label" in extras else []
    return texts[0] if texts and KINDS.get(texts[0].lower()) else ""


def list_texts(
    table: Columns, extras: Mapping[str, int], around: Sequence[Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """Return the texts of symbols, exchanges and intervals, each once: of a column, or else those around the rows."""
    found = {}
    for number, role in enumerate(AROUND):
        texts = table.texts(extras[role])[:FACT_ROWS] if role in extras else [texts[number] for texts in around]
        if role == "symbol" and extras.keys() & JOINED.keys():
            texts = join_texts(table, extras)
        found[role] = tuple(dict.fromkeys(filter(None, texts)))
    return found


def join_texts(table: Columns, extras: Mapping[str, int]) -> list[str]:
    """Return the symbol of each of the first rows, with a quote currency and a kind of market that stand apart."""
    marks = [("", extras["symbol"]), *((mark, extras[role]) for role, mark in JOINED.items() if role in extras)]
    rows = (row for row in table.rows[:FACT_ROWS] if len(row) > max(place for _, place in marks))
    return ["".join(f"{mark}{row[place]}" for mark, place in marks) for row in rows]


def find_currencies(pair: Pair | None, symbols: Sequence[str]) -> tuple[str, str]:
    """Return the base and the quote by which volumes may be named; empty where they are not known.

    Args:
        pair: The pair of the path.
        symbols: The texts of symbols in rows: if they have one base or one quote in common, it is that; of a path, a
            well-known coin alone counts before it.
    """
    told = [found for text in symbols if (found := read_pair(text))]
    bases, quotes = {each.base for each in told}, {each.quote for each in told}
    base, quote = (pair.base, pair.quote) if pair is not None else ("", "")
    if len(bases) > 1 or (len(bases) == 1 and base not in COINS):
        base = bases.pop() if len(bases) == 1 else ""
    if len(quotes) > 1 or (len(quotes) == 1 and not quote):
        quote = quotes.pop() if len(quotes) == 1 else ""
    return base, quote
