"""Which rows of a file belong to which series, where the rows themselves tell it."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chandlery.sources.doubts import HOW_TO_NAME, NO_SYMBOL, UndecidedError, paste
from chandlery.sources.identity import ALIASES
from chandlery.sources.pairs import SUFFIXES, Pair, add_kinds, split_pair
from chandlery.sources.parse import Batch
from chandlery.sources.path_words import list_words, split_path
from chandlery.sources.series_names import read_exchange, read_length, read_pair, read_prefix
from chandlery.sources.spacing import MONTHS
from chandlery.sources.words import EXCHANGES, KINDS, MARKETS, MONEY, SILENT, list_kinds
from chandlery.units import UNASSIGNED_SYMBOL

__all__ = ["ROLES", "Divider", "Part", "PartRows", "Value", "find_kinds", "find_usual", "iter_parts", "name_value"]

ROLES = ("symbol", "exchange", "interval")
MOST_VALUES = 1 << 20  # of one role: three of them fit into 64 bits

Value = str | int


class Part(NamedTuple):
    """Rows of a file that belong to one series: those that name this symbol, exchange and interval.

    A field is empty where the rows do not name it, or where the path or the settings name the same: these decide then.

    Args:
        symbol: As the lake writes it, such as BTCUSDT_PERP.
        exchange: As the lake writes it.
        seconds: The interval.
    """

    symbol: str = ""
    exchange: str = ""
    seconds: int = 0

    @property
    def roles(self) -> tuple[str, ...]:
        """What its rows name: some of `ROLES`."""
        return tuple(role for role, value in zip(ROLES, self, strict=True) if value)

    @property
    def values(self) -> tuple[Value, ...]:
        """What its rows name, as rows of several spellings are compared."""
        usual = self._replace(symbol=find_usual(self.symbol))
        return tuple(value for value in usual if value)


def find_kinds(source: str, market: str | None = None) -> frozenset[str]:
    """Return the kinds of markets that a setting or the words of a path name, which hold for all of its rows.

    Args:
        source: The file.
        market: The setting of that name, which comes before the path.

    Example:
        >>> sorted(find_kinds("binance/futures/um/2024.csv")), sorted(find_kinds("spot/2024.csv"))
        (['PERP'], [])
    """
    if market:
        return frozenset([MARKETS[market]] if MARKETS[market] else [])
    return frozenset(kind for words in list_words(split_path(source)) for _, kind in list_kinds(words) if kind)


def find_usual(symbol: str) -> str:
    """Return a symbol with the usual name of its coin, by which spellings of one symbol are compared.

    Example:
        >>> find_usual("XBTUSD"), find_usual("BTCUSDT_PERP")
        ('BTCUSD', 'BTCUSDT_PERP')
    """
    met = SUFFIXES.search(symbol)
    bare, suffix = (symbol[: met.start()], met[0]) if met else (symbol, "")
    base, quote = split_pair(bare)
    return f"{ALIASES.get(base, base)}{quote}{suffix}"


def name_value(role: str, text: str, kinds: Iterable[str]) -> Value:
    """Return what a text of a row names as the lake writes it; empty, or 0, where it names nothing.

    Args:
        role: One of `ROLES`.
        text: The text.
        kinds: The kinds of markets that the path names.

    Example:
        >>> name_value("symbol", "btc-usdt", ["PERP"]), name_value("symbol", "BTC-USD-240329", [])
        ('BTCUSDT_PERP', 'BTCUSD_240329')
        >>> name_value("exchange", "Coinbase Pro", []), name_value("interval", "1h", [])
        ('coinbase', 3600)
    """
    if role == "exchange":
        return "" if is_common(text) else read_exchange(text) or ""
    if role == "interval":
        return read_length(text) or 0
    pair = read_pair(text)
    if pair is None or not re.search(r"[A-Z]", pair.base) or is_no_coin(pair):
        return ""
    if pair.date and not re.fullmatch(r"\d{6}", pair.date):
        return ""  # the expiry of a future, without its year
    if pair.date:  # six digits behind a pair may be the date of a file, but in a row they are an expiry
        pair = replace(pair, suffix=f"{pair.suffix}_{pair.date}", date="")
    named, _ = add_kinds(pair, {kind for kind in kinds if kind not in pair.suffix})
    return named.symbol if named is not None and named.symbol != UNASSIGNED_SYMBOL else ""


def is_no_coin(pair: Pair) -> bool:
    """Return whether what stands alone in the place of a symbol is none, but an exchange, a market or money."""
    return not pair.quote and (is_common(pair.base) or pair.base.lower() in EXCHANGES)


def is_common(text: str) -> bool:
    """Return whether a text is a word that names no symbol and no exchange, such as the kind of a market."""
    return text.strip().lower() in {*SILENT, *KINDS} or (text.strip().upper() in MONEY)


class PartRows(NamedTuple):
    """Rows of a part in a batch.

    Args:
        batch: What they were read from, or their texts by their numbers in the file.
        fields: Their fields, with their numbers in the file as `row`, without what they name.
        before: The number of rows in the file before those of the batch.
    """

    batch: Batch | Mapping[int, str]
    fields: pl.DataFrame
    before: int

    def raw(self, rows: pl.Series) -> list[str]:
        """Return the texts of some of the rows, by their numbers in the file."""
        if isinstance(self.batch, Mapping):
            return [self.batch[row] for row in rows]
        return self.batch.raw(rows.to_numpy() - self.before - 1)

    def detach(self) -> "PartRows":
        """Return the same rows with their texts alone, so that the batch need not stay in memory."""
        return self._replace(batch=dict(zip(self.fields["row"], self.raw(self.fields["row"]), strict=True)))


def iter_parts(
    batches: Iterable[Batch], source: str, parts: Sequence[Part], market: str | None = None
) -> Iterator[tuple[Part, PartRows]]:
    """Yield the rows of some parts from batches of a file: of each batch those of each part that has some in it.

    Args:
        batches: All rows of the file, in their order.
        source: The file.
        parts: The parts, which are told apart by the same columns; an empty one alone has all rows.
        market: The kind of market that is set for the file.

    Raises:
        UndecidedError: A row that can be read names no symbol, exchange or interval.
    """
    roles, by_values = parts[0].roles, {part.values: part for part in parts}
    divider = Divider(source, roles, find_kinds(source, market))
    held: list[PartRows] = []
    before = 0
    for batch in batches:
        numbers = pl.Series("row", np.arange(before + 1, before + batch.fields.height + 1))
        fields = (batch.fields.drop(roles, strict=False) if roles else batch.fields).hstack([numbers])
        rows = PartRows(batch, fields, before)
        codes = divider.divide(batch.fields, before)
        before += fields.height
        if not divider.keys:
            held.append(rows)
            continue
        places = {place: by_values[key] for place, key in enumerate(divider.keys) if key in by_values}
        if 0 in places:  # rows that stand before the first part is known belong to it
            yield from ((places[0], each) for each in held)
        held.clear()
        yield from split_rows(rows, np.maximum(codes, 0), places)


def split_rows(rows: PartRows, codes: NDArray[np.int32], parts: Mapping[int, Part]) -> Iterator[tuple[Part, PartRows]]:
    """Yield the rows of each part that has some.

    Args:
        rows: Rows of all parts.
        codes: The place of each row's part.
        parts: The parts that are wanted, by their places.
    """
    met = np.unique(codes).tolist()
    if len(met) == 1:
        if met[0] in parts:
            yield parts[met[0]], rows
        return
    wanted = [code for code in met if code in parts]
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], wanted)
    stops = np.searchsorted(codes[order], wanted, side="right")
    for code, start, stop in zip(wanted, starts.tolist(), stops.tolist(), strict=True):
        yield parts[code], rows._replace(fields=rows.fields[order[start:stop]])


class Divider:
    """Tells the parts of a file's rows, batch by batch.

    A row without a time that can be read, or that cannot be read otherwise and names no series, belongs to the part of
    the row before it.

    Args:
        source: The file.
        roles: What tells the parts, in the order of `ROLES`.
        kinds: The kinds of markets of all rows.

    Attributes:
        keys: The parts in the order of their first rows, each by what `Part.values` has.
        spellings: The symbols as rows spell them, by their usual names.
        texts: By role, a text of each value.
    """

    def __init__(self, source: str, roles: Sequence[str], kinds: Collection[str]) -> None:
        self._source, self._roles, self._kinds = source, roles, kinds
        self._known: dict[str, dict[str, int | None]] = {role: {} for role in roles}
        self._values: dict[str, dict[Value, int]] = {role: {} for role in roles}
        self._codes: dict[int, int] = {}
        self._prefixes: set[str] = set()
        self._last = -1
        self.keys: list[tuple[Value, ...]] = []
        self.spellings: dict[Value, set[str]] = {}
        self.texts: dict[str, dict[Value, str]] = {role: {} for role in roles}

    def divide(self, fields: pl.DataFrame, before: int) -> NDArray[np.int32]:
        """Return the place of each row's part in `keys`; -1 for rows that stand before the first part is known.

        Args:
            fields: time, unparseable and the texts of the roles, of some rows.
            before: How many rows of the file stand before them.

        Raises:
            UndecidedError: A row that can be read names no symbol, exchange or interval.
        """
        if not self._roles:
            self.keys = [()]
            return np.zeros(fields.height, np.int32)
        if lacking := [role for role in self._roles if role not in fields.columns]:
            problem = f"{self._source} has no {lacking[0]} in its rows, by which they are told apart"
            raise UndecidedError(lacking[0], problem, f"a {lacking[0]} in each row", "restore its earlier version")
        named = [self._number(role, fields[role]) for role in self._roles]
        combined = named[0].cast(pl.Int64)
        for numbers in named[1:]:
            combined = combined * MOST_VALUES + numbers
        if not combined.null_count() and not fields["time"].null_count():
            self._meet(combined)
            found = self._encode(combined)
        else:
            found = self._attribute(combined, fields, before)
        self._last = int(found[-1]) if found.size else self._last
        return found

    def _number(self, role: str, texts: pl.Series) -> pl.Series:
        """Return the number of what each text names; null where it names nothing."""
        known = self._known[role]
        for text in texts.drop_nulls().unique(maintain_order=True).to_list():
            if text not in known:
                known[text] = self._find_number(role, text)
        if not known:
            return pl.Series([None], dtype=pl.Int64).new_from_index(0, len(texts))
        return texts.replace_strict(list(known), list(known.values()), default=None, return_dtype=pl.Int64)

    def _find_number(self, role: str, text: str) -> int | None:
        """Return the number of what a text names; None where it names nothing."""
        value = name_value(role, text, self._kinds)
        if not value:
            return None
        if role == "symbol":
            spelling, value = str(value), find_usual(str(value))
            self.spellings.setdefault(value, set()).add(spelling)
            self._check_prefix(text)
        self.texts[role].setdefault(value, text)
        return self._values[role].setdefault(value, len(self._values[role]))

    def _check_prefix(self, text: str) -> None:
        """Check that symbols name one exchange at most, where nothing else in the rows names it.

        Raises:
            UndecidedError: They name several, as in BINANCE:BTCUSDT and KRAKEN:BTCUSDT.
        """
        self._prefixes |= {read_prefix(text)} - {""}
        if "exchange" not in self._roles and len(self._prefixes) > 1:
            found = f"{self._source} has symbols of the exchanges {' and '.join(sorted(self._prefixes))}, as in {text}"
            hint = "give the exchange a column of its own, called exchange, or split the file by exchange"
            raise UndecidedError("exchange", found, "symbols of one exchange, or a column of exchanges", hint)

    def _meet(self, combined: pl.Series) -> None:
        """Note the parts of rows that name one, in their order."""
        for number in combined.unique(maintain_order=True).to_list():
            if number not in self._codes:
                self._codes[number] = len(self.keys)
                self.keys.append(self._split(number))

    def _split(self, number: int) -> tuple[Value, ...]:
        """Return the values of a part by its number."""
        key: list[Value] = []
        for role in reversed(self._roles):
            number, place = divmod(number, MOST_VALUES) if role != self._roles[0] else (0, number)
            key.append(list(self._values[role])[place])
        return tuple(reversed(key))

    def _encode(self, combined: pl.Series) -> NDArray[np.int32]:
        """Return the places in `keys` of the numbers of parts; -1 for a number that no part has."""
        numbers, codes = [-1, *self._codes], [-1, *self._codes.values()]
        return combined.replace_strict(numbers, codes, default=-1, return_dtype=pl.Int32).to_numpy()

    def _attribute(self, combined: pl.Series, fields: pl.DataFrame, before: int) -> NDArray[np.int32]:
        """Return the part of each row, where some rows name none or have no time."""
        has_time = fields["time"].is_not_null()
        odd = combined.is_null() & has_time & ~fields["unparseable"]
        if odd.any():
            raise self._complain(fields, int(odd.arg_true()[0]), before)
        known = len(self.keys)
        tells = has_time & combined.is_not_null()
        self._meet(combined.filter(tells))
        codes = self._encode(combined.fill_null(-1))
        # Without a time, such as a header in the middle, a row belongs to a part that rows before it have begun.
        first = np.zeros(len(self.keys) + 1, np.int64)
        places, telling = np.arange(codes.size), codes[tells.to_numpy()]
        begun, firsts = np.unique(telling, return_index=True)
        first[begun] = np.where(begun >= known, places[tells.to_numpy()][firsts], 0)
        codes = np.where(places >= first[codes], codes, -1).astype(np.int32)
        nearest = np.maximum.accumulate(np.where(codes >= 0, places, -1))
        return np.where(nearest >= 0, codes[nearest], self._last).astype(np.int32)

    def _complain(self, fields: pl.DataFrame, place: int, before: int) -> UndecidedError:
        """Return what is wrong with a row that names no symbol, exchange or interval."""
        role = next(role for role in self._roles if self._known[role].get(fields[role][place]) is None)
        return refuse_row(self._source, role, fields[role][place], before + place + 1)


def refuse_row(source: str, role: str, text: str | None, row: int) -> UndecidedError:
    """Return why a file is refused, one row of which names no symbol, exchange or interval."""
    if role == "interval" and text and read_length(text) == 0:
        found = f"{source}: row {row} has the interval {text!r}: {MONTHS}"
    elif text and text.strip():
        found = f"{source}: row {row} has {text[:40]!r} in the place of the {role}"
    else:
        found = f"{source}: row {row} names no {role}, and other rows do"
    example = {"symbol": NO_SYMBOL, "exchange": "kraken", "interval": "1h"}[role]
    notes = {"symbol": HOW_TO_NAME} if role == "symbol" else {}
    hint = (
        f"correct the row; or, if all rows are of one series, {paste(source, {role: example, 'split': False}, notes)}"
    )
    return UndecidedError(role, found, f"{'an' if role[0] in 'aei' else 'a'} {role} in each row", hint)
