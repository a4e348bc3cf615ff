"""The ingest task: a symbol's raw files to candles, rejects and ledger.

Only files that are new or changed are read, and those whose time overlaps with theirs: versions of one
candle can only come from these. All else is taken from the tables as it stands.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from chandlery.clean import UNKNOWN, KeptFile, Settling, refuse
from chandlery.config import SourceSettings, to_interval_text
from chandlery.errors import ChandleryError, SourceError
from chandlery.grid import year_of
from chandlery.lake import Lake
from chandlery.records import FileRecord, IngestRecord, read_record, write_record
from chandlery.schema import TABLES
from chandlery.sources.files import FileRows, RawFile, read_file
from chandlery.sources.rows import Room
from chandlery.storage import Store
from chandlery.tables import MOST_AT_ONCE, conform, damage_told, empty_frame, partition_path, read_partition, scan_partition
from chandlery.tasks.daybook import DayBook

__all__ = ["UNKNOWN", "IngestTask", "Ingested", "ingest_symbol", "to_record"]


@dataclass(frozen=True)
class IngestTask:
    """One symbol's files, all that are there now.

    Args:
        lake: Where to write.
        source: Where the files are.
        settings: How to read them.
        symbol: Whose they are; UNKNOWN where the names do not tell.
        files: All of them, by source.
        fingerprint: Of all of this.
        prune: Whether candles of files that are gone are forgotten.
    """

    lake: Lake
    source: Store
    settings: SourceSettings
    symbol: str
    files: tuple[RawFile, ...]
    fingerprint: str
    prune: bool

    def __str__(self) -> str:
        return self.symbol


@dataclass(frozen=True)
class Ingested:
    """What became of a symbol's files."""

    symbol: str
    files_read: int
    rows_read: int
    published: int


def ingest_symbol(task: IngestTask) -> Ingested:
    """Read what changed, and publish the symbol's candles, rejects and ledger.

    Raises:
        LawError: Rows are not all accounted for.
        LeaseHeldError: Another run has taken the lake.
    """
    with ExitStack() as files:  # streams stay open until versions are settled: superseded rows give their text
        reading = Reading(task, files, files.enter_context(Room()))
        reading.read_all()
        accounts, published = publish(task, reading)
    records = [reading.record(file, accounts) for file in task.files] + [record for record in reading.gone if not task.prune]
    write_record(task.lake.store, task.symbol, IngestRecord(task.fingerprint, records))
    return Ingested(task.symbol, len(reading.read), sum(file.rows_read for file in reading.read), published)


def to_record(raw: RawFile) -> FileRecord:
    """Return what identifies a file's content without reading it."""
    return FileRecord(raw.source, raw.size_bytes, raw.etag, round(raw.modified_at.timestamp() * 1000))


def to_known(account: dict[str, Any], etag: str = "") -> FileRecord:
    """Return what to remember of a file, from its row of the ledger."""
    first, last, modified = (None if account[name] is None else round(account[name].timestamp() * 1000) for name in ("first_time", "last_time", "modified_at"))
    share = account["rows_rejected"] / account["rows_read"] if account["rows_read"] else 0.0
    return FileRecord(account["source"], account["size_bytes"], etag, modified or 0, first, last, account["problem"], share)


