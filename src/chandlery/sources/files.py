"""Raw files to rows: the accepted ones typed, the refused ones with their text and all their reasons."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from chandlery.errors import ChandleryError, SettingsError, SourceError, StoreUnavailableError
from chandlery.grid import Grid
from chandlery.schema import FIRST_CANDLE
from chandlery.settings.model import ReadingSettings
from chandlery.sources.documents import iter_elements
from chandlery.sources.layout import Layout, recognise
from chandlery.sources.parse import Batch, parse_elements, parse_fields, parse_json_lines, parse_lines
from chandlery.sources.rows import MonthRows, Room
from chandlery.sources.rules import DAY, REASON_LIST, judge
from chandlery.sources.series import Series
from chandlery.sources.spacing import NEARLY_ALL, describe_grid, find_offset, find_share, measure_spacing
from chandlery.sources.streams import CHUNK_BYTES, HEAD_BYTES, HashingReader, iter_chunks, list_members, open_text
from chandlery.sources.symbols import match_layout
from chandlery.units import normalise_symbol, parse_interval, to_interval_text

__all__ = ["FileRows", "Peek", "RawFile", "explain_failure", "list_members", "peek_file", "read_file"]

REJECTS: dict[str, pl.DataType | type[pl.DataType]] = {
    "row": pl.Int64,
    "raw": pl.String,
    "open_time": pl.Datetime("ms", "UTC"),
    "reasons": REASON_LIST,
}


@dataclass(frozen=True)
class RawFile:
    """An input file.

    Args:
        source: The path below the source root, `archive.zip!member` inside a zip.
        path: The object's path in its store.
        member: The file inside a zip; None where it is no zip.
        size_bytes: Of the object.
        etag: Of the object.
        modified_at: By the store's clock.
    """

    source: str
    path: str
    member: str | None
    size_bytes: int
    etag: str
    modified_at: dt.datetime


@dataclass(frozen=True)
class Peek:
    """What a file's first rows tell.

    Args:
        layout_words: How it is laid out.
        times: Times that could be those of candles (ms), in the order of the file, int64 (n,).
        given: The interval that is set by hand, in seconds; None where none is.
    """

    layout_words: str
    times: NDArray[np.int64]
    given: int | None = None

    @property
    def first_ms(self) -> int | None:
        """The earliest of the times; None where there is none."""
        return int(self.times.min()) if self.times.size else None


@dataclass
class FileRows:
    """A file's rows. The stream it was read from must stay open until the rows are settled.

    Args:
        raw: The file.
        layout_words: How it is laid out.
        grid: When its candles open.
        sha256: Of the object's bytes.
        rows_read: Data rows in the file.
        accepted: row, open_time, open, high, low, close, volume of those that obey every rule.
        rejects: row, raw, open_time, reasons of the others.
    """

    raw: RawFile
    layout_words: str
    grid: Grid
    sha256: str
    rows_read: int
    accepted: MonthRows
    rejects: pl.DataFrame
    _text: "_Text | None" = field(default=None, repr=False)

    def fetch_raw(self, rows: pl.Series) -> list[str]:
        """Return the exact text of some rows, ascending, in a second pass over the file.

        Raises:
            StoreUnavailableError: The file is no longer the one that was read.
        """
        found: list[str] = []
        wanted = rows.to_numpy()
        if self._text is None or len(wanted) == 0:
            return found
        begin = 1
        try:
            for batch in self._text.batches():
                stop = begin + batch.fields.height
                found += batch.raw(wanted[(wanted >= begin) & (wanted < stop)] - begin)
                begin = stop
            same = self._text.hashing is not None and self._text.hashing.sha256() == self.sha256
        except SourceError:
            same = False
        if not same:
            raise StoreUnavailableError(
                f"{self.raw.source} was written over while it was read",
                "a file that stays",
                "run again: nothing is lost",
            )
        return found


class _Text:
    """A file's text with its layout; it can be read again."""

    def __init__(self, stream: BinaryIO, raw: RawFile, settings: ReadingSettings) -> None:
        self._stream, self._raw, self._settings = stream, raw, settings
        self.hashing: HashingReader | None = None
        self.layout: Layout | None = None

    def chunks(self, size: int = CHUNK_BYTES) -> Iterator[bytes]:
        """Return the text from its beginning, in chunks of whole lines."""
        self.hashing = HashingReader(self._stream)
        return iter_chunks(
            open_text(self.hashing, self._stream, self._raw.member, self._raw.source), self._raw.source, size
        )

    def batches(self) -> Iterator[Batch]:
        """Return the rows from the first, some at a time."""
        chunks = self.chunks()
        source = self._raw.source
        chunk = next(chunks, b"")
        if self.layout is None:
            self.layout = recognise(chunk[:HEAD_BYTES], source, self._settings)
        layout = self.layout
        if layout.form == "document":
            yield from self._elements(chunk, chunks, layout)
            return
        chunk = _skip_lines(chunk, layout.skip)
        while chunk:
            yield from parse_lines(chunk, layout)
            chunk = next(chunks, b"")

    def _elements(self, first: bytes, chunks: Iterator[bytes], layout: Layout) -> Iterator[Batch]:
        """Return the rows of one JSON document, which is held in memory."""
        parts, size, limit = [first], len(first), self._settings.max_json_bytes
        while size <= limit and (part := next(chunks, b"")):
            parts.append(part)
            size += len(part)
        if size > limit:
            raise SourceError(
                f"{self._raw.source} is one JSON document of more than {limit} bytes",
                "at most source.max_json_bytes",
                "write it as NDJSON (a JSON value a line), which is streamed, or raise the setting",
            )
        document = first if len(parts) == 1 else b"".join(parts)
        del parts, first
        row = 0
        for elements in iter_elements(document, layout, self._raw.source):
            try:
                batch = parse_elements(elements, layout)
            except msgspec.DecodeError as error:
                row += _count_whole(elements, layout)
                raise SourceError(
                    f"{self._raw.source} is broken JSON at row {row + 1}: {error}",
                    "whole JSON",
                    "fetch it again, or write it as NDJSON, where a broken row costs only itself",
                ) from error
            row += batch.fields.height
            yield batch


