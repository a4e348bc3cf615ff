"""The ingest task: the raw files of a symbol to candles, rejects and ledger.

Only new and changed files are read, and those whose time range overlaps with theirs: other versions of
the same candle can only come from these. All other rows of the tables stay unchanged.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from msgspec.structs import replace

from chandlery.candles.clean import Settling
from chandlery.grid import year_of
from chandlery.lake.reading import damage_told, scan_content
from chandlery.lake.tables import MOST_AT_ONCE, conform, join_rows, partition_path
from chandlery.schema import TABLES
from chandlery.sources.rows import Room
from chandlery.state.records import FileRecord, Ingested, hash_candles, write_ingested
from chandlery.tasks.daybook import DayBook
from chandlery.tasks.past import list_years, measure_span
from chandlery.tasks.reading import IngestTask, Reading, note_successors

__all__ = ["IngestResult", "IngestTask", "ingest_symbol"]


@dataclass(frozen=True)
class IngestResult:
    """What the ingest of a symbol did.

    Args:
        series: Name of the series.
        symbol: The symbol.
        candles: Hash of the candles; empty if there are none.
        first_day: UTC day on which the first candle closes, since 1970; None if there are none.
        newest_ms: close_time of the newest candle; 0 if there are none.
        years: Calendar years with candles.
        problems: Why files were refused, as messages.
        gone: Whether the tables hold rows of files that are gone from the source.
        vanished: How many files are gone since the last run, or pruned, and how many candles they hold.
        held_back: How many files were read under other settings and not read again.
        notes: Messages that are not refusals.
    """

    series: str
    symbol: str
    candles: str
    first_day: int | None
    newest_ms: int
    years: list[int]
    problems: list[str]
    gone: bool
    vanished: tuple[int, int]
    held_back: int
    notes: list[str]


def ingest_symbol(task: IngestTask) -> IngestResult:
    """Read new and changed files, and stage the symbol's candles, rejects, ledger and ingest state.

    Raises:
        LawError: Some rows of a file are not accounted for.
        LeaseHeldError: Another run has taken the lake.
    """
    with (
        ExitStack() as files
    ):  # files stay open until versions are settled, since rejects need the text of superseded rows
        reading = Reading(task, files, files.enter_context(Room()))
        reading.read_all()
        publishing = Publishing(task, reading)
        publishing.publish()
    held = publishing.remember()
    task.lake.guard()
    write_ingested(task.lake, task.symbol, held, task.lake.staging)
    years = list_years(held.days)
    if task.reread and (lost := sorted({*reading.years_before}.difference(years))):
        names = ", ".join(map(str, lost))
        publishing.notes.append(f"candles of {task.symbol} of {names} are lost: no file of the source holds any")
    first_day, newest_ms = measure_span(held, task.lake.grid) if held.days.size else (None, 0)
    return IngestResult(
        task.lake.series.name,
        task.symbol,
        hash_candles(held),
        first_day,
        newest_ms,
        years,
        find_problems(task, held.files),
        len(reading.gone) > len(reading.pruned),
        (len(reading.vanished), sum(account["rows_kept"] for account in reading.vanished)),
        reading.held_back,
        publishing.notes,
    )


def find_problems(task: IngestTask, files: list[FileRecord]) -> list[str]:
    """Return what a symbol's files were refused for, and which have too many refused rows, as messages.

    What is gone from the source is mended thereby; what was wrong with it is remembered, for it may come back as it was.
    """
    share, found = task.settings.max_rejected_share, []
    present = {file.source for file in task.files}
    for file in (record for record in files if record.source in present):
        if file.problem:
            found.append(file.problem)
        elif file.rejected_share > share:
            hint = f"Hint: see `chandlery explain {task.symbol}`"
            found.append(
                f"{file.source}: {file.rejected_share:.1%} of its rows were refused, more than {share:.1%}. {hint}"
            )
    return found


class Publishing:
    """Stages the tables of a symbol.

    Args:
        task: The symbol and the lake.
        reading: The files that were read for it.
    """

    def __init__(self, task: IngestTask, reading: Reading) -> None:
        self._task, self._reading, self._lake = task, reading, task.lake
        self._keys: dict[str, Any] = {**task.lake.keys, "symbol": task.symbol}
        self._days = DayBook(task.lake, reading.held)
        self._settling = Settling(reading.read, reading.kept, self._keys, by_month=reading.room.is_full)
        self._accounts: dict[str, dict[str, Any]] = {}
        self.notes: list[str] = []

    def publish(self) -> None:
        """Stage the objects that changed.

        Raises:
            LawError: Some rows of a file are not accounted for.
        """
        years = sorted(
            {year for first, last in self._reading.ranges for year in range(year_of(first), year_of(last) + 1)}
        )
        settled: dict[int, Iterable[pl.DataFrame]] = {year: self._settling.settle_year(year) for year in years}
        accounted = None
        if not self._reading.room.is_full:
            settled = {year: list(frames) for year, frames in settled.items()}
            accounted = self._settling.account()
        for year, frames in settled.items():
            self._publish_year(year, frames)
        rejects, ledger = accounted or self._settling.account()
        self._accounts = {row["source"]: row for row in ledger.iter_rows(named=True)}
        self._note_losses()
        self._publish_rows("rejects", rejects)
        self._publish_rows("ledger", self._complete_ledger(ledger))

    def _publish_year(self, year: int, frames: Iterable[pl.DataFrame]) -> None:
        keys = {**self._keys, "year": year}
        content = self._lake.get("candles", keys)
        fresh = (conform(frame, TABLES["candles"]) for frame in frames)
        with damage_told(self._lake.store, partition_path("candles", keys)):
            whole: Iterable[pl.DataFrame] = fresh
            if content is not None:
                stays = scan_content(content, "candles").filter(~pl.col("source").is_in(list(self._reading.sources)))
                whole = join_year(stays, fresh, year)
            self._lake.replace("candles", keys, content, self._days.watch(year, whole))

    def _publish_rows(self, table: str, fresh: pl.DataFrame) -> None:
        content, held = self._reading.tables[table]
        rows = join_rows(
            table, held.filter(~pl.col("source").is_in(list(self._reading.sources))), conform(fresh, TABLES[table])
        )
        if table == "ledger":
            rows = self._mark_present(note_successors(rows, self._reading.successors))
        order = [name for name in ("source", "row") if name in rows.columns]
        self._lake.replace(table, self._keys, content, rows.sort(order))

    def _complete_ledger(self, ledger: pl.DataFrame) -> pl.DataFrame:
        """Return the ledger rows of files that were read and of files that were refused; local files have no etag."""
        whole = pl.concat([ledger, *self._reading.refused.values()])
        return whole.with_columns(etag=pl.lit(None, pl.String)) if self._task.source.is_local else whole

    def _mark_present(self, ledger: pl.DataFrame) -> pl.DataFrame:
        """Return the ledger with files that are gone marked as such, or without them when pruning."""
        gone = pl.col("source").is_in([record.source for record in self._reading.gone])
        return ledger.with_columns(present=~gone).filter(~pl.col("source").is_in(list(self._reading.pruned)))

    def _note_losses(self) -> None:
        """Report files that hold fewer candles than their earlier version: the missing candles leave the table.

        A candle that another file holds as well is counted in one of the two. Therefore the accepted rows must have
        become fewer too: those of a file that only gives way to another are as many as before.
        """
        for rows in self._reading.read:
            source = rows.raw.source
            before, now = (count_rows(accounts.get(source)) for accounts in (self._reading.told, self._accounts))
            if now.kept < before.kept and now.accepted < before.accepted:
                self.notes.append(
                    f"{source} holds {now.kept:,} candles, its earlier version held {before.kept:,}: the others were "
                    "removed"
                )

    def remember(self) -> Ingested:
        """Return what to store for the symbol with these objects."""
        records = [self._reading.record(file, self._accounts) for file in self._task.files]
        gone = [record for record in self._reading.gone if record.source not in self._reading.pruned]
        if self._task.reread:  # candles of theirs may be lost: if the same files return, they are read again
            gone = [replace(record, code="") for record in gone]
        return self._days.remember([*records, *gone], self._reading.join_lost(self._settling.lost()))


class Counts(NamedTuple):
    """Rows of a version of a file.

    Args:
        kept: Those that are candles in the table.
        accepted: These, and those that are equal to a candle or gave way to another version of it.
    """

    kept: int
    accepted: int


def count_rows(account: dict[str, Any] | None) -> Counts:
    """Return the rows of a version of a file, by its row of the ledger; none without such a row."""
    if account is None:
        return Counts(0, 0)
    kept = int(account["rows_kept"])
    return Counts(kept, kept + int(account["rows_identical"] + account["rows_superseded"]))


def join_year(held: pl.LazyFrame, fresh: Iterable[pl.DataFrame], year: int) -> Iterator[pl.DataFrame]:
    """Yield the candles of a year from two parts, ascending, a month at a time if there are many."""
    if int(held.select(pl.len()).collect().item()) <= MOST_AT_ONCE:
        yield join_rows("candles", held.collect(), *fresh).sort("open_time")
        return
    coming = cut_months(fresh)
    month, frame = next(coming, (0, None))
    for number in range((year - 1970) * 12, (year - 1969) * 12):
        part = held.filter(pl.col("open_time").dt.month() == number % 12 + 1).collect()
        if frame is not None and month == number:
            part = join_rows("candles", part, frame).sort("open_time")
            month, frame = next(coming, (0, None))
        yield part


def cut_months(frames: Iterable[pl.DataFrame]) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield candles by month, counted from 1970-01; the frames ascend, and none ends within a month."""
    for frame in frames:
        months = (
            frame["open_time"]
            .dt.epoch("ms")
            .to_numpy()
            .astype("datetime64[ms]")
            .astype("datetime64[M]")
            .astype(np.int64)
        )
        cuts = [*np.flatnonzero(np.diff(months, prepend=-1)).tolist(), frame.height]
        for first, last in pairwise(cuts):
            yield int(months[first]), frame[first:last]