class Reading:
    """Which of a symbol's files have to be read, and what they held."""

    def __init__(self, task: IngestTask, files: ExitStack, room: Room) -> None:
        self.task, self.files, self.room = task, files, room
        known = read_record(task.lake.store, task.symbol)
        self.known = {record.source: record for record in (known.files if known else self.recall())}
        present = {file.source for file in task.files}
        self.gone = [record for record in self.known.values() if record.source not in present]
        self.read: list[FileRows] = []
        self.kept: list[KeptFile] = []
        self.refused: dict[str, pl.DataFrame] = {}
        self.ranges: list[tuple[int, int]] = []
        self.sources: set[str] = set()

    def recall(self) -> list[FileRecord]:
        """Return what the ledger tells of files where nothing is remembered: none of them counts as read, and those that are gone are kept."""
        keys = {"exchange": self.task.lake.file.exchange, "symbol": self.task.symbol}
        ledger = read_partition(self.task.lake.store, "ledger", keys)
        return [] if ledger is None else [to_known(row) for row in ledger.iter_rows(named=True)]

    def read_all(self) -> None:
        """Read what is new or changed, then whatever overlaps, until nothing more does."""
        waiting = [file for file in self.task.files if not self.is_unchanged(file)]
        self.ranges += [span for file in waiting if (span := self.known_range(file.source))]
        if self.task.prune:
            self.ranges += [(record.first_ms, record.last_ms) for record in self.gone if record.first_ms is not None and record.last_ms is not None]
            self.sources |= {record.source for record in self.gone}
        while waiting:
            for file in waiting:
                self.read_one(file)
            waiting = [file for file in self.task.files if file.source not in self.sources and self.overlaps(self.known_range(file.source))]
        if not self.task.prune:
            self.kept = [self.keep(record) for record in self.gone if self.overlaps(self.known_range(record.source))]

    def is_unchanged(self, file: RawFile) -> bool:
        """Return whether a file is as it was when it was last read."""
        known, now = self.known.get(file.source), to_record(file)
        return known is not None and (known.size_bytes, known.etag, known.modified_ms) == (now.size_bytes, now.etag, now.modified_ms)

    def known_range(self, source: str) -> tuple[int, int] | None:
        """Return the first and last time that a file was last seen to hold."""
        known = self.known.get(source)
        return (known.first_ms, known.last_ms) if known and known.first_ms is not None and known.last_ms is not None else None

    def overlaps(self, span: tuple[int, int] | None) -> bool:
        """Return whether a stretch of time shares a moment with anything that was read."""
        return span is not None and any(first <= span[1] and span[0] <= last for first, last in self.ranges)

    def read_one(self, file: RawFile) -> None:
        """Read a file, or note why it is refused."""
        task = self.task
        self.sources.add(file.source)
        try:
            stream = self.files.enter_context(task.source.open(file.path))
            rows = read_file(stream, file, task.settings, task.lake.interval_seconds, self.room)
            if rows.interval_seconds != task.lake.interval_seconds:
                raise SourceError(
                    f"{file.source} holds candles of {to_interval_text(rows.interval_seconds)}",
                    f"candles of {task.lake.file.interval}, as the lake has",
                    "ingest it into a lake of its own",
                )
        except SourceError as error:
            self.refuse(file, error)
            return
        except FileNotFoundError:
            self.refuse(file, SourceError(f"{file.source} was taken away while it was read, or does not lie here", "a file that stays, where every process sees it", "run again; `chandlery check` shows whether the engine's processes see the source"))
            return
        except ChandleryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a file does to a parser, it stops nothing else
            self.refuse(file, SourceError(f"{file.source} cannot be read: {type(error).__name__}: {str(error)[:200]}", "a file of candles", "look at the file, or leave it out by a glob"))
            return
        self.read.append(rows)
        if rows.accepted.first_ms is not None and rows.accepted.last_ms is not None:
            self.ranges.append((rows.accepted.first_ms, rows.accepted.last_ms))

    def refuse(self, file: RawFile, error: ChandleryError) -> None:
        """Note why a file is refused."""
        self.refused[file.source] = refuse(file, error, self.task.lake.file.exchange, self.task.symbol)

    def keep(self, record: FileRecord) -> KeptFile:
        """Return what the tables hold of a file that is gone."""
        lake = self.task.lake
        self.sources.add(record.source)
        keys = {"exchange": lake.file.exchange, "symbol": self.task.symbol}
        columns = ("open_time", "interval", "open", "high", "low", "close", "volume", "source")
        mine = pl.col("source") == record.source
        tables = [read_partition(lake.store, table, keys) for table in ("ledger", "rejects")]
        ledger, rejects = (empty_frame(TABLES[name].schema) if frame is None else frame for name, frame in zip(("ledger", "rejects"), tables, strict=True))
        named = [pl.lit(value).alias(name) for name, value in keys.items()]
        return KeptFile(ledger.filter(mine).with_columns(named), lake.read_candles(self.task.symbol, columns=columns).filter(mine), rejects.filter(mine))

    def record(self, file: RawFile, accounts: dict[str, dict[str, Any]]) -> FileRecord:
        """Return what to remember of a file."""
        return to_known(accounts[file.source], file.etag) if file.source in self.sources else self.known[file.source]