def _count_whole(elements: bytes, layout: Layout) -> int:
    """Return how many elements stand before the first that is malformed."""
    mark = b"]" if layout.width else b"}"
    low, high = 0, elements.count(mark)
    ends = np.flatnonzero(np.frombuffer(elements, np.uint8) == mark[0]).tolist()
    while low < high:
        middle = (low + high + 1) // 2
        try:
            msgspec.json.decode(b"[" + elements[: ends[middle - 1] + 1] + b"]", type=list[msgspec.Raw])
            low = middle
        except msgspec.DecodeError:
            high = middle - 1
    return low


def _skip_lines(chunk: bytes, count: int) -> bytes:
    """Return a text without its first lines; blank ones do not count."""
    while count and chunk:
        line, _, chunk = chunk.partition(b"\n")
        count -= bool(line.strip())
    return chunk


def peek_file(stream: BinaryIO, raw: RawFile, settings: ReadingSettings) -> Peek:
    """Return what the first rows of a file tell, without reading it whole.

    Raises:
        SourceError: It cannot be read as candles.
    """
    text = _Text(stream, raw, settings)
    head = next(text.chunks(4 * HEAD_BYTES), b"")
    layout = recognise(head[:HEAD_BYTES], raw.source, settings)
    if layout.form == "document":
        elements = next(iter_elements(head, layout, raw.source, whole=False), b"")
        batch = parse_elements(elements, layout)
    else:
        batch = (parse_fields if layout.form == "fields" else parse_json_lines)(_skip_lines(head, layout.skip), layout)
    given, times = _given_seconds(raw.source, settings), _plausible(batch.fields, raw)
    if given is None and not times.size:
        _check_closed(batch.fields, raw)
    return Peek(layout.words, times, given)


def _check_closed(fields: pl.DataFrame, raw: RawFile) -> None:
    """Check that a file without plausible times is not one that was written before its candles had closed.

    Raises:
        SourceError: It was.
    """
    later = fields.filter(pl.col("time") > (raw.modified_at + DAY).timestamp() * 1000).height
    if later:
        written = f"{raw.modified_at:%Y-%m-%d %H:%M:%S} UTC"
        found = f"{raw.source}: {later:,} of its first {fields.height:,} rows had not closed (not_closed) at {written}"
        found = f"{found}, when the file was written by the store's clock, and no other row has a time of candles"
        hint = "if that time is wrong, upload or touch the file; if theirs is, set time_unit in [[source.layout]]"
        raise SourceError(found, "candles that had closed when their file was written", hint)


def _given_seconds(source: str, settings: ReadingSettings) -> int | None:
    """Return the interval that is set by hand for a file; None where none is."""
    by_hand = match_layout(source, settings)
    return parse_interval(by_hand.interval) if by_hand and by_hand.interval else None


def _plausible(fields: pl.DataFrame, raw: RawFile) -> NDArray[np.int64]:
    """Return the times that could be those of candles."""
    times: NDArray[np.int64] = fields["time"].drop_nulls().to_numpy()
    return times[(times >= FIRST_CANDLE.timestamp() * 1000) & (times <= (raw.modified_at + DAY).timestamp() * 1000)]


