"""Raw files to rows: the accepted ones typed, the refused ones with their text and all their reasons."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
import polars as pl

from chandlery.errors import SourceError, StoreUnavailableError
from chandlery.grid import Grid
from chandlery.settings.model import LayoutSettings, ReadingSettings
from chandlery.sources.decisions import Decisions
from chandlery.sources.doubts import UndecidedError
from chandlery.sources.failures import explain_failure
from chandlery.sources.grids import Seen
from chandlery.sources.layout import Layout
from chandlery.sources.parts import Part, PartRows, iter_parts
from chandlery.sources.raw_files import RawFile
from chandlery.sources.row_reading import RowReading, find_plausible, see_first
from chandlery.sources.rows import MonthRows, Room
from chandlery.sources.spacing import MIN_CANDLES
from chandlery.sources.streams import list_members
from chandlery.sources.symbols import match_layout
from chandlery.sources.texts import Text

__all__ = [
    "FileRows",
    "RawFile",
    "explain_failure",
    "list_members",
    "peek_file",
    "read_file",
    "read_parts",
]

MOST_FIRST = 3  # batches with few rows of a part, before its candles are judged


@dataclass
class FileRows:
    """A file's rows. The stream it was read from must stay open until the rows are settled.

    Args:
        raw: The file.
        layout_words: How it is laid out.
        grid: When its candles open.
        decisions: What was decided about it, and by what evidence.
        sha256: Of the object's bytes.
        rows_read: Data rows in the file.
        accepted: row, open_time, open, high, low, close, volume of those that obey every rule.
        rejects: row, raw, open_time, reasons of the others.
        early: Candles that are kept although they open after the file was written, by the store's clock.
    """

    raw: RawFile
    layout_words: str
    grid: Grid
    decisions: Decisions
    sha256: str
    rows_read: int
    accepted: MonthRows
    rejects: pl.DataFrame
    early: int = 0
    _text: Text | None = field(default=None, repr=False)

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


def peek_file(stream: BinaryIO, raw: RawFile, settings: ReadingSettings) -> Seen:
    """Return what the first rows of a file tell of its interval, without reading it whole.

    Raises:
        SourceError: It cannot be read as candles, or not as those of the symbol that its path names.
    """
    text = Text(stream, raw.source, raw.member, settings)
    batch, layout = text.peek()
    return see_first(batch.fields, layout, raw, settings)


def read_file(
    stream: BinaryIO,
    raw: RawFile,
    settings: ReadingSettings,
    grid: Grid,
    room: Room | None = None,
    part: Part | None = None,
) -> FileRows:
    """Return a file's rows, judged one by one.

    Args:
        stream: The object, seekable; left open, and needed open until the rows are settled.
        raw: What it is.
        settings: How to read it.
        grid: When its candles open.
        room: How much memory its rows may take, together with those of other files.
        part: Which of its rows are read, as if the file had no others; all of them if None. `row` is the number of a
            row in the file.

    Raises:
        SourceError: It is refused whole.
    """
    whole = part or Part()
    found = read_parts(stream, raw, settings, {whole: grid}, room)[whole]
    if isinstance(found, Exception):
        raise found
    return found


def read_parts(
    stream: BinaryIO, raw: RawFile, settings: ReadingSettings, grids: Mapping[Part, Grid], room: Room | None = None
) -> dict[Part, FileRows | Exception]:
    """Return the rows of several parts of a file, which is read once.

    Args:
        stream: The object, seekable; left open, and needed open until the rows are settled.
        raw: What it is.
        settings: How to read it.
        grids: When the candles of each part open; the parts are told apart by the same columns.
        room: How much memory the rows may take, together with those of other files.

    Returns:
        The rows of each part, or why they are refused, as if the file had no other rows.
    """
    text = Text(stream, raw.source, raw.member, settings, known=raw.known)
    by_hand = match_layout(raw.source, settings) or LayoutSettings()
    readings = {part: _PartReading(raw, settings, grid, room, part) for part, grid in grids.items()}
    failure: Exception | None = None
    try:
        for part, rows in iter_parts(text.batches(), raw.source, list(grids), by_hand.market):
            assert text.layout is not None  # noqa: S101 - it was recognised
            readings[part].add(rows, text.layout)
    except Exception as error:  # noqa: BLE001 - of the whole file; what a part had before it stands
        failure = error
    sha256 = text.hashing.sha256() if text.hashing is not None else ""
    return {part: reading.error or failure or reading.finish(text, sha256) for part, reading in readings.items()}


class _PartReading:
    """A part of a file while all parts are read: what one of them raises does not stop the others.

    Attributes:
        error: Why it is refused; None if it is not.
    """

    def __init__(self, raw: RawFile, settings: ReadingSettings, grid: Grid, room: Room | None, part: Part) -> None:
        self._raw, self._settings, self._grid, self._room, self._part = raw, settings, grid, room, part
        self._first: list[PartRows] = []
        self._reading: RowReading | None = None
        self.error: Exception | None = None

    def add(self, rows: PartRows, layout: Layout) -> None:
        """Judge the next rows, once the first ones are enough to tell when candles open."""
        if self.error is not None:
            return
        try:
            if self._reading is not None:
                self._reading.add(rows)
                return
            self._first.append(rows)
            count = sum(each.fields.height for each in self._first)
            if not self._part or len(self._first) == MOST_FIRST or count >= MIN_CANDLES:
                self._begin(layout)
            else:
                self._first[-1] = rows.detach()
        except Exception as error:  # noqa: BLE001 - raised by whoever asks for this part
            self.error = error

    def _begin(self, layout: Layout) -> RowReading:
        """Begin to judge, with the first rows."""
        times = np.concatenate([find_plausible(each.fields) for each in self._first])
        self._reading = RowReading(self._raw, self._settings, self._grid, self._room, layout, times)
        for rows in self._first:
            self._reading.add(rows)
        self._first = []
        return self._reading

    def finish(self, text: Text, sha256: str) -> FileRows | Exception:
        """Return the rows, or why they are refused, once all are added.

        Args:
            text: The file.
            sha256: Of the object's bytes.
        """
        try:
            reading = self._begin(text.layout) if self._first and text.layout is not None else self._reading
            if reading is None or not reading.count or text.layout is None:
                whose = f" of {' '.join(map(str, filter(None, self._part)))}" if self._part else ""
                found = f"{self._raw.source} holds no row{whose}"
                return SourceError(found, "candles", "remove the file, or fetch it again")
            words = text.layout.words
            if reading.shift:
                words = f"{words}; times are those of the close, {-reading.shift / 1000:g} s after the open"
            rows = FileRows(
                self._raw, words, self._grid, reading.decisions, sha256, reading.count, reading.accepted,
                pl.DataFrame(), _text=text,
            )  # fmt: skip
            rows.rejects, rows.early = reading.finish(rows.fetch_raw)
        except Exception as error:  # noqa: BLE001 - raised by whoever asks for this part
            if isinstance(error, UndecidedError) and not error.kind and text.layout is not None:
                error.kind = text.layout.facts.kind
            return error
        return rows