def publish(task: IngestTask, reading: Reading) -> tuple[dict[str, dict[str, Any]], int]:
    """Put what changed; return the rows of the ledger of what was read, by source, and the number of objects put.

    Raises:
        LawError: The rows of a file are not accounted for; where they are held in memory, nothing is put.
    """
    lake, keys = task.lake, {"exchange": task.lake.file.exchange, "symbol": task.symbol}
    settling = Settling(reading.read, reading.kept, lake.file.exchange, by_month=reading.room.is_full)
    years = sorted({year for first, last in reading.ranges for year in range(year_of(first), year_of(last) + 1)})
    settled: dict[int, Iterable[pl.DataFrame]] = {year: settling.settle_year(year) for year in years}
    accounted = None
    if not reading.room.is_full:
        settled = {year: list(frames) for year, frames in settled.items()}
        accounted = settling.account()
    days = DayBook(lake, task.symbol)
    count = sum(lake.write("candles", {**keys, "year": year}, days.watch(year, merge_year(task, reading, frames, year))) for year, frames in settled.items())
    rejects, ledger = accounted or settling.account()
    accounts = pl.concat([ledger, *reading.refused.values()])
    for table, found in (("rejects", rejects), ("ledger", accounts)):
        fresh, held = conform(found, TABLES[table]), read_partition(lake.store, table, keys)
        rows = fresh if held is None else pl.concat([held.filter(~pl.col("source").is_in(list(reading.sources))), fresh.select(held.columns)])
        if table == "ledger":
            rows = mark_gone(rows, reading)
        count += lake.write(table, keys, rows.sort([name for name in ("source", "row") if name in rows.columns]))
    days.keep()
    return {row["source"]: row for row in accounts.iter_rows(named=True)}, count


def merge_year(task: IngestTask, reading: Reading, settled: Iterable[pl.DataFrame], year: int) -> Iterator[pl.DataFrame]:
    """Yield a year's candles: those of files that were not read, and those that were; some at a time where they are many."""
    fresh = (conform(frame, TABLES["candles"]) for frame in settled)
    keys = {"exchange": task.lake.file.exchange, "symbol": task.symbol, "year": year}
    held = scan_partition(task.lake.store, "candles", keys)
    if held is None:
        yield from fresh
        return
    with damage_told(task.lake.store, partition_path("candles", keys)):
        yield from join_year(held.filter(~pl.col("source").is_in(list(reading.sources))), fresh, year)


def join_year(held: pl.LazyFrame, fresh: Iterable[pl.DataFrame], year: int) -> Iterator[pl.DataFrame]:
    """Yield a year's candles from two parts of it, ascending, some at a time where they are many."""
    if int(held.select(pl.len()).collect().item()) <= MOST_AT_ONCE:
        parts = [held.collect(), *fresh]
        yield pl.concat([parts[0], *(part.select(parts[0].columns) for part in parts[1:])]).sort("open_time")
        return
    coming = cut_months(fresh)
    month, frame = next(coming, (0, None))
    for number in range((year - 1970) * 12, (year - 1969) * 12):
        part = held.filter(pl.col("open_time").dt.month() == number % 12 + 1).collect()
        if frame is not None and month == number:
            part = pl.concat([part, frame.select(part.columns)]).sort("open_time")
            month, frame = next(coming, (0, None))
        yield part


def cut_months(frames: Iterable[pl.DataFrame]) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield candles by the month, counted from 1970-01; they ascend, and none of the frames ends within a month."""
    for frame in frames:
        months = frame["open_time"].dt.epoch("ms").to_numpy().astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
        cuts = [*np.flatnonzero(np.diff(months, prepend=-1)).tolist(), frame.height]
        for first, last in pairwise(cuts):
            yield int(months[first]), frame[first:last]


def mark_gone(ledger: pl.DataFrame, reading: Reading) -> pl.DataFrame:
    """Return the ledger with files that are gone marked, or left out where they are pruned."""
    gone = pl.col("source").is_in([record.source for record in reading.gone])
    return ledger.filter(~gone) if reading.task.prune else ledger.with_columns((pl.col("present") & ~gone).alias("present"))
