"""What the first rows of a file will be in the lake, and what was decided about it, without reading it whole."""

from collections import Counter
from dataclasses import dataclass
from typing import BinaryIO

import polars as pl

from chandlery.errors import SourceError
from chandlery.grid import Grid
from chandlery.settings.model import LayoutSettings, ReadingSettings
from chandlery.sources.decisions import Decisions
from chandlery.sources.parts import Part, iter_parts
from chandlery.sources.raw_files import RawFile
from chandlery.sources.row_reading import RowReading, find_plausible
from chandlery.sources.symbols import match_layout
from chandlery.sources.texts import Text

__all__ = ["Preview", "preview_file"]

SHOWN = 3  # rows
COLUMNS = ("open_time", "open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class Preview:
    """What the first rows of a file show.

    Args:
        decisions: What was decided about it, and by what evidence.
        candles: open_time, open, high, low, close, volume of the first three accepted rows, as the lake would have
            them.
    """

    decisions: Decisions
    candles: pl.DataFrame


def preview_file(
    stream: BinaryIO, raw: RawFile, settings: ReadingSettings, grid: Grid, part: Part | None = None
) -> Preview:
    """Read the first rows of a file, or of a part of it, as `read_file` reads all of them.

    Args:
        stream: The object, seekable; left open.
        raw: What it is.
        settings: How to read it.
        grid: When its candles open.
        part: Which of its rows are read; all of them if None.

    Raises:
        SourceError: A run would refuse it, or more of its rows than it may, as far as the first rows show it.
    """
    text = Text(stream, raw.source, raw.member, settings)
    batch, layout = text.peek()
    reading: RowReading | None = None
    by_hand = match_layout(raw.source, settings) or LayoutSettings()
    for _, rows in iter_parts([batch], raw.source, [part or Part()], by_hand.market):
        reading = RowReading(raw, settings, grid, None, layout, find_plausible(rows.fields))
        reading.add(rows)
    if reading is None or not reading.count:
        raise SourceError(f"{raw.source} holds no row", "candles", "remove the file, or fetch it again")
    rejects, _ = reading.finish(lambda rows: [""] * len(rows))
    if rejects.height > settings.max_rejected_share * reading.count:
        raise refuse_share(raw, rejects, reading.count, settings.max_rejected_share)
    accepted = reading.accepted
    candles = accepted.take(accepted.months).sort("row").head(SHOWN).select(COLUMNS)
    return Preview(reading.decisions, candles)


def refuse_share(raw: RawFile, rejects: pl.DataFrame, count: int, most: float) -> SourceError:
    """Return that too many of the first rows of a file are refused, with the commonest reason."""
    reasons = Counter(rejects["reasons"].cast(pl.List(pl.String)).explode().to_list())
    (reason, often) = min(reasons.items(), key=lambda each: (-each[1], each[0]))
    found = f"{raw.source}: {rejects.height / count:.1%} of its first {count:,} rows would be refused"
    found = f"{found} ({often:,} {reason})"
    hint = "check these rows, or raise [source] max_rejected_share"
    return SourceError(found, f"at most {most:.1%}", hint)
