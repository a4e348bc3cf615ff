"""What a file tells of the series of its rows: from its first rows, or from all of them where they are of several."""

from dataclasses import dataclass, field, replace
from typing import BinaryIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chandlery.errors import SourceError
from chandlery.settings.model import LayoutSettings, ReadingSettings
from chandlery.sources.dividing import check_quotes, find_dividing, list_told
from chandlery.sources.grids import Seen, straighten
from chandlery.sources.identity import check_order, check_values
from chandlery.sources.layout import Facts, Layout
from chandlery.sources.moments import measure_length, parse_moments
from chandlery.sources.pairs import Pair
from chandlery.sources.parts import ROLES, Divider, Part, Value, find_kinds
from chandlery.sources.raw_files import RawFile
from chandlery.sources.row_reading import find_plausible, see, see_first
from chandlery.sources.series_names import read_pair
from chandlery.sources.spacing import measure_spacing
from chandlery.sources.symbols import match_layout
from chandlery.sources.texts import Text

__all__ = ["peek_parts", "survey_head", "survey_parts"]

MOST_TIMES = 1000  # of a part: more would not change how they are spaced
FEW_TIMES = 48  # of a part whose spacing is not clear
PRICES = 300  # of a part, whose middle shows which of two currencies is the base


def peek_parts(stream: BinaryIO, raw: RawFile, settings: ReadingSettings) -> Seen | None:
    """Return what the first rows of a file tell of its interval; None if its rows have to be told apart.

    These files are for `survey_parts`: their first rows name several symbols, exchanges or intervals, or they name a
    symbol or an exchange and neither the path nor the settings do.

    Raises:
        SourceError: It cannot be read as candles, or its rows contradict its path or its settings.
    """
    text = Text(stream, raw.source, raw.member, settings)
    batch, layout = text.peek()
    by_hand = match_layout(raw.source, settings) or LayoutSettings()
    if find_roles(layout.facts, by_hand, settings, raw.source):
        return None
    seen = see_first(batch.fields, layout, raw, settings)
    return replace(seen, layout=(layout, text.digest)) if layout.form == "fields" and text.digest else seen


def find_roles(facts: Facts, by_hand: LayoutSettings, settings: ReadingSettings, source: str) -> tuple[str, ...]:
    """Return by what the rows of a file are told apart, by its first rows."""
    texts = {"symbol": facts.symbols, "exchange": facts.exchanges, "interval": facts.intervals}
    told = list_told(texts, find_kinds(source, by_hand.market))
    return find_dividing(told, facts.path, by_hand, settings.exchange, source)


def survey_parts(stream: BinaryIO, raw: RawFile, settings: ReadingSettings) -> dict[Part, Seen]:
    """Return the parts of a file in the order of their first rows, each with what tells its interval.

    The file is read whole, some rows at a time. A file whose path and settings decide its series is one part.

    Args:
        stream: The object, seekable; left open.
        raw: What it is.
        settings: How to read it.

    Raises:
        SourceError: It cannot be read, or a row does not tell to which part it belongs, or the rows contradict the path
            or the settings.
    """
    text = Text(stream, raw.source, raw.member, settings, with_ends=True)
    survey: _Survey | None = None
    before = 0
    for batch in text.batches():
        if survey is None:
            assert text.layout is not None  # noqa: S101 - it was recognised
            survey = _Survey(raw, settings, text.layout)
        survey.add(batch.fields, before)
        before += batch.fields.height
    if survey is None or not before:
        raise SourceError(f"{raw.source} holds no row", "candles", "remove the file, or fetch it again")
    return survey.finish()


def survey_head(stream: BinaryIO, raw: RawFile, settings: ReadingSettings) -> dict[Part, Seen]:
    """Return the parts that the first rows of a file name, each with what tells its interval.

    Raises:
        SourceError: As `survey_parts`, as far as the first rows show it.
    """
    text = Text(stream, raw.source, raw.member, settings, with_ends=True)
    batch, layout = text.peek()
    survey = _Survey(raw, settings, layout)
    survey.add(batch.fields, 0)
    return survey.finish()


@dataclass
class _Sample:
    """The first rows of a part: their times in ms, and as far as they are needed their closes and times of close."""

    times: list[NDArray[np.int64]] = field(default_factory=list)
    closes: list[NDArray[np.float64]] = field(default_factory=list)
    lengths: list[NDArray[np.float64]] = field(default_factory=list)
    left: int = MOST_TIMES


