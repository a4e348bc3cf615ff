"""How a file is laid out: its form, its columns and its times, recognised from its first rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from chandlery.errors import SourceError
from chandlery.settings.model import LayoutSettings, ReadingSettings
from chandlery.sources.column_order import place_by_data
from chandlery.sources.columns import (
    ROLES,
    Columns,
    Placed,
    find_column,
    list_plain,
    place_by_hand,
    place_by_name,
)
from chandlery.sources.decisions import (
    BY_HAND,
    Decision,
    Decisions,
    describe_columns,
    describe_time,
    find_kind,
    name_column,
)
from chandlery.sources.doubts import UndecidedError, paste
from chandlery.sources.flags import find_flags
from chandlery.sources.heads import Head, read_head
from chandlery.sources.moments import measure_length, parse_moments, read_moments
from chandlery.sources.row_names import find_currencies, find_extras, find_market, find_quote, group_rows, list_texts
from chandlery.sources.series_names import AROUND
from chandlery.sources.symbols import PathName, match_layout, read_path
from chandlery.sources.time_columns import ChosenTime, choose_time
from chandlery.sources.times import TimeForm
from chandlery.sources.volumes import ChosenVolume, choose_of_several, choose_volume

__all__ = ["Facts", "Layout", "recognise", "recognise_head"]

Place = int | str
INTERVAL_ROWS = 300
LEAST_WINDOWS = 10  # rows
ENVELOPE_ROWS = 50  # enough to tell whether columns are prices


@dataclass(frozen=True)
class Facts:
    """What the first rows of a file tell beside their candles.

    Args:
        symbols: The texts of its column of symbols, or those that stand around the rows.
        exchanges: The texts of its column of exchanges.
        intervals: The texts of its column of intervals.
        length_ms: The length of a candle by its times of open and close; None if they do not tell.
        is_end: Whether its times are said to be the ends of candles.
        price: The middle of its closes; None if it has none.
        path: What its path names.
        end: Where a row has the time at which its candle closes, and how it is written; None if there is none.
        decisions: What was decided about its columns and times, and by what evidence.
        kind: The kind of file that it is.
        quote: The quote currency that a column names, likewise.
        market: The text of a column with the kind of market, where none names the symbol; empty if there is none.
    """

    symbols: tuple[str, ...] = ()
    exchanges: tuple[str, ...] = ()
    intervals: tuple[str, ...] = ()
    length_ms: int | None = None
    is_end: bool = False
    price: float | None = None
    path: PathName = field(default_factory=PathName)
    end: tuple[Place, TimeForm] | None = None
    decisions: Decisions = field(default_factory=dict)
    kind: str = ""
    market: str = ""
    quote: str = ""


@dataclass(frozen=True)
class Layout:
    """A file's layout.

    Args:
        form: Lines of fields, or one of the forms of JSON (`documents.Shape`).
        places: Where time, open, high, low, close and volume stand: a position, or a key of a JSON object.
        time: How times are written.
        words: What the ledger says.
        separator: Between fields.
        decimal: The decimal mark of fields.
        thousands: The mark between thousands of fields; empty for none.
        skip: Lines before the first row.
        width: Fields in a row; 0 for JSON objects.
        body: Where the first row of a document begins.
        key: The name of the array of a document; None where no object holds it.
        clock: Where the time of day stands, if it stands apart from the date.
        symbol_place: Where a symbol stands, if there is one in each row, or its base currency.
        quote_place: Where its quote currency stands, if it stands apart.
        exchange_place: The same of an exchange.
        interval_place: The same of an interval.
        closed_place: Where a row says whether its candle had closed.
        partial_place: Where a row says whether its candle was still open.
        kind_place: Where a row names the kind of its market.
        label_place: Where a row has a label, which is the same in all rows of a series.
        around: What stands around the rows of a document: some of symbol, exchange and interval.
        end_place: Where a row has the time at which its candle closes, if that is read, which surveys alone need.
        facts: What the first rows tell beside their candles.
    """

    form: str
    places: tuple[Place, ...]
    time: TimeForm
    words: str
    separator: str = ","
    decimal: str = "."
    thousands: str = ""
    skip: int = 0
    width: int = 0
    body: int = 0
    key: str | None = None
    clock: Place | None = None
    symbol_place: Place | None = None
    quote_place: Place | None = None
    exchange_place: Place | None = None
    interval_place: Place | None = None
    closed_place: Place | None = None
    partial_place: Place | None = None
    kind_place: Place | None = None
    label_place: Place | None = None
    end_place: Place | None = None
    around: tuple[str, ...] = ()
    facts: Facts = field(default_factory=Facts, compare=False)

    @property
    def extras(self) -> dict[str, Place]:
        """Where the columns stand that are read beside the candle, by what they hold."""
        places = {
            "clock": self.clock,
            "symbol": self.symbol_place,
            "quote": self.quote_place,
            "exchange": self.exchange_place,
            "interval": self.interval_place,
            "closed": self.closed_place,
            "partial": self.partial_place,
            "kind": self.kind_place,
            "label": self.label_place,
            "end": self.end_place,
        }
        return {name: place for name, place in places.items() if place is not None}


def recognise(head: bytes, source: str, settings: ReadingSettings, *, is_whole: bool = False) -> Layout:
    """Return how a file is laid out, by its names or, where they do not tell, by its numbers.

    Args:
        head: Its first bytes after decompression, without a BOM, with lines that end with a line feed.
        source: Its path below the source root.
        settings: Where layouts set by hand stand.
        is_whole: Whether these are all of its bytes.

    Raises:
        SourceError: It is empty, no table of candles, or something about its columns is undecided.
    """
    by_hand = match_layout(source, settings) or LayoutSettings()
    return recognise_head(read_head(head, source, by_hand, is_whole=is_whole), source, by_hand)


def recognise_head(found: Head, source: str, by_hand: LayoutSettings) -> Layout:
    """Return how a file is laid out, by its first rows; takes and raises what `_recognise` does.

    An error that leaves a decision open names the kind of the file, so that a like file can decide it.
    """
    try:
        return _recognise(found, source, by_hand)
    except UndecidedError as error:
        error.kind = find_kind(source, found)
        raise


def _recognise(found: Head, source: str, by_hand: LayoutSettings) -> Layout:
    """Return how a file is laid out, by its first rows.

    Args:
        found: The first rows.
        source: Its path below the source root.
        by_hand: Its settings.

    Raises:
        SourceError: It has no rows, or something about its columns is undecided.
    """
    table = found.table
    if not table.rows:
        raise SourceError(f"{source} holds no row", "candles", "remove the file, or fetch it again")
    path = read_path(source)
    table = replace(table, groups=group_rows(table, found.around))
    placed = place_by_hand(by_hand.columns, table, source) if by_hand.columns else None
    time = choose_time(table, by_hand, placed.time if placed else None, source)
    placed = placed or _place_prices(table, time, source)
    taken = {place for place in (time.place, time.clock, time.end) if place is not None}
    extras = find_extras(table, taken | set(placed.prices))
    known = {*taken, *time.forms, *placed.prices, *placed.unused, *extras.values()}
    extras |= find_flags(table, known, lambda: _read_all(table, time))
    texts = list_texts(table, extras, found.around)
    currencies = find_currencies(path.pair, texts["symbol"])
    volume = _choose_volume(table, placed, taken | set(extras.values()), by_hand, currencies, source)
    _check_places(table, (time.place, *placed.prices, volume.place), source)
    chosen = (time, placed, volume)
    _check_envelope(table, chosen, source, is_set=bool(by_hand.columns))
    layout = _describe(replace(found, table=table), chosen, extras, texts, path)
    decisions = _list_decisions(found, chosen, by_hand)
    return replace(layout, facts=replace(layout.facts, decisions=decisions, kind=find_kind(source, found)))


def _read_all(table: Columns, time: ChosenTime) -> NDArray[np.float64]:
    """Return the times of the whole rows in ms."""
    whole = table.whole()
    beside = None if time.clock is None else [row[time.clock] for row in whole]
    return parse_moments([row[time.place] for row in whole], time.form, beside)


def _place_prices(table: Columns, time: ChosenTime, source: str) -> Placed:
    placed = place_by_name(table, source) if table.names is not None else None
    if placed is not None:
        return placed
    return place_by_data(table, sorted({time.place, *time.forms}), _read_all(table, time), source)


def _choose_volume(
    table: Columns, placed: Placed, taken: set[int], by_hand: LayoutSettings, currencies: tuple[str, str], source: str
) -> ChosenVolume:
    if by_hand.volume is not None:
        return ChosenVolume(find_column(table, by_hand.volume, "volume", source), "set by hand")
    if placed.volume is not None:
        return ChosenVolume(
            placed.volume, "set by hand" if by_hand.columns else placed.evidence.removeprefix("columns by ")
        )
    choose = choose_of_several if table.groups else choose_volume
    return choose(table, placed, taken, currencies, source)


def _check_places(table: Columns, positions: Sequence[int], source: str) -> None:
    """Check that no column is set by hand for what another setting, its name or its numbers have it for.

    Raises:
        UndecidedError: One is.
    """
    twice = next((place for place in positions if positions.count(place) > 1), None)
    if twice is not None:
        roles = " and ".join(role for role, place in zip(ROLES, positions, strict=True) if place == twice)
        decision = "volume" if positions[-1] == twice else "time_column"
        found = f"{source} has {table.describe(twice)} as {roles}"
        raise UndecidedError(decision, found, "a column of its own for each", "mend the settings of [[source.layout]]")


def _check_envelope(
    table: Columns, chosen: tuple[ChosenTime, Placed, ChosenVolume], source: str, *, is_set: bool
) -> None:
    """Check that columns can be prices: the high is the highest and the low the lowest.

    Args:
        table: The first rows.
        chosen: The columns.
        source: The file.
        is_set: Whether `columns` sets them by hand.

    Raises:
        UndecidedError: They are not, in most rows.
    """
    time, placed, volume = chosen
    whole = table if table.is_even else Columns(table.names, table.whole()[:ENVELOPE_ROWS])
    numbers = np.column_stack([whole.numbers(place)[:ENVELOPE_ROWS] for place in placed.prices])
    numbers = numbers[np.isfinite(numbers).all(axis=1)]
    if any("bid" in name.lower() for name in table.names or []):  # as a ticker has it, and candles seldom do
        _check_window(numbers, source)
    wrong = int(_find_outside(numbers, 1, 2).sum())
    if wrong <= len(numbers) / 2:
        return
    share = f"the high is not the highest, or the low not the lowest, in {wrong} of {len(numbers)} rows"
    expected = "columns that the numbers allow"
    if is_set:
        found = f"{source}: by [[source.layout]] columns {share}"
        raise UndecidedError("columns", found, expected, "mend the setting, or leave it out")
    if _find_outside(numbers, 2, 1).sum() > len(numbers) / 2:  # the rows are faulty, and each is judged by itself
        return
    open_, high, low, close = placed.prices
    order = dict(zip(ROLES, (time.place, open_, low, high, close, volume.place), strict=True))
    columns = describe_columns(order, table.width, "").value.split(", ")
    hint = paste(source, {"columns": columns}, {"columns": "high and low exchanged"})
    raise UndecidedError("columns", f"{source}: by the names of its columns {share}", expected, hint)


def _check_window(numbers: NDArray[np.float64], source: str) -> None:
    """Check that rows are candles and no values of a window that moves on with each row, as tickers have.

    Raises:
        UndecidedError: High and low stay the same from row to row in most rows, and are no single price.
    """
    before, after = numbers[:-1], numbers[1:]
    stays = (before[:, 1] == after[:, 1]) & (before[:, 2] == after[:, 2]) & (after[:, 1] > after[:, 2])
    if stays.sum() > max(len(after), LEAST_WINDOWS) / 2:
        found = f"{source} has the same high and the same low as the row before in {stays.sum()} of {len(after)} rows"
        found = f"{found}: its rows are those of a window of time that moves on, as a ticker has, and no candles"
        raise UndecidedError("columns", found, "candles", "leave it out with [source] exclude")


def _find_outside(numbers: NDArray[np.float64], high: int, low: int) -> NDArray[np.bool_]:
    """Return the rows in which a column is not the highest of the prices, or another one not the lowest."""
    return np.array((numbers[:, high] < numbers.max(axis=1)) | (numbers[:, low] > numbers.min(axis=1)))


def _describe(
    found: Head,
    chosen: tuple[ChosenTime, Placed, ChosenVolume],
    extras: Mapping[str, int],
    texts: Mapping[str, tuple[str, ...]],
    path: PathName,
) -> Layout:
    """Return the layout, with what the ledger says of it."""
    time, placed, volume = chosen
    table = found.table
    positions = (time.place, *placed.prices, volume.place)

    def to_place(position: int) -> Place:
        return (table.names or [])[position] if found.keyed else position

    order = ", ".join(ROLES[index] for index in sorted(range(6), key=lambda index: positions[index]))
    names = [f"time by {time.evidence}" if time.evidence != "its name" else "", f"volume by {volume.evidence}"
             if volume.evidence not in {"its name", "set by hand"} else ""]  # fmt: skip
    how = "; ".join(filter(None, [placed.evidence, *names]))
    words = f"{found.words}; {order}; {how}; time in {time.form.words}"
    facts = Facts(
        symbols=texts["symbol"],
        exchanges=texts["exchange"],
        intervals=texts["interval"],
        length_ms=_measure_length(table, time),
        is_end=time.is_end or _is_bitmex(table),
        price=_find_price(table, placed),
        path=path,
        end=None if time.end is None else (to_place(time.end), time.forms[time.end]),
        market=find_market(table, extras),
        quote=find_quote(table, extras),
    )
    return Layout(
        form=found.form,
        places=tuple(map(to_place, positions)),
        time=time.form,
        words=words,
        separator=found.separator,
        decimal=found.decimal,
        thousands=found.thousands,
        skip=found.skip,
        width=0 if found.keyed else table.width,
        body=found.body,
        key=found.key,
        clock=None if time.clock is None else to_place(time.clock),
        around=tuple(role for role in AROUND if role not in extras and texts[role]),
        facts=facts,
        **{f"{role}_place": to_place(place) for role, place in extras.items()},
    )


def _list_decisions(found: Head, chosen: tuple[ChosenTime, Placed, ChosenVolume], by_hand: LayoutSettings) -> Decisions:
    """Return what was decided about the columns and times of a file."""
    time, placed, volume = chosen
    positions = (time.place, *placed.prices, volume.place)
    order = dict(zip(ROLES, positions, strict=True))
    decisions = {"text": Decision(found.words, "its first lines"), **describe_time(time, found, by_hand)}
    if found.form == "fields":
        lines = "its first lines"
        by = (lines if by_hand.skip_rows is None else BY_HAND, lines if by_hand.decimal is None else BY_HAND)
        decisions |= {"skip_rows": Decision(str(found.skip), by[0]), "decimal": Decision(found.decimal, by[1])}
    decisions["columns"] = describe_columns(order, found.table.width, placed.evidence.removeprefix("columns "))
    decisions["volume"] = Decision(name_column(found.table, volume.place), volume.evidence)
    return decisions


def _is_bitmex(table: Columns) -> bool:
    """Return whether columns are those of BitMEX's trade/bucketed, whose documentation says that times are ends."""
    return {"homenotional", "foreignnotional", "lastsize"} <= {
        each for name in table.names or [] for each in list_plain(name)
    }


def _find_price(table: Columns, placed: Placed) -> float | None:
    closes = table.numbers(placed.prices[3])[:INTERVAL_ROWS]
    closes = closes[np.isfinite(closes) & (closes > 0)]
    return float(np.median(closes)) if closes.size else None


def _measure_length(table: Columns, time: ChosenTime) -> int | None:
    """Return the time from open to close in ms; None if it is not steady."""
    if time.end is None:
        return None
    ends = read_moments(table, time.end, time.forms[time.end])
    return measure_length(ends - read_moments(table, time.place, time.form, time.clock))
