"""The ingest task: a symbol's raw files to candles, rejects and ledger.

Only files that are new or changed are read, and those whose time overlaps with theirs: versions of one
candle can only come from these. All else is taken from the tables as it stands.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chandlery.checkpoints import digest_days
from chandlery.clean import UNKNOWN, Cleaned, KeptFile, refuse, settle
from chandlery.config import SourceSettings, to_minutes_text
from chandlery.errors import ChandleryError, SourceError
from chandlery.grid import DAY_MS, Ints, cut_year, pack_steps, unpack_steps, year_of
from chandlery.lake import Lake
from chandlery.records import FileRecord, IngestRecord, read_record, write_record
from chandlery.schema import TABLES
from chandlery.sources.files import FileRows, RawFile, read_file
from chandlery.state import get_arrays, put_arrays
from chandlery.storage import Store
from chandlery.tables import conform, empty_frame, read_partition

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
        reading = Reading(task, files)
        reading.read_all()
        cleaned = settle(reading.read, reading.kept, task.lake.file.exchange)
    published = publish(task, reading, cleaned)
    records = [reading.record(file, cleaned) for file in task.files] + [record for record in reading.gone if not task.prune]
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

    def __init__(self, task: IngestTask, files: ExitStack) -> None:
        self.task, self.files = task, files
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
            rows = read_file(stream, file, task.settings, task.lake.interval_minutes)
            if rows.interval_minutes != task.lake.interval_minutes:
                raise SourceError(
                    f"{file.source} holds candles of {to_minutes_text(rows.interval_minutes)}",
                    f"candles of {task.lake.file.interval}, as the lake has",
                    "ingest it into a lake of its own",
                )
        except SourceError as error:
            self.refuse(file, error)
            return
        except FileNotFoundError:
            self.refuse(file, SourceError(f"{file.source} was taken away while it was read", "a file that stays", "run again"))
            return
        except ChandleryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a file does to a parser, it stops nothing else
            self.refuse(file, SourceError(f"{file.source} cannot be read: {type(error).__name__}: {str(error)[:200]}", "a file of candles", "look at the file, or leave it out by a glob"))
            return
        self.read.append(rows)
        times = rows.rows["open_time"].dt.epoch("ms")
        if times.len():
            self.ranges.append((cast(int, times.min()), cast(int, times.max())))

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

    def record(self, file: RawFile, cleaned: Cleaned) -> FileRecord:
        """Return what to remember of a file."""
        if file.source not in self.sources:
            return self.known[file.source]
        ledger = self.refused.get(file.source, cleaned.ledger)
        return to_known(ledger.filter(pl.col("source") == file.source).row(0, named=True), file.etag)


def publish(task: IngestTask, reading: Reading, cleaned: Cleaned) -> int:
    """Put what changed; return the number of objects put."""
    lake = task.lake
    keys = {"exchange": lake.file.exchange, "symbol": task.symbol}
    years = {year for first, last in reading.ranges for year in range(year_of(first), year_of(last) + 1)}
    times = cleaned.candles["open_time"].dt.epoch("ms").to_numpy()
    frames = {year: merge_year(task, reading, cleaned.candles[cut_year(times, year)], year) for year in sorted(years)}
    count = sum(lake.write("candles", {**keys, "year": year}, frame) for year, frame in frames.items())
    accounts = pl.concat([cleaned.ledger, *reading.refused.values()])
    for table, found in (("rejects", cleaned.rejects), ("ledger", accounts)):
        fresh, held = conform(found, TABLES[table]), read_partition(lake.store, table, keys)
        rows = fresh if held is None else pl.concat([held.filter(~pl.col("source").is_in(list(reading.sources))), fresh.select(held.columns)])
        if table == "ledger":
            rows = mark_gone(rows, reading)
        count += lake.write(table, keys, rows.sort([name for name in ("source", "row") if name in rows.columns]))
    remember_days(task, frames)
    return count


def merge_year(task: IngestTask, reading: Reading, candles: pl.DataFrame, year: int) -> pl.DataFrame:
    """Return a year's candles: those of files that were not read, and those that were."""
    fresh = conform(candles, TABLES["candles"])
    held = read_partition(task.lake.store, "candles", {"exchange": task.lake.file.exchange, "symbol": task.symbol, "year": year})
    if held is None:
        return fresh
    rest = held.filter(~pl.col("source").is_in(list(reading.sources)))
    return pl.concat([rest, fresh.select(rest.columns)]).sort("open_time")


def mark_gone(ledger: pl.DataFrame, reading: Reading) -> pl.DataFrame:
    """Return the ledger with files that are gone marked, or left out where they are pruned."""
    gone = pl.col("source").is_in([record.source for record in reading.gone])
    return ledger.filter(~gone) if reading.task.prune else ledger.with_columns((pl.col("present") & ~gone).alias("present"))


def remember_days(task: IngestTask, frames: dict[int, pl.DataFrame]) -> None:
    """Keep which steps have a candle and a hash of each day's candles: what gaps are found in, and forecasts compare themselves with."""
    path, step_ms = f"state/ingest/{task.symbol}.state", task.lake.interval_minutes * 60_000
    arrays = get_arrays(task.lake.store, path)
    held_days, held_digests = (arrays["days"], arrays["digests"]) if arrays else (np.empty(0, np.int32), np.empty(0, np.uint64))
    held_steps = unpack_steps(arrays) if arrays else np.empty(0, np.int64)
    stays, steps_stay = (outside(times, frames) for times in (held_days.astype(np.int64) * DAY_MS, held_steps * step_ms))
    fresh = [digest_days(frame) for frame in frames.values() if frame.height]
    days = np.concatenate([held_days[stays], *(days for days, _ in fresh)])
    digests = np.concatenate([held_digests[stays], *(found for _, found in fresh)])
    steps = np.concatenate([held_steps[steps_stay], *(frame["open_time"].dt.epoch("ms").to_numpy() // step_ms for frame in frames.values())])
    newest_ms = (int(steps.max()) + 1) * step_ms if steps.size else 0
    order = np.argsort(days, kind="stable")
    put_arrays(task.lake.store, path, {"days": days[order], "digests": digests[order], "newest_ms": np.array(newest_ms)} | pack_steps(steps))


def outside(times: Ints, years: Iterable[int]) -> NDArray[np.bool_]:
    """Return which of ascending moments lie in none of the years."""
    stays = np.ones(times.size, np.bool_)
    for year in years:
        stays[cut_year(times, year)] = False
    return stays