class _Survey:
    """The parts of a file, as its rows are read.

    Args:
        raw: The file.
        settings: How to read it.
        layout: How it is laid out.
    """

    def __init__(self, raw: RawFile, settings: ReadingSettings, layout: Layout) -> None:
        self._source, self._exchange, self._layout = raw.source, settings.exchange, layout
        self._by_hand = match_layout(raw.source, settings) or LayoutSettings()
        self._kinds = find_kinds(raw.source, self._by_hand.market)
        self._roles = find_roles(layout.facts, self._by_hand, settings, raw.source)
        self._divider = Divider(raw.source, self._roles, self._kinds)
        self._beside: dict[str, dict[str, None]] = {role: {} for role in ROLES if role not in self._roles}
        self._samples: list[_Sample] = []

    def add(self, fields: pl.DataFrame, before: int) -> None:
        """Look at the next rows; `before` is the number of rows before them."""
        beside = [role for role in self._beside if role in fields.columns]
        whole = fields.filter(~pl.col("unparseable")) if fields["unparseable"].any() else fields
        for role in beside:
            self._beside[role].update(dict.fromkeys(whole[role].drop_nulls().unique(maintain_order=True).to_list()))
        codes = self._divider.divide(fields, before)
        self._samples += [_Sample() for _ in range(len(self._divider.keys) - len(self._samples))]
        left = np.array([*(sample.left for sample in self._samples), 0])
        if not left.any():
            return
        wanted = pl.Series(left[codes] > 0)
        columns = ["time", "close", *(["end"] if "end" in fields.columns else [])]
        rows = fields.select(columns).with_columns(code=pl.Series(codes)).filter(wanted)
        for (code,), group in rows.group_by("code", maintain_order=True):
            self._take(self._samples[int(code)], group)

    def _take(self, sample: _Sample, rows: pl.DataFrame) -> None:
        """Add rows of a part to its sample."""
        times = find_plausible(rows)[: sample.left]
        sample.times.append(times)
        sample.left -= times.size
        if sum(map(len, sample.closes)) < PRICES:
            rows = rows.head(PRICES)
            sample.closes.append(rows["close"].drop_nulls().to_numpy())
            if "end" in rows.columns and self._layout.facts.end is not None:
                ends = parse_moments(rows["end"].to_list(), self._layout.facts.end[1])
                sample.lengths.append(ends - rows["time"].cast(pl.Float64).fill_null(float("nan")).to_numpy())

    def finish(self) -> dict[Part, Seen]:
        """Return the parts, once all rows are added.

        Raises:
            UndecidedError: Rows contradict the path or the settings.
        """
        divider, facts = self._divider, self._layout.facts
        told = list_told(self._beside, self._kinds)
        for number, role in enumerate(self._roles):
            told[role] = [divider.texts[role][value] for value in dict.fromkeys(key[number] for key in divider.keys)]
        roles = find_dividing(told, facts.path, self._by_hand, self._exchange, self._source)
        if "symbol" in self._roles and not self._by_hand.split:
            check_quotes({text: pair for text in told["symbol"] if (pair := read_pair(text))}, self._source)
        if not roles:
            check_values(self._source, "interval", self._beside["interval"])
        return {
            self._name(key): self._describe(key, sample)
            for key, sample in zip(divider.keys, self._samples, strict=True)
        }

    def _name(self, key: tuple[Value, ...]) -> Part:
        """Return a part by what its rows name."""
        values = dict(zip(self._roles, key, strict=True))
        spellings = self._divider.spellings.get(values.get("symbol", ""), set())
        symbol = next(iter(spellings)) if len(spellings) == 1 else str(values.get("symbol", ""))
        return Part(symbol, str(values.get("exchange", "")), int(values.get("interval", 0)))

    def _describe(self, key: tuple[Value, ...], sample: _Sample) -> Seen:
        """Return what tells the interval of a part."""
        part, facts, by_hand = self._name(key), self._layout.facts, self._by_hand
        closes, lengths = join(sample.closes), join(sample.lengths)
        if part.seconds:
            by_hand = by_hand.model_copy(update={"interval": None}) if by_hand.split else by_hand
            path = replace(facts.path, interval=None) if by_hand.split else facts.path
            facts = replace(facts, intervals=(self._divider.texts["interval"][part.seconds],), path=path)
        closes = closes[np.isfinite(closes) & (closes > 0)]
        price = float(np.median(closes)) if closes.size else None
        facts = replace(facts, length_ms=measure_length(lengths), price=price)
        seen = see(thin_times(np.concatenate([np.empty(0, np.int64), *sample.times])), facts, by_hand)
        pair = read_pair(self._divider.texts["symbol"][key[0]]) if part.symbol else facts.path.pair
        return replace(seen, error=self._find_turned(pair, price))

    def _find_turned(self, pair: Pair | None, price: float | None) -> SourceError | None:
        """Return why a pair that is written with its quote currency first may be another one; None if it is not."""
        if pair is None or not pair.is_open or price is None:
            return None
        try:
            check_order(pair, price, self._source)
        except SourceError as error:
            return error
        return None


def join(arrays: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return arrays one after the other; an empty one without any."""
    return np.concatenate([np.empty(0), *arrays])


def thin_times(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first of some times: as few as show the same spacing, and 48 where they show none.

    Args:
        times: Milliseconds, in the order of the file.

    Example:
        >>> len(thin_times(np.arange(1000) * 60_000))
        16
    """
    whole = measure_spacing(straighten(times))
    count = 16 if whole.is_clear else FEW_TIMES
    while count < times.size:
        some = measure_spacing(straighten(times[:count]))
        if some == whole if whole.is_clear else not some.is_clear:
            return times[:count].copy()
        count *= 2
    return times