def read_file(
    stream: BinaryIO, raw: RawFile, settings: ReadingSettings, grid: Grid, room: Room | None = None
) -> FileRows:
    """Return a file's rows, judged one by one.

    Args:
        stream: The object, seekable; left open, and needed open until the rows are settled.
        raw: What it is.
        settings: How to read it.
        grid: When its candles open.
        room: How much memory its rows may take, together with those of other files.

    Raises:
        SourceError: It is refused whole.
    """
    text = _Text(stream, raw, settings)
    given = _given_seconds(raw.source, settings)
    count, symbols = 0, set[str]()
    series: Series | None = None
    accepted = MonthRows(room)
    bad: list[pl.DataFrame] = []
    for batch in text.batches():
        if series is None:
            _check_grid(_plausible(batch.fields, raw), given, grid, raw)
        series = series or Series(raw.source, grid, settings.max_rejected_share, is_given=given is not None)
        fields = batch.fields.with_columns(row=pl.int_range(count + 1, count + batch.fields.height + 1, dtype=pl.Int64))
        symbols = _gather_symbols(symbols, fields, raw)
        good, refused = judge(fields, grid, raw.modified_at)
        series.add(good["open_time"].to_physical().to_numpy(), refused)
        accepted.add(good)
        if refused.height:
            texts = batch.raw(refused["row"].to_numpy() - count - 1)
            bad.append(refused.select("row", pl.Series("raw", texts, dtype=pl.String), "open_time", "reasons"))
        count += fields.height
    if not count or series is None or text.layout is None or text.hashing is None:
        raise SourceError(f"{raw.source} holds no row", "candles", "remove the file, or fetch it again")
    rejects = pl.concat(bad) if bad else pl.DataFrame(schema=REJECTS)
    series.check(count, accepted)
    return FileRows(raw, text.layout.words, grid, text.hashing.sha256(), count, accepted, rejects, text)


def _check_grid(times: NDArray[np.int64], given: int | None, grid: Grid, raw: RawFile) -> None:
    """Check that a file holds candles of its series: an upload may have replaced it by those of another.

    Raises:
        SourceError: The interval that is set by hand, or that its times clearly show, is another one, or nearly all
            of its candles open at another time.
    """
    spacing = measure_spacing(times)
    shown = given or (spacing.grid.seconds if spacing.is_clear and spacing.grid else grid.seconds)
    if shown != grid.seconds:
        is_set = f"{raw.source} is set to hold" if given else f"{raw.source} holds"
        found = (
            f"{is_set} candles of {to_interval_text(shown)}, and the lake has it among those of {describe_grid(grid)}"
        )
        raise SourceError(found, "candles of one interval under one name", "--restate moves it to their series")
    other = Grid(grid.seconds, find_offset(times, grid.seconds))
    if other != grid and find_share(other, times) >= NEARLY_ALL:
        found = f"{raw.source} holds candles of {describe_grid(other)}, and the series those of {describe_grid(grid)}"
        raise SourceError(found, "candles of a series that open at the same times", "ingest it into another lake")


def _gather_symbols(symbols: set[str], fields: pl.DataFrame, raw: RawFile) -> set[str]:
    """Return the symbols met so far in the symbol column.

    Raises:
        SourceError: There are two.
    """
    if "symbol" not in fields.columns:
        return symbols
    met = set(symbols)
    for text in fields["symbol"].drop_nulls().unique().to_list():
        try:
            met.add(normalise_symbol(text))
        except SettingsError:
            continue
    if len(met) > 1:
        raise SourceError(
            f"{raw.source} holds the symbols {', '.join(sorted(met)[:5])}",
            "one symbol a file",
            "split the file by symbol",
        )
    return met


def explain_failure(file: RawFile, error: Exception) -> SourceError:
    """Return why a file could not be read, as it is told to the user.

    Args:
        file: The file.
        error: What reading it raised.

    Raises:
        ChandleryError: `error` itself, if it is one that does not concern the file alone.
    """
    if isinstance(error, SourceError):
        return error
    if isinstance(error, ChandleryError):
        raise error
    if isinstance(error, FileNotFoundError):
        found = f"{file.source} was removed during the run, or this machine does not see it"
        hint = "run again; `chandlery check` shows whether all processes see the source"
        return SourceError(found, "a file that stays where every process of the engine sees it", hint)
    found = f"{file.source} cannot be read: {type(error).__name__}: {str(error)[:200]}"
    return SourceError(found, "a file of candles", "check the file, or exclude it by a glob")
