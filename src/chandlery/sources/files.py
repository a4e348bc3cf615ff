"""One raw file to well-formed rows and rejects: every data row is in exactly one of the two."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import BinaryIO

import numpy as np
import polars as pl

from chandlery.config import SourceSettings, normalise_symbol, parse_minutes
from chandlery.errors import SourceError
from chandlery.schema import FIRST_CANDLE, TIME
from chandlery.sources.layout import UNITS, Layout, hand_layout, recognise
from chandlery.sources.parse import Parsed, fetch_rows, parse_file
from chandlery.sources.streams import HashingReader, read_head

__all__ = ["FileRows", "RawFile", "read_file"]

HEAD = 1024 * 1024
LEAST_FOR_INTERVAL = 100
MIXED_RUN = 200
MOST_MINUTES = 7 * 1440
ABSURD_JUMP = 0.1
PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True)
class RawFile:
    """A file in the source.

    Args:
        source: Its name in the ledger: the path below the source's root, `archive.zip!member` inside a zip.
        path: The object's path in its store.
        member: The name inside a zip archive; None elsewhere.
        size_bytes: Of the object or the member.
        etag: Changes with the object's content.
        modified_at: By the store's clock.
    """

    source: str
    path: str
    member: str | None
    size_bytes: int
    etag: str
    modified_at: dt.datetime


@dataclass(frozen=True)
class FileRows:
    """What a file holds.

    Args:
        raw: Which file.
        sha256: Of its bytes.
        layout: What was recognised.
        rows: row, open_time, open, high, low, close, volume: rows that pass every rule of their own.
        rejects: row, open_time, reasons: the others.
        interval_minutes: Commonest spacing; None below 100 candles.
        fetch: Returns the exact text of some rows, by number.
    """

    raw: RawFile
    sha256: str
    layout: Layout
    rows: pl.DataFrame
    rejects: pl.DataFrame
    interval_minutes: int | None
    fetch: Callable[[list[int]], dict[int, str]] = field(repr=False)

    @cached_property
    def rows_read(self) -> int:
        """Data rows in the file."""
        return self.rows.height + self.rejects.height


def read_file(raw: RawFile, open_file: Callable[[], BinaryIO], settings: SourceSettings, symbol: str) -> FileRows:
    """Return a file's rows, each judged by itself; the grid is judged later, when the interval is known.

    Args:
        raw: Which file.
        open_file: Opens its bytes, as often as needed.
        settings: How to read it.
        symbol: Whose candles they should be.

    Raises:
        SourceError: It cannot be read as candles of this symbol; nothing of it is used.
    """
    by_hand = hand_layout(raw.source, settings)
    with open_file() as file:
        head = read_head(file, raw.source, HEAD)
    layout = recognise(head, raw.source, by_hand)
    with open_file() as file:
        hashing = HashingReader(file)
        parts = [judge_rows(part, raw.modified_at, layout) for part in parse_file(hashing, raw.source, layout, settings)]
        while hashing.read(HEAD):
            pass
    if not parts:
        raise SourceError(f"{raw.source} has no data rows", "candles", "remove it, or upload it again")
    rows = pl.concat([good for good, _, _ in parts]).rechunk()
    rejects = pl.concat([bad for _, bad, _ in parts]).rechunk()
    _check_symbols({name for _, _, names in parts for name in names}, raw.source, symbol)
    interval = parse_minutes(by_hand.interval) if by_hand and by_hand.interval else find_interval(rows, raw.source)
    if rows.is_empty():
        raise SourceError(f"{raw.source} has {rejects.height:,} rows, and none is a candle", "candles", f"read as {layout.words}; set [[source.layout]] if that is wrong")
    _check_one_symbol(rows, raw.source, settings.max_rejected_share)
    return FileRows(raw, hashing.digest.hexdigest(), layout, rows, rejects, interval, lambda numbers: fetch_rows(open_file, raw.source, layout, settings, numbers))


def judge_rows(part: Parsed, modified_at: dt.datetime, layout: Layout) -> tuple[pl.DataFrame, pl.DataFrame, set[str]]:
    """Split parsed rows into well-formed ones and rejects with all their reasons; also return the symbols met."""
    rows = part.rows
    if layout.unit == "iso":
        time = pl.col("time").cast(TIME)
    else:
        factor = UNITS[layout.unit][2]
        scaled = pl.col("time") * int(factor) if factor >= 1 else pl.col("time") // round(1 / factor)
        time = scaled.cast(TIME)
    rows = rows.with_columns(time.alias("open_time"))
    latest = modified_at + dt.timedelta(days=1)
    body_high, body_low = pl.max_horizontal("open", "close", "low"), pl.min_horizontal("open", "close", "high")
    numbers = [pl.col(name) for name in (*PRICES, "volume")]
    broken = {
        "unparseable": pl.col("unparseable"),
        "missing_value": pl.col("missing"),
        "non_finite": pl.any_horizontal(~number.is_finite() for number in numbers),
        "non_positive_price": pl.any_horizontal((pl.col(name) <= 0) & pl.col(name).is_finite() for name in PRICES),
        "negative_volume": (pl.col("volume") < 0) & pl.col("volume").is_finite(),
        "high_below_body": (pl.col("high") < body_high) & pl.all_horizontal(number.is_finite() for number in numbers[:4]),
        "low_above_body": (pl.col("low") > body_low) & pl.all_horizontal(number.is_finite() for number in numbers[:4]),
        "time_out_of_range": (pl.col("open_time") < FIRST_CANDLE) | (pl.col("open_time") > latest),
    }
    flags = {name: rule.fill_null(value=False) for name, rule in broken.items()}
    good = rows.select(pl.any_horizontal(*flags.values())).to_series()
    bad = rows.filter(good)
    reasons = pl.concat_list(pl.when(rule).then(pl.lit(name)) for name, rule in flags.items()).list.drop_nulls()
    rejects = bad.select("row", "open_time", reasons.alias("reasons"))
    kept = rows.filter(~good).select("row", "open_time", *PRICES, "volume")
    return kept, rejects, part.symbols


def find_interval(rows: pl.DataFrame, source: str) -> int | None:
    """Return the commonest spacing in minutes; None where there are fewer than 100 candles.

    Raises:
        SourceError: A stretch of rows has another spacing: two intervals in one file.
    """
    times = rows["open_time"].dt.epoch("ms").to_numpy()
    if np.any(np.diff(times) <= 0):
        times = np.unique(times)
    if times.size < LEAST_FOR_INTERVAL:
        return None
    spacing = np.diff(times)
    seconds = np.bincount(np.minimum(spacing // 1000, MOST_MINUTES * 60))
    interval = int(np.argmax(seconds)) * 1000
    if interval % 60_000 or interval == 0:
        raise SourceError(f"{source} has rows {interval} ms apart", "whole minutes", 'set [[source.layout]] interval = "1m", or make candles of it first')
    for factor in (2, 3, 5):
        coarse = np.concatenate([[0], np.cumsum(times % (interval * factor) == 0)])
        if times.size >= MIXED_RUN and np.any(coarse[MIXED_RUN:] - coarse[:-MIXED_RUN] == MIXED_RUN):
            raise SourceError(f"{source} holds candles of two intervals: {interval // 60_000}m and a multiple of it", "one interval", "split it")
    return interval // 60_000


def _check_symbols(names: set[str], source: str, symbol: str) -> None:
    if len(names) > 1:
        raise SourceError(f"{source} holds several symbols: {', '.join(sorted(names)[:4])}", "one symbol a file", "split it by symbol")
    if names and normalise_symbol(next(iter(names))) != symbol:
        raise SourceError(f"{source} holds {next(iter(names))}, while its name says {symbol}", "one symbol", 'rename it, or set [[source.layout]] symbol = "…"')


def _check_one_symbol(rows: pl.DataFrame, source: str, share: float) -> None:
    times = rows["open_time"]
    if times.is_sorted() and times.n_unique() == times.len():
        return
    spread = rows.group_by("open_time").agg((pl.col("close").max() / pl.col("close").min() - 1).alias("spread"), pl.len())
    absurd = spread.filter((pl.col("len") > 1) & (pl.col("spread") > ABSURD_JUMP)).height
    if absurd > share * spread.height:
        raise SourceError(f"{source} has two prices that do not belong together at {absurd:,} of {spread.height:,} times", "one symbol a file", "split it by symbol")
